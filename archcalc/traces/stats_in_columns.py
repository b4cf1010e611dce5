"""The figures of a recording counted in groups of rows: what `stats.Count` finds, without a look at each.

A group's rows that are not ordinary allocations are read one after the other, and what they say of spans
and sweeps is noted with its row. Then each allocation is put at its place in its span: the span is the one
that its page had at that row. All spans' places are in three long arrays. A span's allocations
before a sweep have to be counted before it, but no others: so the first sweep of every span
in the group is made for all of them at once, and then the second ones, and so on.

Whatever is unusual ends in GaveUp, and the recording is counted line by line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from archcalc.traces.columnar import CODE, OTHER
from archcalc.traces.columns import Columns, InColumns
from archcalc.traces.counting import Count, SparseCount, Stats
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import Header

if TYPE_CHECKING:
    from archcalc.traces.text_columns import TextColumns

Array = np.ndarray[Any, np.dtype[Any]]

M = CODE["m"]
READ = tuple(CODE[record] for record in ("T", "H", "b", "g", "Z", "?"))  # records that are looked at
NO_EVENTS = tuple(CODE[record] for record in ("T", "Z", "Zs", "Zb"))
NEAR = 1 << 17  # pages that are so close together have a table
ROW_BITS = 32  # of a number that a row is the lower part of
EXACT = 1 << 53  # up to here sums of floats are exact
FRACTION, BIAS = 52, 1023  # of a float of 64 bits: where its exponent stands, and what is 0 there
GROWTH = 8  # an eighth more room than is needed


def at_once(
    file: InColumns, config_for: Callable[[Header], Any], progress: Callable[[int, int], None] | None = None
) -> Stats:
    """The figures. Raises GaveUp where something is unusual, TraceFault for a header that is not one."""
    header = file.header()
    kind = SparseGroups if header.version == 2 else Groups
    count = kind(str(file.path), header, config_for)
    for columns in file.batches():
        count.group(columns)
        if progress is not None:
            progress(count.found.events, header.events)
    return count.result()


class PlacedSpan:
    """A span whose objects have their places from `offset` on; `pages` still are its own."""

    __slots__ = ("base", "n", "number", "offset", "pages", "size")

    def __init__(self, base: int, size: int, n: int, offset: int, pages: int) -> None:
        self.base = base
        self.size = size
        self.n = n
        self.offset = offset
        self.pages = pages
        self.number = -1  # among those of a group


class Places:
    """For each object's place the event of its first allocation, how many are in it, and their bytes."""

    def __init__(self) -> None:
        self.born = np.zeros(0, np.int64)
        self.count = np.zeros(0, np.int32)
        self.bytes = np.zeros(0, np.int64)
        self.used = 0
        self.free: dict[int, list[int]] = {}  # what spans of so many objects have left

    def take(self, n: int) -> int:
        """Places for n objects, side by side, and for so many more that they are a multiple of eight."""
        n = n + 7 & -8
        free = self.free.get(n)
        if free:
            return free.pop()
        offset = self.used
        self.used += n
        return offset

    def give_back(self, offset: int, n: int) -> None:
        """Takes back the places of a span whose pages all belong to others now."""
        n = n + 7 & -8
        self.count[offset : offset + n] = 0
        self.free.setdefault(n, []).append(offset)

    def grow(self) -> None:
        """Makes room for all places that were taken."""
        if self.used > len(self.born):
            room = self.used + self.used // GROWTH
            for column in (self.born, self.count, self.bytes):
                column.resize(room, refcheck=False)

    def add(self, places: Array, events: Array, sizes: Array) -> None:
        """Allocations, in their order, each with the number of its event."""

        fresh = self.count.take(places) == 0
        place, event = places[fresh], events[fresh]
        # Of several in a place the first is the last that is written.
        self.born[place[::-1]] = event[::-1]
        fresh[fresh] = self.born.take(place) == event
        place = places[fresh]
        self.count[place] = 1
        self.bytes[place] = sizes[fresh]
        if len(place) < len(places):
            np.add.at(self.count, places[~fresh], 1)
            np.add.at(self.bytes, places[~fresh], sizes[~fresh])


def sums(values: Array, by: Array, n: int) -> Array:
    """The sums of values by a number below n."""
    if len(values) and int(values.max()) * len(values) < EXACT:
        return np.bincount(by, values, n).astype(np.int64)
    found = np.zeros(n, np.int64)
    np.add.at(found, by, values)
    return found


def _any_of(codes: tuple[int, ...]) -> Array:
    """For each code of a record whether it is one of these."""
    table = np.zeros(len(CODE), bool)
    table[list(codes)] = True
    return table


class Groups(Count):
    """A recording on its way through, in groups of rows."""

    def __init__(self, path: str, header: Header, config_for: Callable[[Header], Any]) -> None:
        super().__init__(path, header, config_for)
        self.places = Places()
        self.placed: dict[int, PlacedSpan] = {}  # by page
        self.row = 0
        self.died = np.zeros(64, np.int64)
        self.dead = np.zeros(64, np.int64)

    # What the rows that are read say, noted with the row.

    def new_span(self, pages: range, base: int, size: int, n: int) -> None:
        if base & ((1 << self.shift) - 1):
            raise GaveUp
        span = PlacedSpan(base, size, n, self.places.take(n), len(pages))
        for page in pages:
            before = self.placed.get(page)
            if before is not None:
                before.pages -= 1
                if not before.pages:
                    self.gone.append(before)
            self.placed[page] = span
            self.changes.append((page, self.row, span))

    def _sweep(self, rest: str) -> None:
        self.pages = self.placed  # type: ignore[assignment]
        super()._sweep(rest)

    def swept(self, span: Any, marked: int) -> None:
        marks = (marked & ((1 << span.n) - 1)).to_bytes((span.n + 7) // 8, "little")
        self.sweeps.append((self.row, span, marks))

    def sample(self) -> None:
        self.samples.append(self.row)

    # One group.

    def group(self, columns: Columns | TextColumns) -> None:
        """Counts the rows of a group. Raises GaveUp."""

        self.changes: list[tuple[int, int, PlacedSpan]] = []
        self.sweeps: list[tuple[int, PlacedSpan, bytes]] = []
        self.samples: list[int] = []
        self.gone: list[PlacedSpan] = []
        rows = np.flatnonzero((columns.code == M) & (columns.request != len(columns.words) - 1))
        request, address = columns.request.take(rows), columns.address.take(rows)
        pages, page = self._pages(address)
        first = [self.placed.get(number) for number in pages.tolist()]
        try:
            sizes, is_event = self._read(columns, rows, request)
        except (ValueError, IndexError, OverflowError) as broken:
            raise GaveUp from broken
        size = sizes.take(request)
        events = np.cumsum(is_event)
        events += self.found.events
        self.places.grow()
        spans, span = self._spans(pages, page, rows, first)
        place = self._place(spans, span, address)
        self.found.unplaced += int(np.count_nonzero((place < 0) & (size > 0)))
        freed = self._carry_out(len(spans), span, place, rows, size, events)
        for one in spans:
            one.number = -1
        self._take_samples(is_event, events, rows, size, freed)
        self.asked += int(size.sum())
        self.freed_bytes += int(freed.sum())
        if len(events):
            self.found.events = int(events[-1])
        for old in self.gone:
            self.places.give_back(old.offset, old.n)

    def _pages(self, address: Array) -> tuple[Array, Array]:
        """The pages of addresses, each once, and for each address the place of its page among them."""

        page = address >> np.uint64(self.shift)
        if not len(page):
            return page, page
        # Most lie close together; what has no size is in the program's data, far from the heap.
        low = page.max() - min(page.max(), np.uint64(NEAR))
        far = np.flatnonzero(page < low)
        near = (np.maximum(page, low) - low).astype(np.intp)
        seen = np.zeros(NEAR + 1, bool)
        seen[near] = True
        pages = np.flatnonzero(seen)
        place = np.empty(NEAR + 1, np.int32)
        place[pages] = np.arange(len(pages))
        found = place.take(near)
        pages = pages.astype(np.uint64) + low
        if len(far):
            others, inverse = np.unique(page.take(far), return_inverse=True)
            found[far] = inverse + len(pages)
            pages = np.concatenate((pages, others))
        return pages, found

    def _read(self, columns: Columns | TextColumns, rows: Array, request: Array) -> tuple[Array, Array]:
        """Reads what is not an ordinary allocation. The size of each request, and which rows are events.

        A request that is met for the first time is understood in its turn, after the types before it.
        """
        found = self.found
        # Records of other versions are none of this one.
        code, words = np.minimum(columns.code, OTHER), columns.words
        is_event = np.full(len(code), not self.ended)
        is_event[_any_of(NO_EVENTS).take(code)] = False
        of_request = np.bincount(request, minlength=len(words))
        here = np.flatnonzero(of_request)
        first = np.zeros(len(words), np.intp)
        first[request[::-1]] = rows[::-1]
        looked_at = _any_of((*READ, M)).take(code)
        looked_at[rows] = False
        reading = np.flatnonzero(looked_at)
        known = self.requests
        numbers = here.tolist()
        new = [(int(first[number]), words[number] or "") for number in numbers if words[number] not in known]
        new.sort(reverse=True)
        placing = {CODE[record]: work for record, work in self.placing.items()}
        # Letters and a space come before the rest of the line.
        codes = code.take(reading).tolist()
        for row, its, line in zip(reading.tolist(), codes, columns.lines(reading), strict=True):
            while new and new[-1][0] < row:
                self.row, text = new.pop()
                self.request(text)
            self.row = row
            if its in placing:
                placing[its](line[2:])
                continue
            kind, _, rest = line.partition(" ")
            if kind == "m":
                raise GaveUp
            if its == OTHER:
                is_event[row] = self.is_event(kind)
            self.other(kind, rest, line)
            if self.ended:
                is_event[row:] = False
        for self.row, text in reversed(new):
            self.request(text)
        if not is_event[rows].all():
            raise GaveUp  # an allocation after the end
        looked_at[rows] = True
        looked_at[_any_of(tuple(placing)).take(code)] = False
        others = np.bincount(code[~looked_at], minlength=len(CODE)).tolist()
        for record, number in CODE.items():
            if others[number]:
                found.records[record] += others[number]
        sizes = np.zeros(len(words), np.int64)
        kept = [known[words[number] or ""] for number in numbers]
        for request_kept, count in zip(kept, of_request.take(here).tolist(), strict=True):
            request_kept.count += count
        sizes[here] = [request_kept.size for request_kept in kept]
        return sizes, is_event

    def _spans(
        self, pages: Array, page: Array, rows: Array, first: list[PlacedSpan | None]
    ) -> tuple[list[PlacedSpan], Array]:
        """The spans of the group, and the number of each allocation's among them; -1 where it has none."""

        spans: list[PlacedSpan] = []

        def number(span: PlacedSpan | None) -> int:
            if span is None:
                return -1
            if span.number < 0:
                span.number = len(spans)
                spans.append(span)
            return span.number

        before = np.array([number(span) for span in first], np.int32)
        found: Array = before.take(page) if len(page) else np.zeros(0, np.int32)
        at = {page: i for i, page in enumerate(pages.tolist())}
        changes = sorted((at[page], row, number(span)) for page, row, span in self.changes if page in at)
        for _, span, _ in self.sweeps:
            number(span)
        if changes:
            changed = np.zeros(len(pages), bool)
            changed[[page for page, _, _ in changes]] = True
            mine = np.flatnonzero(changed.take(page))
            # Each change as a number that grows with the page, and for a page with the row.
            keys = np.array([page << ROW_BITS | row for page, row, _ in changes], np.int64)
            latest = keys.searchsorted(page.take(mine).astype(np.int64) << ROW_BITS | rows.take(mine)) - 1
            to = np.array([span for _, _, span in changes], np.int32)
            same = (keys.take(np.maximum(latest, 0)) >> ROW_BITS == page.take(mine)) & (latest >= 0)
            found[mine] = np.where(same, to.take(np.maximum(latest, 0)), found.take(mine))
        return spans, found

    def _place(self, spans: list[PlacedSpan], span: Array, address: Array) -> Array:
        """The place of each allocation, -1 where it has no span. GaveUp where no object lies there."""

        if not spans:
            return np.full(len(span), -1)
        base = np.array([one.base for one in spans], np.uint64).take(span)
        offset = np.array([one.offset for one in spans], np.int64).take(span)
        at = (address - base) // np.array([one.size for one in spans], np.uint64).take(span)
        beyond = at >= np.array([one.n for one in spans], np.uint64).take(span)
        if (beyond & (span >= 0)).any():
            raise GaveUp
        return np.where(span >= 0, offset + at.astype(np.int64), -1)

    def _carry_out(
        self, count: int, span: Array, place: Array, rows: Array, size: Array, events: Array
    ) -> Array:
        """Counts allocations in `count` spans, and what sweeps between them find dead; each sweep's bytes."""
        sweeps = self.sweeps
        freed = np.zeros(len(sweeps), np.int64)
        at = np.flatnonzero(place >= 0)
        if not sweeps:
            self.places.add(place.take(at), events.take(rows.take(at)), size.take(at))
            return freed
        # How many sweeps of its span are before each allocation, and before each sweep.
        keys = np.array([span.number << ROW_BITS | row for row, span, _ in sweeps], np.int64)
        order = np.argsort(keys)
        keys = keys.take(order)
        firsts = keys.searchsorted(np.arange(count, dtype=np.int64) << ROW_BITS)
        swept = np.zeros(count, bool)
        swept[keys >> ROW_BITS] = True
        mine = np.flatnonzero(swept.take(span.take(at)))
        its = span.take(at.take(mine)).astype(np.int64)
        before = np.zeros(len(at), np.int64)
        before[mine] = keys.searchsorted(its << ROW_BITS | rows.take(at.take(mine))) - firsts.take(its)
        turn = np.empty(len(sweeps), np.int64)
        turn[order] = np.arange(len(sweeps)) - firsts.take(keys >> ROW_BITS)
        turns = int(turn.max()) + 1
        if turns < 1 << 16:
            before = before.astype(np.uint16)  # which are sorted in a pass or two
        by_turn = np.argsort(before, kind="stable")
        bounds = before.take(by_turn).searchsorted(np.arange(turns + 2))
        sweeps_by_turn = np.argsort(turn, kind="stable")
        sweep_bounds = turn.take(sweeps_by_turn).searchsorted(np.arange(turns + 1))
        for k in range(turns + 1):
            some = at.take(by_turn[bounds[k] : bounds[k + 1]])
            self.places.add(place.take(some), events.take(rows.take(some)), size.take(some))
            if k < turns:
                found = sweeps_by_turn[sweep_bounds[k] : sweep_bounds[k + 1]]
                freed[found] = self._sweep_all([sweeps[i] for i in found.tolist()], events)
        return freed

    def _sweep_all(self, sweeps: list[tuple[int, PlacedSpan, bytes]], events: Array) -> Array:
        """Sweeps of spans that are all different: what is dead is counted. How many bytes each found."""
        places = self.places
        # Each span has places for whole bytes of marks.
        n = np.array([len(marks) for _, _, marks in sweeps], np.int64) << 3
        shift = np.array([span.offset for _, span, _ in sweeps], np.int64) - (np.cumsum(n) - n)
        place = np.repeat(shift, n)
        place += np.arange(len(place))
        marks = np.frombuffer(b"".join([marks for _, _, marks in sweeps]), np.uint8)
        dead = np.flatnonzero((np.unpackbits(marks, bitorder="little") == 0) & (places.count.take(place) > 0))
        place = place.take(dead)
        which = np.repeat(np.arange(len(sweeps), dtype=np.int32), n).take(dead)
        now = events.take([row for row, _, _ in sweeps]).take(which)
        age = np.maximum(now - places.born.take(place), 1)
        power = (age.astype(np.float64).view(np.int64) >> FRACTION) - BIAS
        sizes = places.bytes.take(place)
        self.died += sums(places.count.take(place), power, 64)
        self.dead += sums(sizes, power, 64)
        places.count[place] = 0
        # They stand span by span.
        asked = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=asked[1:])
        upto = asked.take(which.searchsorted(np.arange(1, len(sweeps) + 1)))
        return np.diff(upto, prepend=0)

    def _take_samples(self, is_event: Array, events: Array, rows: Array, size: Array, freed: Array) -> None:
        """Live bytes at every so many events, and at each collection."""
        found = self.found
        if not len(events):
            return
        last = int(events[-1])
        wanted = np.arange(self.next_sample, last + 1, self.every)
        self.next_sample += len(wanted) * self.every
        at = sorted([*self.samples, *events.searchsorted(wanted).tolist()])
        asked, gone = np.cumsum(size), np.cumsum(freed)
        swept = [row for row, _, _ in self.sweeps]
        for row in at:
            allocated = int(rows.searchsorted(row, "right"))
            sweeps = bisect_right(swept, row)
            live = self.asked - self.freed_bytes
            live += int(asked[allocated - 1]) if allocated else 0
            live -= int(gone[sweeps - 1]) if sweeps else 0
            if not found.live or found.live[-1][0] != events[row]:
                found.live.append((int(events[row]), live))

    def result(self) -> Stats:
        self.deaths, self.dead_bytes = self.died.tolist(), self.dead.tolist()
        Count.sample(self)  # where it ends; not noted with a row
        return super().result()


class SparseGroups(Groups, SparseCount):
    """A recording of version 2 on its way through."""
