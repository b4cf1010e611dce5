"""The layout of one P's objects, by compiled code: one pass over the codes where NumPy sorts.

It gives the same results as `batch_layout.BatchLayout`; only the codes of tiny objects are finer
here, since they keep the outcome of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.bulk import tiny_runs as tiny
from allocator.common.bulk.codes import (
    CURRENT,
    FITTED,
    FITTED_AT,
    LARGE,
    TINY,
    UNKNOWN,
    ZERO,
    CodeTable,
    coarse_codes,
    same,
)
from allocator.common.bulk.routines import Routines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocator.common.bulk.supply import Supply

Ints = np.ndarray[Any, np.dtype[Any]]

STRIDE = 1 << 12  # objects between two counts

STATES = tiny.STATES
NEXT_OF = 4  # numbers of a place, side by side: a power of two

_NONE = np.empty(0, np.int64)
_NO_NUMBERS = np.empty(0, np.uint16)

LAYING_OUT = Routines(__file__)


# The loops have no branches that depend on what the objects happen to be: a processor that guesses
# wrong at every third object takes several times as long. For the same reason, masks stand in tables where
# the compiler would make a branch of a choice. Indexes without a sign cannot count from the end.


@LAYING_OUT.part
def _look_up(sizes: Ints, last: int, table: Ints, codes: Ints) -> None:
    """Codes of objects without pointers."""
    for i in range(len(sizes)):
        codes[i] = table[np.uint64(min(sizes[i], last))]


@LAYING_OUT.part
def _look_up_kinds(
    sizes: Ints, index: Ints, width: int, table: Ints, of_table: Ints, codes: Ints, numbers: Ints
) -> None:
    """Codes and numbers of objects of one type, or of several."""
    rows, last = len(table) // width, width - 1
    for i in range(len(sizes)):
        key = min(sizes[i], last)
        if len(index):
            # Index -1 is the last row.
            key += (index[i] if index[i] >= 0 else rows - 1) * width
        codes[i] = table[np.uint64(key)]
        numbers[i] = of_table[np.uint64(key)]


@LAYING_OUT.part
def _run_tiny(codes: Ints, where: Ints, state: int, after: Ints, outcome: Ints) -> int:
    """The tiny allocator over the objects; the state that is left."""
    found = 0
    for i in range(len(codes)):
        where[np.uint64(found)] = i
        found += int(np.uint8(codes[i] - (TINY + 1)) < 15)
    for k in range(found):
        one = np.uint64(where[k])
        at = np.uint64((codes[one] - (TINY + 1)) * STATES + state)
        codes[one] = FITTED_AT + outcome[at]
        state = after[at]
    return state


@LAYING_OUT.part
def _count(codes: Ints, place_code: Ints, twice: Ints, before: Ints, row: Ints) -> None:
    """How many objects of each code there are, those before being counted; outcomes are not distinguished.

    `twice` are two rows of zeros, and are so afterwards: one number that grows at each object has to wait.
    """
    for i in range(len(codes)):
        twice[np.uint64((i & 1) << 8 | codes[i])] += 1
    for code in range(256):
        row[code] = before[code]
    for code in range(256):
        row[np.uint64(place_code[code])] += twice[code] + twice[code + 256]
        twice[code] = twice[code + 256] = 0


@LAYING_OUT.routine("u1 u1 u4 u4")
def _count_all(codes: Ints, place_code: Ints, twice: Ints, counts: Ints) -> int:
    """counts: how many objects of each code come before each object k·STRIDE, and in all at the end."""
    for k in range(len(counts) // 256 - 1):
        before, row = counts[k * 256 : (k + 1) * 256], counts[(k + 1) * 256 : (k + 2) * 256]
        _count(codes[k * STRIDE : (k + 1) * STRIDE], place_code, twice, before, row)
    return 0


@LAYING_OUT.routine("i8 i8 n u1 u2 u1 u2 n u1 u1 u1 u4 u4 u2 i8")
def _lay_out(
    sizes: Ints, index: Ints, width: int, table: Ints, of_table: Ints, codes: Ints, numbers: Ints, state: int,
    after: Ints, outcome: Ints, place_code: Ints, twice: Ints, counts: Ints, where: Ints, left: Ints,
) -> int:  # fmt: skip
    """Looks up, runs the tiny allocator and counts, as much at a time as the nearest cache holds.

    Returns how many objects are not in the table yet; `left` is the state. `where` has room for STRIDE
    objects and one more.
    """
    blocks = len(counts) // 256 - 1
    for k in range(blocks):
        a, b = k * STRIDE, (k + 1) * STRIDE
        mine = codes[a:b]
        if len(of_table):
            _look_up_kinds(sizes[a:b], index[a:b], width, table, of_table, mine, numbers[a:b])
        else:
            _look_up(sizes[a:b], width - 1, table, mine)
        state = _run_tiny(mine, where, state, after, outcome)
        before, row = counts[k * 256 : (k + 1) * 256], counts[(k + 1) * 256 : (k + 2) * 256]
        _count(mine, place_code, twice, before, row)
    left[0] = state
    unknown: int = counts[blocks * 256 + UNKNOWN]
    return unknown


@LAYING_OUT.routine("u1 u1 n n n")
def _find(codes: Ints, place_code: Ints, code: int, i: int, more: int) -> int:
    """The position, from i on, of the object that has `more` of its code before it."""
    while True:
        if place_code[np.uint64(codes[np.uint64(i)])] == code:
            if more == 0:
                return i
            more -= 1
        i += 1


@LAYING_OUT.routine("u1 u1 i8 i8 i8 i4")
def _moments(codes: Ints, place: Ints, left: Ints, step: Ints, times: Ints, which: Ints) -> int:
    """When each place asks for an object that is `left` or a multiple of `step` further on."""
    found = 0
    for i in range(len(codes)):
        p = np.uint64(place[np.uint64(codes[i])])
        left[p] -= 1
        if left[p] < 0:
            left[p] += step[p]
            times[np.uint64(found)] = i
            which[np.uint64(found)] = np.int32(p)
            found += 1
    return found


@LAYING_OUT.routine("u2 u1 u1 i8 u2")
def _group(values: Ints, codes: Ints, place_code: Ints, at: Ints, out: Ints) -> int:
    for i in range(len(codes)):
        code = np.uint64(place_code[np.uint64(codes[i])])
        out[np.uint64(at[code])] = values[i]
        at[code] += 1
    return 0


@LAYING_OUT.routine("u1 u1 u8 u8 i8 u8 u8 n u8")
def _write(
    codes: Ints, place: Ints, opens: Ints, next_of: Ints, piece: Ints, starts: Ints, each: Ints,
    first_opened: int, out: Ints,
) -> int:  # fmt: skip
    """Addresses, from the pieces of memory that each place has, `each` objects long.

    next_of: of each place its next address, the end of its memory, and the size of its objects. opens: by
    code, all bits where the address is that of the open block from then on, else none.
    """
    opened = np.uint64(first_opened)
    end, size = np.uint64(1), np.uint64(2)
    for i in range(len(codes)):
        code = np.uint64(codes[i])
        p = np.uint64(place[code])
        at = p * np.uint64(NEXT_OF)
        address = next_of[at]
        if address == next_of[at + end]:
            k = np.uint64(piece[p])
            address = starts[k]
            next_of[at + end] = address + each[k] * next_of[at + size]
            piece[p] += 1
        next_of[at] = address + next_of[at + size]
        opened ^= (opened ^ address) & opens[code]
        offset = np.uint8(codes[i] - FITTED_AT)
        out[i] = opened + np.uint64(offset) if offset < 16 else address
    return 0


class CompiledLayout:
    """One P's objects by code; see `layout.Layout`.

    The objects are looked up in `table` as well, where `unknown` of them are not found. The tiny
    allocator was in one `state` before and is in another, `left`, after them.
    """

    compiled = True
    owner = None

    def __init__(
        self,
        table: CodeTable,
        sizes: Ints,
        index: Ints | None,
        state: int,
        tiny_class: int,
        rule: tiny.TinyRule = tiny.RULE,
    ) -> None:
        self.n = len(sizes)
        self.all = np.empty(self.n, np.uint8)
        self.table = table
        self.state = state
        self.rule = rule
        self.tiny_class = tiny_class
        self.place_code = coarse_codes(tiny_class)
        numbers = np.empty(0 if table.numbers is None else self.n, np.uint16)
        self.counts = self._no_counts()
        # One kind of numbers: each makes for a compilation of its own.
        left = np.empty(1, np.int64)
        self.unknown = _lay_out(
            _as_int64(sizes, table.width), _NONE if index is None else _as_int64(index), table.width,
            table.codes, _NO_NUMBERS if table.numbers is None else table.numbers, self.all, numbers, state,
            np.frombuffer(rule.after, np.uint8), np.frombuffer(rule.outcome, np.uint8), self.place_code,
            np.zeros(512, np.uint32), self.counts.reshape(-1), np.empty(STRIDE + 1, np.uint16), left,
        )  # fmt: skip
        self.left = int(left[0])
        self.numbers = same(numbers) if len(numbers) else 0
        self._take_totals()

    def successor(self, sizes: Ints, index: Ints | None) -> Callable[[], CompiledLayout]:
        """What makes the layout of the objects after these, without needing Python for long."""
        return lambda: CompiledLayout(self.table, sizes, index, self.left, self.tiny_class, self.rule)

    def _no_counts(self) -> Ints:
        return np.zeros((-(-self.n // STRIDE) + 1, 256), np.uint32)

    def _take_totals(self) -> None:
        self.totals: list[int] = self.counts[-1].tolist()
        self._grouped: tuple[Ints, Ints] | None = None

    def cut(self, n: int) -> None:
        """Forgets all objects but the first n."""
        self.n = n
        self.all = self.all[:n]
        self.counts = self._no_counts()
        _count_all(self.all, self.place_code, np.zeros(512, np.uint32), self.counts.reshape(-1))
        self._take_totals()

    def large(self) -> list[int]:
        """The times of large objects."""
        times: list[int] = np.flatnonzero(self.all == LARGE).tolist()
        return times

    def codes(self) -> Ints:
        """Each object's code."""
        return self.place_code.take(self.all)

    def fitted(self, since: int, until: int, number: int) -> int:
        """How many of the objects in that time went into a tiny block that was there."""
        return self._fitted_before(until) - self._fitted_before(since)

    def _fitted_before(self, t: int) -> int:
        k = t // STRIDE
        part = self.all[k * STRIDE : t]
        return int(self.counts[k, FITTED]) + int(
            np.count_nonzero((part - np.uint8(FITTED_AT)) < CURRENT - FITTED_AT)
        )

    def time(self, code: int, rank: int) -> int:
        """When the object of that rank among those of its code is asked for."""
        before = self.counts[:, code]
        k = int(np.searchsorted(before, rank, "right")) - 1
        return int(_find(self.all, self.place_code, code, k * STRIDE, rank - int(before[k])))

    def rank(self, t: int) -> tuple[int, int]:
        """The code of the object of that time, and its rank among those of its code."""
        code = int(self.place_code[self.all[t]])
        k = t // STRIDE
        part = self.place_code.take(self.all[k * STRIDE : t])
        return code, int(self.counts[k, code]) + int(np.count_nonzero(part == code))

    def moments(self, wanted: list[tuple[int, int, int]]) -> tuple[Ints, Ints]:
        """When objects of a code are asked for, from a rank on and then every so many; and whose they are."""
        place = self._by_code([code for code, _, _ in wanted])
        # The last stands for objects without a place, which never run out.
        left = np.array([*(rank for _, rank, _ in wanted), self.n], np.int64)
        step = np.array([*(step for _, _, step in wanted), 1], np.int64)
        count = sum(len(range(rank, self.totals[code], step)) for code, rank, step in wanted)
        times, which = np.empty(count, np.int64), np.empty(count, np.int32)
        _moments(self.all, place, left, step, times, which)
        return times, which

    def _by_code(self, codes: list[int]) -> Ints:
        """For each fine code the place's number among these codes; after the last: none."""
        number = np.full(256, len(codes), np.uint8)
        number[codes] = np.arange(len(codes))
        return number.take(self.place_code)

    def grouped(self, values: Ints, code: int) -> Ints:
        """What each object of a code has in an array that goes by time."""
        ends = np.cumsum(self.totals)
        if self._grouped is None or self._grouped[0] is not values:
            out = np.empty(self.n, values.dtype)
            _group(values, self.all, self.place_code, ends - self.totals, out)
            self._grouped = values, out
        end = int(ends[code])
        return self._grouped[1][end - self.totals[code] : end]

    def write(self, out: Ints, places: Sequence[Supply], zerobase: int, open_blocks: list[int]) -> None:
        """Gives every object that comes from a place, or is tiny, or of no size, its address."""
        pieces = [piece for place in places for piece in place.pieces]
        starts = np.concatenate([np.empty(0, np.uint64), *[piece.starts for piece in pieces]])
        each = np.repeat([piece.each for piece in pieces], [len(piece.starts) for piece in pieces])
        count = np.array([sum(len(p.starts) for p in place.pieces) for place in places], np.int64)
        # Two more places: zerobase, which all objects of no size share, and one for what has no place.
        next_of = np.zeros((len(places) + 2, NEXT_OF), np.uint64)
        next_of[:-2, 2] = [place.size for place in places]
        next_of[-2:, 0], next_of[-2:, 1] = (zerobase, 0), 1
        opens = np.zeros(256, np.uint64)
        opens[CURRENT] = ~np.uint64(0)
        number = self._by_code([*(place.code & 255 for place in places), ZERO])
        _write(
            self.all, number, opens, next_of.reshape(-1), np.cumsum(count) - count, starts,
            each.astype(np.uint64), open_blocks[0], out,
        )  # fmt: skip

    def opener(self, number: int) -> int | None:
        """The time of the object for which the open tiny block was made; None: it was there."""
        for end in range(self.n, 0, -STRIDE):
            begin = max(end - STRIDE, 0)
            found = np.flatnonzero(self.all[begin:end] == CURRENT)
            if len(found):
                return begin + int(found[-1])
        return None

    def open_offset(self, number: int, sizes: Ints) -> int | None:
        """Where tiny objects leave the block that is open then; None: where it was."""
        for end in range(self.n, 0, -STRIDE):
            begin = max(end - STRIDE, 0)
            found = np.flatnonzero((self.all[begin:end] - np.uint8(FITTED_AT)) <= CURRENT - FITTED_AT)
            if len(found):
                t = begin + int(found[-1])
                return (int(self.all[t]) - FITTED_AT & 15) + int(sizes[t])
        return None


def _as_int64(values: Ints, most: int = -1) -> Ints:
    """The numbers themselves, or `most` instead of larger ones that do not fit."""
    if values.dtype == np.uint64 and most >= 0:
        values = np.minimum(values, np.uint64(most))
    return np.ascontiguousarray(values, np.int64)
