"""Sweeping: what the collector left unmarked becomes free, span by span (mgcsweep.go).

A span is swept once a cycle: by the background sweeper, by an allocation that
wants it or its pages, or to pay for an allocation in proportion. Its mark bits
become its allocation bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.mspan import IN_USE
from allocator.throw import Throw

if TYPE_CHECKING:
    from allocator.core import Core

DONE = -1  # sweepone found nothing more to sweep


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
        rt = self.rt
        spans = rt.spans
        sg = rt.heap.sweepgen
        unswept = rt.sweep_spans.unswept
        while unswept:
            s = unswept.pop()
            if spans.state[s] != IN_USE:
                if spans.sweepgen[s] != sg:
                    rt.printed.append(
                        f"runtime: bad span s.state={spans.state[s]} "
                        f"s.sweepgen={spans.sweepgen[s]} sweepgen={sg}"
                    )
                    raise Throw("non in-use span in unswept list")
                continue
            if spans.sweepgen[s] != sg - 2:
                continue
            spans.sweepgen[s] = sg - 1
            npages = spans.npages[s]
            return npages if self.sweep(s, False) else 0
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
        heap = rt.heap
        sg = heap.sweepgen
        if spans.state[s] != IN_USE or spans.sweepgen[s] != sg - 1:
            self._bad_state(s, "MSpan_Sweep: bad span state")
        npages = spans.npages[s]
        self.pages_swept += npages
        sizeclass = spans.sizeclass[s]
        if spans.specials[s]:
            rt.specials.sweep(s)
        marks = spans.mark_bits[s]
        nelems = spans.nelems[s]
        if rt.log is not None:
            rt.log.append(
                f"b {spans.base[s]:x} {sizeclass} {nelems} {preserve:d} {mark_words(marks, nelems)}"
            )
        nalloc = marks.bit_count()
        to_heap = False
        if sizeclass == 0 and nalloc != nelems:
            spans.needzero[s] = 1
            to_heap = True
        freed = spans.alloc_count[s] - nalloc
        if freed < 0:
            rt.printed.append(
                f"runtime: nelems={nelems} nfree={nelems - nalloc} nalloc={nalloc} "
                f"previous allocCount={spans.alloc_count[s]} nfreed={freed & 0xFFFF}"
            )
            raise Throw("sweep increased allocation count")
        if rt.watched is not None and freed:
            rt.watched.freed(s, rt.allocated_mask(s) & ~marks)
        spans.alloc_count[s] = nalloc
        was_empty = spans.first_free(s) == nelems
        spans.free_index[s] = 0
        spans.alloc_bits[s] = marks
        spans.mark_bits[s] = 0
        rt.arenas.new_bits(nelems)
        if rt.memory and freed:
            rt.memory.forget(s)

        if to_heap or freed == 0:
            if spans.state[s] != IN_USE or spans.sweepgen[s] != sg - 1:
                self._bad_state(s, "MSpan_Sweep: bad span state after sweep")
            spans.sweepgen[s] = sg
        gone = False
        cache = rt.cache
        if freed > 0 and sizeclass:
            cache.local_nsmallfree[sizeclass] += freed
            gone = rt.central[sizeclass].free_span(s, preserve, was_empty)
        elif to_heap:
            size = spans.elemsize[s]
            heap.free_span(s, 1)
            cache.local_nlargefree += 1
            cache.local_largefree += size
            gone = True
        if not gone:
            rt.sweep_spans.push_swept(s)
        return gone

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
        while owed - self.pages_swept > caller_pages:
            if self.sweepone() == DONE:
                self.pages_per_byte = 0.0
                break

    def reimburse_credit(self, unusable: int) -> None:
        """Takes back the charge for bytes of a span that were in use already (reimburseSweepCredit)."""
        if self.pages_per_byte == 0:
            return
        self.span_bytes_alloc -= unusable
        if self.span_bytes_alloc < 0:
            raise Throw("spanBytesAlloc underflow")


def mark_words(marks: int, nelems: int) -> str:
    """A span's mark bits as recordings write them: 64-bit words in hexadecimal, low bits first."""
    if nelems <= 64:
        return f"{marks:x}"
    mask = (1 << 64) - 1
    return ",".join([f"{marks >> i & mask:x}" for i in range(0, nelems, 64)])
