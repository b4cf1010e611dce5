"""Proofs: every property of every port, what is decided and what that takes.

    python tests/bench/proofs.py [--go R ...] [--ports GLOB ...] [--jobs N] [--each]

Without arguments, all ports of January 2017 and of 1.27, on as many cores as there are: some ten minutes on
two. `--each` tells of every port, too. Times are processor seconds of each port's own, and those of the
whole. The hardest question is told in the units in which Z3 counts its work, of which there is a limit
(SOLVER_UNITS); 0 where none was hard. Exits 1 where a property is not decided, or a limit is passed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import z3

from archcalc import generations, proofs
from archcalc.calculator import figures
from archcalc.host import processes
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.proofs.paths import SOLVER_UNITS
from archcalc.proofs.solver import Solver

RELEASES = ("7aefdfded", "1.27")
WHOLE, PORT = 600, 60  # seconds: of all ports of both releases on two cores, and of one port
CORES = 2


@dataclass(frozen=True)
class Port:
    """What a port took, in processor seconds and units of the hardest question, and what is known of it."""

    seconds: float
    hardest: int
    verdicts: tuple[tuple[str, bool | None, str], ...]  # each property, whether it holds, and why not


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--go", action="append", default=[])
    parser.add_argument("--ports", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=processes.cores())
    parser.add_argument("--each", action="store_true")
    return parser.parse_args()


@contextmanager
def counted() -> Iterator[list[int]]:
    """What hard questions take that are asked meanwhile."""
    taken: list[int] = []
    possible = Solver.possible

    def ask(solver: Solver, condition: Any = None) -> Any:
        try:
            return possible(solver, condition)
        finally:
            taken.append(solver.hardest)

    Solver.possible = ask  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        Solver.possible = possible  # type: ignore[method-assign]


def proved(release: str, port: str) -> Port:
    """One port."""
    begin = time.process_time()
    with counted() as taken:
        computed = figures.compute(platforms.load(port, release))
        wanted = frozenset(proofs.era_of(computed).IDS)
        found = proofs.prove(computed, MachineOptions(), wanted)
    verdicts = [(p.id, p.holds, p.reason or (p.refutation.what if p.refutation else "")) for p in found]
    return Port(time.process_time() - begin, max(taken, default=0), tuple(verdicts))


def tell(port: str, found: Port, each: bool) -> None:
    """What is not decided of a port; with `each` all that does not hold, and what it took."""
    for id, holds, why in found.verdicts:
        if holds is None or (each and not holds):
            print(f"  {port}: {id} {'is not decided' if holds is None else 'does not hold'}: {why}")
    if each:
        print(f"  {port}: {found.seconds:.1f} s, hardest question {found.hardest} units", flush=True)


def main() -> int:
    """Proves all, and tells of it."""
    asked = arguments()
    print(f"CPython {platform.python_version()}, z3 {z3.get_version_string()}, ", end="")
    print(f"{asked.jobs} of {os.cpu_count()} cores", flush=True)
    all_ports: list[Port] = []
    with processes.pool(asked.jobs) as pool:
        for release in asked.go or RELEASES:
            globs = asked.ports or ["*"]
            ports = [p for p in generations.ports(release) if any(fnmatchcase(p, glob) for glob in globs)]
            begin = time.perf_counter()
            done: dict[str, Port] = {}
            for port, found in zip(ports, pool.map(proved, [release] * len(ports), ports), strict=True):
                done[port] = found
                tell(port, found, asked.each)
            if done:
                summary(release, done, time.perf_counter() - begin)
            all_ports += done.values()
    seconds = sum(port.seconds for port in all_ports) / CORES
    slowest = max((port.seconds for port in all_ports), default=0.0)
    undecided = sum(holds is None for port in all_ports for _, holds, _ in port.verdicts)
    well = not undecided and seconds <= WHOLE and slowest <= PORT
    print(
        f"together {seconds:.0f} s on each of {CORES} cores (at most {WHOLE}), a port {slowest:.0f} s ",
        end="",
    )
    print(f"(at most {PORT}), {undecided} not decided (none): {'ok' if well else 'NOT so'}")
    return int(not well)


def summary(release: str, done: dict[str, Port], wall: float) -> None:
    """A line on all ports of a release, and one on what was hardest."""
    verdicts = [holds for port in done.values() for _, holds, _ in port.verdicts]
    slowest = max(done, key=lambda port: done[port].seconds)
    hardest = max(done, key=lambda port: done[port].hardest)
    seconds = sum(port.seconds for port in done.values())
    print(
        f"{release}: {len(done)} ports, {len(verdicts)} properties: {verdicts.count(True)} hold, "
        f"{verdicts.count(False)} do not, {verdicts.count(None)} are not decided\n"
        f"  {seconds:.0f} s of processor time, {wall:.0f} s by the clock; "
        f"slowest {slowest}, {done[slowest].seconds:.1f} s; hardest question of {hardest}, "
        f"{done[hardest].hardest} units of {SOLVER_UNITS}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
