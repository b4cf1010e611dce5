"""Notes and progress: on stderr, and only where they are wanted."""

from __future__ import annotations

import io
import sys

import pytest

from archcalc.cli import session
from archcalc.cli.session import Session


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "current", Session())
    monkeypatch.setattr(session, "EVERY", 0.0)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with session.progress("replaying", 200) as bar:
        bar.update(50)
        bar.update(200)
    return stream.getvalue()


def test_progress_is_drawn_on_a_terminal_and_wiped_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(Terminal(), monkeypatch).split("\r")
    assert lines[1] == f"replaying [{'#' * 6:<24}]  25%\x1b[K"
    assert lines[2] == f"replaying [{'#' * 24}] 100%\x1b[K"
    assert lines[-1] == "\x1b[K"


def test_progress_is_not_drawn_elsewhere_or_when_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(io.StringIO(), monkeypatch) == ""
    session.current.quiet = True
    assert shown(Terminal(), monkeypatch) == ""


def test_notes_are_for_who_is_not_quiet_and_details_for_who_is_verbose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session.note("a note")
    session.detail("a detail")
    assert capsys.readouterr().err == "archcalc: a note\n"
    session.current = Session(quiet=True, verbose=True)
    session.note("a note")
    session.detail("a detail")
    assert capsys.readouterr().err == "archcalc: a detail\n"


@pytest.mark.parametrize(
    ("color", "terminal", "environment", "expected"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {}, False),
    ],
)
def test_colours(
    color: str, terminal: bool, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else io.StringIO()
    assert Session(color=color).colorful(stream) is expected
