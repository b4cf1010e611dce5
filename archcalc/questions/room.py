"""How much heap fits on a machine, and how large one object can be: found by machines that try."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.common.throw import Death
from allocator.interface import Allocator
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.results.tables import sized

ENOUGH = 1 << 36  # what is tried on a machine whose limits are no larger
MOST = 1 << 40  # and on any: today's heap has a record for each arena that it takes
FINEST = 1 << 16  # a heap grows by so much at least; 7aefdfded's rounds up to it
EACH_TIME = 8  # how much finer the next machine's steps are
STEPS = 256  # objects in the largest one's room


@dataclass(frozen=True, slots=True)
class Fits:
    """Bytes that fit, and the last words of a machine that is asked for more; none if no more was tried."""

    size: int
    death: str


@dataclass(frozen=True, slots=True)
class HeapRoom:
    """The heap that fits after the start, and the largest single object. Nothing is collected meanwhile."""

    heap: Fits
    largest: Fits

    def __str__(self) -> str:
        if not self.heap.death:
            return f"no limit of this machine ends a heap of {sized(self.heap.size)}; no more was tried"
        if not self.heap.size:
            return f"no heap fits: the first object ends with: {self.heap.death}"
        told = f"the heap can grow to {sized(self.heap.size)}, object by object; then: {self.heap.death}"
        if not self.largest.death:
            return told
        most = f"one object alone can have {sized(self.largest.size)}"
        return f"{told}\n{most}; a larger one ends with: {self.largest.death}"

    def document(self) -> dict[str, int | str]:
        """As JSON has it."""
        return {
            "heap": self.heap.size,
            "death": self.heap.death,
            "largest_object": self.largest.size,
            "object_death": self.largest.death,
        }


def room(figures: Figures, options: MachineOptions) -> HeapRoom:
    """What fits on a machine that boots. A fresh machine for each size that is tried."""
    page = int(machines.config_of(figures, options).page_size)
    given = (options.ulimit_v, options.rlimit_data, options.commit_limit, options.ram_and_swap)
    limits = [limit for limit in given if limit is not None]
    most = min(max(ENOUGH, 2 * max(limits, default=0)), MOST)
    most = min(most, (1 << 8 * int(figures.profile.facts["ptr_size"])) - page)
    largest = _largest(figures, options, page, most)
    if not largest.death:
        return HeapRoom(largest, largest)  # one object alone is such a heap
    return HeapRoom(_grown(figures, options, largest.size, most), largest)


def _largest(figures: Figures, options: MachineOptions, page: int, most: int) -> Fits:
    """The largest object of whole pages that a machine gives first of all."""
    low, high, words = 0, most // page, _dies_of(figures, options, most // page * page)
    if not words:
        return Fits(high * page, "")
    first = high
    while high - low > 1:
        # From small ones on while all fit: a large one costs more to try.
        tried = min(max(2 * low, 1), high - 1) if high == first else (low + high) // 2
        found = _dies_of(figures, options, tried * page)
        if found:
            high, words = tried, found
        else:
            low = tried
    return Fits(low * page, words)


def _dies_of(figures: Figures, options: MachineOptions, size: int) -> str:
    """The last words of a machine that is asked for an object of that size at once; nothing if it lives."""
    rt = _started(figures, options)
    try:
        rt.malloc(size, noscan=True)
    except Death as death:
        return death.words
    return ""


def _grown(figures: Figures, options: MachineOptions, largest: int, most: int) -> Fits:
    """All that a heap can hold in objects, the last of them of `FINEST` bytes.

    A machine is filled with large objects until it dies. The next one gets those that fitted, then
    smaller ones.
    """
    step = max(1 << max(largest // STEPS, 1).bit_length() - 1, FINEST)
    before: list[tuple[int, int]] = []
    while True:
        rt = _started(figures, options)
        for size, count in before:
            for _ in range(count):
                rt.malloc(size, noscan=True)
        held = sum(size * count for size, count in before)
        count, words = 0, ""
        while held < most and not words:
            try:
                rt.malloc(step, noscan=True)
            except Death as death:
                words = death.words
            else:
                count += 1
                held += step
        if step == FINEST or not words:
            return Fits(held, words)
        before.append((step, count))
        step = max(step // EACH_TIME, FINEST)


def _started(figures: Figures, options: MachineOptions) -> Allocator:
    rt = machines.prepare(figures, options)
    rt.start(gogc=-1, procs=rt.USUAL_PROCS)
    return rt
