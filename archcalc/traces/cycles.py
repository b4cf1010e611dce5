"""Collections as a recording has them: caches that are emptied, phases, sweeps, pages given back."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from allocator.contiguous.gc import MARK_TERMINATION
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.sweep import DONE
from archcalc.reading.words import counted
from archcalc.traces.inputs import Inputs
from archcalc.traces.reader import address, base_of, decimal, marks_of, shorten

MAX_RATIO = float(1 << 63)
_RATIO = re.compile(r"0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,3}")


@lru_cache(maxsize=1 << 12)  # spans of a class have the same
def three_counts(text: str) -> None:
    """ValueError where these are not three counts."""
    sizeclass, count, preserve = text.split(" ")
    decimal(sizeclass), decimal(count), decimal(preserve)


class Cycles(Inputs):
    """Inputs, and those of collections."""

    def __init__(self, path: Path, keep_going: bool) -> None:
        super().__init__(path, keep_going)
        self.handlers |= {
            "u": self._release, "k": self._clear_stacks, "z": self._free_stack_spans, "P": self._phase,
            "y": self._epoch, "g": self._sweep_phase, "r": self._ratio, "w": self._sweepone,
            "e": self._ensure_swept, "v": self._scavenge,
        }  # fmt: skip

    def _release(self, line: str, parts: list[str]) -> None:
        _, cache = parts
        self.rt.release_cache(self.cache(cache))
        self.settle()

    def _clear_stacks(self, line: str, parts: list[str]) -> None:
        _, cache = parts
        self.rt.clear_stack_cache(self.cache(cache))
        # Whoever empties a P's caches (a collection, ReadMemStats, procresize) takes its counters too.
        self.rt.purge_cached_stats(self.cache(cache))
        self.settle()

    def _free_stack_spans(self, line: str, parts: list[str]) -> None:
        (_,) = parts
        self.rt.free_stack_spans()
        self.settle()

    def _phase(self, line: str, parts: list[str]) -> None:
        _, phase = parts
        if phase not in ("0", "1", "2"):
            raise ValueError(f"found phase {shorten(phase)}, expected 0, 1 or 2")
        self.rt.gc.phase = int(phase)
        self.allow(self.rt.gc.phase != MARK_TERMINATION)

    def _epoch(self, line: str, parts: list[str]) -> None:
        (_,) = parts
        self.rt.arenas.next_epoch()
        self.settle()

    def _sweep_phase(self, line: str, parts: list[str]) -> None:
        _, sweepgen, heap_live, gc_trigger, next_gc, pages = parts
        rt = self.rt
        rt.stats.heap_live = decimal(heap_live)
        rt.stats.gc_trigger = decimal(gc_trigger)
        rt.stats.next_gc = decimal(next_gc)
        decimal(sweepgen), decimal(pages)
        rt.open_sweep_phase()
        rt.sweeper.pages_per_byte = 0.0
        rt.sweeper.pages_swept = 0
        heap = rt.heap
        found = f"g {heap.sweepgen} {heap_live} {gc_trigger} {next_gc} {heap.pages_in_use}"
        self.settle()
        self.same("g", line, found)

    def _ratio(self, line: str, parts: list[str]) -> None:
        _, ratio = parts
        if not _RATIO.fullmatch(ratio) or float.fromhex(ratio) > MAX_RATIO:
            raise ValueError(f"found {shorten(ratio)}, expected pages for each byte as a hexadecimal float")
        self.rt.set_sweep_ratio(float.fromhex(ratio))

    def marks(self, line: str) -> None:
        """The mark bits that a sweep is about to find."""
        _, base, rest = line.split(" ", 2)
        counts, _, words = rest.rpartition(" ")
        addr = base_of(base)
        three_counts(counts)
        heap, spans = self.rt.heap, self.rt.spans
        s = heap.pages.get((addr - heap.arena_start) >> heap.page_shift)
        if s < 0 or spans.base[s] != addr or spans.state[s] != IN_USE:
            self.differs("b", line, "no span in use begins there")
            return
        nelems = spans.nelems[s]
        if words.count(",") != (nelems - 1) // 64:
            found = f"a span of {counted(nelems, 'object')} there, so {counted((nelems + 63) // 64, 'word')}"
            self.differs("b", line, found, s)
            return
        marks = marks_of(words)
        if marks >> nelems:
            self.differs(
                "b", line, f"a span of {counted(nelems, 'object')} there, so no marks beyond them", s
            )
            return
        spans.mark_bits[s] = marks

    def _in_use(self, addr: int) -> int | None:
        """The span in use that begins at an address."""
        spans = self.rt.spans
        s = self.rt.heap.lookup(addr)
        return s if s >= 0 and spans.base[s] == addr and spans.state[s] == IN_USE else None

    def _sweepone(self, line: str, parts: list[str]) -> None:
        _, pages = parts
        if pages != "done":
            decimal(pages)
        n = self.rt.sweeper.sweepone()
        self.settle()
        self.same("w", line, f"w {'done' if n == DONE else n}")

    def _ensure_swept(self, line: str, parts: list[str]) -> None:
        _, base = parts
        s = self._in_use(address(base))
        if s is None:
            self.differs("e", line, "no span in use begins there")
        elif not self.rt.sweeper.ensure_swept(s):
            self.differs("e", line, "a span that was already swept", s)
        self.settle()

    def _scavenge(self, line: str, parts: list[str]) -> None:
        _, now, limit = parts
        self.rt.scavenge(decimal(now), decimal(limit))
        self.settle()
