"""How the program ends: exit codes, and what stderr says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archcalc.cli import list as list_command

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["repotr"], "'report'"),
        (["profile", "validte"], "'validate'"),
        (["report", "linux/amd46"], "linux/amd64"),
        (["report", "--format", "jsno"], "'json'"),
        (["report", "linux/amd64", "--only", "_PageSise"], "'_PageSize'"),
        (["report", "linux/amd64", "--set", "_PageSise=4096"], "'_PageSize'"),
        (["explain", "_PageSise"], "'_PageSize'"),
        (["check", "--select", "stacks.dead-oder"], "'stacks.dead-order'"),
        (["completion", "bsh"], "'bash'"),
    ],
)
def test_a_misspelt_name_is_a_usage_fault_with_a_suggestion(
    words: list[str], suggestion: str, cli: Cli
) -> None:
    run = cli(*words)
    assert (run.code, run.out) == (2, "")
    assert run.err.rstrip().endswith(f"did you mean {suggestion}?")
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["report", "--no-such-option"],
        ["profile"],
        ["explain"],
        ["diff", "linux/386"],
        ["diff", "linux/*", "linux/386"],
        ["sizeclass", "12q"],
        ["sizeclass", "1k", "--waste", "20%"],
        ["report", "--set", "nonsense"],
        ["report", "--set", "_PageShift=13", "--set", "_PageShift=14"],
        ["check", "--select", "stacks", "--ignore", "stacks"],
        ["check", "--baseline", "no-such-file.json"],
        ["list", "--output", "no-such-folder/file"],
        ["profile", "validate", "no-such-file.yaml"],
        [],
    ],
)
def test_wrong_usage_is_2_and_no_traceback(words: list[str], cli: Cli) -> None:
    run = cli(*words)
    assert (run.code, run.out) == (2, "")
    assert run.err and "Traceback" not in run.err


def broken(*_: object) -> None:
    raise ZeroDivisionError("of ours")


def test_a_fault_of_ours_is_3_and_its_traceback_is_for_debug(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_command, "selected", lambda *_, **__: broken())
    run = cli("list")
    assert (run.code, run.out) == (3, "")
    assert "ZeroDivisionError: of ours" in run.err and "Traceback" not in run.err
    for words in (("--debug", "list"), ("list", "--debug")):
        run = cli(*words)
        assert run.code == 3 and run.err.startswith("Traceback")


def test_ctrl_c_is_130_and_quiet(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_command, "selected", interrupted)
    run = cli("list")
    assert (run.code, run.out, run.err) == (130, "", "")


def spawn(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "archcalc", *words], stderr=subprocess.PIPE, **options)


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_that_goes_away_is_not_a_fault_of_ours() -> None:
    process = spawn("report", "all", "--format", "json", stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_reported_and_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        process = spawn("list", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.decode().startswith("archcalc: cannot write the result: ")


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals there")
def test_a_real_interrupt_ends_the_process_with_130() -> None:
    program = "from archcalc.cli import main, list as command\nimport time\n"
    program += "command.selected = lambda *a, **k: (print('ready', flush=True), time.sleep(60))\n"
    program += "import sys; sys.exit(main.main(['list']))\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")


def test_output_is_written_whole_and_not_over_a_file(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "list.json"
    assert cli("list", "--format", "json", "--output", target).code == 0
    first = target.read_text()
    run = cli("list", "--output", target)
    assert run.code == 2 and target.read_text() == first
    assert cli("list", "linux/386", "--output", target, "--force").code == 0
    assert target.read_text() != first
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]


def test_colour_is_for_who_asks_for_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = cli("check", "linux/mips64").out
    assert "\x1b" not in plain
    assert "\x1b" in cli("check", "linux/mips64", "--color", "always").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli("check", "linux/mips64").out == plain


def test_an_encoding_that_lacks_a_character_is_not_a_fault() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    process = spawn("report", "lînux/amd64", stdout=subprocess.PIPE, env=environment)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and b"Traceback" not in err
