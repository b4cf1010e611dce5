"""Following a machine of today's runtime along a recording: each step is compared with the record of it.

Where clocks and other threads decide (whether to sweep one more span, how far to scavenge), the next record
says how it went.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from allocator.kernels.calls import Call
from allocator.sparse.mheap import HEAP
from archcalc.traces.records.version2 import KINDS
from archcalc.traces.version2.recorded_kernel import RecordedKernel
from archcalc.traces.version2.records_ahead import ONLY_HERE
from archcalc.traces.version2.scavenge_steps import ScavengeSteps
from archcalc.traces.version2.span_set_steps import Making

if TYPE_CHECKING:
    from allocator.sparse.fixalloc import FixAlloc
    from allocator.sparse.mspan import MSpan
    from allocator.sparse.page_cache import PageCache

BITS_BYTES = 64 << 10


class Companion(ScavengeSteps, RecordedKernel):
    """Steps of one machine, and its kernel."""

    def prepare(self) -> None:
        super().prepare()
        self.log: list[Call] = []  # a kernel has one; the recording is it
        self._freed_at: dict[int, int] = {}  # by base, the line that freed a large stack

    def _name(self, source: FixAlloc) -> str | None:
        """What a fixalloc of the allocator's own is called."""
        core = self.core
        if source is core.heap.spanalloc:
            return "spanalloc"
        if source is core.cachealloc:
            return "cachealloc"
        return "arenaHintAlloc" if source is core.arenas.hint_alloc else None

    def turn(self) -> None:
        now = self.now
        if now.lines[now.at][:1] not in ONLY_HERE or self._early:
            self.next()

    def persistent(self, size: int, align: int, stat: str, ret: int) -> None:
        if not self.outside:
            self.expect(f"q {self._who()} {size} {align} {stat} {ret:x}")

    def fixed(self, source: FixAlloc, ret: int) -> None:
        name = self._name(source)
        if name is not None:
            self.expect(f"F {name} {ret:x}")

    def unfixed(self, source: FixAlloc, ptr: int) -> None:
        name = self._name(source)
        if name is not None:
            self.expect(f"X {name} {ptr:x}")

    def cached(self, cache: PageCache) -> None:
        self.expect(f"C {self._who()} {cache.base:x} {cache.cache:x} {cache.scav:x}")

    def flushing(self, cache: PageCache) -> None:
        self.expect(f"E {cache.base:x} {cache.cache:x} {cache.scav:x}")

    def span(
        self, npages: int, kind: int, spanclass: int, from_cache: bool, base: int, scav: int, s: MSpan
    ) -> None:
        how = "c" if from_cache else "h"
        of_class = spanclass if kind == HEAP else 0
        heap = self.core.heap
        self._making[base] = npages << heap.page_shift, scav, s, heap.was_used(base, npages)
        self.expect(
            f"H {self._who()} {npages} {KINDS[kind]} {of_class} {how} {base:x} {scav} {s.self_addr:x}"
        )

    def pool_gave(self, order: int | None, ret: int) -> None:
        self.expect(f"< {'large' if order is None else order} {ret:x}")

    def takes_large(self, free: Iterable[MSpan]) -> bool:
        if self.next()[:2] == "< " or any(self._freed_at.get(s.base, 0) < self.now.line for s in free):
            return True
        self.unordered += 1
        return False

    def pool_takes(self, order: int | None, ptr: int) -> None:
        if order is None and (placed := self.now.peek()) is not None:
            self._freed_at[ptr] = placed[0]
        self.expect(f"> {'large' if order is None else order} {ptr:x}")

    def bits_arena(self) -> str | None:
        now = self.now
        if now.lines[now.at][:1] in ONLY_HERE and not self._early:
            return None
        line = self.next()
        if line[:2] == "* ":
            return "free"
        return "new" if line[:4] == "M 0 " and line.split(" ")[2] == str(BITS_BYTES) else None

    def bits_arena_unused(self, at: int) -> bool:
        self.expect(f"* {at:x}")
        unused = self.next()[:2] == "/ "
        if unused:
            self.expect(f"/ {at:x}")
        return unused

    def zeroed(self, base: int, needzero: int) -> int:
        making = self._making.pop(base, None)
        now = self.now
        if now.lines[now.at] == f"Q {needzero} {base:x}" and not self._early:
            now.at += 1
            return needzero
        told = int(self.next() == f"Q 1 {base:x}")
        if told != needzero and making is not None and self._may_be(told, base, making):
            self.unordered += 1
            needzero = told
        self.expect(f"Q {needzero} {base:x}")
        return needzero

    def _may_be(self, needzero: int, base: int, making: Making) -> bool:
        """Whether another thread can have used the arena up beyond that span before this one did, or
        just not before it: both were making spans there at the same time."""
        core = self.core
        size, scav, _, used = making
        if scav == size and not core.mem.need_zero_after_sys_unused():
            return False  # all of it comes back from the system, zeroed
        if not needzero:
            return not used
        index = core.config.arena_index
        arena = index(base + size - 1)
        return any(other > base and index(other) <= arena for other in self._making)

    def finish(self) -> None:
        """The recording is over."""
        self.begins()
        for c in self.core.central:
            for each in (*c.partial, *c.full):
                self.emptied(each)
        if self._early:
            self._settle()
            for one in self._early:
                self.differs(one.placed, "another chunk, or none")

    def freed(self, npages: int, kind: int, base: int) -> None:
        self.expect(f"D {self._who()} {npages} {KINDS[kind]} {base:x}")
