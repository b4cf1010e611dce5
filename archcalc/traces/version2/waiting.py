"""Ordinary allocations of a recording of version 2 that wait until something needs the span they are in.

An allocation that fits into a cached span touches little: its place (a span class of a P's mcache), the tiny
block, and the P's count of bytes to scan. So those of one place may wait, whatever happens elsewhere, until
the place's span is traded for another, the mcache is flushed, or the collector's phase changes. Then the
objects are handed out in runs, and their addresses are compared all at once.
"""

from __future__ import annotations

from itertools import compress, count
from typing import TYPE_CHECKING, Any

from archcalc.traces.by_place import ByPlace
from archcalc.traces.outcome import GaveUp
from archcalc.traces.taken import Rest, Run, rests_of, runs_of
from archcalc.traces.tiny import Tiny
from archcalc.traces.version2.asks import SMALL, TINY_FIT, AskColumns, Asks

if TYPE_CHECKING:
    import numpy as np

    from allocator.sparse.heap_bits import ObjectType
    from allocator.sparse.mcache import CachedSpan
    from allocator.sparse.procs import P
    from allocator.sparse.runtime import Runtime

    Array = np.ndarray[Any, np.dtype[Any]]


class SparseTiny(Tiny):
    """The tiny allocations of a P."""

    cache: Any  # its mcache

    def count(self, fitted: int) -> None:
        self.cache.tiny_allocs += fitted

    def before(self, turn: int) -> bool:
        """Whether there are some before allocation number `turn`."""
        return bool(self.rows[0] < turn)


class OfP:
    """The allocations of one P, by their numbers, and the bytes that they add to what a collector scans."""

    def __init__(self, np: Any, turns: Array | None, scan: Array) -> None:
        self.turns = turns  # None: all are this P's
        self.totals: Array = np.zeros(len(scan) + 1, np.int64)
        np.cumsum(scan, out=self.totals[1:])
        self.scanned = 0

    def before(self, turn: int) -> int:
        """How many of them come before allocation number `turn`."""
        return turn if self.turns is None else int(self.turns.searchsorted(turn))

    def scan(self, turn: int) -> int:
        """The bytes of those before `turn` that were not asked for yet."""
        before, self.scanned = self.scanned, int(self.totals[self.before(turn)])
        return self.scanned - before


class Waits:
    """The ordinary allocations of some rows of a recording. `turn` is how many of them are in the past."""

    def __init__(
        self, core: Runtime, known: Asks, np: Any, table: AskColumns, key: Array, address: Array, stops: Array
    ) -> None:
        """`key`: the number of each one's key in the table; `stops`: where tiny blocks may be closed."""
        self.core = core
        self.np = np
        self.known = known
        self.table = table
        self.turn = self.reached = 0
        # What was handed out, whose addresses are still to be compared: runs of objects side by side, and
        # what was free of spans that are full now.
        self.runs: list[Run] = []
        self.rests: list[Rest] = []
        self.foreseen: dict[tuple[int, int], int] = {}  # ranks by place and turn
        self._sort(key, address)
        self._by_p(key, address, stops.tolist())

    def _sort(self, key: Array, address: Array) -> None:
        """The allocations by place, in order; `at` is how far a place's have been carried out."""
        np, table = self.np, self.table
        count = len(self.known.places)
        # What fitted into a tiny block takes no object of the class.
        place_of = np.where(table.kind == TINY_FIT, count, table.place)
        self.by_place = by_place = ByPlace(np, place_of, key, count)
        self.ends, self.at = by_place.ends, by_place.at
        self.key = key.take(by_place.order)
        self.slots = address.take(by_place.order) - table.header.take(self.key)

    def _by_p(self, key: Array, address: Array, stops: list[int]) -> None:
        np, table = self.np, self.table
        scan, kind = table.scan.take(key), table.kind.take(key)
        self.of = of = table.p.take(key)
        self.ps: dict[int, OfP] = {}
        self.tiny: dict[int, SparseTiny] = {}
        numbers = np.flatnonzero(np.bincount(of)).tolist()
        for number in numbers:
            turns = None if len(numbers) == 1 else np.flatnonzero(of == number)
            self.ps[number] = OfP(np, turns, scan if turns is None else scan.take(turns))
            mine = np.flatnonzero(kind != SMALL) if turns is None else turns[kind.take(turns) != SMALL]
            if len(mine):
                its = key.take(mine)
                self.tiny[number] = SparseTiny(
                    np,
                    self.core.mcache0,  # till it is known
                    mine,
                    table.size.take(its),
                    address.take(mine),
                    table.kind.take(its) == TINY_FIT,
                    stops,
                    self.core.grains,
                )

    def _proc(self, number: int) -> P:
        ps = self.core.ps
        if number >= len(ps):
            raise GaveUp
        return ps[number]

    def run_on(self, turn: int) -> None:
        """The P of the last allocation before number `turn` runs."""
        number = int(self.of[turn - 1])
        if number != self.core.current_p:
            self._proc(number)
            self.core.run_on(number)

    # Who needs what.

    def latest(self, number: int) -> int:
        """How many allocations there were up to the latest of that P."""
        of = self.ps.get(number)
        if of is None:
            return 0
        at = of.before(self.turn)
        return at if of.turns is None or not at else int(of.turns[at - 1]) + 1

    def foresee(self, wanted: list[tuple[tuple[int, int], int]]) -> None:
        """Finds out at once how far places, by P and span class, are reached at some turns."""
        count, place_of = len(self.ends) - 1, self.known.place_of
        known = [(place_of.get(place, count), turn) for place, turn in wanted]
        known = [(place, turn) for place, turn in known if place < count]
        if known:
            self.foreseen = dict(zip(known, self.by_place.ranks(known), strict=True))

    def reach(self, number: int, spanclass: int) -> None:
        """Carries out what is in the past of a P's span class, and what it is about the whole P."""
        self._scan(number)
        place = self.known.place_of.get((number, spanclass))
        if place is not None and place < len(self.ends) - 1:
            rank = self.foreseen.get((place, self.turn))
            if rank is None:
                rank = self.by_place.rank(place, self.turn)
            if self.at[place] < rank:
                self._take(place, rank)

    def reach_all(self) -> None:
        """Carries out all that is in the past."""
        turn = self.turn
        if turn == self.reached:
            return
        self.reached = turn
        for number in self.ps:
            self._scan(number)
        for number, tiny in self.tiny.items():
            if tiny.before(turn):
                tiny.cache = self._proc(number).mcache
                tiny.reach(turn)
        at = self.at
        for place, rank in enumerate(self.by_place.ranks_at(turn)):
            if at[place] < rank:
                self._take(place, rank)

    def _scan(self, number: int) -> None:
        of = self.ps.get(number)
        if of is not None:
            scan = of.scan(self.turn)
            if scan:
                self._proc(number).mcache.scan_alloc += scan

    # Carrying it out.

    def _take(self, number: int, upto: int) -> None:
        """Hands out the objects of a place up to a rank. Their addresses are compared later."""
        a, self.at[number] = self.at[number], upto
        p, spanclass = self.known.places[number]
        proc = self._proc(p)
        cached = proc.mcache.alloc[spanclass]
        if cached.span is None:
            raise GaveUp
        if self.core.marking:
            owed = (upto - a) * cached.size - int(self.table.size.take(self.key[a:upto]).sum())
            proc.assist_bytes -= owed
        whats = None
        if not spanclass & 1:
            whats = self.table.what.take(self.key[a:upto]).tolist()
            if whats[0] is None:  # all are pointers, which was written down when the span was made
                whats = None
        v = cached.next
        end = v + (upto - a) * cached.size
        if end <= cached.end:
            cached.next = end
            self.runs.append((v, cached.size, a, upto))
            i = (v - cached.base) // cached.size
            self._lay_down(cached, i, upto - a, whats)
        else:
            self._take_further(cached, a, upto, whats)

    def _lay_down(self, cached: CachedSpan, i: int, n: int, whats: list[ObjectType | None] | None) -> None:
        """What n objects of a span are, from number i on."""
        if whats is not None:
            types = cached.types
            if types is None:
                types = self.core.open_types(cached)
            types[i : i + n] = whats
        if self.core.marking:
            assert cached.span is not None
            self.core.gc.mark_all_new(cached.span, (1 << n) - 1 << i)

    def _take_further(
        self, cached: CachedSpan, a: int, upto: int, whats: list[ObjectType | None] | None
    ) -> None:
        """The same for more objects than lie side by side."""
        s, size = cached.span, cached.size
        assert s is not None
        cached.sync()
        free = s.allocated() ^ (1 << s.nelems) - 1
        if free.bit_count() == upto - a:
            # All that is free. Where the last one lies, nothing behind it is.
            self.rests.append((cached.base, size, free, s.nelems, a, upto))
            cached.take_all(free)
            if whats is not None:
                types = cached.types
                if types is None:
                    types = self.core.open_types(cached)
                bits = map(ord("1").__eq__, format(free, "b")[::-1].encode())
                for i, what in zip(compress(count(), bits), whats, strict=True):
                    types[i] = what
            if self.core.marking:
                self.core.gc.mark_all_new(s, free)
            return
        done = 0
        while a < upto:
            if cached.next == cached.end and not cached.advance():
                raise GaveUp
            v = cached.next
            n = min((cached.end - v) // size, upto - a)
            cached.next = v + n * size
            self.runs.append((v, size, a, a + n))
            self._lay_down(
                cached, (v - cached.base) // size, n, None if whats is None else whats[done : done + n]
            )
            a += n
            done += n

    def compare(self) -> None:
        """Compares the addresses of all that was handed out."""
        if self.runs:
            ranks = [(a, b) for _, _, a, b in self.runs]
            self._compare(runs_of(self.np, self.runs), ranks)
            self.runs.clear()
        if self.rests:
            ranks = [(a, b) for *_, a, b in self.rests]
            self._compare(rests_of(self.np, self.rests), ranks)
            self.rests.clear()

    def _compare(self, given: Array, ranks: list[tuple[int, int]]) -> None:
        """Whether these addresses are those from each rank to another."""
        slots = self.slots
        if not self.np.array_equal(given, self.np.concatenate([slots[a:b] for a, b in ranks])):
            raise GaveUp
