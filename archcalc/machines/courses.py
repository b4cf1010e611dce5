"""The courses that a start can take with recorded answers: what falls by lot, or to the scheduler.

A file of calls tells where the heap's base fell. It does not tell how many pages were left out there,
whether an early object was sampled for the heap profile, or which P a goroutine came to run on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from allocator.common.throw import Death
from allocator.kernels.answers import Answers, EndOfAnswers
from allocator.kernels.system import Errno
from allocator.sparse.arena_hints import seed_for
from allocator.sparse.config import Config
from allocator.sparse.runtime import Runtime
from allocator.sparse.startup import Surroundings
from archcalc import machines
from archcalc.calculator import figures as figures_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.reading.callsfile import Program
from archcalc.reading.errors import Fault, UsageFault

LARGEST_PAGE = 64 << 10
PAGE = 4096
HUGE_PAGE = 2 << 20  # what a linux of 4 KB pages tells; an emulator hands on what its host tells
# GOMAXPROCS, and the Ps on which the main goroutine and the scavenger come to run: the usual first.
COURSES = ((2, 1, 0), (2, 0, 0), (2, 1, 1), (1, 0, 0), (3, 1, 2), (4, 1, 2), (3, 2, 1), (4, 2, 3))


@dataclass(frozen=True, slots=True)
class Lots:
    """What falls by lot: pages left out at the heap's base, and the course of the start."""

    padding: int
    around: Surroundings


def config_of(program: Program, release: str, options: MachineOptions | None) -> Config:
    """The Config of the machine that the program ran on, as far as its calls show it."""
    profile = platforms.of(program.platform, release)
    figures = figures_of.compute(profile, {}, release)
    options = replace(
        options or MachineOptions(),
        data_end=program.data_end,
        page_size=(options and options.page_size) or page_size(program),
    )
    config = machines.config_of(figures, options)
    if not isinstance(config, Config):
        raise UsageFault(Fault(f"the machine of Go {release} makes no such calls", "a release from 1.19 on"))
    return replace(config, phys_huge_page_size=HUGE_PAGE)


def page_size(program: Program) -> int:
    """The page of the program's system: the largest that all its fixed mappings consist of, 4 KB at least."""
    size = LARGEST_PAGE
    for call in program.calls:
        if call.name == "map" and call.fixed and not isinstance(call.answer, Errno):
            while size > PAGE and (call.answer % size or call.size % size):
                size //= 2
    return size


def heap_base(config: Config, program: Program) -> tuple[int, int] | None:
    """Where the heap's first arena and its first mapping came to lie, where a lot decides that."""
    if not config.randomized_heap_base:
        return None
    arena = config.heap_arena_bytes
    # The tables of the page allocator come first, and one of them may be as large as an arena.
    behind = config.summary_levels + 2
    for i, call in enumerate(program.calls):
        if i >= behind and call.name == "map" and call.size == arena and call.access == "-":
            base = call.answer
            if call.fixed or isinstance(base, Errno) or base % arena:
                continue
            for later in program.calls[i:]:
                if later.name == "map" and later.fixed and isinstance(later.answer, int):
                    return base, min(max(later.answer, base), base + arena - config.palloc_chunk_bytes)
            return base, base
    return None


def courses(config: Config, program: Program, base: tuple[int, int] | None) -> Iterator[Lots]:
    """The usual course first; others as far as the calls give reason for them."""
    buckets = config.buck_hash_size * config.ptr_size
    sampled = (False, True) if any(call.size == buckets for call in program.calls) else (False,)
    arounds = [
        Surroundings(procs=procs, main_on=main, scavenger_on=scavenger, sampled=early)
        for early, (procs, main, scavenger) in product(sampled, COURSES)
    ]
    for around in arounds:
        yield Lots(0, around)
    if base is not None and _grows_again(config, program):
        # The more pages are left out, the sooner the heap grows again.
        for around in arounds:
            for padding in range(1, config.palloc_chunk_pages):
                yield Lots(padding, around)


def _grows_again(config: Config, program: Program) -> bool:
    chunk = config.palloc_chunk_bytes
    grown = [call for call in program.calls if call.name == "map" and call.fixed and call.size >= chunk]
    return len(grown) > 1


def start(
    config: Config, program: Program, base: tuple[int, int] | None, lots: Lots
) -> tuple[Answers, str | None]:
    answers = Answers(list(program.calls))
    seed = None if base is None else seed_for(config, *base, lots.padding)
    rt = Runtime.__new__(Runtime)
    rt.prepare(config, answers, heap_seed=seed)
    try:
        rt.start_in(lots.around)
    except EndOfAnswers:
        return answers, None
    except Death as death:
        return answers, death.words
    return answers, None
