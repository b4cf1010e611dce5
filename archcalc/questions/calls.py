"""Whether a machine asks its system for what a real program asked: every call, in order.

The machine gets the recorded answers. What the file does not tell, because it falls by lot or to the
scheduler, is an input as well: where the heap's base fell and how many pages were left out there, whether
an early object was sampled for the heap profile, and which P a goroutine came to run on. Where the calls
differ with the usual course, other courses are tried, and the one that differs least is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from allocator.kernels.answers import Answers, Difference
from allocator.kernels.calls import Call
from archcalc.machines import courses
from archcalc.machines.options import MachineOptions
from archcalc.reading.callsfile import Program


@dataclass(frozen=True, slots=True)
class Compared:
    """One program against the machine. `made` are the calls that were made, `differences` how many of the
    recorded ones were not made as they are recorded; `death` the last words where the machine died.
    """

    program: Program
    platform: str
    generation: str
    made: tuple[Call, ...]
    differences: int
    first: Difference | None
    death: str | None


def compare(program: Program, go: str | None = None, options: MachineOptions | None = None) -> Compared:
    """Starts the machine of the program's platform, of release `go` or the program's own."""
    release = _release(program, go)
    config = courses.config_of(program, release, options)
    base = courses.heap_base(config, program)
    best: tuple[int, Answers, str | None] | None = None
    for lots in courses.courses(config, program, base):
        answers, death = courses.start(config, program, base, lots)
        count = _count(answers)
        if best is None or count < best[0]:
            best = count, answers, death
        if not count:
            break
    assert best is not None
    count, answers, death = best
    first = answers.differences[0] if answers.differences else None
    if count and first is None:
        first = Difference(answers.place, answers.peek(), None)
    return Compared(program, program.platform, release, tuple(answers.log), count, first, death)


def _release(program: Program, go: str | None) -> str:
    from archcalc import generations

    return generations.named(go or program.release)


def _count(answers: Answers) -> int:
    """Differences, and recorded calls that nobody made."""
    return len(answers.differences) + max(answers.unasked - bool(answers.stopped), 0)
