"""Whether a machine asks its system for what a real program asked: every call, in order.

The machine gets the recorded answers. What the file does not tell, because it is random or depends on the
scheduler, is an input as well: where the heap's base fell and how many pages were left out there, whether
an early object was sampled for the heap profile, and which P a goroutine came to run on. Where the calls
differ with the usual course, other courses are tried, and the one that differs least is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from allocator.interface import Attempt
from allocator.kernels.answers import Answers, CallDifference
from allocator.kernels.calls import Call
from archcalc.machines import courses
from archcalc.machines.courses import Start, Surroundings
from archcalc.machines.options import MachineOptions
from archcalc.reading.callsfile import ProgramCalls
from archcalc.reading.errors import Fault, UsageFault


@dataclass(frozen=True, slots=True)
class ComparedCalls:
    """One program against the machine.

    `program` has the calls of its runtime alone. `others` counts those that its loader and its C library
    made besides, `by_program` those that follow from what it allocates itself, after the start. `made` are
    the calls that were made, `differences` how many of the recorded ones were not made as they are recorded;
    `collecting`: there would be none if collections began before the heap is 4 MB. `death` are the last words
    where the machine died, `printed` the lines before. Where the list ends before main, so does the machine.
    """

    program: ProgramCalls
    platform: str
    generation: str
    others: int
    by_program: int
    made: tuple[Call, ...]
    differences: int
    first: CallDifference | None
    collecting: bool
    death: str | None
    printed: tuple[str, ...]
    landmarks: Mapping[str, int | bool]
    attempts: tuple[Attempt, ...]


def compare(
    program: ProgramCalls, go: str | None = None, options: MachineOptions | None = None
) -> ComparedCalls:
    """Starts the machine of the program's platform, of release `go` or the program's own.

    Raises UsageFault where the machine cannot be one of such a program.
    """
    release = _release(program, go)
    config = courses.config_of(program, release, options)
    calls, parts = courses.of_runtime(config, program)
    if parts.shadow:
        found = "the program has a shadow of its memory, as -race, -msan and -asan make it"
        raise UsageFault(Fault(found, "a program that is built without", id="call", file=program.file))
    config = courses.config_of(calls, release, options)
    options, cgo = options or MachineOptions(), bool(parts.library)
    collects = options.gomemlimit is not None or courses.collects(calls)
    best = _nearest(config, calls, options, cgo, collects)
    answers, rt = best.answers, best.rt
    count = _count(answers)
    first = answers.differences[0] if answers.differences else None
    if count and first is None:
        first = CallDifference(answers.place, answers.peek(), None)
    if first is not None:
        place = parts.runtime[first.place] if first.place < len(parts.runtime) else len(program.calls)
        first = replace(first, place=place)
    collecting = bool(count) and not collects and not answers.differences
    if collecting:
        collecting = not _count(_nearest(config, calls, options, cgo, True).answers)
    return ComparedCalls(
        calls,
        program.platform,
        release,
        len(program.calls) - len(calls.calls),
        best.by_program,
        tuple(answers.log),
        count,
        first,
        collecting,
        best.death,
        tuple(rt.printed),
        rt.landmarks(),
        tuple(rt.attempts),
    )


def _nearest(config: Any, calls: ProgramCalls, options: MachineOptions, cgo: bool, collects: bool) -> Start:
    """The course that differs least: the start alone, or, where none leaves no call but some make all theirs
    as recorded, these with what comes after the start.
    """
    base = courses.heap_base(config, calls)
    best: tuple[int, Start] | None = None
    whole: list[tuple[Mapping[str, int], int, Surroundings]] = []
    for settings in courses.settings(config, calls, dict(options.godebug)):
        for padding, around in _tried(config, calls, base, cgo):
            pages = padding.now
            found = courses.start(config, calls, base, pages, around, settings)
            padding.learn(courses.grew_too_soon(config, found.answers))
            count = _count(found.answers)
            if not count:
                return found
            if best is None or count < best[0]:
                best = count, found
            if not found.answers.differences:
                whole.append((settings, pages, around))
    assert best is not None
    for settings, pages, around in whole:
        found = courses.start(config, calls, base, pages, around, settings, further=True, collects=collects)
        best = min(best, (_count(found.answers), found), key=lambda counted: counted[0])
        if not best[0]:
            break
    return best[1]


class _Padding:
    """The pages left out at the heap's base, sought by halving: the more, the sooner the heap grows again."""

    def __init__(self, most: int) -> None:
        self.low, self.high = 0, most
        self.now = most // 2

    @classmethod
    def of(cls, pages: int) -> _Padding:
        """So many and no others."""
        made = cls(0)
        made.now = pages
        return made

    def learn(self, too_soon: bool) -> None:
        if too_soon:
            self.high = self.now - 1
        else:
            self.low = self.now + 1
        self.now = (self.low + self.high) // 2

    @property
    def left(self) -> bool:
        return self.low <= self.high


def _tried(
    config: Any, program: ProgramCalls, base: tuple[int, int] | None, cgo: bool
) -> Iterator[tuple[_Padding, Surroundings]]:
    """Paddings and courses: none left out first, then as many as the second growth tells."""
    told = courses.padding(config, program, base)
    for around in courses.courses(config, program, base, cgo):
        yield _Padding.of(told), around
    if base is None or not courses.grows_again(config, program):
        return
    for around in courses.courses(config, program, base, cgo):
        padding = _Padding(config.palloc_chunk_pages - 1)
        while padding.left:
            yield padding, around


def _release(program: ProgramCalls, go: str | None) -> str:
    from archcalc import generations

    return generations.named(go or program.release)


def _count(answers: Answers) -> int:
    """Differences, and recorded calls that nobody made."""
    return len(answers.differences) + max(answers.unasked - bool(answers.stopped), 0)
