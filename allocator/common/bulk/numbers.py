"""The objects of many spans by number, so that addresses can be looked up all at once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from allocator.common.at_once import Trial

Ints = np.ndarray[Any, np.dtype[Any]]

NONE = -1  # instead of a number, where an address lies in none
DENSE = 1 << 22  # pages between the first and the last span up to which a table has an entry for each
MAGIC_SHIFT = 32  # what is left of a number has 32 bits, too
NO_LIMITS = np.zeros(0, np.uint64)


class SpanColumns(NamedTuple):
    """Spans in the order in which their objects are numbered; bytes, but for `nelems` and `npages`."""

    base: Ints
    limit: Ints
    elemsize: Ints
    nelems: Ints
    npages: Ints


class ObjectNumbers:
    """The objects of spans, numbered span by span.

    A span's numbers begin at a multiple of eight, so that they are the bits of its mark bitmap: `width`
    bytes from `first` / 8 on. They go on behind its last object, to the end of its pages, with numbers of no
    object (`unused`). `total` is one more than the last number.

    To look an address up: `pages` has the place of the span for each page from `low` on, None where these
    are too far apart; of each span, `base` is its address, `start` the number of its first object, `limit`
    where its object ends, if it has but one and any such has a page behind that. `magic` and `offset` make
    a number of an address, (address * magic + offset) >> 32, where that is exact for all spans. The last of
    each stands for addresses outside of all spans.
    """

    def __init__(self, spans: SpanColumns, page_shift: int) -> None:
        self.columns = spans
        self.shift = np.uint64(page_shift)
        self.count = len(spans.base)
        alone = spans.nelems == 1
        slots = -(-(spans.npages << page_shift) // np.where(alone, 1 << 62, spans.elemsize))
        self.width = (slots + 7) >> 3
        ends = np.cumsum(self.width)
        self.first = (ends - self.width) * 8
        self.total = int(ends[-1]) * 8 if self.count else 0
        self.base = np.append(spans.base.astype(np.uint64, copy=False), np.uint64(0))
        self.start = np.append(self.first, NONE)
        size = np.minimum(spans.nelems * spans.elemsize, (spans.limit - spans.base).astype(np.int64))
        self.limit = NO_LIMITS
        if (alone & (size < spans.npages << page_shift)).any():
            end = np.where(alone, self.base[:-1] + size.astype(np.uint64), 2**64 - 1)
            self.limit = np.append(end.astype(np.uint64), np.uint64(2**64 - 1))
        self._prepare_division()
        self._enter_pages()

    def _prepare_division(self) -> None:
        """An offset is divided by multiplying, as Go does, if that is exact for all sizes here."""
        spans = self.columns
        alone = spans.nelems == 1
        size = np.where(alone, 0, spans.elemsize)
        exact = np.where(alone, 0, spans.npages << int(self.shift)) * size < 1 << MAGIC_SHIFT
        self.magic: Ints | None = None
        if exact.all() and self.total < 1 << 31:
            magic = np.where(size > 0, -(-(1 << MAGIC_SHIFT) // np.maximum(size, 1)), 0)
            self.magic = np.append(magic, 0).astype(np.uint64)
            self.offset = (self.start.astype(np.uint64) << np.uint64(MAGIC_SHIFT)) - self.base * self.magic

    def _enter_pages(self) -> None:
        """From pages to spans: by a table, or by search where they are too far apart."""
        self.pages: Ints | None = None
        self._order = np.argsort(self.base[:-1])
        if not self.count:
            self.low = np.uint64(0)
            self.pages = np.zeros(1, np.int64)
            return
        pages, npages = self.base[:-1] >> self.shift, self.columns.npages
        last = int(self._order[-1])
        low = int(pages[self._order[0]])
        count = int(pages[last]) + int(npages[last]) - low
        self.low = np.uint64(low << int(self.shift))
        if count <= DENSE:
            self.pages = np.full(count + 1, self.count)
            each = np.repeat(np.arange(self.count), npages)
            ends = np.cumsum(npages)
            within = np.arange(len(each)) - np.repeat(ends - npages, npages)
            self.pages[(pages.astype(np.int64) - low)[each] + within] = each

    def roots(self, trial: Trial, grey: Ints, seen: Ints) -> Ints:
        """The objects from which to mark all that a trial was to mark, where some are left grey.

        What the trial marked on its way is not marked in `seen` any more: rings from the roots lie closer
        together than those from whatever is left.
        """
        roots = self.of(np.array(trial.roots, np.uint64))
        for marked in (grey, self.of(np.array(trial.scanned, np.uint64))):
            seen[marked] = 0
        seen[roots] = 1
        return roots

    def counts(self, flags: Ints) -> Ints:
        """How many objects of each span have a flag: flags are bytes, 0 or 1, one for each number."""
        # Eight bytes are added up in the uppermost of them.
        eights = flags.view(np.uint64) * np.uint64(0x0101010101010101) >> np.uint64(56)
        found: Ints = np.add.reduceat(eights, self.first >> 3).astype(np.int64)
        return found

    def spans_at(self, addresses: Ints) -> Ints:
        """The place of the span whose pages an address (uint64) lies in; `count` for none."""
        if self.pages is not None:
            page = (addresses - self.low) >> self.shift
            np.minimum(page, np.uint64(len(self.pages) - 1), out=page)
            return self.pages.take(page.view(np.int64))
        at = np.searchsorted(self.base[:-1], addresses, "right", sorter=self._order) - 1
        found = self._order.take(at, mode="clip")
        inside = (addresses - self.base[found]) >> self.shift < self.columns.npages[found].astype(np.uint64)
        return np.where((at >= 0) & inside, found, self.count)

    @cached_property
    def _by_page(self) -> tuple[Ints, Ints, Ints]:
        """`magic`, `offset` and `limit` by page."""
        assert self.magic is not None and self.pages is not None
        limit = self.limit.take(self.pages) if len(self.limit) else self.limit
        return self.magic.take(self.pages), self.offset.take(self.pages), limit

    def of(self, addresses: Ints) -> Ints:
        """The numbers that addresses (uint64) point to; NONE for none."""
        if self.magic is not None and self.pages is not None and len(addresses) > len(self.pages):
            # Many are looked up in fewer steps.
            page = addresses - self.low
            page >>= self.shift
            at = page.view(np.int64)
            magic, offset, limit = self._by_page
            found = _divided(addresses, magic.take(at, mode="clip"), offset.take(at, mode="clip"))
            behind = addresses >= limit.take(at, mode="clip") if len(limit) else limit
        else:
            spans = self.spans_at(addresses)
            if self.magic is not None:
                found = _divided(addresses, self.magic.take(spans), self.offset.take(spans))
            else:
                sizes = np.append(np.where(self.columns.nelems == 1, 0, self.columns.elemsize), 0)
                offset = addresses - self.base.take(spans)
                offset //= np.where(sizes > 0, sizes, 1 << 62).astype(np.uint64)[spans]
                found = offset.view(np.int64)
                found += self.start.take(spans)
            behind = addresses >= self.limit.take(spans) if len(self.limit) else self.limit
        if len(behind) and behind.any():
            found[behind] = NONE
        return found

    def stray(self, addresses: Ints) -> Ints:
        """What is marked for addresses (uint64) that point to no number, where they are reached; NONE."""
        return np.full(len(addresses), NONE)

    @cached_property
    def unused(self) -> Ints:
        """The numbers that no object has."""
        spare = 8 * self.width - self.columns.nelems
        ends = np.cumsum(spare)
        within = np.arange(int(ends[-1]) if self.count else 0) - np.repeat(ends - spare, spare)
        found: Ints = np.repeat(self.first + self.columns.nelems, spare) + within
        return found


def _divided(addresses: Ints, magic: Ints, offset: Ints) -> Ints:
    """The numbers of addresses, by the magic and offset of each; uses up what is passed."""
    magic *= addresses
    magic += offset
    found = magic.view(np.int64)
    found >>= MAGIC_SHIFT
    return found
