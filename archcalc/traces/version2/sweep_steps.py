"""Sweeping and reclaiming along a recording, which has the marks that each sweep finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.sparse.mheap import RECLAIM_DONE
from archcalc.traces.reader import decimal, marks_of
from archcalc.traces.version2.draws import Draws
from archcalc.traces.version2.records_ahead import ONLY_HERE
from archcalc.traces.version2.span_set_steps import SpanSetSteps
from archcalc.traces.version2.turns import Placed

if TYPE_CHECKING:
    from allocator.sparse.mspan import MSpan


class SweepSteps(SpanSetSteps):
    """Steps of the sweeper and of the reclaimer."""

    def prepare(self) -> None:
        super().prepare()
        self._reclaimed = Draws()
        self._all_reclaimed = False

    def reclaim_from(self, at: int) -> int | None:
        words = self.next().split(" ")
        if words[0] != "R":
            return None
        told = decimal(words[1])
        step = self.core.config.pages_per_reclaimer_chunk
        done = self._all_reclaimed and self.core.config.uintptr_mask & RECLAIM_DONE
        if self._all_reclaimed and 0 <= told - done < len(self.threads()) * step and not told % step:
            # Others kept drawing when one had drawn the last. On 32 bits the sign for that is cut off.
            self.unordered += 1
            at = told
        elif not told % step and self._reclaimed.draw(told // step, len(self.threads())):
            at = told
        else:
            at = self._reclaimed.expected * step
        self.expect(f"R {at}")
        if at // self.core.config.pages_per_arena >= len(self.core.heap.sweep_arenas):
            self._all_reclaimed = True
        return at

    def begins(self) -> None:
        """A sweep phase begins: what was drawn in the last one is whole."""
        self._whole(self._reclaimed, lambda number: f"a record R of chunk {number}")
        self._all_reclaimed = False

    def sweeping(self, s: MSpan, preserve: bool) -> None:
        if self._sweeps_plainly(s, preserve):
            return
        self.expect(f"( sweep {self._who()} {int(preserve)} {s.base:x}")
        # Finalizers and the like of dead objects are handled first, outside the allocator.
        while (line := self.next()) and line[0] not in "b)":
            placed = self.now.take()
            assert placed is not None
            self.requests(placed)
        placed = self.now.take()
        if placed is None or placed[1][:2] != "b ":
            self.differs(placed, f"b {s.base:x}")
            return
        words = placed[1].split(" ")
        self._check_page(s, placed)
        s.mark_bits = marks = marks_of(words[5])
        nalloc = marks.bit_count()
        found = f"b {s.base:x} {s.spanclass} {nalloc} {s.alloc_count - nalloc} {words[5]}"
        if found != placed[1]:
            self.differs(placed, found)

    def _sweeps_plainly(self, s: MSpan, preserve: bool) -> bool:
        """Whether the marks come next, with nothing outside the allocator before; they are set then."""
        now, core = self.now, self.core
        lines, at = now.lines, now.at
        if self._early:
            return False
        p = core.current_p
        if lines[at] != f"( sweep {'-' if p is None else p} {preserve:d} {s.base:x}":
            return False
        line = lines[at + 1]
        words = line.rpartition(" ")[2]
        try:
            marks = marks_of(words)
        except ValueError:
            return False
        n = marks.bit_count()
        if line != f"b {s.base:x} {s.spanclass} {n} {s.alloc_count - n} {words}":
            return False
        if not marks and s.base >> core.config.page_shift in core.heap.marked:
            return False
        s.mark_bits = marks
        now.at = at + 2
        return True

    def _check_page(self, s: MSpan, placed: Placed) -> None:
        """A span whose page was marked has an object that is."""
        core = self.core
        marked = s.base >> core.config.page_shift in core.heap.marked
        if marked and not placed[1].rpartition(" ")[2].strip("0,"):
            self.differs(placed, f"b {s.base:x} {s.spanclass} with a mark, as its page has")

    def swept(self, base: int, freed: bool) -> None:
        self.expect(f") sweep {freed:d} {base:x}")

    def sweeps(self) -> bool:
        now = self.now
        line = now.lines[now.at]
        if line[:1] not in ONLY_HERE or self._early:
            line = self.next()
        return line[:11] == "( sweepone "

    def acquires(self, s: MSpan) -> bool:
        line = self.next()
        return (line[:7] == "( sweep" and line.endswith(f" {s.base:x}")) or len(self.threads()) < 2

    def sweeping_one(self) -> None:
        p = self.core.current_p
        self.expect(f"( sweepone {'-' if p is None else p}")

    def swept_one(self, pages: int) -> None:
        self.expect(f") sweepone {'done' if pages < 0 else pages}")

    def reclaims(self, npages: int) -> bool:
        now = self.now
        if now.lines[now.at][:1] in ONLY_HERE and not self._early:
            return False
        if not self.next().startswith("( reclaim "):
            return False
        self.expect(f"( reclaim {self._who()} {npages}")
        return True

    def reclaimed(self) -> None:
        self.expect(") reclaim")
