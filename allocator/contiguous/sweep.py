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
from allocator.contiguous.own_records import SWEPT, SWEPT_ONE_WORD

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
        return self.sweep_on(times=1)[0]

    def sweep_on(
        self, times: int = EVERYTHING, swept: int = EVERYTHING, freed: int = EVERYTHING
    ) -> list[int]:
        """Calls sweepone so many times, until pages_swept is `swept`, or until so many pages went back.

        What each returned, DONE being the last. Spans in which nothing dies are most of them and come in
        rows, so what sweeping leaves of such a one is written down here.
        """
        rt = self.rt
        spans = rt.spans
        state, sweepgen, npages = spans.state, spans.sweepgen, spans.npages
        marked, specials, sizeclass, nelems = spans.mark_bits, spans.specials, spans.sizeclass, spans.nelems
        alloc_count, free_index = spans.alloc_count, spans.free_index
        arenas, log = rt.arenas, rt.log
        sg = rt.heap.sweepgen
        bufs = rt.sweep_spans.bufs
        unswept, push = bufs[1 - (sg >> 1 & 1)].spans, bufs[sg >> 1 & 1].push
        back = 0
        found: list[int] = []
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
            pages, n, marks = npages[s], nelems[s], marked[s]
            count = marks.bit_count()
            if (
                count == alloc_count[s]
                and (count == n or sizeclass[s])
                and free_index[s] <= n
                and not specials[s]
            ):
                self.pages_swept += pages
                if log is not None:
                    log.append(swept_record(spans.base[s], sizeclass[s], n, False, marks))
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
                pages = 0
            else:
                sweepgen[s] = sg - 1
                if self.sweep(s, False):
                    back += pages
                else:
                    pages = 0
            found.append(pages)
            if self.pages_swept >= swept or back >= freed or len(found) >= times:
                return found
        rt.heap.sweepdone = 1
        found.append(DONE)
        return found

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
        sg = rt.heap.sweepgen
        if spans.state[s] != IN_USE or spans.sweepgen[s] != sg - 1:
            self._bad_state(s)
        self.pages_swept += spans.npages[s]
        if spans.specials[s]:
            rt.specials.sweep(s)
        sizeclass, nelems, marks = spans.sizeclass[s], spans.nelems[s], spans.mark_bits[s]
        if rt.log is not None:
            rt.log.append(swept_record(spans.base[s], sizeclass, nelems, preserve, marks))
        nalloc = marks.bit_count()
        freed = spans.alloc_count[s] - nalloc
        index = spans.free_index[s]
        was_empty = index == nelems
        if freed or index > nelems:
            if freed < 0:
                rt.printed.append(
                    f"runtime: nelems={nelems} nfree={nelems - nalloc} nalloc={nalloc} "
                    f"previous allocCount={spans.alloc_count[s]} nfreed={freed & 0xFFFF}"
                )
                raise Throw("sweep increased allocation count")
            if rt.watched is not None and freed:
                rt.watched.freed(s, rt.allocated_mask(s) & ~marks)
            spans.alloc_count[s] = nalloc
            was_empty = was_empty or spans.first_free(s) == nelems
        spans.free_index[s] = 0
        spans.alloc_bits[s] = marks
        spans.mark_bits[s] = 0
        arenas = rt.arenas
        end = arenas.next_free + (nelems + 63 >> 6 << 3)
        if end <= arenas.capacity and arenas.next:
            arenas.next_free = end
        else:
            arenas.new_bits(nelems)
        if freed and rt.memory.pages:
            self._forget(s)
        if sizeclass:
            if freed:
                rt.cache.local_nsmallfree[sizeclass] += freed
                if rt.central[sizeclass].free_span(s, preserve, was_empty):
                    return True
            else:
                spans.sweepgen[s] = sg
        elif nalloc != nelems:
            spans.needzero[s] = 1
            spans.sweepgen[s] = sg
            size = spans.elemsize[s]
            rt.heap.free_span(s, 1)
            rt.cache.local_nlargefree += 1
            rt.cache.local_largefree += size
            return True
        elif not freed:
            spans.sweepgen[s] = sg
        rt.sweep_spans.bufs[sg >> 1 & 1].push(s)
        return False

    def _forget(self, s: int) -> None:
        """Drops what was stored in objects that a span has just freed; malloc would zero it."""
        spans, memory = self.rt.spans, self.rt.memory
        base, size, alive = spans.base[s], spans.elemsize[s], spans.alloc_bits[s]
        if not alive:
            memory.zero(base, spans.nelems[s] * size)
            return
        words = memory.written(base, base + spans.nelems[s] * size)
        memory.clear([addr for addr in words if not alive >> (addr - base) // size & 1])

    def _bad_state(self, s: int) -> None:
        spans = self.rt.spans
        self.rt.printed.append(
            f"MSpan_Sweep: state={spans.state[s]} sweepgen={spans.sweepgen[s]} "
            f"mheap.sweepgen={self.rt.heap.sweepgen}"
        )
        raise Throw("MSpan_Sweep: bad span state")

    def deduct_credit(self, span_bytes: int, caller_pages: int) -> None:
        """Pays for span_bytes about to be allocated by sweeping what they owe (deductSweepCredit).

        A caller that sweeps caller_pages itself may leave so many unpaid.
        """
        if self.pages_per_byte == 0:
            return
        self.span_bytes_alloc += span_bytes
        owed = int(self.pages_per_byte * float(self.span_bytes_alloc))
        enough = owed - caller_pages
        if self.pages_swept < enough and self.sweep_on(swept=enough)[-1] == DONE:
            self.pages_per_byte = 0.0

    def reimburse_credit(self, unusable: int) -> None:
        """Takes back the charge for bytes of a span that were in use already (reimburseSweepCredit)."""
        if self.pages_per_byte == 0:
            return
        self.span_bytes_alloc -= unusable
        if self.span_bytes_alloc < 0:
            raise Throw("spanBytesAlloc underflow")


def swept_record(base: int, sizeclass: int, nelems: int, preserve: bool, marks: int) -> str:
    """The b record of a span."""
    if nelems <= 64:
        return SWEPT_ONE_WORD % (base, sizeclass, nelems, preserve, marks)
    return SWEPT % (base, sizeclass, nelems, preserve, mark_words(marks, nelems))


@lru_cache(maxsize=1 << 12)  # what lives long has the same ones again in each cycle
def mark_words(marks: int, nelems: int) -> str:
    """A span's mark bits as recordings write them: 64-bit words in hexadecimal, low bits first."""
    mask = (1 << 64) - 1
    return ",".join([f"{marks >> i & mask:x}" for i in range(0, nelems, 64)])
