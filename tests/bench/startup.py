"""How long short commands take, against importing what they depend on.

    python tests/bench/startup.py

Each command runs in a process of its own, in turn with the others, so that whatever else the machine does
falls on all alike; medians are compared. Exits 1 where a limit is passed.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from verdicts import Verdicts

BASE = "import typer, yaml, tabulate"
# Command line, and how many times the base it may take.
PAGE = Path(tempfile.gettempdir()) / f"archcalc-bench-{os.getpid()}.html"
PAGED = f"report all --force --html {PAGE}"
# What is on the page without any derivation, which no other command shows of all figures of all platforms.
PARTS = ("report all --format json", "check all", "boot all")
PAGE_LIMIT, PAGE_WANTED = 2, 3  # times its parts, which are its floor, and times the imports
LIMITS = {
    "--version": 1.5,
    "--help": 1.5,
    "report all": 3,
    "check all": 3,
    "boot all": 3,
    "report all --format json": 4,
}
ROUNDS = 15


def seconds(arguments: list[str]) -> float:
    """One run's time on the wall."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Medians by command line, in seconds; the base under its own text."""
    lines = {BASE: ["-c", BASE]}
    lines |= {line: ["-m", "archcalc", *line.split()] for line in (*LIMITS, PAGED)}
    for arguments in lines.values():
        seconds(arguments)  # fills the caches
    times: dict[str, list[float]] = {line: [] for line in lines}
    for _ in range(rounds):
        for line, arguments in lines.items():
            times[line].append(seconds(arguments))
    return {line: statistics.median(found) for line, found in times.items()}


def main() -> int:
    """Prints the table and says whether the limits hold."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("typer", "pyyaml", "tabulate"))
    print(
        f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} processors; {versions}"
    )
    medians = measure()
    PAGE.unlink(missing_ok=True)
    base = medians[BASE]
    print(f"{base * 1000:.1f} ms  {BASE}")
    verdicts = Verdicts()
    for line, limit in LIMITS.items():
        verdicts.row(f"archcalc {line}, of the imports", medians[line] / base, limit, limit, 1.0)
    parts = base + sum(medians[line] - base for line in PARTS)
    verdicts.row(
        "the page of report all --html, of the imports",
        medians[PAGED] / base,
        PAGE_LIMIT * parts / base,
        PAGE_WANTED,
        parts / base,
    )
    return verdicts.exit_code


if __name__ == "__main__":
    sys.exit(main())
