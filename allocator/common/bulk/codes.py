"""From the size and the type of an object to a byte that tells where it comes from."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from allocator.common.bulk import tiny_runs
from allocator.common.bulk.arguments import Kinds
from allocator.common.types import Type

Ints = np.ndarray[Any, np.dtype[Any]]

BLOCK = 1 << 16  # objects handled at a time, whose places in it are 16 bits
LOOKED_UP = 1 << 16  # objects looked up at a time, whose keys fit into a smaller one

# A code below CLASSES is a place: a size class, or a span class. The others say what to do instead;
# those of tiny objects are TINY and their size, until it is known what happens to them. Finer codes tell
# that: FITTED_AT and an offset of 0 to 15 in the block that is open, CURRENT for a new block, the open one
# from then on, ASIDE for a new block for this object alone.
CLASSES = 200
TINY = CLASSES  # 201 to 215: a tiny object of 1 to 15 bytes
FITTED_AT = 224
CURRENT = 240
ASIDE = 241
UNKNOWN = 252
LARGE = 253
ZERO = 254
FITTED = 255
MOST_PLANS = (1 << 16) - 1
MOST_ENTRIES = 1 << 23


def coarse_codes(tiny_class: int) -> Ints:
    """For each code, the one that the objects are sorted by: what becomes of tiny ones does not matter."""
    coarse = np.arange(256, dtype=np.uint8)
    coarse[FITTED_AT:CURRENT] = FITTED
    coarse[[CURRENT, ASIDE]] = tiny_class
    return coarse


class CodeTable(NamedTuple):
    """Codes, and numbers where there are pointers: a row of `width` sizes for each type, the default's last.

    A row's last place stands for all that is larger.
    """

    width: int
    codes: Ints
    numbers: Ints | None


class Scanned(Protocol):
    """A machine's plan of how objects of a type and size are allocated, as far as it matters here."""

    @property
    def scan(self) -> int:
        """Bytes that an object adds to what a collector scans."""
        ...


class PlacesOf(Protocol):
    """What a machine says about the places that its objects come from.

    `plain` has the code of each small size without pointers, `tiny_class` is where tiny blocks come
    from, `tiny_rule` how objects lie in them.
    """

    plain: bytes
    tiny_class: int
    tiny_rule: tiny_runs.TinyRule
    pointer_type: Type
    ptr_size: int

    def plan(self, typ: Type, size: int) -> tuple[int, Scanned] | None:
        """The code of objects with pointers, and the plan; None where they are impossible."""
        ...


class Coder:
    """Looks up sizes and types, a block at a time, and plans those that are new.

    `most` is the largest size to come, `least` one that is smaller, if any is. Objects with pointers have a
    number besides, their place in `plans` and one more; it tells what they leave in the bitmap.
    """

    def __init__(self, of: PlacesOf, kinds: Kinds, least: int, most: int) -> None:
        self.of = of
        self.same = least == most
        self.most = most
        self.plans: list[Any] = []
        width = min(most, len(of.plain) - 1) + 2
        plain = np.full(width, LARGE, np.uint8)
        plain[:-1] = np.frombuffer(of.plain, np.uint8)[: width - 1]
        plain[1:16] = np.arange(TINY + 1, TINY + 16)[: width - 1]
        plain[0] = ZERO
        plain[-1] = LARGE
        self.width = width
        self.types = [*kinds.table, kinds.default] if kinds.index is not None else [kinds.default]
        self.with_pointers = any(t is not None and not t.noscan for t in self.types)
        self.fits = width * len(self.types) <= MOST_ENTRIES
        self.plain = plain
        self.known: dict[int, tuple[int, int]] = {}
        if not self.with_pointers:
            self.codes = plain
        elif self.fits:
            self.codes = np.concatenate([self._row(t) for t in self.types])
            self.numbers = np.zeros(len(self.codes), np.uint16)

    def _row(self, typ: Type | None) -> Ints:
        row = self.plain.copy()
        if typ is not None and not typ.noscan:
            # Where no whole word is, there is no pointer either.
            first = self.of.ptr_size if typ is self.of.pointer_type else 1
            row[first:-1] = UNKNOWN
        return row

    @property
    def table(self) -> CodeTable | None:
        """Where everything that was planned is looked up; None where that would be too large a table."""
        if not self.with_pointers:
            return CodeTable(self.width, self.codes, None)
        return CodeTable(self.width, self.codes, self.numbers) if self.fits else None

    def code_all(self, sizes: Ints, index: Ints | None) -> tuple[Ints, Ints | int]:
        """The codes of all objects up to the first that cannot be planned, and their numbers.

        One number stands for all where there is only one.
        """
        n = len(sizes)
        if self.same and index is None:
            code, those, good = self.code(sizes[:1], None)
            return np.full(n if good else 0, code[0]), 0 if those is None else int(those[0])
        codes = np.empty(n, np.uint8)
        numbers = np.empty(n, np.uint16) if self.with_pointers else None
        for at in range(0, n, LOOKED_UP):
            part = slice(at, at + LOOKED_UP)
            found, those, good = self.code(sizes[part], None if index is None else index[part])
            codes[part] = found
            if numbers is not None and those is not None:
                numbers[part] = those
            if good < len(found):
                n = at + good
                break
        return codes[:n], same(numbers[:n]) if numbers is not None and n else 0

    def code(self, sizes: Ints, index: Ints | None) -> tuple[Ints, Ints | None, int]:
        """Each object's code and number, None where none has pointers, and how many of them hold.

        After those comes an object that cannot be planned; asking for it by itself shows why.
        """
        if sizes.dtype == np.uint64:
            sizes = np.minimum(sizes, np.uint64(self.width)).astype(np.int64)
        mode = "clip" if self.most >= self.width else "raise"
        if not self.with_pointers:
            return self.codes.take(sizes, mode=mode), None, len(sizes)  # type: ignore[call-overload]
        if index is None:
            keys = sizes if mode == "raise" else np.minimum(sizes, self.width - 1)
        else:
            # Index -1 is the last row, counted from the end as Python does.
            keys = np.multiply(index, self.width, dtype=np.int64)
            keys += sizes if mode == "raise" else np.minimum(sizes, self.width - 1)
        if not self.fits:
            return self._few(keys)
        codes = self.codes.take(keys)
        unknown = codes == UNKNOWN
        good = len(sizes)
        if unknown.any():
            for key in np.unique(keys[unknown]).tolist():
                code, number = self._learn(key)
                if code == UNKNOWN:
                    good = min(good, int((keys == key).argmax()))
                self.codes[key], self.numbers[key] = code, number
            codes = self.codes.take(keys)
        return codes, self.numbers.take(keys), good

    def _few(self, keys: Ints) -> tuple[Ints, Ints | None, int]:
        """The same without a table of all types and sizes, which would be too large."""
        distinct, where = np.unique(keys, return_inverse=True)
        known = [self.known.get(key) or self._learn(key) for key in distinct.tolist()]
        codes = np.array([code for code, _ in known], np.uint8).take(where)
        numbers = np.array([number for _, number in known], np.uint16).take(where)
        unknown = codes == UNKNOWN
        return codes, numbers, int(unknown.argmax()) if unknown.any() else len(keys)

    def _learn(self, key: int) -> tuple[int, int]:
        """The code and number of a type and size; UNKNOWN where it is impossible."""
        row, size = key // self.width, key % self.width
        code = int(self._row(self.types[row])[size])
        number = 0
        if code == UNKNOWN:
            typ = self.types[row]
            found = None if typ is None or len(self.plans) == MOST_PLANS else self.of.plan(typ, size)
            if found is not None:
                code, plan = found
                self.plans.append(plan)
                number = len(self.plans)
        if code != UNKNOWN:
            self.known[key] = code, number
        return code, number


def same(numbers: Ints) -> Ints | int:
    """The one number that all of these are, or they themselves."""
    low = int(numbers.min())
    return low if low == int(numbers.max()) else numbers
