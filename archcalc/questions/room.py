"""How much heap fits under a limit: found by machines that try, not by an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.common.throw import Death
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.results.tables import human

MOST = 1 << 48


@dataclass(frozen=True, slots=True)
class HeapRoom:
    """The largest object that can be had after the start, in bytes of whole pages; what ends a larger."""

    fits: int
    death: str

    def __str__(self) -> str:
        if not self.death:
            return "no limit of this machine ends the heap"
        words = human(self.fits)
        size = f"{self.fits} bytes ({words})" if words else f"{self.fits} bytes"
        return f"the largest object that fits has {size}; a larger one ends with: {self.death}"


def room(figures: Figures, options: MachineOptions) -> HeapRoom:
    """What fits on a machine that boots. A fresh machine for each size that is tried."""
    page = int(machines.config_of(figures, options).page_size)
    words = ""
    low, high = 0, 1
    while high * page < MOST and not (words := _dies_of(figures, options, high * page)):
        low, high = high, 2 * high
    if high * page >= MOST:
        return HeapRoom(0, "")
    while high - low > 1:
        middle = (low + high) // 2
        found = _dies_of(figures, options, middle * page)
        if found:
            high, words = middle, found
        else:
            low = middle
    return HeapRoom(low * page, words)


def _dies_of(figures: Figures, options: MachineOptions, size: int) -> str:
    """The last words of a machine that is asked for an object of that size at once; nothing if it lives."""
    rt = machines.prepare(figures, options)
    try:
        rt.start(procs=rt.USUAL_PROCS)
        rt.malloc(size, noscan=True)
    except Death as death:
        return death.words
    return ""
