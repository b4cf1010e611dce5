"""Marking many objects at once: from addresses to each span's mask, and from bitmaps to scan work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.throw import BadRequest
from allocator.contiguous.heap_bitmap import LargeBits
from allocator.contiguous.mspan import IN_USE, NIL

if TYPE_CHECKING:
    from allocator.contiguous.core import Core
    from allocator.contiguous.gc import Collector

Ints = np.ndarray[Any, np.dtype[Any]]

DENSE = 1 << 24  # pages that a table of all of them may have
AT_ONCE = 1 << 18  # bytes of bitmap looked at together


def column(values: Any) -> Ints:
    """A column of the spans as an array, which sees and makes changes; the column cannot grow meanwhile."""
    return np.frombuffer(values, np.int64)


def spans_of(rt: Core, live: Ints) -> Ints:
    """The in-use span with a heap object at each address, NIL where there is none (lookupMaybe)."""
    heap, spans = rt.heap, rt.spans
    found = np.full(len(live), NIL, np.int64)
    inside = np.flatnonzero((live >= heap.arena_start) & (live < heap.arena_used))
    if not len(inside):
        return found
    addresses = live if len(inside) == len(live) else live[inside]
    owner = owners(
        rt, ((addresses - np.uint64(heap.arena_start)) >> np.uint64(heap.page_shift)).astype(np.int64)
    )
    base, limit = column(spans.base), column(spans.limit)
    # Where there is no span, the last one stands in; owner tells.
    at = addresses.view(np.int64)
    good = (owner >= 0) & (column(spans.state)[owner] == IN_USE) & (at >= base[owner]) & (at < limit[owner])
    found[inside] = np.where(good, owner, NIL)
    return found


def owners(rt: Core, pages: Ints) -> Ints:
    """The span entered for each page of the arena, NIL for none; there is at least one page."""
    table = rt.heap.pages
    low, high = int(pages.min()), int(pages.max())
    if high - low >= DENSE:
        distinct, where = np.unique(pages, return_inverse=True)
        return np.array([table.get(page) for page in distinct.tolist()], np.int64).take(where)
    size = table.PAGES
    first = low // size
    dense = np.full((high // size - first + 1, size), NIL, np.int64)
    for i in range(len(dense)):
        chunk = table.chunks.get(first + i)
        if chunk is not None:
            dense[i] = chunk
    return dense.reshape(-1).take(pages - first * size)


def check_live(rt: Core, live: Ints) -> None:
    """Raises BadRequest for the first address that is not an object of this heap."""
    if live.ndim != 1 or (live.size and live.dtype.kind not in "iu"):
        raise BadRequest("live objects are a flat array of addresses")
    _known(rt, live.astype(np.uint64, copy=False))


def _known(rt: Core, live: Ints) -> tuple[Ints, Ints]:
    """The addresses of heap objects, which zerobase is not, and their spans."""
    owner = spans_of(rt, live)
    missing = np.flatnonzero(owner == NIL)
    if len(missing):
        wrong = missing[live[missing] != rt.zerobase]
        if len(wrong):
            raise BadRequest(f"{int(live[wrong[0]]):#x} is not an object of this heap")
        keep = np.flatnonzero(owner != NIL)
        return live[keep], owner[keep]
    return live, owner


def live_masks(rt: Core, live: Ints) -> list[tuple[int, int]]:
    """Spans and which of their objects are among these addresses, in the order of first mention."""
    live, owner = _known(rt, live.astype(np.uint64, copy=False))
    if not len(live):
        return []
    spans = rt.spans
    index = (live.view(np.int64) - column(spans.base)[owner]) // column(spans.elemsize)[owner]
    # Assigned backwards, the first mention is what stays.
    mentioned = np.full(len(spans), len(live))
    mentioned[owner[::-1]] = np.arange(len(live) - 1, -1, -1)
    ids = np.flatnonzero(mentioned < len(live))
    ids = ids[np.argsort(mentioned[ids], kind="stable")]
    length = (column(spans.nelems)[ids] + 7) // 8
    ends = np.cumsum(length)
    first_bit = np.empty(len(spans), np.int64)
    first_bit[ids] = (ends - length) * 8
    flags = np.zeros(int(ends[-1]) * 8, np.uint8)
    flags[first_bit[owner] + index] = 1
    packed = np.packbits(flags, bitorder="little").tobytes()
    names = ids.tolist()
    masks = [
        (s, int.from_bytes(packed[end - n : end], "little"))
        for s, n, end in zip(names, length.tolist(), ends.tolist(), strict=True)
    ]
    whole = column(spans.free_index)[ids] >= column(spans.nelems)[ids]
    for i in np.flatnonzero(~whole).tolist():
        s, mask = masks[i]
        free = mask & ~rt.allocated_mask(s)
        if free:
            p = spans.base[s] + ((free & -free).bit_length() - 1) * spans.elemsize[s]
            raise BadRequest(f"{p:#x} is free, so it cannot be alive")
    return masks


def allocated_masks(rt: Core) -> list[tuple[int, int]]:
    """Every in-use span and which of its objects are allocated. Cached spans must be synced."""
    spans = rt.spans
    ids = np.flatnonzero(column(spans.state) == IN_USE)
    nelems = column(spans.nelems)[ids]
    whole = column(spans.free_index)[ids] >= nelems
    masks = {n: (1 << n) - 1 for n in np.unique(nelems).tolist()}
    return [
        (s, masks[n] if all_of_it else rt.allocated_mask(s))
        for s, n, all_of_it in zip(ids.tolist(), nelems.tolist(), whole.tolist(), strict=True)
    ]


def mark(collector: Collector) -> None:
    """Marks all that is queued as masks, and scans it."""
    rt = collector.rt
    spans = rt.spans
    marks, elemsize, bitmaps = spans.mark_bits, spans.elemsize, spans.bits
    marked = work = 0
    drawn: dict[int, list[tuple[int, int]]] = {}
    for s, mask in collector.masks:
        old = marks[s]
        if old:
            mask &= ~old
        marks[s] = old | mask
        size = mask.bit_count() * elemsize[s]
        marked += size
        bits = bitmaps[s]
        if type(bits) is int:
            # Nothing but objects without pointers, or single pointers throughout.
            if bits:
                work += size
        elif isinstance(bits, LargeBits):
            if mask:
                work += collector.scan_extent(s, 0)
        elif mask:
            drawn.setdefault(spans.sizeclass[s], []).append((s, mask))
    collector.masks = []
    collector.bytes_marked += marked
    collector.scan_work += work + sum(_scan(rt, those) for those in drawn.values())


def _scan(rt: Core, marked: list[tuple[int, int]]) -> int:
    """Bytes that scanning marked objects of one size class reads, as `Collector.scan_extent` for each."""
    spans = rt.spans
    s = marked[0][0]
    nelems, words = spans.nelems[s], spans.elemsize[s] // rt.config.ptr_size
    length = len(spans.bits[s])  # type: ignore[arg-type]
    step = max(AT_ONCE // length, 1)
    total = 0
    for at in range(0, len(marked), step):
        part = marked[at : at + step]
        bitmaps = np.frombuffer(b"".join([spans.bits[s] for s, _ in part]), np.uint8)  # type: ignore[misc]
        extents = extents_of(bitmaps.reshape(len(part), -1), nelems, words, rt.config.ptr_size)
        masks = b"".join([mask.to_bytes((nelems + 7) // 8, "little") for _, mask in part])
        chosen = np.unpackbits(np.frombuffer(masks, np.uint8), bitorder="little").reshape(len(part), -1)
        total += int(extents[chosen[:, :nelems].view(bool)].sum())
    return total


def extents_of(bitmaps: Ints, nelems: int, words: int, ptr_size: int) -> Ints:
    """`Collector.scan_extent` of every object, of spans of one class: rows of bitmap bytes in, rows out."""
    if words % 4 == 0:
        return _extents_by_bytes(bitmaps >> 4, nelems, words // 4, ptr_size)
    scan = np.unpackbits(bitmaps >> np.uint8(4), axis=1, bitorder="little").reshape(len(bitmaps), -1, 8)[
        :, :, :4
    ]
    scan = scan.reshape(len(bitmaps), -1)[:, : nelems * words].reshape(-1, words)
    if words > 2:
        # The second word is always looked at; its scan bit is the checkmark.
        rest = scan[:, 2:]
        extent = np.where(rest.all(axis=1), words, rest.argmin(axis=1) + 2)
    else:
        extent = np.full(len(scan), words)
    found: Ints = (extent * scan[:, 0] * ptr_size).reshape(len(bitmaps), nelems)
    return found


# Of four scan bits: how many words from the first on, and so in an object's first byte.
_RUN = np.array([(~bits & -~bits).bit_length() - 1 if bits != 15 else 4 for bits in range(16)], np.int64)
_FIRST = np.array(
    [(4 if bits | 2 == 15 else max(int(_RUN[bits | 2]), 2)) if bits & 1 else 0 for bits in range(16)]
)

# The same as bytes, by the size of a pointer; only 16 are ever looked up.
_FIRST_BYTES = {ptr: (_FIRST * ptr).astype(np.uint8).tobytes().ljust(256, b"\0") for ptr in (4, 8)}


def _extents_by_bytes(scan: Ints, nelems: int, width: int, ptr_size: int) -> Ints:
    """The same where each object has bytes of its own, so many."""
    each = scan[:, : nelems * width].reshape(-1, width)
    if width == 1:
        # A byte for each object is looked up, and becomes another.
        alone: Ints = np.frombuffer(each.tobytes().translate(_FIRST_BYTES[ptr_size]), np.uint8)
        return alone.reshape(-1, nelems)
    extent = _FIRST[each[:, 0]]
    rest = each[:, 1:]
    end = (rest != 15).argmax(axis=1)
    last = rest[np.arange(len(rest)), end]
    more = np.where(last == 15, 4 * (width - 1), 4 * end + _RUN[last])
    extent = extent + more * (extent == 4)
    found: Ints = (extent * ptr_size).reshape(-1, nelems)
    return found
