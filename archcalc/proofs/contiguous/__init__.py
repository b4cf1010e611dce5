"""Proofs about the machine of 7aefdfded: mallocinit on every answer, growth by induction.

A counterexample to a step of the induction only counts if a run from the beginning reaches it: mallocinit
and one to three growths, whose requests and answers are unknown. Only what happens there is reported
as a counterexample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import machine_of, system_of
from archcalc.machines.options import MachineOptions
from archcalc.proofs import properties
from archcalc.proofs.answering import SystemCall
from archcalc.proofs.contiguous import heap_growth
from archcalc.proofs.contiguous.arena import Arena, ArenaLayout, Proven
from archcalc.proofs.contiguous.scenario import contract_of, scenario
from archcalc.proofs.explored import explore
from archcalc.proofs.judge import Judge, Refutation
from archcalc.proofs.paths import Explorer
from archcalc.proofs.platform import PlatformProofs
from archcalc.proofs.proof import Proof, Refuted
from archcalc.proofs.properties import COUNTERS, HINTS, LADDER
from archcalc.reading.words import counted

__all__ = ["IDS", "prove", "scenario"]

IDS: tuple[str, ...] = (
    *(id for id in properties.IDS if id not in properties.OF_ARENAS),
    *properties.BOOT,
)

LARGE_ENOUGH = 1 << 20  # a request that mheap.grow makes no larger
# What the growth of the arena says nothing about.
NOT_OF_GROWTH = frozenset({COUNTERS, HINTS, LADDER, *properties.BOOT})
Way = Callable[[Arena, ArenaLayout], object]  # what a run does from a start on


def _grow(arena: Arena, layout: ArenaLayout, times: int) -> None:
    """The first growth of a heap, and so many more of any size."""
    v = arena.first_growth(layout)
    for _ in range(times):
        if v is None:
            return
        v = arena.grow(layout, arena.request(LARGE_ENOUGH))


# How a run from the beginning looks for what a step of the arena refutes, or one of the heap.
GROWTHS: Sequence[Way] = tuple(partial(_grow, times=times) for times in range(3))
HEAP_GROWTHS: Sequence[Way] = tuple(
    partial(heap_growth.from_the_beginning, first=first) for first in (True, False)
)


def prove(figures: Figures, options: MachineOptions, wanted: frozenset[str]) -> list[Proof]:
    """Every wanted property of one platform."""
    return _Platform(figures, options, wanted).proofs()


class _Platform(PlatformProofs):
    """mallocinit and the growth of the arena of one platform."""

    def __init__(self, figures: Figures, options: MachineOptions, wanted: frozenset[str]) -> None:
        config = machines.config_of(figures, options)
        super().__init__(figures, wanted, 8 * config.ptr_size)
        machine = machine_of(figures.profile, options)
        self._system = partial(system_of, figures, options, machine)
        self.subject = Proven(config, contract_of(figures), machine, self._system())

    def proofs(self) -> list[Proof]:
        """What is known of each wanted property."""
        self._figures()
        layouts = self._start()
        steps: dict[str, tuple[Refutation, list[ArenaLayout], Sequence[Way]]] = {}
        for alike in self._alike(layouts):
            for id, step in self._steps(alike, frozenset(steps)).items():
                steps[id] = step, alike, GROWTHS
            for id, step in self._heap_growth(alike, frozenset(steps)).items():
                steps[id] = step, alike, HEAP_GROWTHS
        for id, (step, alike, ways) in steps.items():
            self._look_for(id, step, {layout: layouts[layout] for layout in alike}, ways)
        return [self.proof(id) for id in IDS if id in self.wanted]

    # What does not depend on answers.

    def _figures(self) -> None:
        """Hints and rungs, which are figures of the platform."""
        config, machine = self.subject.config, self.subject.machine
        end = min(machine.end, 1 << self.bits)
        layout = self.figures.layout
        if HINTS in self.wanted:
            for i, hint in enumerate(config.hints):
                if hint < machine.low or hint + layout.reservation_size > end:
                    what = (
                        f"hint {i}, {hint:#x}, is for {counted(layout.reservation_size, 'byte')}, "
                        f"but the user's addresses are {machine.low:#x} to {end:#x}"
                    )
                    calls = tuple(
                        SystemCall("sysReserve", before, layout.reservation_size, 0)
                        for before in config.hints[:i]
                    )
                    self.refuted[HINTS] = Refutation(HINTS, what, calls, {"hint": hint})
                    break
            self.tally.asked[HINTS] = len(config.hints)
        if LADDER in self.wanted:
            for rung in layout.rungs:
                if rung.reservation_size > end - machine.low:
                    what = (
                        f"a rung of {counted(rung.reservation_size, 'byte')} is larger than the "
                        f"user's addresses, {machine.low:#x} to {end:#x}"
                    )
                    self.refuted[LADDER] = Refutation(LADDER, what, (), {"rung": rung.reservation_size})
                    break
            self.tally.asked[LADDER] = len(layout.rungs)

    # The beginning.

    def _start(self) -> dict[ArenaLayout, int]:
        """How mallocinit can leave the heap, and after how many refusals each first does."""
        found: dict[ArenaLayout, int] = {}

        def run(engine: Explorer, judge: Judge) -> None:
            arena = Arena(engine, judge, self.subject)
            layout = arena.start()
            if layout is not None:
                found.setdefault(layout, len(arena.rt.attempts) - 1)
                arena.check_boot()

        _, refuted, tally = explore(self.bits, self.wanted, run)
        self.refuted |= refuted
        self.take(tally, self.wanted)
        return found

    def _alike(self, layouts: Iterable[ArenaLayout]) -> list[list[ArenaLayout]]:
        """Layouts together from which the heap grows alike, since it can ask for more than they have."""
        found: dict[ArenaLayout, list[ArenaLayout]] = {}
        for layout in layouts:
            large = layout.arena > self.subject.config.max_arena32
            found.setdefault(layout if large else replace(layout, arena=0, slack=0), []).append(layout)
        return list(found.values())

    # Growth.

    def _steps(self, alike: list[ArenaLayout], known: frozenset[str]) -> Refuted:
        """What the first growth from each layout refutes, and any later one."""
        found: Refuted = {}

        def grow(engine: Explorer, judge: Judge, layout: ArenaLayout, first: bool) -> None:
            arena = Arena(engine, judge, self.subject)
            if first:
                arena.fresh_state(layout)
                arena.first_growth(layout)
            else:
                arena.any_state(layout)
                arena.grow(layout, arena.request())

        least = min(alike, key=lambda layout: layout.arena)
        for layout, first in (*((layout, True) for layout in alike), (least, False)):
            wanted = self.wanted - self.refuted.keys() - found.keys() - known - NOT_OF_GROWTH
            if not wanted:
                break
            _, refuted, tally = explore(self.bits, wanted, partial(grow, layout=layout, first=first))
            found |= refuted
            self.take(tally, wanted)
        return found

    def _heap_growth(self, alike: list[ArenaLayout], known: frozenset[str]) -> Refuted:
        """What mheap.grow refutes over an arena that grows as it should."""
        wanted = (self.wanted & heap_growth.PROPERTIES) - self.refuted.keys() - known
        if not wanted:
            return {}
        least = min(alike, key=lambda layout: layout.arena)

        def run(engine: Explorer, judge: Judge) -> None:
            heap_growth.from_any_state(Arena(engine, judge, self.subject), least)

        _, refuted, tally = explore(self.bits, wanted, run)
        self.take(tally, wanted)
        return refuted

    def _look_for(
        self, id: str, step: Refutation, layouts: dict[ArenaLayout, int], ways: Sequence[Way]
    ) -> None:
        """A run from the beginning in which the property does not hold."""
        for way in ways:
            for layout, refusals in ((None, 0), *layouts.items()):
                run = partial(self._from_the_beginning, layout=layout, refusals=refusals, way=way)
                _, refuted, tally = explore(self.bits, frozenset({id}), run, until_refuted=True)
                self.tally.seconds += tally.seconds
                if id in refuted:
                    self.refuted[id] = refuted[id]
                    return
        self.undecided[id] = (
            f"the invariant does not exclude it ({step.what}), but no run of three growths shows it"
        )

    def _from_the_beginning(
        self,
        engine: Explorer,
        judge: Judge,
        layout: ArenaLayout | None,
        refusals: int,
        way: Way,
    ) -> None:
        """A start with so many refusals that leaves that layout; without one, a start as it usually is."""
        arena = Arena(engine, judge, self.subject)
        if layout is None:
            arena.system.natural = self._system()
        else:
            arena.system.script = [True] * refusals + [False]
        found = arena.start()
        arena.system.natural = None
        if found is not None:
            way(arena, layout or found)
