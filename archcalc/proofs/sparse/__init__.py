"""Proofs about the machine of today: mallocinit on every answer, growth by induction.

A counterexample to a step of the induction only counts if a run from the beginning reaches it: mallocinit
and the first memory of the heap, on answers that are unknown. Only what happens there is reported as a
counterexample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.proofs import properties
from archcalc.proofs.explored import explore
from archcalc.proofs.judge import Judge, Refutation
from archcalc.proofs.loops import Loops
from archcalc.proofs.paths import Explorer
from archcalc.proofs.platform import PlatformProofs
from archcalc.proofs.proof import Proof, Refuted
from archcalc.proofs.properties import HINTS, NOTICED, PROGRAM
from archcalc.proofs.sparse import (
    arena_growth,
    break_memory,
    heap_growth,
    overwritten,
    records,
    start,
    tables,
)
from archcalc.proofs.sparse.process import Prepared, Process, explored
from archcalc.proofs.sparse.scenario import scenario

__all__ = ["IDS", "prove", "scenario"]

IDS: tuple[str, ...] = (
    properties.FIXED, properties.WRAP, properties.ACCEPTED, properties.REFUSED, properties.ENDS, HINTS,
    properties.LADDER, properties.REACH, properties.PAGES, properties.COUNTERS, properties.TWICE, NOTICED,
    PROGRAM, properties.SUMMARIES, properties.INDEX, properties.CHUNKS, properties.RECORDED,
)  # fmt: skip

# The steps of the induction, each from any state.
GROWTHS = (
    (heap_growth.grow, heap_growth.PROPERTIES),
    (arena_growth.grow, arena_growth.PROPERTIES),
    (records.add, records.PROPERTIES),
    (break_memory.step, break_memory.PROPERTIES),
)
LOOKED_AT = 2000  # paths from one beginning
MOST_GROWTHS = 3  # of a run that looks for a counterexample


def prove(figures: Figures, options: MachineOptions, wanted: frozenset[str]) -> list[Proof]:
    """Every wanted property of one platform."""
    return _Platform(figures, options, wanted).proofs()


class _Platform(PlatformProofs):
    """mallocinit and the page allocator's tables of one platform."""

    def __init__(self, figures: Figures, options: MachineOptions, wanted: frozenset[str]) -> None:
        config = machines.config_of(figures, options)
        super().__init__(figures, wanted, 8 * config.ptr_size)
        self.subject = Prepared(config, machine_of(figures.profile, options))

    def proofs(self) -> list[Proof]:
        """What is known of each wanted property."""
        indexes: set[bool] = set()
        beginning = partial(start.anyhow, subject=self.subject, found=indexes)
        self.refuted |= self._explored(beginning, self.wanted)
        steps = [(tables.grow_without_index, True)] if True in indexes else []
        for step, index_refused in (*steps, (tables.grow, False)):
            for id, found in self._explored(self._step(step), tables.PROPERTIES).items():
                self._look_for(id, found, *self._first_memories(index_refused))
        for growth, asked in GROWTHS:
            for id, found in self._explored(self._step(growth), asked).items():
                self._look_for(id, found, *self._growths())
        self._tell_what_is_overwritten()
        return [self.proof(id) for id in IDS if id in self.wanted]

    def _first_memories(self, index_refused: bool) -> Iterator[Callable[[Explorer, Judge], object]]:
        """Runs from the beginning to the first memory: where systems usually give it, then anywhere.

        And to a second one, which lies anywhere beside the first.
        """
        for anywhere in (False, True):
            yield partial(
                start.to_the_first_memory,
                subject=self.subject,
                index_refused=index_refused,
                heap_anywhere=anywhere,
            )
        if not index_refused:
            yield partial(start.to_the_second_memory, subject=self.subject)

    def _growths(self) -> Iterator[Callable[[Explorer, Judge], object]]:
        """Runs from the beginning: records of spans, where what they replace is given back below a break;
        ever more growths; one of which all can be refused, and after a start that was refused something.
        """
        if self.subject.config.sbrk_platform:
            yield partial(start.records_of_spans, subject=self.subject)
        run = partial(start.growths, subject=self.subject)
        yield partial(run, times=1)
        yield partial(run, times=1, mean=True)
        for times in range(2, MOST_GROWTHS + 1):
            yield partial(run, times=times)
        for times in range(1, MOST_GROWTHS + 1):
            yield partial(run, times=times, refused=True)

    def _step(self, grow: Callable[[Process], None]) -> Callable[[Explorer, Judge], None]:
        def run(engine: Explorer, judge: Judge) -> None:
            loops = Loops(engine)
            with explored(loops):
                grow(Process(engine, judge, self.subject, loops))

        return run

    def _explored(self, run: Callable[[Explorer, Judge], object], asked: frozenset[str]) -> Refuted:
        """What an exploration that asks these properties refutes of what is not refuted yet."""
        wanted = self.wanted & asked - self.refuted.keys()
        if not wanted:
            return {}
        _, refuted, tally = explore(self.bits, wanted, run)
        self.take(tally, wanted)
        return refuted

    def _look_for(self, id: str, step: Refutation, *runs: Callable[[Explorer, Judge], object]) -> None:
        """A run from the beginning in which the property does not hold."""
        for run in runs:
            _, refuted, tally = explore(self.bits, frozenset({id}), run, until_refuted=True, most=LOOKED_AT)
            self.tally.seconds += tally.seconds
            self.refuted |= refuted
            if id in refuted:
                return
        self.undecided[id] = f"the invariant does not exclude it ({step.what}), but no start shows it"

    def _tell_what_is_overwritten(self) -> None:
        """Adds to refutations about the scavenge index where it goes, and which programs that hits."""
        for id in (NOTICED, PROGRAM):
            found = self.refuted.get(id)
            if found is not None and (id == PROGRAM or overwritten.INDEX in found.what):
                computed = overwritten.computed(self.subject)
                what = f"{found.what}: {overwritten.words(computed)}"
                self.refuted[id] = replace(found, what=what, computed=computed)
