"""Forgets what was stored in freed objects, for many spans at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.contents import Contents

Ints = np.ndarray[Any, np.dtype[Any]]

WORDS_AT_ONCE = 1 << 16  # words of contents looked at together


def forget(
    memory: Contents, spans: Sequence[tuple[int, int]], elemsize: int, nelems: int, npages: int
) -> None:
    """Drops what is stored in free objects of spans that are alike.

    spans: the address of each, and which of its objects are free, as bits.
    """
    step = max(WORDS_AT_ONCE // (npages * memory.per_page), 1)
    for at in range(0, len(spans), step):
        _forget(memory, spans[at : at + step], elemsize >> memory.word_shift, nelems, npages)


def _forget(memory: Contents, spans: Sequence[tuple[int, int]], words: int, nelems: int, npages: int) -> None:
    pages, per_page = memory.pages, memory.per_page
    width = (nelems + 7) // 8
    packed = b"".join([bits.to_bytes(width, "little") for _, bits in spans])
    free = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little").reshape(len(spans), -1)
    gone = np.zeros((len(spans), npages * per_page), bool)
    gone[:, : nelems * words] = np.repeat(free[:, :nelems], words, axis=1)
    kind = np.dtype(memory.typecode)
    for (base, _), row in zip(spans, gone.reshape(len(spans), npages, per_page), strict=True):
        page = base >> memory.shift
        for at in range(npages):
            stored = pages.get(page + at)
            if stored is None:
                continue
            if isinstance(stored, dict):
                for place in [place for place in stored if row[at, place]]:
                    del stored[place]
                left = bool(stored)
            else:
                array = np.frombuffer(stored, kind)
                array[row[at]] = 0
                left = bool(array.view(bool).any())  # byte by byte, up to the first
            if not left:
                del pages[page + at]
