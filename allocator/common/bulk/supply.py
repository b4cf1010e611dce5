"""What a place has to give: objects side by side in spans, in the order in which they are handed out."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np

Ints = np.ndarray[Any, np.dtype[Any]]


class TakenSpan(NamedTuple):
    """A span that was taken by itself; `taken` are the objects that are not available, as bits."""

    span: Any
    base: int
    nelems: int
    taken: int


class Piece(NamedTuple):
    """Spans' free objects, in the order in which they are handed out.

    `spans` are ids, or the spans; `first` is the rank, within the place, of the first object. A
    fresh piece is of spans with `each` objects from their bases on, at `offsets`. In any other,
    `starts` are single objects, each 1, and `bounds` tell where those of a span begin, and where the
    last's end.
    """

    spans: list[Any] | Ints
    first: int
    starts: Ints
    each: int
    offsets: Ints
    bounds: list[int] | None = None

    @property
    def fresh(self) -> bool:
        """Whether nothing was ever allocated from the spans."""
        return self.bounds is None


class Supply:
    """The objects of a place, each of `size` bytes. `code` is what they have in the layout.

    `total` counts the batch's objects that come from it, `supplied` those for which there is memory,
    which may be more. `begun` is the rank of the first object from the span that is cached. An
    object begins `header` bytes into its slot.
    """

    __slots__ = ("begun", "code", "firsts", "header", "pieces", "size", "supplied", "total", "waiting")

    def __init__(self, code: int, size: int, total: int, header: int = 0) -> None:
        self.code = code
        self.size = size
        self.total = total
        self.header = header
        self.pieces: list[Piece] = []
        self.firsts: list[int] = []
        self.supplied = 0
        self.begun = 0
        self.waiting: list[TakenSpan] = []

    def supply(self, spans: list[Any] | Ints, bases: Ints, each: int) -> None:
        """Adds fresh spans, the last of which is cached now."""
        self.resolve()
        self._add(Piece(spans, self.supplied, bases + np.uint64(self.header), each, self._offsets(each)))
        self.supplied += len(spans) * each
        self.begun = self.supplied - each

    def supply_one(self, span: Any, base: int, nelems: int, taken: int) -> int:
        """Adds what is free in a span, which is cached now; how many objects that is."""
        free = nelems - taken.bit_count()
        if free:
            self.waiting.append(TakenSpan(span, base, nelems, taken))
            self.begun = self.supplied
            self.supplied += free
        return free

    def resolve(self) -> None:
        """Computes the addresses of all that was added."""
        if not self.waiting:
            return
        waiting = self.waiting
        nelems = waiting[0].nelems
        nbytes = (nelems + 7) // 8
        taken = b"".join([each.taken.to_bytes(nbytes, "little") for each in waiting])
        bits = np.unpackbits(np.frombuffer(taken, np.uint8), bitorder="little").reshape(len(waiting), -1)
        row, index = np.nonzero(bits[:, :nelems] == 0)
        bases = np.array([each.base + self.header for each in waiting], np.uint64)
        addresses = bases[row] + index.astype(np.uint64) * np.uint64(self.size)
        bounds = np.searchsorted(row, np.arange(len(waiting) + 1)).tolist()
        first = self.supplied - len(addresses)
        self._add(Piece([each.span for each in waiting], first, addresses, 1, self._offsets(1), bounds))
        self.waiting = []

    def _offsets(self, each: int) -> Ints:
        return np.arange(each, dtype=np.uint64) * np.uint64(self.size)

    def _add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.firsts.append(piece.first)

    def write(self, first: int, end: int, out: Ints) -> None:
        """Writes the addresses of the objects of these ranks. What was added must be resolved."""
        at = bisect_right(self.firsts, first) - 1
        done = 0
        while first < end:
            piece = self.pieces[at]
            each = piece.each
            a = first - piece.first
            b = min(end - piece.first, len(piece.starts) * each)
            into = out[done : done + b - a]
            if each == 1:
                into[:] = piece.starts[a:b]
            else:
                # What is left of a span, whole spans, and the beginning of one.
                k, i = divmod(a, each)
                last, rest = divmod(b, each)
                if i:
                    first_part = into[: each - i]
                    np.add(piece.offsets[i : i + len(first_part)], piece.starts[k], out=first_part)
                    into = into[each - i :]
                    k += 1
                if k < last:
                    whole = into[: (last - k) * each].reshape(-1, each)
                    np.add(piece.starts[k:last, None], piece.offsets, out=whole)
                    into = into[(last - k) * each :]
                if rest and k <= last:
                    np.add(piece.offsets[:rest], piece.starts[last], out=into)
            done += b - a
            first += b - a
            at += 1

    def address(self, rank: int) -> int:
        """The address of the object of that rank."""
        self.resolve()
        piece = self.pieces[bisect_right(self.firsts, rank) - 1]
        k, i = divmod(rank - piece.first, piece.each)
        return int(piece.starts[k]) + i * self.size
