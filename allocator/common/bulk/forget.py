"""Forgets what was stored in freed objects, for many spans at once."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.contents import Contents

Ints = np.ndarray[Any, np.dtype[Any]]

FEW_WORDS = 16  # of an object, for which one word of all objects is looked at after the other
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
    pages = memory.pages
    nothing = bytes(memory.per_page << memory.word_shift)
    stored: list[tuple[int, int]] = []  # in arrays
    parts: list[array[int] | bytes] = []
    for base, free in spans:
        page = base >> memory.shift
        if npages == 1:
            alone = pages.get(page)
            if type(alone) is array:
                stored.append((base, free))
                parts.append(alone)
            elif alone is not None:
                _forget_some(memory, page, alone, 0, words, free)  # type: ignore[arg-type]
            continue
        held = [pages.get(page + at) for at in range(npages)]
        for at, mine in enumerate(held):
            if isinstance(mine, dict):
                _forget_some(memory, page + at, mine, at * memory.per_page, words, free)
        if any(type(mine) is array for mine in held):
            stored.append((base, free))
            parts += [mine if isinstance(mine, array) else nothing for mine in held]
    if not stored:
        return
    contents = np.frombuffer(b"".join(parts), memory.typecode).reshape(len(stored), -1)
    width = (nelems + 7) // 8
    packed = b"".join([free.to_bytes(width, "little") for _, free in stored])
    gone = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little").reshape(len(stored), -1)
    gone = gone[:, :nelems].view(bool)
    found = np.flatnonzero((_holding(contents != 0, nelems, words) & gone).any(axis=1))
    left = contents[found]
    np.copyto(left[:, : nelems * words], 0, where=np.repeat(gone[found], words, axis=1))
    some: Ints = np.logical_or.reduce(left.reshape(len(found), npages, memory.per_page), axis=2)
    for row, k in enumerate(found.tolist()):
        _keep(memory, stored[k][0] >> memory.shift, left[row], some[row].tolist())


def _holding(stored: Ints, nelems: int, words: int) -> Ints:
    """Which of the objects of rows of words, so many in each, have a word that is not zero."""
    some = np.ascontiguousarray(stored[:, : nelems * words])
    if words in (2, 4, 8):
        # As many bytes as numbers have: one comparison for each object.
        whole: Ints = some.view(f"u{words}") != 0
        return whole
    if words > FEW_WORDS:
        each: Ints = np.logical_or.reduce(some.reshape(len(some), nelems, words), axis=2)
        return each
    held: Ints = some[:, ::words].copy()
    for k in range(1, words):
        held |= some[:, k::words]
    return held


def _forget_some(
    memory: Contents, page: int, stored: dict[int, int], begin: int, words: int, free: int
) -> None:
    """Drops the words of free objects from a page, which begins with that word of its span."""
    gone = [place for place in stored if free >> (begin + place) // words & 1]
    for place in gone:
        del stored[place]
    if not stored:
        del memory.pages[page]


def _keep(memory: Contents, page: int, left: Ints, some: list[bool]) -> None:
    """Writes the words of a span that are left to its pages that are kept as arrays, if there are some."""
    for at, kept in enumerate(some):
        stored = memory.pages.get(page + at)
        if type(stored) is not array:
            continue
        if kept:
            words: Ints = np.frombuffer(stored, memory.typecode)
            words[:] = left[at * memory.per_page : (at + 1) * memory.per_page]
        else:
            del memory.pages[page + at]
