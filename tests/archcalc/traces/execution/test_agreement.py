"""One run, written down by the recorder and by the official tracer at once: both say the same."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from golang import environment, installed

from archcalc.traces.columnar import header_of
from archcalc.traces.execution.agreement import SameRun, compare
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.recorded_machine import config_for

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


@pytest.mark.parametrize(
    ("kind", "start", "place"), [("objects", "m ", 700), ("spans", "H ", 100), ("stacks", "s ", 30)]
)
def test_one_that_is_elsewhere_is_told(kind: str, start: str, place: int, tmp_path) -> None:
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
    assert any(words.startswith(kind) for words in found.first)


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
