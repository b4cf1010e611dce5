"""Which words of many objects are pointers, by what their spans and types say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.types import Type
from allocator.sparse.heap_bits import mask_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocator.sparse.heap_bits import ObjectType
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mspan import MSpan

Ints = np.ndarray[Any, np.dtype[Any]]
Tell = Callable[[Ints, Ints, Ints], Ints]


class ObjectKinds:
    """What objects are known to hold, each such thing with a number; 0: no pointers.

    Of each number, `bits` has a byte a word, from `start` on, for the words after which it begins again.
    """

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.ptr = core.config.ptr_size
        # By size class and identity, since types are many words to compare; so all are held on to.
        self.known: dict[int, dict[int, tuple[int, ObjectType | None]]] = {}
        self.bits = [np.zeros(1, np.uint8)]

    def pointers(self, spans: Mapping[int, MSpan], like: Ints) -> tuple[Ints, Tell | None]:
        """Which words of objects of those spans, all of one class, are pointers, as `WordRows` has it.

        like: the span of each row.
        """
        numbers = [self._of_span(s) for s in spans.values()]
        first = numbers[0]
        if isinstance(first, int) and all(isinstance(k, int) and k == first for k in numbers):
            return self.bits[first], None
        n = next(iter(spans.values())).nelems
        places = {key: at for at, key in enumerate(spans)}
        which = np.array([places[key] for key in like.tolist()])
        matrix = np.concatenate([np.full(n, k) if isinstance(k, int) else k for k in numbers])
        length = np.array([len(table) for table in self.bits])
        start = np.cumsum(length) - length
        bits = np.concatenate(self.bits)

        def tell(row: Ints, index: Ints, word: Ints) -> Ints:
            kinds = matrix[which.take(row) * n + np.minimum(index, n - 1)]
            found: Ints = bits.take(start[kinds] + word % length[kinds]).view(bool)
            return found

        return self.bits[0], tell

    def _of_span(self, s: MSpan) -> Ints | int:
        """The number of each object of a span, one where it is the same."""
        what = self.core.object_type(s, 0)
        types = s.types
        if s.nelems == 1 or types is None or (s.spanclass == 2 and self.ptr == 8):
            return self._number(s, what)
        if type(types) is tuple or types.count(what) == len(types):
            return self._number(s, what)
        known = self._known(s)
        for what in types:
            if id(what) not in known:
                self._number(s, what)
        return np.array([known[id(what)][0] for what in types], np.int64)

    def _known(self, s: MSpan) -> dict[int, tuple[int, ObjectType | None]]:
        """The numbers of what objects hold of the span's class, or of the span, where that is one object."""
        return self.known.setdefault(s.base if s.nelems == 1 else s.spanclass, {id(None): (0, None)})

    def _number(self, s: MSpan, what: ObjectType | None) -> int:
        known = self._known(s)
        found = known.get(id(what))
        if found is None:
            found = known[id(what)] = len(self.bits), what
            self.bits.append(self._bits_of(what, s.elemsize // self.ptr))
        return found[0]

    def _bits_of(self, what: ObjectType | None, words: int) -> Ints:
        """A byte a word of what such an object has, up to where it begins again, or ends."""
        if isinstance(what, Type):
            words, mask = what.size // self.ptr, mask_of(what, self.ptr)
        else:
            mask = what or 0
        packed = np.frombuffer(
            mask.to_bytes(max(words + 7 >> 3, mask.bit_length() + 7 >> 3), "little"), np.uint8
        )
        return np.unpackbits(packed, bitorder="little")[:words].copy()
