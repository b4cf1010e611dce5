"""Recordings in tests: reading their lines, writing changed ones, replaying them."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

from archcalc.traces.outcome import Replay
from archcalc.traces.reader import TraceFault
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.replay import replay

TRACES = Path(__file__).parents[1] / "data" / "traces"
NAMES = sorted(path.name.removesuffix(".trace.gz") for path in TRACES.glob("*.trace.gz"))


@cache
def lines_of(name: str) -> tuple[str, ...]:
    """The lines of a recording, without their ends."""
    return tuple(gzip.decompress((TRACES / f"{name}.trace.gz").read_bytes()).decode().split("\n")[:-1])


def write(path: Path, lines: list[str] | tuple[str, ...]) -> Path:
    """Writes lines as a recording."""
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode("utf-8", "surrogateescape"), 1, mtime=0))
    return path


def replayed(path: Path, keep_going: bool = False) -> Replay:
    """Replays a file as the command does."""
    return replay(path, lambda header: config_for(header, {}), keep_going=keep_going)


def outcome(path: Path) -> str:
    """What the command's exit code would tell: `reproduced`, `differs` or `fault`."""
    try:
        result = replayed(path)
    except TraceFault as fault:
        assert all(f.file == str(path) for f in fault.faults)
        return "fault"
    return "reproduced" if result.ok else "differs"
