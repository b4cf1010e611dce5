"""Sweeping: what the collector left unmarked becomes free, span by span (mgcsweep.go).

A span is swept once a cycle: by the background sweeper, by an allocation that
needs it or its pages, or to pay for an allocation in proportion. Its mark bits
become its allocation bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.contiguous.mspan import IN_USE

if TYPE_CHECKING:
    from allocator.contiguous.core import Core

DONE = -1  # sweepone found nothing more to sweep
EVERYTHING = 1 << 64  # more pages than there can be


class Sweeper:
    """The sweep side of mheap_: credit and debt are in pages and bytes of this cycle."""

    __slots__ = ("pages_per_byte", "pages_swept", "rt", "span_bytes_alloc")

    def __init__(self, rt: Core) -> None:
        self.rt = rt
        self.pages_per_byte = 0.0
        self.pages_swept = 0
        self.span_bytes_alloc = 0

    def sweepone(self) -> int:
        """Sweeps one span; the pages that went back to the heap, or DONE (sweepone)."""
        return self.sweep_on(self.pages_swept + 1, 1)

    def sweep_on(self, swept: int, freed: int) -> int:
        """Calls sweepone until pages_swept is `swept` or so many pages went back to the heap.

        How many did, or DONE where there was not enough left to sweep. Spans in which nothing dies are most
        of them and come in rows, so what sweeping leaves of such a one is written down here.
        """
        rt = self.rt
        spans = rt.spans
        state, sweepgen, marked, specials = spans.state, spans.sweepgen, spans.mark_bits, spans.specials
        nelems, alloc_count, free_index = spans.nelems, spans.alloc_count, spans.free_index
        arenas = rt.arenas
        log = rt.log
        sg = rt.heap.sweepgen
        bufs = rt.sweep_spans.bufs
        unswept = bufs[1 - sg // 2 % 2].spans
        push = bufs[sg // 2 % 2].push
        back = 0
        while unswept:
            s = unswept.pop()
            if state[s] != IN_USE:
                if sweepgen[s] != sg:
                    rt.printed.append(
                        f"runtime: bad span s.state={state[s]} s.sweepgen={sweepgen[s]} sweepgen={sg}"
                    )
                    raise Throw("non in-use span in unswept list")
                continue
            if sweepgen[s] != sg - 2:
                continue
            n = nelems[s]
            marks = marked[s]
            count = marks.bit_count()
            if (
                count == alloc_count[s]
                and (count == n or spans.sizeclass[s])
                and not specials[s]
                and free_index[s] <= n
            ):
                self.pages_swept += spans.npages[s]
                if log is not None:
                    words = f"{marks:x}" if n <= 64 else mark_words(marks, n)
                    log.append(f"b {spans.base[s]:x} {spans.sizeclass[s]} {n} 0 {words}")
                free_index[s] = 0
                spans.alloc_bits[s] = marks
                marked[s] = 0
                end = arenas.next_free + (n + 63 >> 6 << 3)
                if end <= arenas.capacity and arenas.next:
                    arenas.next_free = end
                else:
                    arenas.new_bits(n)
                sweepgen[s] = sg
                push(s)
            else:
                sweepgen[s] = sg - 1
                pages = spans.npages[s]
                if self.sweep(s, False):
                    back += pages
                    if back >= freed:
                        return back
            if self.pages_swept >= swept:
                return back
        rt.heap.sweepdone = 1
        return DONE

    def ensure_swept(self, s: int) -> bool:
        """Sweeps the span unless this cycle did already (ensureSwept). True if it was swept now."""
        spans = self.rt.spans
        sg = self.rt.heap.sweepgen
        if spans.sweepgen[s] == sg:
            return False
        spans.sweepgen[s] = sg - 1
        self.sweep(s, False)
        return True

    def sweep(self, s: int, preserve: bool) -> bool:
        """Frees what is not marked in a span whose sweepgen says "being swept" (mspan.sweep).

        True when the whole span went back to the heap. preserve: leave it on its list.
        """
        rt = self.rt
        spans = rt.spans
        sweepgen = spans.sweepgen
        sg = rt.heap.sweepgen
        if spans.state[s] != IN_USE or sweepgen[s] != sg - 1:
            self._bad_state(s, "MSpan_Sweep: bad span state")
        self.pages_swept += spans.npages[s]
        sizeclass = spans.sizeclass[s]
        if spans.specials[s]:
            rt.specials.sweep(s)
        marks = spans.mark_bits[s]
        nelems = spans.nelems[s]
        log = rt.log
        if log is not None:
            words = f"{marks:x}" if nelems <= 64 else mark_words(marks, nelems)
            log.append(f"b {spans.base[s]:x} {sizeclass} {nelems} {preserve:d} {words}")
        nalloc = marks.bit_count()
        to_heap = False
        if sizeclass == 0 and nalloc != nelems:
            spans.needzero[s] = 1
            to_heap = True
        alloc_count = spans.alloc_count
        freed = alloc_count[s] - nalloc
        if freed < 0:
            rt.printed.append(
                f"runtime: nelems={nelems} nfree={nelems - nalloc} nalloc={nalloc} "
                f"previous allocCount={alloc_count[s]} nfreed={freed & 0xFFFF}"
            )
            raise Throw("sweep increased allocation count")
        if rt.watched is not None and freed:
            rt.watched.freed(s, rt.allocated_mask(s) & ~marks)
        alloc_count[s] = nalloc
        free_index = spans.free_index
        was_empty = free_index[s] == nelems or spans.first_free(s) == nelems
        free_index[s] = 0
        spans.alloc_bits[s] = marks
        spans.mark_bits[s] = 0
        rt.arenas.new_bits(nelems)
        if freed and rt.memory:
            self._forget(s)

        if to_heap or freed == 0:
            if spans.state[s] != IN_USE or sweepgen[s] != sg - 1:
                self._bad_state(s, "MSpan_Sweep: bad span state after sweep")
            sweepgen[s] = sg
        gone = False
        if freed > 0 and sizeclass:
            rt.cache.local_nsmallfree[sizeclass] += freed
            gone = rt.central[sizeclass].free_span(s, preserve, was_empty)
        elif to_heap:
            cache = rt.cache
            size = spans.elemsize[s]
            rt.heap.free_span(s, 1)
            cache.local_nlargefree += 1
            cache.local_largefree += size
            gone = True
        if not gone:
            rt.sweep_spans.bufs[sg // 2 % 2].push(s)
        return gone

    def _forget(self, s: int) -> None:
        """Drops what was stored in objects that a span has just freed; malloc would zero it."""
        spans, memory = self.rt.spans, self.rt.memory
        base, size, alive = spans.base[s], spans.elemsize[s], spans.alloc_bits[s]
        words = memory.written(base, base + spans.nelems[s] * size)
        memory.clear([addr for addr in words if not alive >> (addr - base) // size & 1])

    def _bad_state(self, s: int, words: str) -> None:
        spans = self.rt.spans
        self.rt.printed.append(
            f"MSpan_Sweep: state={spans.state[s]} sweepgen={spans.sweepgen[s]} "
            f"mheap.sweepgen={self.rt.heap.sweepgen}"
        )
        raise Throw(words)

    def deduct_credit(self, span_bytes: int, caller_pages: int) -> None:
        """Pays for span_bytes about to be allocated by sweeping what they owe (deductSweepCredit).

        A caller that sweeps caller_pages itself may leave so many unpaid.
        """
        if self.pages_per_byte == 0:
            return
        self.span_bytes_alloc += span_bytes
        owed = int(self.pages_per_byte * float(self.span_bytes_alloc))
        enough = owed - caller_pages
        if self.pages_swept < enough and self.sweep_on(enough, EVERYTHING) == DONE:
            self.pages_per_byte = 0.0

    def reimburse_credit(self, unusable: int) -> None:
        """Takes back the charge for bytes of a span that were in use already (reimburseSweepCredit)."""
        if self.pages_per_byte == 0:
            return
        self.span_bytes_alloc -= unusable
        if self.span_bytes_alloc < 0:
            raise Throw("spanBytesAlloc underflow")


def mark_words(marks: int, nelems: int) -> str:
    """A span's mark bits as recordings write them: 64-bit words in hexadecimal, low bits first."""
    return f"{marks:x}" if nelems <= 64 else _long_mark_words(marks, nelems)


@lru_cache(maxsize=1 << 12)  # what lives long has the same ones again in each cycle
def _long_mark_words(marks: int, nelems: int) -> str:
    mask = (1 << 64) - 1
    return ",".join([f"{marks >> i & mask:x}" for i in range(0, nelems, 64)])
