"""Replaying the columnar form: runs of ordinary allocations are compared at once.

An allocation that fits into a span at hand touches little: its place (a size class of an
mcache), the tiny block, and the heap bitmap of its object. So allocations of one place may wait,
whatever happens elsewhere, until something needs that place: its next span, a flush of the
mcache, the end. Then all that wait are compared together, as an arithmetic sequence of
addresses, and their bitmaps are laid down as rows of a matrix. Every other record is carried out
in the file's order by the replayer of the text form.

What is accepted here the text replay accepts too, with the same machine afterwards. Where anything
does not fit, this one gives up (`GaveUp`) and the rows are replayed again as lines, which finds
out what differs, and says so in the same words.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from allocator.gc import MARK_TERMINATION
from allocator.heap_bitmap import NOTHING, PAIR, Stamp, press
from allocator.mcache import CachedSpan, MCache
from archcalc.errors import UsageFault
from archcalc.extras import needed
from archcalc.traces import replay
from archcalc.traces.columnar import CODE, MAX_KEYS, RECORDS, WHAT, ColumnarFile, line_of, lines_of
from archcalc.traces.reader import Header
from archcalc.traces.replay import EMPTY, MAX_PENDING, OWN, WRONG, Replay, Replayer, Request, Stop

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from allocator.config import Config

    Array = np.ndarray[Any, np.dtype[Any]]

M, F, X, P = (CODE[record] for record in "mfxP")
BARRIERS = frozenset(CODE[record] for record in ("u", "g", "!", "Z"))
SPECIALS = {"specialfinalizer": 0, "specialprofile": 1}
Z = CODE["Z"]
Q, B = CODE["q"], CODE["b"]
UNREADABLE = CODE["?"]
STARTS = [f"{record} " for record in RECORDS]
ARE_OVER = [record in "msSxpukzPygrwev" for record in RECORDS]  # behind them nothing waits
OWN_CODES = [record in OWN for record in RECORDS]

MAX_CACHES = 512  # more than there can be
FEW_ROWS = 1000  # so many are as quickly done line by line
FEW = 24  # so many objects are quicker one by one
DENSE = 10  # of so many rows one is unusual where lists are quicker
NO_BLOCK = 99  # stands for tiny_offset where there is no tiny block: nothing fits, anything is smaller

# What kind of allocation a key is; OTHER needs no place, of UNKNOWN it is not known.
OTHER, UNKNOWN, NOSCAN, SCAN, TINY_NEW, TINY_FIT = range(6)
KINDS = {
    replay.NO_POINTERS: NOSCAN,
    replay.STAMP: SCAN,
    replay.SHARED_STAMP: SCAN,
    replay.NO_STAMP: SCAN,
    replay.TINY_NEW: TINY_NEW,
    replay.TINY_FIT: TINY_FIT,
    replay.EMPTY: OTHER,
    replay.LONG: OTHER,
}


class GaveUp(Exception):
    """Something is not as it should be; the text replay says what."""


class Place:
    """A size class of an mcache, with the stamps that its objects leave in the bitmap (`_tables`).

    Stamp 0 stands for an object without pointers; `how` is NOTHING as long as there is no other.
    """

    def __init__(self, cache: MCache, sizeclass: int) -> None:
        self.cache = cache
        self.cached: CachedSpan = cache.alloc[sizeclass]
        self.how = NOTHING
        self.stamps: list[Stamp] = [Stamp(NOTHING)]
        self.numbers: dict[int, int] = {}
        self.tables: list[tuple[Array, Array]] | None = None

    def stamp(self, mark: Stamp) -> int:
        """The number of a stamp."""
        number = self.numbers.get(id(mark))
        if number is None:
            number = self.numbers[id(mark)] = len(self.stamps)
            self.stamps.append(mark)
            self.how = mark.how or self.how
            self.tables = None
        return number


class Key(NamedTuple):
    """What allocations with equal fields have in common. `size` and `scan` are bytes."""

    kind: int
    place: int = -1
    cache: int = -1
    size: int = 0
    scan: int = 0
    stamp: int = 0
    step: int = 0
    fast: bool = False
    request: Request | None = None


class ColumnarReplayer(Replayer):
    """Carries out a columnar recording. Raises GaveUp where it is not reproduced, or cannot be read."""

    def __init__(self, file: ColumnarFile, config_for: Callable[[Header], Config]) -> None:
        super().__init__(file.path, config_for)
        self.np = needed("numpy", WHAT)
        needed("pyarrow.compute", WHAT)
        self.file = file
        self.keys: dict[str, Key] = {}
        self.places: list[Place] = []
        self.place_of: dict[tuple[int, int], int] = {}

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file."""
        self._begin(self.file.header_line)
        started = time.perf_counter()
        done = 0
        try:
            for batch in self.file.batches():
                self._batch(batch)
                done = self.event
                if progress is not None:
                    progress(done, self.header.events)
            self._finish()
        except KeyboardInterrupt:
            # Allocations of this batch may wait still; those of the batches before are sure.
            self.result.interrupted = True
            result = self._sum_up(started)
            result.events = min(done, result.events)
            return result
        except (Stop, UsageFault, *WRONG) as end:
            raise GaveUp from end
        return self._sum_up(started)

    def _batch(self, batch: pa.RecordBatch) -> None:
        np = self.np
        if batch.num_rows <= FEW_ROWS or self.ended:
            # Where there is little to gain, line by line.
            self._feed(lines_of(batch))
            return
        part = Columns(batch, np)
        n = len(part.code)
        start = 0
        news: Any = ()
        if "mcache" in part.words:
            # An mcache that comes into being is known from the next part on.
            news = np.flatnonzero((part.code == F) & (part.request == part.words.index("mcache"))) + 1
        if not self.rt.caches:
            # Line by line up to where there is an mcache.
            start = int(news[0]) if len(news) else n
            self._feed(part.lines(np.arange(start)))
        if len(news) and start < news[-1]:
            self._part(part, start, int(news[-1]))
            start = int(news[-1])
        if start < n:
            self._part(part, start, n)

    def _part(self, columns: Columns, start: int, end: int) -> None:
        """Some rows of a batch, in runs of what is ordinary where that pays."""
        if end - start > FEW_ROWS and not self.ended:
            Part(self, columns, start, end).run()
        else:
            self._feed(columns.lines(self.np.arange(start, end)))

    # What is known of keys.

    def key(self, word: str | None) -> Key:
        """What is known of an allocation's fields, as the column has them."""
        key = self.keys.get(word or "")
        if key is not None:
            return key
        fields = f"m {word}"
        request = self.learned.get(fields) or self._learn(fields)
        if request is None:
            # It may be known later: an mcache that is still to come.
            return Key(UNKNOWN)
        kind = KINDS[request.way]
        if kind == OTHER:
            key = Key(OTHER, request=request)
        else:
            cache, sizeclass = request.cache, request.sizeclass
            number = self.place_of.get((cache.id, sizeclass))
            if number is None:
                number = self._new_place(cache, sizeclass)
            size, fast = request.size, request.how == request.way
            step = request.cached.size
            if kind == SCAN:
                stamp = self.places[number].stamp(request.mark)
                key = Key(kind, number, cache.id, size, request.scan, stamp, step, fast, request)
            else:
                key = Key(kind, number, cache.id, size, 0, 0, step, fast, request)
        if len(self.keys) < MAX_KEYS:
            self.keys[word or ""] = key
        return key

    def _new_place(self, cache: MCache, sizeclass: int) -> int:
        number = self.place_of[cache.id, sizeclass] = len(self.places)
        self.places.append(Place(cache, sizeclass))
        return number


class Columns:
    """A batch's columns as arrays. `request` is a place in `words`, whose last stands for none."""

    def __init__(self, batch: pa.RecordBatch, np: Any) -> None:
        record, request, address, self.text = batch.columns
        codes = [CODE.get(word, CODE["?"]) for word in record.dictionary.to_pylist()] or [0]
        self.code = np.array(codes, np.uint8)[record.indices.to_numpy()]
        self.words: list[str | None] = [*request.dictionary.to_pylist(), None]
        self.request = request.indices.fill_null(len(self.words) - 1).to_numpy().astype(np.intp)
        self.address = address.fill_null(0).to_numpy()

    def lines(self, rows: Array) -> list[str]:
        """The lines of some rows."""
        words = self.words
        return [
            line_of(RECORDS[code], words[request], address, text)
            if text is None or code == UNREADABLE
            else STARTS[code] + text
            for code, request, address, text in zip(
                self.code[rows].tolist(),
                self.request[rows].tolist(),
                self.address[rows].tolist(),
                self.text.take(rows).to_pylist(),
                strict=True,
            )
        ]

    def line(self, row: int) -> str:
        """The line of one row."""
        address = int(self.address[row])
        return line_of(
            RECORDS[self.code[row]], self.words[self.request[row]], address, self.text[row].as_py()
        )


class Table:
    """Keys as arrays, a place for each request of a batch."""

    def __init__(self, keys: list[Key], np: Any) -> None:
        kind, place, cache, size, scan, stamp, step, fast, _ = zip(*keys, strict=True)
        self.kind: Array = np.array(kind, np.int8)
        self.place: Array = np.array(place, np.int32)
        self.cache: Array = np.array(cache, np.int32)
        self.size: Array = np.array(size, np.int64)
        self.scan: Array = np.array(scan, np.int64)
        self.stamp: Array = np.array(stamp, np.intp)
        self.step: Array = np.array(step, np.uint64)
        self.fast: Array = np.array(fast, bool)


class Part:
    """Rows of a batch during which no mcache is made."""

    def __init__(self, replayer: ColumnarReplayer, columns: Columns, start: int, end: int) -> None:
        self.replayer = replayer
        self.rt = replayer.rt
        self.np = replayer.np
        self.columns = columns
        self.start = start
        self.code = columns.code[start:end]
        self.request = columns.request[start:end]
        self.n = end - start
        # All requests of the batch are looked at; most occur in this part, and the last is none.
        self.keys = [replayer.key(word) for word in columns.words]
        self.table = Table(self.keys, self.np)
        self._classify()
        self._sort()
        self._tiny()
        self._specials()

    # Before anything is carried out: which rows are ordinary, and where they belong.

    def _classify(self) -> None:
        """The allocations of the part, `rows`, and which of all rows are ordinary."""
        np, columns = self.np, self.columns
        is_malloc = self.code == M
        self.rows = rows = np.flatnonzero(is_malloc)
        self.key = self.request.take(rows)
        self.address = columns.address[self.start : self.start + self.n].take(rows)
        ordinary = np.zeros(self.n, bool)
        # What stands behind records of the allocator's own, or the OS's answers, belongs to the event that
        # causes them; whether that is so for the first row is known.
        over = np.array(ARE_OVER).take(self.code)
        follows = np.empty(self.n, bool)
        follows[0] = not self.replayer.pending
        follows[1:] = over[:-1]
        ordinary[rows] = self.table.fast.take(self.key)
        specials = np.flatnonzero(self.code == F)
        if len(specials):
            known = [SPECIALS.get(word or "", -1) for word in columns.words]
            which = np.array(known, np.int8)[self.request[specials]]
            self.which = which
            ordinary[specials] = which >= 0
            # Of records of specials, what stands before the first of them counts.
            latest = np.arange(self.n)
            latest[specials] = -1
            latest = np.maximum.accumulate(latest)
            follows[1:] = np.where(latest[:-1] < 0, follows[0], over[latest[:-1]])
        ordinary &= follows
        self.ordinary = ordinary
        self.specials = specials
        slow = np.flatnonzero(~ordinary)
        own = np.array(OWN_CODES)[self.code[slow]]
        # What is not ordinary: records of the allocator's own, which wait, and the events.
        self.own = slow[own]
        self.events = slow[~own]

    def _sort(self) -> None:
        """The allocations by place, in order; `at` is how far a place's have been carried out."""
        np = self.np
        count = len(self.replayer.places)
        table = self.table
        # What fitted into a tiny block takes no object of the class, nor does what has no class.
        takes = (table.kind >= NOSCAN) & (table.kind < TINY_FIT)
        by_key = np.where(takes, table.place, count).astype(np.uint8 if count < 256 else np.uint16)
        place = by_key.take(self.key)
        order = np.argsort(place, kind="stable")
        ends = np.cumsum(np.bincount(place, minlength=count + 1))
        self.ends: list[int] = ends.tolist()
        self.at: list[int] = [0, *self.ends[:-1]]
        self.order = order
        key = self.key.take(order)
        self.addresses = address = self.address.take(order)
        # The ranks at which the sequence of addresses does not go on.
        breaks = np.flatnonzero(address[1:] - address[:-1] != table.step.take(key[1:]))
        self.breaks: list[int] = (breaks + 1).tolist()
        self.stamps = stamps = table.stamp.take(key)
        # Whether a place may have objects without pointers: those leave some bits as they were.
        bare = np.zeros(count + 1, bool)
        bare[by_key[table.stamp == 0]] = True
        self.bare: list[bool] = bare.tolist()
        # Where something unusual happens every few rows, a look at a list is quicker than one at an array.
        self.lists: tuple[list[int], list[int], list[int]] | None = None
        if len(self.events) * DENSE > self.n:
            self.lists = order.tolist(), address.tolist(), stamps.tolist()

    def _tiny(self) -> None:
        """The tiny allocations of each mcache, in order."""
        np = self.np
        self.tiny: dict[int, _Tiny] = {}
        table = self.table
        tiny = table.kind >= TINY_NEW
        mine = np.flatnonzero(tiny.take(self.key)) if tiny.any() else ()
        if not len(mine):
            return
        key = self.key.take(mine)
        rows, addresses = self.rows.take(mine), self.address.take(mine)
        fits = (table.kind == TINY_FIT).take(key)
        sizes = table.size.astype(np.int32).take(key)
        present = np.unique(table.cache[tiny]).tolist()
        for number in present:
            own = slice(None) if len(present) == 1 else table.cache[key] == number
            self.tiny[number] = _Tiny(
                np, self.rt.caches[number], rows[own], sizes[own], addresses[own], fits[own]
            )

    def _specials(self) -> None:
        """The ordinary records of specials, by kind, in order."""
        rows = self.specials
        self.waiting: list[tuple[str, list[int], list[int]]] = []
        self.reached = [0] * len(SPECIALS)
        if not len(rows):
            return
        addresses = self.columns.address[self.start : self.start + self.n][rows]
        for name, number in SPECIALS.items():
            own = (self.which == number) & self.ordinary[rows]
            self.waiting.append((name, rows[own].tolist(), addresses[own].tolist()))

    def _counts(self) -> None:
        """What the counters of each mcache gain between one event out of the ordinary and the next."""
        np = self.np
        before = np.searchsorted(self.rows, self.events)  # allocations before each
        self.before = before
        self.gains: list[tuple[int, int, int]] = []  # place in events, mcache, bytes; in order
        self.running: list[int] | None = None
        scan = np.where(self.table.fast, self.table.scan, 0).take(self.key)
        # Those that are ordinary but for where they stand count for themselves.
        inside = before[before < len(self.rows)]
        scan[inside[self.rows[inside] == self.events[: len(inside)]]] = 0
        if len(self.rt.caches) < 2:
            totals = np.zeros(len(scan) + 1, np.int64)
            np.cumsum(scan, out=totals[1:])
            self.gained: list[int] = np.diff(totals[np.append(before, len(scan))], prepend=0).tolist()
            return
        self.gained = []
        cache = self.table.cache.astype(np.int64).take(self.key)
        segment = np.repeat(
            np.arange(len(self.events) + 1), np.diff(before, prepend=0, append=len(self.rows))
        )
        pair, weights = (segment * MAX_CACHES + cache)[scan > 0], scan[scan > 0]
        if len(pair):
            order = np.argsort(pair, kind="stable")
            pair, weights = pair[order], weights[order]
            starts = np.flatnonzero(np.concatenate(([True], pair[1:] != pair[:-1])))
            sums = np.add.reduceat(weights, starts).tolist()
            at, number = divmod(pair[starts], MAX_CACHES)
            self.gains = list(zip(at.tolist(), number.tolist(), sums, strict=True))
        # The mcache of the allocation right before, if it was an ordinary one: the P that runs.
        ordinary = np.append(self.ordinary[self.rows], False)
        latest = np.where(ordinary, np.append(cache, -1), -1)
        self.running = latest[before - 1].tolist()

    # Carrying it out.

    def run(self) -> None:
        """All rows."""
        replayer, rt, np = self.replayer, self.rt, self.np
        self._counts()
        events = self.events
        codes = self.code[events].tolist()
        # What is no allocation is carried out as a line.
        others = iter(self.columns.lines(events[self.code[events] != M] + self.start))
        self._take_up_own()
        before = self.before.tolist()
        words = self.request[events].tolist()
        addresses = self.columns.address[self.start + events].tolist()
        until = np.searchsorted(self.own, events).tolist()  # own records before each
        caches = rt.caches
        first = replayer.line + 1
        gains = iter(self.gains)
        gain = next(gains, None)
        running = self.running
        terminating = 0 if rt.gc.phase == MARK_TERMINATION else -1
        for at, (i, code) in enumerate(zip(events.tolist(), codes, strict=True)):
            if until[at] > self.waited:
                self._wait(until[at])
            if running is None:
                if self.gained[at]:
                    caches[0].local_scan += self.gained[at]
            else:
                while gain is not None and gain[0] <= at:
                    caches[gain[1]].local_scan += gain[2]
                    gain = next(gains, None)
                if running[at] >= 0:
                    rt.cache = caches[running[at]]
            replayer.line = first + i
            if code == M:
                key = self.keys[words[at]]
                self._reach(key, before[at], i)
                request = key.request
                if request is None or request.way == EMPTY or replayer.line > replayer.last_line:
                    replayer._event(self.columns.line(self.start + i))
                    continue
                if not replayer.allocating:
                    raise GaveUp
                v = rt.mallocgc(request.size, request.typ, request.needzero, request.cache.id)
                if v != addresses[at] or rt.last_flags != request.flags:
                    raise GaveUp
                replayer._settle()
                continue
            line = next(others)
            if code in BARRIERS:
                self._reach_all(i)
            elif code in (F, X):
                self._reach_specials(i)
            elif code == P:
                self._no_malloc(terminating, i)
            replayer._event(line)
            if code == P:
                terminating = i if rt.gc.phase == MARK_TERMINATION else -1
            elif line[:1] == "g":
                self._no_stale_spans()
            elif code == Z:
                # Nothing behind it is ordinary.
                rest = self.columns.lines(np.arange(self.start + i + 1, self.start + self.n))
                replayer._feed(rest)
                return
        self._wait(len(self.own))
        self._reach_all(self.n)
        self._no_malloc(terminating, self.n)
        if running is None:
            if self.gained[-1]:
                caches[0].local_scan += self.gained[-1]
        else:
            while gain is not None:
                caches[gain[1]].local_scan += gain[2]
                gain = next(gains, None)
        replayer.line = first + self.n - 1

    def _take_up_own(self) -> None:
        """The lines of the allocator's own records, none of which is waiting yet."""
        self.own_lines = self.columns.lines(self.own + self.start)
        code = self.code[self.own]
        self.inputs = self.np.flatnonzero((code == B) | (code == Q)).tolist()[::-1]
        self.waited = 0

    def _wait(self, until: int) -> None:
        """Lets own records wait, up to number `until`; those that are inputs too are carried out."""
        replayer = self.replayer
        lines, inputs = self.own_lines, self.inputs
        if not replayer.running or len(replayer.pending) + until - self.waited > MAX_PENDING:
            raise GaveUp
        while inputs and inputs[-1] < until:
            at = inputs.pop()
            if lines[at][0] == "b":
                replayer._marks(lines[at])
            else:
                lines[at] = replayer._persistent_ahead(lines[at])
        replayer.pending += lines[self.waited : until]
        replayer.pending_at += [replayer.line] * (until - self.waited)
        self.waited = until

    def _no_malloc(self, since: int, until: int) -> None:
        """Allocating is not possible in mark termination; if a recording has it, line by line, then."""
        if since >= 0 and self.np.any(self.code[since:until] == M):
            raise GaveUp

    def _no_stale_spans(self) -> None:
        """A sweep phase finds no span in an mcache; if it does, everything's order matters."""
        spans, sweepgen = self.rt.spans, self.rt.heap.sweepgen
        for cache in self.rt.caches:
            for cached in cache.alloc:
                if cached.span >= 0 and spans.sweepgen[cached.span] != sweepgen:
                    raise GaveUp

    def _reach(self, key: Key, turn: int, row: int) -> None:
        """Carries out what comes before a row at its place; it is allocation number `turn` of the part."""
        kind, place = key.kind, key.place
        if kind == UNKNOWN:
            self._reach_all(row)
        elif kind != OTHER:
            if kind >= TINY_NEW:
                tiny = self.tiny[key.cache]
                tiny.reach(row)
                tiny.skip()
            # What should have fitted into the tiny block, and does not, takes an object here.
            rank = self._rank(place, turn)
            self._take(place, rank)
            if kind != TINY_FIT:
                self.at[place] = rank + 1

    def _rank(self, place: int, turn: int) -> int:
        """How far a place's allocations come before allocation number `turn`."""
        a, b = self.at[place], self.ends[place]
        if self.lists is not None:
            return bisect_left(self.lists[0], turn, a, b)
        return a + int(self.order[a:b].searchsorted(turn))

    def _reach_all(self, row: int) -> None:
        """Carries out all that comes before a row."""
        for tiny in self.tiny.values():
            tiny.reach(row)
        turn = len(self.rows) if row >= self.n else int(self.rows.searchsorted(row))
        for place in range(len(self.replayer.places)):
            if place < len(self.at) - 1 and self.at[place] < self.ends[place]:
                self._take(place, self._rank(place, turn))
        self._reach_specials(row)

    def _reach_specials(self, row: int) -> None:
        """Carries out the records of specials before a row (fixalloc)."""
        rt = self.rt
        for number, (name, rows, addresses) in enumerate(self.waiting):
            a = self.reached[number]
            b = bisect_left(rows, row, a)
            if a == b:
                continue
            self.reached[number] = b
            wanted = addresses[a:b]
            source = rt.specialfinalizeralloc if name == "specialfinalizer" else rt.specialprofilealloc
            free = source.free_list
            used = min(len(free), len(wanted))
            given = free[len(free) - used :][::-1]
            new = len(wanted) - used
            given += range(source.chunk, source.chunk + new * source.size, source.size)
            if new * source.size > source.nchunk or given != wanted:
                raise GaveUp
            del free[len(free) - used :]
            source.chunk += new * source.size
            source.nchunk -= new * source.size
            source.inuse += len(wanted) * source.size
            self.replayer.records[name].update(wanted)

    def _take(self, number: int, upto: int) -> None:
        """Hands out the objects of a place up to a rank, and compares their addresses."""
        a = self.at[number]
        n = upto - a
        if n <= 0:
            return
        self.at[number] = upto
        place = self.replayer.places[number]
        cached = place.cached
        v = cached.next
        end = v + n * cached.size
        first = self.addresses[a] if self.lists is None else self.lists[1][a]
        objects: Any
        if first == v and end <= cached.end and self._unbroken(a, upto):
            cached.next = end
            if cached.bits is None and place.how == NOTHING:
                return
            if n <= FEW:
                self._stamp_few(place, v, a, upto)
                return
            at = (v - cached.base) // cached.size
            objects = slice(at, at + n)
        elif n <= FEW:
            self._take_few(place, a, upto)
            return
        else:
            objects = self._take_scattered(cached, self.addresses[a:upto])
        if place.how != NOTHING or cached.bits is not None:
            self._stamp(place, objects, self.stamps[a:upto], self.bare[number])

    def _take_few(self, place: Place, a: int, b: int) -> None:
        """The same for so few that arrays do not pay, wherever they lie in the span."""
        rt, cached = self.rt, place.cached
        for rank in range(a, b):
            if cached.next == cached.end:
                cached.sync(rt.spans)
                if cached.span < 0 or not cached.next_run(rt.spans):
                    raise GaveUp
            v = cached.next
            if v != (self.addresses[rank] if self.lists is None else self.lists[1][rank]):
                raise GaveUp
            cached.next = v + cached.size
            self._stamp_few(place, v, rank, rank + 1)

    def _stamp_few(self, place: Place, v: int, a: int, b: int) -> None:
        """Lays down the stamps of the objects from rank a to b, which lie side by side from v on."""
        rt, cached, marks = self.rt, place.cached, place.stamps
        bits = cached.bits
        step = cached.size >> rt.word_shift
        word = (v - cached.base) >> rt.word_shift
        for number in self.stamps[a:b].tolist() if self.lists is None else self.lists[2][a:b]:
            if not number:
                if bits is not None:
                    bits[word >> 2] &= ~(0x11 << (word & 3))
            elif marks[number].how != NOTHING:
                if bits is None:
                    bits = rt.open_bits(cached)
                press(bits, word, marks[number])
            word += step

    def _unbroken(self, a: int, b: int) -> bool:
        """Whether the addresses from rank a to b go on in equal steps."""
        breaks = self.breaks
        at = bisect_right(breaks, a)
        return at == len(breaks) or breaks[at] >= b

    def _take_scattered(self, cached: CachedSpan, addresses: Array) -> Array:
        """Hands out objects of a span that was swept, where free ones lie between others."""
        np, spans = self.np, self.rt.spans
        s = cached.span
        if s < 0:
            raise GaveUp
        cached.sync(spans)
        nelems, index, size, base = spans.nelems[s], spans.free_index[s], cached.size, cached.base
        taken = spans.alloc_bits[s] & ((1 << nelems) - 1)
        packed = np.frombuffer(taken.to_bytes((nelems + 7) // 8, "little"), np.uint8)
        free: Array = np.flatnonzero(np.unpackbits(packed, bitorder="little")[index:nelems] == 0) + index
        n = len(addresses)
        expected = free[:n].astype(np.uint64) * np.uint64(size) + np.uint64(base)
        if not np.array_equal(addresses, expected):
            raise GaveUp
        last = int(free[n - 1])
        spans.alloc_count[s] += n
        spans.free_index[s] = last + 1
        cached.start = cached.next = base + (last + 1) * size
        rest = free[n - 1 :]
        gaps = np.flatnonzero(rest[1:] - rest[:-1] != 1)
        cached.end = base + (int(rest[gaps[0]] if len(gaps) else rest[-1]) + 1) * size
        return free[:n]

    # Heap bitmaps.

    def _stamp(self, place: Place, objects: Any, stamps: Array, bare: bool) -> None:
        """Lays down the stamps of objects of one span; `objects`, a slice or an array, are their numbers.

        `bare` tells that there may be some without pointers.
        """
        np, rt = self.np, self.rt
        cached = place.cached
        if cached.bits is None:
            if place.how == NOTHING or not stamps.any():
                return
            rt.open_bits(cached)
        assert cached.bits is not None
        view = np.frombuffer(cached.bits, np.uint8)
        words = cached.size >> rt.word_shift
        if words == 1:
            return
        if place.tables is None:
            place.tables = _tables(np, place, words)
        if words & 3 == 0:
            keep, body = place.tables[0]
            length = words >> 2
            rows = view[: len(view) // length * length].reshape(-1, length) if length > 1 else view
            if bare:
                rows[objects] = rows[objects] & keep.take(stamps, 0) | body.take(stamps, 0)
            else:
                rows[objects] = body.take(stamps, 0)
            return
        # Two objects share the byte in the middle, and neither touches the other's bits.
        length = words >> 2
        for odd, (keep, body) in enumerate(place.tables):
            if isinstance(objects, slice):
                skip = (objects.start & 1) ^ odd
                which = stamps[skip::2]
                start = (objects.start + skip) * words >> 2
                starts: Any = np.arange(len(which)) * (words >> 1) + start
                at: Any = slice(start, start + len(which))
            else:
                mine = (objects & 1) == odd
                which = stamps[mine]
                starts = at = objects[mine] * words >> 2
            if length:
                at = starts[:, None] + np.arange(length + 1)
            view[at] = view[at] & keep.take(which, 0) | body.take(which, 0)


def _tables(np: Any, place: Place, words: int) -> list[tuple[Array, Array]]:
    """A place's stamps as arrays: the bits that each leaves as they were, and those that it sets.

    A row a stamp, row 0 for objects without pointers, which clear the bits of their first word.
    Where two objects share a byte there are two tables, for those in the first half of their
    first byte and in the second.
    """
    marks = place.stamps[1:]
    if words & 3 == 0:
        length = words >> 2
        rows = [(b"\xee" + b"\xff" * (length - 1), bytes(length))]
        rows += [(bytes(length), mark.body) for mark in marks]
        return [_table(np, rows)]
    length = (words >> 2) + 1
    first = [(b"\xee" + b"\xff" * (length - 1), bytes(length))]
    second = [(b"\xbb" + b"\xff" * (length - 1), bytes(length))]
    for mark in marks:
        if mark.how == PAIR:
            first.append((bytes((~mark.clear & 0xFF,)), bytes((mark.tail,))))
            second.append((bytes((~(mark.clear << 2) & 0xFF,)), bytes((mark.tail << 2 & 0xFF,))))
        else:
            inner = length - 1
            first.append((bytes(inner) + bytes((0xCC,)), mark.body + bytes((mark.tail,))))
            second.append((bytes((~(0x13 << 2) & 0xFF,)) + bytes(inner), bytes((mark.head,)) + mark.rest))
    return [_table(np, first), _table(np, second)]


def _table(np: Any, rows: list[tuple[bytes, bytes]]) -> tuple[Array, Array]:
    """Rows of two kinds of bytes as two matrices, or as two lists where a row is one byte."""
    found = []
    for part in (0, 1):
        flat = np.frombuffer(b"".join(row[part] for row in rows), np.uint8)
        found.append(flat.reshape(len(rows), -1) if len(flat) > len(rows) else flat)
    return found[0], found[1]


class _Tiny:
    """An mcache's tiny allocations in a part, in order, and how far they have been carried out.

    What fits goes to the open block, aligned for its size. What does not fit takes a new block,
    which is the open one from then on if it has more room left than the old one: so between two
    that fit, the open block's offset only becomes smaller, to the least size so far.
    """

    def __init__(
        self, np: Any, cache: MCache, rows: Array, sizes: Array, addresses: Array, fits: Array
    ) -> None:
        self.np = np
        self.cache = cache
        self.rows = rows
        self.sizes = sizes
        self.addresses = addresses
        self.fits = fits
        self.at = 0
        self.grains = np.array([15, 0, 1, 0, 3, 0, 1, 0, 7, 0, 1, 0, 3, 0, 1, 0], np.int32)  # by size

    def skip(self) -> None:
        """The next one is carried out elsewhere."""
        self.at += 1

    def reach(self, row: int) -> None:
        """Carries out those before a row."""
        np, cache = self.np, self.cache
        a, b = self.at, int(np.searchsorted(self.rows, row))
        if a >= b:
            return
        self.at = b
        sizes, addresses, fits = self.sizes[a:b], self.addresses[a:b], self.fits[a:b]
        n = b - a
        # Where in its block each lies; one that has a new block lies at its start.
        inside = (addresses & np.uint64(15)).astype(np.int32)
        blocks = addresses & ~np.uint64(15)
        # Offsets after each: a falling minimum that starts anew at each that fits.
        lowered = np.cumsum(fits, dtype=np.int32) << 7
        after = np.empty(n + 1, np.int32)
        after[0] = cache.tiny_offset if cache.tiny else NO_BLOCK
        np.add(inside, sizes, out=after[1:])
        after[1:] -= lowered
        np.minimum.accumulate(after, out=after)
        after[1:] += lowered
        before = after[:-1]
        # The open block before each: that of the latest that opened one or fitted.
        opens = fits | (sizes < before)
        latest = np.zeros(n + 1, np.int32)
        latest[1:][opens] = np.flatnonzero(opens) + 1
        np.maximum.accumulate(latest, out=latest)
        open_blocks = np.empty(n + 1, np.uint64)
        open_blocks[0] = cache.tiny
        open_blocks[1:] = blocks
        block = open_blocks[latest]
        grain = self.grains[sizes]
        at = (before + grain) & ~grain
        held = (at + sizes <= 16) == fits
        held &= ((inside == at) & (blocks == block[:-1])) | ~fits
        if not held.all():
            raise GaveUp
        cache.tiny_offset = int(after[-1])
        cache.tiny = int(block[-1])
        cache.local_tinyallocs += int(np.count_nonzero(fits))
