"""The heap that an execution trace shows, as pictures look at a machine's: runs of pages, and their totals.

What the trace does not tell is not there: which free pages were given back to the system.
"""

from __future__ import annotations

from collections.abc import Iterator

from allocator.interface import FREE, IN_USE, STACK, USED, PageRun, Region, Totals
from allocator.sparse.config import Config
from archcalc.traces.execution.heap import SeenHeap, SeenSpan

FAR = 1 << 36  # bytes between two spans that belong to different stretches of the heap


class SeenMachine:
    """What drivers ask a machine for, as far as a trace knows it."""

    def __init__(self, heap: SeenHeap) -> None:
        self.heap = heap
        self.config: Config = heap.config

    def regions(self) -> list[Region]:
        """The stretches of addresses that have spans, with what is free between those."""
        size = self.config.page_size
        found: list[Region] = []
        for s in self._spans():
            end = s.base + s.npages * size
            if found and s.base - found[-1].end < FAR:
                found[-1] = Region("heap", found[-1].base, end - found[-1].base, USED, "spans")
            else:
                found.append(Region("heap", s.base, end - s.base, USED, "spans"))
        return found

    def runs(self) -> Iterator[PageRun]:
        """Every span, and what is free between spans, in address order."""
        size = self.config.page_size
        end = 0
        for s in self._spans():
            if end and end < s.base < end + FAR:
                yield PageRun(end, (s.base - end) // size, FREE)
            yield self._run(s)
            end = s.base + s.npages * size

    def _spans(self) -> Iterator[SeenSpan]:
        return (self.heap.spans[base] for base in self.heap.bases)

    def _run(self, s: SeenSpan) -> PageRun:
        if s.manual:
            return PageRun(s.base, s.npages, STACK)
        live = s.live.bit_count()
        return PageRun(s.base, s.npages, IN_USE, s.spanclass >> 1, s.elemsize, live, s.nelems, 0, s.noscan)

    def totals(self) -> Totals:
        """The heap in figures; the runtime's own counters as they follow from it."""
        size = self.config.page_size
        runs = list(self.runs())
        used = [run for run in runs if run.state == IN_USE]
        lost = [run.waste(size) for run in used]
        stacks = sum(run.pages for run in runs if run.state == STACK) * size
        free = [run.pages for run in runs if run.state == FREE]
        in_use = sum(run.pages for run in used) * size
        idle = sum(free) * size
        return Totals(
            live=sum(run.objects * run.elemsize for run in used),
            objects=sum(run.objects for run in used),
            in_use=in_use,
            stacks=stacks,
            idle=idle,
            released=0,
            tails=sum(one.tail for one in lost),
            unfilled=sum(one.unfilled for one in lost),
            spans_in_use=len(used),
            spans_stack=len(runs) - len(used) - len(free),
            free_runs=len(free),
            largest_free=max(free, default=0) * size,
            collections=self.heap.collections,
            heap_sys=in_use + idle + stacks,
            heap_inuse=in_use,
            heap_idle=idle,
            heap_released=0,
            stacks_inuse=stacks,
        )
