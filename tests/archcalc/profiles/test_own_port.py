"""A port of the user's own: nothing is said of it that this release of Go does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.calculator import figures
from archcalc.calculator.inventory import entries
from archcalc.cli.main import main
from archcalc.profiles import platforms, profile

LOONG = "schema: 1\nplatform: linux/loong64\ninherit: linux/arm64\narch:\n  arch_family: LOONG64\n"


@pytest.fixture
def loong(tmp_path: Path) -> Path:
    """A profile of an architecture that Go of 2017 does not know."""
    path = tmp_path / "loong64.yaml"
    path.write_text(LOONG)
    return path


def test_a_family_that_no_go_declares_is_refused_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(LOONG.replace("LOONG64", "LONG64"))
    (fault,) = profile.validate(path)
    assert (fault.id, fault.line, fault.suggestion) == ("profile-arch-family", 5, "LOONG64")


def test_a_family_of_later_go_is_taken_and_its_absence_told(
    loong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert profile.validate(loong) == profile.validate(loong, "1.27") == []
    assert main(["profile", "validate", str(loong)]) == 0
    assert "7aefdfded does not declare LOONG64" in capsys.readouterr().err
    assert main(["profile", "validate", str(loong), "--go", "1.27"]) == 0
    assert capsys.readouterr().err == ""


def test_every_family_of_our_ports_is_declared() -> None:
    assert all(profile.validate(platforms.load(name).file) == [] for name in ("linux/arm64", "linux/s390x"))


@pytest.mark.parametrize("name", ["linux/mine", "mine/amd64", "linux/arm64"])
def test_a_file_is_cited_where_some_port_has_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    like = "linux/amd64" if name.endswith("amd64") else "linux/arm64"
    path.write_text(f"schema: 1\nplatform: {name}\ninherit: {like}\n")
    own = figures.compute(profile.load_file(path))
    for entry in entries(own):
        if entry.section in ("constants", "sys"):
            source = own.explain(f"{'sys' if entry.section == 'sys' else 'runtime'}.{entry.name}").source
            assert "mine" not in source or "has to add" in source
            assert name != "linux/arm64" or "has to add" not in source


def test_why_the_family_has_no_value_is_reported_alike(
    loong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "LOONG64, which Go 7aefdfded does not declare: a port has to add it to arch.go"
    own = ["linux/loong64", "--profile", str(loong)]
    assert main(["explain", "sys.ArchFamily", *own]) == 2
    assert reason in capsys.readouterr().err
    assert main(["report", "linux/amd64", *own, "--only", "sys.ArchFamily"]) == 0
    assert reason in " ".join(capsys.readouterr().out.split())


COMMANDS = ("profile validate", "report", "boot", "smoke", "check", "explain _PageSize")


@pytest.mark.parametrize("go", ["1.19", "1.27"])
@pytest.mark.parametrize("platform", ["linux/loong65", "minix/amd64", "freebsd/loong64"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_release_that_says_itself_what_ports_are_like_knows_only_its_own(
    command: str, platform: str, go: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"schema: 1\nplatform: {platform}\ninherit: linux/amd64\n")
    given = [str(path)] if command.startswith("profile") else [platform, "--profile", str(path)]
    assert main([*command.split(), *given, "--go", go]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{path}:2:11: Go {go} has no port to {platform}")
    assert "7aefdfded, for a port of your own" in err and "; did you mean" in err
