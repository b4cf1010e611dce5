"""One run, written down by the recorder and by the official tracer at once: both say the same."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from golang import environment, installed

from archcalc.library.trace.compare import compare_files
from archcalc.reading.errors import UsageFault
from archcalc.traces.columnar import header_of
from archcalc.traces.execution.agreement import SameRun, compare
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.records.version2 import MADE

DATA = Path(__file__).parents[3] / "data" / "execution"
RECORDING = DATA / "both-go1.27-linux-amd64.recording.trace.gz"
TRACE = DATA / "both-go1.27-linux-amd64.trace.xz"


def compared(recording: Path, trace: Path, folder: Path) -> SameRun:
    """A recording and the trace that the program wrote meanwhile."""
    header = header_of(recording)
    config = config_for(header, {})
    target = folder / "official.trace.gz"
    import_trace(trace, config, {"go": f"go{header.generation}"}, target)
    return compare(recording, target, config)


def test_they_agree_on_every_object_span_and_stack_that_both_saw(tmp_path) -> None:
    found = compared(RECORDING, TRACE, tmp_path)
    assert found.ok, found.first
    assert found.both["objects"] > 2000
    assert found.both["spans"] > 200
    assert found.both["stacks"] > 80


@pytest.mark.parametrize(("bytes_more", "same"), [(0, True), (8, False)])
def test_a_type_that_reflect_made_is_the_one_of_its_sizes(bytes_more: int, same: bool, tmp_path) -> None:
    """The recorder does not read its name, the trace has it."""
    lines = gzip.decompress(RECORDING.read_bytes()).decode().splitlines()
    used = Counter(line.split(" ")[3] for line in lines if line.startswith("m ") and " - " not in line)
    ((most, _),) = used.most_common(1)
    at = next(i for i, line in enumerate(lines) if line.startswith(f"T {most} "))
    words = lines[at].split(" ", 7)
    words[2] = str(int(words[2]) + bytes_more)
    lines[at] = " ".join([*words[:7], json.dumps(MADE)])
    other = tmp_path / "other.trace"
    other.write_text("\n".join([*lines, ""]))
    assert compared(other, TRACE, tmp_path).ok == same


@pytest.mark.parametrize(
    ("kind", "start", "place"), [("objects", "m ", 700), ("spans", "H ", 100), ("stacks", "s ", 30)]
)
def test_one_that_is_elsewhere_is_reported(kind: str, start: str, place: int, tmp_path) -> None:
    lines = gzip.decompress(RECORDING.read_bytes()).decode().splitlines()
    places = [at for at, line in enumerate(lines) if line.startswith(start)]
    at = places[-place]
    words = lines[at].split(" ")
    field = 6 if start == "H " else -1
    words[field] = f"{int(words[field], 16) + 0x4000000:x}"
    lines[at] = " ".join(words)
    other = tmp_path / "other.trace"
    other.write_text("\n".join([*lines, ""]))
    found = compared(other, TRACE, tmp_path)
    assert not found.ok
    assert any(one.kind == kind for one in found.first)
    assert found.differing[kind]


def test_the_command_compares_files_and_knows_other_files_apart(tmp_path) -> None:
    def told(*files: Path) -> dict[str, Any]:
        return dict(compare_files(files[0], files[1], lambda header: config_for(header, {})).document())

    same = told(RECORDING, TRACE)
    assert (same["ok"], same["differences"], same["first_difference"]) == (True, 0, None)
    imported = tmp_path / "official.trace.gz"
    import_trace(TRACE, config_for(header_of(RECORDING), {}), {"go": "go1.27"}, imported)
    assert {**told(RECORDING, imported), "trace": str(TRACE)} == same
    other = told(RECORDING, DATA / "one-p-go1.27-linux-amd64.trace.xz")
    assert not other["ok"] and other["differences"] == sum(other["by_kind"].values()) > 0
    assert other["first_difference"]["kind"] == "objects" and other["first_difference"]["address"] > 0
    for files in (
        (imported, TRACE),
        (RECORDING, RECORDING),
        (RECORDING, DATA / "go1.25-linux-amd64.trace.xz"),
    ):
        with pytest.raises(UsageFault):
            told(*files)
    # A recording of version 3, but of another platform.
    text = gzip.decompress(imported.read_bytes()).decode().replace("linux/amd64", "linux/arm64", 1)
    imported.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(UsageFault, match=r"a trace of linux/arm64; expected one of linux/amd64"):
        told(RECORDING, imported)


@pytest.mark.parametrize("go", ["1.22", "1.23", "1.25", "1.26"])
def test_a_trace_is_imported_as_of_a_release_that_writes_such(go: str, tmp_path) -> None:
    config = config_for(header_of(RECORDING), {})
    trace, about, target = DATA / "go1.27-linux-amd64.trace.xz", {"go": f"go{go}"}, tmp_path / "x.trace.gz"
    if go == "1.26":
        assert import_trace(trace, config, about, target).events
        return
    with pytest.raises(UsageFault, match=rf"is of Go 1.26 or 1.27 .*, not of go{go}; expected --go 1.26 or"):
        import_trace(trace, config, about, target)
    assert not target.exists()


def test_a_run_of_now(tmp_path) -> None:
    go = installed()
    if go.minor < (1, 23):
        pytest.skip("no allocation events before Go 1.23")
    recording, trace = tmp_path / "own.trace.gz", tmp_path / "own.trace"
    command = [
        sys.executable,
        "-m",
        "archcalc",
        "record",
        "--go",
        str(go.command),
        "--output",
        str(recording),
    ]
    subprocess.run(
        [*command, str(DATA / "small.go"), "--", str(trace)],
        check=True,
        capture_output=True,
        env=environment(GODEBUG="traceallocfree=1", GOMAXPROCS="2"),
    )
    found = compared(recording, trace, tmp_path)
    assert found.ok, found.first
    assert found.both["objects"] > 2000
