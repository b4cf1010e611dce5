"""The trace commands and replay of both forms, as they are typed."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archcalc import machines
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.traces import columnar
from archcalc.workloads import run as running

DATA = Path(__file__).parents[2] / "data"
TRACES = DATA / "traces"
LOG = DATA / "allocfreetrace" / "linux-amd64.log.xz"
MIXED = TRACES / "linux-386.mixed.stw.trace.gz"
VERSION2 = TRACES.parent / "version2"
Cli = Callable[..., Any]


def test_convert_there_and_back(cli: Cli, tmp_path: Path) -> None:
    there = cli("trace", "convert", MIXED, "x.trace.parquet", "--format", "json")
    assert there.code == 0
    (row,) = there.json["converted"]
    assert row["form"] == "columns" and row["lines"] == gzip.decompress(MIXED.read_bytes()).count(b"\n")
    assert cli("trace", "convert", "x.trace.parquet", "y.trace.gz").code == 0
    assert gzip.decompress((tmp_path / "y.trace.gz").read_bytes()) == gzip.decompress(MIXED.read_bytes())


def test_convert_replaces_nothing_unasked(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("mine")
    refused = cli("trace", "convert", MIXED, "x.parquet")
    assert refused.code == 2 and "exists already" in refused.err
    assert (tmp_path / "x.parquet").read_text() == "mine"
    assert cli("trace", "convert", MIXED, "x.parquet", "--force").code == 0
    assert cli("trace", "convert", "x.parquet", "x.parquet", "--force").code == 2


def test_info_of_both_forms(cli: Cli) -> None:
    cli("trace", "convert", MIXED, "x.parquet")
    text = cli("trace", "info", MIXED, "--format", "json").json
    columns = cli("trace", "info", "x.parquet", "--format", "json").json
    assert (text["form"], columns["form"]) == ("text", "columns")
    for key in ("header", "records", "lines"):
        assert text[key] == columns[key]
    assert text["header"]["platform"] == "linux/386"
    assert text["records"]["m"] == 14562
    assert "linux/386" in cli("trace", "info", MIXED).out


def test_head_shows_the_first_events_and_types_when_asked(cli: Cli) -> None:
    lines = gzip.decompress(MIXED.read_bytes()).decode().split("\n")
    assert cli("trace", "head", MIXED, "-n", "4", "--types").out.split("\n")[:4] == lines[1:5]
    found = cli("trace", "head", MIXED, "--format", "json", "--types").json
    assert [(r["line"], r["text"]) for r in found["records"]] == list(
        zip(range(2, 12), lines[1:11], strict=True)
    )
    events = [(at, line) for at, line in enumerate(lines, start=1) if at > 1 and not line.startswith("T ")]
    found = cli("trace", "head", MIXED, "--format", "json").json
    assert [(r["line"], r["text"]) for r in found["records"]] == events[:10]


@pytest.mark.parametrize("path", [*TRACES.glob("*.gz"), *VERSION2.glob("*.gz")], ids=lambda path: path.name)
def test_head_and_stats_of_every_recording(path: Path, cli: Cli) -> None:
    first = cli("trace", "head", path, "--format", "json").json["records"]
    assert len(first) == 10 and all(record["record"] != "T" for record in first)
    by_type = cli("trace", "stats", path, "--format", "json").json["by_type"]
    names = [one["name"] for one in by_type if one["name"]]
    assert len(set(names)) == len(names)
    assert [one["bytes"] for one in by_type] == sorted((one["bytes"] for one in by_type), reverse=True)


def test_stats_have_the_promised_keys(cli: Cli) -> None:
    found = cli("trace", "stats", MIXED, "--format", "json").json
    assert {"allocations", "frees", "collections", "bytes", "by_type", "by_class"} <= found.keys()
    assert (found["allocations"], found["collections"], found["bytes"]) == (14562, 2, 5691192)
    for format in ("table", "csv", "markdown", "yaml", "jsonl"):
        assert cli("trace", "stats", MIXED, "--format", format).code == 0


def test_import_makes_what_replay_accepts(cli: Cli) -> None:
    made = cli("trace", "import", LOG, "--platform", "linux/amd64", "--output", "x.trace.gz")
    assert made.code == 0
    assert "what the log does not tell" in made.out
    assert cli("replay", "x.trace.gz").code == 0
    again = cli("trace", "import", LOG, "--platform", "linux/amd64", "-o", "x.trace.gz")
    assert again.code == 2 and "exists already" in again.err
    forced = cli(
        "trace", "import", LOG, "--platform", "linux/amd64", "-o", "x.trace.gz", "--force", "--format", "json"
    )
    assert forced.json["allocations"] == 3395 and forced.json["unknown"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--platform", "linux/amd64"], "--output OUT"),
        (["--output", "x.trace.gz"], "--platform P"),
        (["--platform", "linux/amd46", "--output", "x.trace.gz"], "linux/amd64"),
    ],
)
def test_import_says_what_is_missing(cli: Cli, words: list[str], message: str) -> None:
    refused = cli("trace", "import", LOG, *words)
    assert refused.code == 2 and message in refused.err


@pytest.mark.parametrize("command", ["info", "head", "stats"])
def test_what_is_not_a_recording_is_reported(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "x.trace.gz").write_bytes(b"nothing of the kind")
    refused = cli("trace", command, "x.trace.gz")
    assert refused.code == 2
    assert refused.err.startswith("x.trace.gz:1:1: ")
    assert cli("trace", command, "missing.trace.gz").code == 2


def test_replay_takes_both_forms_and_folders(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    names = ("linux-386.mixed.stw", "linux-amd64.conflict.off", "linux-arm.stacks.conc")
    for name in names:
        cli("trace", "convert", TRACES / f"{name}.trace.gz", f"all/{name}.trace.parquet")
    (tmp_path / "all" / MIXED.name).write_bytes(MIXED.read_bytes())
    (tmp_path / "all" / "plain.trace").write_bytes(gzip.decompress(MIXED.read_bytes()))
    for jobs in ((), ("--jobs", "1"), ("--jobs", "3")):
        found = cli("replay", "all", "--format", "json", *jobs)
        assert found.code == 0
        assert [Path(t["path"]).name for t in found.json["traces"]] == sorted(
            [MIXED.name, "plain.trace", *(f"{name}.trace.parquet" for name in names)]
        )
        assert all(t["mismatches"] == 0 and t["first_mismatch"] is None for t in found.json["traces"])
        same = [t for t in found.json["traces"] if "mixed" in t["path"]]
        assert same[0]["events"] == same[1]["events"] and same[0]["reported"] == same[1]["reported"]


def test_a_difference_among_several_is_found(cli: Cli, tmp_path: Path) -> None:
    text = gzip.decompress(MIXED.read_bytes()).decode()
    at = text.index("\nL ") + 3
    (tmp_path / "bad.trace.gz").write_bytes(gzip.compress((text[:at] + "9" + text[at:]).encode()))
    cli("trace", "convert", "bad.trace.gz", "bad.trace.parquet")
    found = cli("replay", MIXED, "bad.trace.gz", "bad.trace.parquet", "--format", "json")
    assert found.code == 1
    good, text_form, columns = found.json["traces"]
    assert good["mismatches"] == 0
    assert text_form["first_mismatch"] == columns["first_mismatch"]
    assert text_form["first_mismatch"]["record"] == "L"


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="no /dev/stdin")
@pytest.mark.parametrize("command", ["info", "head", "stats"])
def test_a_pipe_stands_for_a_file(command: str, cli: Cli) -> None:
    words = [sys.executable, "-m", "archcalc", "trace", command, "/dev/stdin", "--format", "json"]
    expected = cli("trace", command, MIXED, "--format", "json").json
    for data in (MIXED.read_bytes(), gzip.decompress(MIXED.read_bytes())):
        done = subprocess.run(words, input=data, capture_output=True, check=True)
        found = json.loads(done.stdout)
        told = found.keys() - {"path", "bytes"} if command == "info" else found.keys() - {"path"}
        assert {key: found[key] for key in told} == {key: expected[key] for key in told}


@pytest.mark.parametrize(
    "words", [("convert", "x.trace.gz", "y.parquet"), ("import", "x.trace.gz", "-o", "y.parquet")]
)
def test_what_cannot_be_read_leaves_the_target_as_it_was(
    words: tuple[str, ...], cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "x.trace.gz").write_bytes(MIXED.read_bytes()[:-500])
    (tmp_path / "y.parquet").write_text("mine")
    platform = ("--platform", "linux/386") if words[0] == "import" else ()
    refused = cli("trace", *words, *platform, "--force")
    assert refused.code == 2 and refused.err.startswith("x.trace.gz:")
    assert (tmp_path / "y.parquet").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


# Ctrl-C, in processes of their own.


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """linux/amd64: one of many pieces, as they are read here."""
    path = tmp_path_factory.mktemp("long") / "long.trace.gz"
    target = figures.compute(platforms.load("linux/amd64"))
    running.boot_and_run(
        machines.prepare(target, record=True), "linux/amd64", "tiny", n=20_000, seed=1, record=path
    )
    return path


def interrupted(arguments: list[str], ready: str) -> tuple[int, str, str]:
    """Runs archcalc on a terminal, and interrupts it when that shows on it."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        stdout=subprocess.PIPE,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    shown = ""
    deadline = time.monotonic() + 60
    sent = False
    while time.monotonic() < deadline:
        readable, _, _ = select.select([master], [], [], 0.2)
        if readable:
            try:
                shown += os.read(master, 65536).decode(errors="replace")
            except OSError:
                break
        if not sent and re.search(ready, shown):
            process.send_signal(signal.SIGINT)
            sent = True
        if process.poll() is not None and not readable:
            break
    assert process.stdout is not None
    out = process.stdout.read()
    code = process.wait(timeout=30)
    os.close(master)
    assert sent, shown
    return code, out, shown


# The program, with recordings read slowly, and only in part: then it waits for Ctrl-C, however late it comes.
# What reads in a worker is not interrupted itself, and goes on.
SLOW = """
import os, sys, time
from archcalc.traces import columnar, reader, replayer
from archcalc.cli.main import main

OWN = os.getpid()

def hold(done, half):
    time.sleep(60 if done == half and os.getpid() == OWN else 0.05)

def slowly(stream):
    done = 0
    for lines in stream:
        for at in range(0, len(lines), 500):
            yield lines[at:at + 500]
            done += 1
            hold(done, 20)

def lines(path):
    return slowly(reader.pieces(path))

batches = columnar.ColumnarFile.batches

def slow_batches(self, columns=None, rows=2000):
    for done, batch in enumerate(batches(self, columns, rows), 1):
        yield batch
        hold(done, 5)

columnar.ColumnarFile.batches = slow_batches
replayer.Replayer.__init__.__defaults__ = (*replayer.Replayer.__init__.__defaults__[:-1], lines)
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupt_leaves_a_summary_of_what_held(long_recording: Path) -> None:
    code, out, shown = interrupted(["replay", str(long_recording)], r"long\.trace\.gz \[#+ *\]")
    assert code == 130
    words = " ".join(out.split())  # where lines end depends on the path's length
    match = re.search(r"interrupted: .*long\.trace\.gz agreed with its recording up to event (\d+)", words)
    assert match and 0 < int(match[1]) < 20_000
    assert "FAILED: 0 of 1 recording reproduced" in words
    assert re.search(r"\[#+ *\] +\d+%", shown)


def test_an_interrupt_of_columns_leaves_a_summary_too(long_recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.trace.parquet"
    columnar.convert(long_recording, path)
    code, out, shown = interrupted(["replay", str(path)], r"long\.trace\.parquet \[#+ *\]")
    assert code == 130
    match = re.search(
        r"interrupted: .*long\.trace\.parquet agreed with its recording up to event (\d+)",
        " ".join(out.split()),
    )
    assert match and 0 < int(match[1]) < 20_000
    assert re.search(r"\[#+ *\] +\d+%", shown)


@pytest.mark.parametrize("command", [("convert", "out.parquet"), ("stats",)])
def test_an_interrupt_leaves_no_part_of_a_file(
    command: tuple[str, ...], long_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columnar.convert(long_recording, tmp_path / "long.trace.parquet")
    code, out, _ = interrupted(
        ["trace", command[0], "long.trace.parquet", *command[1:]], r"long\.trace\.parquet "
    )
    assert (code, out) == (130, "")
    assert [path.name for path in tmp_path.iterdir()] == ["long.trace.parquet"]


def test_an_interrupt_of_several_leaves_a_summary_of_all_that_were_begun(long_recording: Path) -> None:
    # So many that a busy machine shows how far they are before they are through.
    several = [str(TRACES / "linux-amd64.conflict.off.trace.gz"), *[str(long_recording)] * 99]
    code, out, _ = interrupted(["replay", "--jobs", "2", *several], r"100 recordings \[#+ *\]")
    out = " ".join(out.split())
    assert code == 130
    summary = re.search(r"(\d+) of (\d+) recordings reproduced", out)
    left = re.search(r"interrupted: (\d+) recordings were not begun", out)
    assert summary and left
    whole, begun = map(int, summary.groups())
    assert begun + int(left[1]) == len(several)
    # Those that were under way say how far they came; all may have ended just then.
    assert whole == begun or "agreed with its recording up to event" in out
