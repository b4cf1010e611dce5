"""Rows of a columnar recording, carried out in runs of ordinary allocations with the others in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allocator.contiguous.gc import MARK_TERMINATION
from allocator.contiguous.sweep import DONE
from archcalc.traces.by_place import ByPlace
from archcalc.traces.columnar import CODE, RECORDS
from archcalc.traces.columnar import OTHER as UNREADABLE
from archcalc.traces.columns import Columns
from archcalc.traces.handing_out import HandingOut
from archcalc.traces.keys import (
    NOSCAN,
    SCAN,
    TINY_FIT,
    TINY_NEW,
    UNKNOWN,
    Keys,
)
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import base_of, marks_of
from archcalc.traces.replayer import MAX_PENDING, OWN, Replayer
from archcalc.traces.tiny import Tiny

if TYPE_CHECKING:
    import numpy as np

    from archcalc.traces.text_columns import TextColumns

    Array = np.ndarray[Any, np.dtype[Any]]

M, F, X, P = (CODE[record] for record in "mfxP")
BARRIERS = frozenset(CODE[record] for record in ("u", "g", "!", "Z"))
STOPS = [CODE[record] in BARRIERS for record in RECORDS]
SPECIALS = {"specialfinalizer": 0, "specialprofile": 1}
G, W, Z, Q, B = (CODE[record] for record in "gwZqb")
ARE_OVER = [record in "msSxpukzPygrwev" for record in RECORDS]  # after them nothing waits
# What is not ordinary, by more than keys' kinds: an allocation that takes a span, and is ordinary apart from
# that; a sweep (w); and all else but allocations, by its code.
REFILL, SWEEP, LINES = 6, 7, 8
OWN_CODES = [record in OWN for record in RECORDS]


class BatchPart:
    """Rows of a batch during which no mcache is made."""

    def __init__(
        self, replayer: Replayer, known: Keys, columns: Columns | TextColumns, start: int, end: int
    ) -> None:
        self.replayer = replayer
        self.rt = replayer.rt
        self.np = known.np
        self.columns = columns
        self.start = start
        self.code = self.np.minimum(columns.code[start:end], UNREADABLE)  # so are records of other versions
        self.request = columns.request[start:end]
        self.n = end - start
        self.known = known
        self._classify()
        self._sort()
        self._ranks()
        self._tiny()
        self._specials()
        # Own records before `waited` were passed on, or so many were logged; those before `compared` agree.
        self.waited = self.compared = 0

    # Before anything is carried out: which rows are ordinary, and where they belong.

    def _classify(self) -> None:
        """The key of each row, 0 of all but allocations, and which rows are ordinary."""
        np, columns, request = self.np, self.columns, self.request
        others = np.flatnonzero(self.code != M)
        codes = self.code.take(others)
        # How many allocations have each word; the last word is none.
        words = len(columns.words)
        asked = np.bincount(request, minlength=words) - np.bincount(request.take(others), minlength=words)
        key_of = self.known.of(columns.words, np.flatnonzero(asked).tolist())
        self.table = self.known.table()
        self.have_key = np.bincount(key_of, asked, len(self.table.kind))
        self.key = key_of.take(request)
        self.key[others] = 0
        self.address = columns.address[self.start : self.start + self.n]
        ordinary = self.table.fast.take(self.key)
        # What comes after records of the allocator's own, or the OS's answers, belongs to the event that
        # causes them; whether that is so for the first row is known.
        follows = np.ones(self.n + 1, bool)
        follows[0] = not self.replayer.pending
        follows[others[~np.array(ARE_OVER).take(codes)] + 1] = False
        specials = others[codes == F]
        if len(specials):
            known = [SPECIALS.get(word or "", -1) for word in columns.words]
            which = np.array(known, np.int8)[request[specials]]
            self.which = which
            ordinary[specials] = which >= 0
            # Of records of specials side by side, what comes before the first of them counts.
            new = np.diff(specials, prepend=-2) > 1
            after = follows.take(specials[new]).repeat(np.diff(np.flatnonzero(new), append=len(specials)))
            follows[specials + 1] = after
        ordinary &= follows[: self.n]
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
        count = len(self.known.places)
        table = self.table
        # What fitted into a tiny block takes no object of the class, nor does what has no class.
        takes = (table.kind >= NOSCAN) & (table.kind < TINY_FIT)
        self.place_of = np.where(takes, table.place, count)
        self.by_place = by_place = ByPlace(np, self.place_of, self.key, count, self.have_key)
        self.at = by_place.at
        self.reached_all = 0  # everything before that row was
        key = self.key.take(by_place.order)
        addresses, stamps = self.address.take(by_place.order), table.stamp.take(key)
        self.objects = HandingOut(self.rt, self.known, by_place, addresses, stamps)

    def _ranks(self) -> None:
        """The rank of each event out of the ordinary, if it is an allocation."""
        places = self.place_of.take(self.key.take(self.events)).astype(self.np.intp)
        self.ranks = self.by_place.ranks_of(places, self.events)

    def _tiny(self) -> None:
        """The tiny allocations of each mcache, in order."""
        np = self.np
        self.tiny: dict[int, Tiny] = {}
        table = self.table
        tiny = table.kind >= TINY_NEW
        mine = np.flatnonzero(tiny.take(self.key)) if tiny.any() else ()
        if not len(mine):
            return
        key = self.key.take(mine)
        addresses = self.address.take(mine)
        fits = (table.kind == TINY_FIT).take(key)
        sizes = table.size.astype(np.int8).take(key)
        # Rows behind which a tiny block may be another one, whatever was allocated.
        codes = self.code.take(self.events)
        unknown = self.key.take(self.events) == 0
        stops = self.events[np.array(STOPS).take(codes) | (codes == M) & unknown].tolist()
        several = len(self.rt.caches) > 1
        cache = table.cache.take(key if several else key[:1])
        for number in np.flatnonzero(np.bincount(cache)).tolist():
            own = cache == number if several else slice(None)
            self.tiny[number] = Tiny(
                np, self.rt.caches[number], mine[own], sizes[own], addresses[own], fits[own], stops
            )

    def _specials(self) -> None:
        """The ordinary records of specials, by kind, in order."""
        rows = self.specials
        self.waiting: list[tuple[str, Array, Array]] = []
        self.reached = [0] * len(SPECIALS)
        if not len(rows):
            return
        addresses = self.address[rows]
        for name, number in SPECIALS.items():
            own = (self.which == number) & self.ordinary[rows]
            self.waiting.append((name, rows[own], addresses[own]))

    def _counts(self) -> None:
        """What the counters of each mcache gain between one event out of the ordinary and the next."""
        np, events = self.np, self.events
        self.gains: list[tuple[int, int, int]] = []  # place in events, mcache, bytes; the first last
        self.running: list[int] = []
        scan = self.table.scan.take(self.key)
        # Those that are ordinary except for their position count for themselves.
        scan[events[self.table.fast.take(self.key.take(events))]] = 0
        if len(self.rt.caches) < 2:
            self.gained: list[int] = np.add.reduceat(scan, np.append(0, events)).tolist()
            if len(events) and events[0] == 0:
                self.gained[0] = 0  # nothing is before it
            return
        self.gained = []
        cache = self.table.cache.astype(np.int64).take(self.key)
        segment = np.repeat(np.arange(len(events) + 1), np.diff(events, prepend=0, append=self.n))
        some = np.flatnonzero(scan)
        most = self.rt.config.max_gomaxprocs
        pair, weights = (segment * most + cache).take(some), scan.take(some)
        if len(pair):
            order = np.argsort(pair, kind="stable")
            pair, weights = pair[order], weights[order]
            starts = np.flatnonzero(np.concatenate(([True], pair[1:] != pair[:-1])))
            sums = np.add.reduceat(weights, starts).tolist()
            at, number = divmod(pair[starts], most)
            self.gains = list(zip(at.tolist(), number.tolist(), sums, strict=True))[::-1]
        # The mcache of the allocation right before, if it was an ordinary one: the P that runs.
        rows = np.flatnonzero(self.code == M)
        latest = np.append(np.where(self.ordinary.take(rows), cache.take(rows), -1), -1)
        self.running = latest[rows.searchsorted(events) - 1].tolist()

    # Carrying it out.

    def run(self) -> None:
        """All rows."""
        replayer = self.replayer
        self._counts()
        self._take_up_own()
        self.terminating = 0 if self.rt.gc.phase == MARK_TERMINATION else -1
        self.before_first = replayer.line + 1
        if self._carry_out_all():
            # Nothing after the end is ordinary.
            rest = self.np.arange(self.start + int(self.events[self.done]) + 1, self.start + self.n)
            replayer.feed(self.columns.lines(rest))
            return
        self._compare_own()
        self._wait(len(self.own))
        self._reach_all(self.n)
        self._no_malloc(self.n)
        self._pass_on(len(self.events))
        replayer.line = self.before_first + self.n - 1

    def _carry_out_all(self) -> bool:
        """What is out of the ordinary, up to where all is ordinary, or to the end: whether that came.

        One loop for allocations and sweeps, which most of it is, without a call for each of their steps.
        """
        replayer, rt = self.replayer, self.rt
        log, pending, ready, queue = rt.log, replayer.pending, rt.ready, replayer.system.queue
        asked, mallocgc = replayer.understood.asked, rt.mallocgc
        assert log is not None
        last = replayer.last_line - self.before_first
        taken, take, refill = self.at, self.objects.take, self.objects.refill
        alone, gained = rt.caches[0], self.gained
        for at, row, what, place, number, rank, fields, address, until in self._todo():
            if gained:
                alone.local_scan += gained[at]
            else:
                self._pass_on(at)
            if until > self.next_input:
                self._take_in(until)
            if what == SWEEP:
                if row > last or not replayer.running:
                    raise GaveUp
                self._sweep(fields)
            elif what == REFILL:
                if row > last or not replayer.allocating:
                    raise GaveUp
                if taken[place] < rank:
                    take(place, rank)
                refill(place, address)
            elif what < SWEEP:
                if what >= TINY_NEW:
                    self._reach_tiny(what, place, number, rank, row)
                elif what >= NOSCAN:
                    if taken[place] < rank:
                        take(place, rank)
                    taken[place] = rank + 1
                size = 0
                if what != UNKNOWN:
                    size, (typ, _, needzero, flags, cache) = asked(fields)
                if size == 0 or row > last:
                    self._as_line(row, until)
                    continue
                if not replayer.allocating:
                    raise GaveUp
                v = mallocgc(size, typ, needzero, cache.id)
                if v != address or rt.last_flags != flags:
                    raise GaveUp
            else:
                self.done = at
                self._carry_out(fields, what - LINES, row, until)
                if what == LINES + Z:
                    return True
                continue
            # What the machine logged must be the own records up to number `until`.
            if pending or queue or ready:
                self._compare_own()
                self._wait(until)
                replayer.settle()
            elif len(log) == until - self.compared:
                self.waited = until
            else:
                raise GaveUp
        return False

    def _todo(self) -> Iterator[tuple[int, int, int, int, int, int, Any, int, int]]:
        """Of each event out of the ordinary what `_carry_out_all` has to know.

        That is its number; its row; what it is; of an allocation the place, the number of its mcache, which
        one at its place it is, its fields and its address, and of all else the line; and how many own records
        come before. Sweeps with nothing but what they did between them are one event: the number is that of
        the first, all else that of the last, and instead of a line there is a list.
        """
        np, events, table = self.np, self.events, self.table
        code = self.code.take(events).astype(np.int32)
        requests = self.request.take(events)
        keys = self.key.take(events)
        is_malloc = code == M
        kind = table.kind.take(keys)
        takes_span = (kind == NOSCAN) | (kind == SCAN)
        takes_span &= ~table.fast.take(keys)
        kind[takes_span] = REFILL
        what = np.where(is_malloc, kind, np.where(code == W, SWEEP, code + LINES))
        words: Any = self.columns.words
        fields = [words[request] for request in requests.tolist()]
        others = np.flatnonzero(~is_malloc)
        lines = self.columns.lines(events.take(others) + self.start)
        for at, line in zip(others.tolist(), lines, strict=True):
            fields[at] = line
        until = self.own.searchsorted(events)
        first, last = self._rows_of_sweeps(what == SWEEP, until)
        columns = events, what, table.place.take(keys), table.cache.take(keys), self.ranks
        numbers = [first.tolist(), *[column.take(last).tolist() for column in columns]]
        asked = [
            fields[a : b + 1] if what == SWEEP else fields[b]
            for a, b, what in zip(first.tolist(), last.tolist(), numbers[2], strict=True)
        ]
        addresses = self.address.take(events.take(last))
        return zip(*numbers, asked, addresses.tolist(), until.take(last).tolist(), strict=True)

    def _rows_of_sweeps(self, sweeps: Array, until: Array) -> tuple[Array, Array]:
        """The first and the last of each row of events that are carried out together.

        Persistent memory (q) is taken in its turn: a row ends before it.
        """
        np = self.np
        taken = np.flatnonzero(self.code[self.own] == Q).searchsorted(until)
        follows = (np.diff(self.events) == np.diff(until) + 1) & (np.diff(taken) == 0)
        last = np.flatnonzero(np.append(~(sweeps[:-1] & sweeps[1:] & follows), True)[: len(until)])
        return np.append(0, last[:-1] + 1)[: len(last)], last

    def _sweep(self, lines: list[str]) -> None:
        """A row of sweeps (w)."""
        pages = self.rt.sweeper.sweep_on(len(lines))
        # Where nothing is left, there is nothing in all further ones.
        pages += [DONE] * (len(lines) - len(pages))
        if lines != ["w done" if n == DONE else f"w {n}" for n in pages]:
            raise GaveUp

    def _pass_on(self, at: int) -> None:
        """Counts what was allocated before an event. The P that allocated last runs."""
        caches, gains = self.rt.caches, self.gains
        if self.gained:
            caches[0].local_scan += self.gained[at]
            return
        while gains and gains[-1][0] <= at:
            _, number, scan = gains.pop()
            caches[number].local_scan += scan
        if at < len(self.running) and self.running[at] >= 0:
            self.rt.cache = caches[self.running[at]]

    def _as_line(self, row: int, until: int) -> None:
        """An allocation of which not all is known, after all that it may depend on."""
        if self.key[row] == 0:
            self._reach_all(row)
        self._compare_own()
        self.replayer.line = self.before_first + row
        self._wait(until)
        self.replayer.carry_out(self.columns.line(self.start + row))

    def _compare_own(self) -> None:
        """What the machine logged in the latest events must be their own records."""
        log = self.rt.log
        assert log is not None
        n = self.waited - self.compared
        if log[:n] != self.own_lines[self.compared : self.waited]:
            raise GaveUp
        del log[:n]
        self.compared = self.waited

    def _carry_out(self, line: str, code: int, row: int, until: int) -> None:
        """Any other event, after all that it may depend on."""
        self._compare_own()
        self.replayer.line = self.before_first + row
        self._wait(until)
        if code in BARRIERS:
            self._reach_all(row)
        elif code in (F, X):
            self._reach_specials(row)
        elif code == P:
            self._no_malloc(row)
        self.replayer.carry_out(line)
        if code == P:
            self.terminating = row if self.rt.gc.phase == MARK_TERMINATION else -1
        elif code == G:
            self._no_stale_spans()

    def _take_up_own(self) -> None:
        """The lines of the allocator's own records, none of which is waiting yet."""
        self.own_lines = self.columns.lines(self.own + self.start)
        code = self.code[self.own]
        # Those that are inputs too, the next one last, and before all what stands for none.
        self.inputs = [self.n, *self.np.flatnonzero((code == B) | (code == Q)).tolist()[::-1]]
        self.next_input = self.inputs[-1]

    def _take_in(self, until: int) -> None:
        """Carries out the own records up to number `until` that are inputs too."""
        replayer, lines, inputs = self.replayer, self.own_lines, self.inputs
        if not replayer.running:
            raise GaveUp
        heap, spans = self.rt.heap, self.rt.spans
        page, bases, nelems, mark_bits = heap.pages.get, spans.base, spans.nelems, spans.mark_bits
        start, shift = heap.arena_start, heap.page_shift
        while (at := inputs[-1]) < until:
            inputs.pop()
            line = lines[at]
            if line[0] == "b":
                # The mark bits of the span that will be swept. The sweep logs the record that there should
                # be, which finds out whether all of this one is right.
                _, base, _, _, _, words = line.split(" ")
                addr = base_of(base)
                marks = marks_of(words) if "," in words else int(words, 16)
                s = page((addr - start) >> shift)
                if s < 0 or bases[s] != addr or marks >> nelems[s]:
                    raise GaveUp
                mark_bits[s] = marks
            else:
                lines[at] = replayer.persistent_ahead(line)
        self.next_input = at

    def _wait(self, until: int) -> None:
        """Lets own records wait, up to number `until`; those that are inputs too are carried out."""
        if until == self.waited:
            return
        replayer = self.replayer
        if not replayer.running or len(replayer.pending) + until - self.waited > MAX_PENDING:
            raise GaveUp
        if until > self.next_input:
            self._take_in(until)
        replayer.pending += self.own_lines[self.waited : until]
        replayer.pending_at += [replayer.line] * (until - self.waited)
        self.waited = self.compared = until

    def _no_malloc(self, until: int) -> None:
        """Allocating is not possible in mark termination; if a recording has it, line by line, then."""
        if self.terminating >= 0 and self.np.any(self.code[self.terminating : until] == M):
            raise GaveUp

    def _no_stale_spans(self) -> None:
        """A sweep phase finds no span in an mcache; if it does, everything's order matters."""
        spans, sweepgen = self.rt.spans, self.rt.heap.sweepgen
        for cache in self.rt.caches:
            for cached in cache.alloc:
                if cached.span >= 0 and spans.sweepgen[cached.span] != sweepgen:
                    raise GaveUp

    def _reach_tiny(self, kind: int, place: int, cache: int, rank: int, row: int) -> None:
        """Carries out what comes before a tiny object."""
        tiny = self.tiny[cache]
        tiny.reach(row)
        tiny.skip()
        if kind == TINY_FIT:
            # It should have fitted into the tiny block; if it does not, it takes an object here.
            self.objects.take(place, self.by_place.rank(place, row))
            return
        if self.at[place] < rank:
            self.objects.take(place, rank)
        self.at[place] = rank + 1

    def _reach_all(self, row: int) -> None:
        """Carries out all that comes before a row."""
        if row > self.reached_all:
            self.reached_all = row
            for tiny in self.tiny.values():
                tiny.reach(row)
            at = self.at
            for place, rank in enumerate(self.by_place.ranks_at(row)):
                if at[place] < rank:
                    self.objects.take(place, rank)
            self.objects.settle()
        self._reach_specials(row)

    def _reach_specials(self, row: int) -> None:
        """Carries out the records of specials before a row (fixalloc)."""
        np, rt = self.np, self.rt
        for number, (name, rows, addresses) in enumerate(self.waiting):
            a, b = self.reached[number], int(rows.searchsorted(row))
            if a >= b:
                continue
            self.reached[number] = b
            wanted = addresses[a:b]
            source = rt.specialfinalizeralloc if name == "specialfinalizer" else rt.specialprofilealloc
            free = source.free_list
            used = min(len(free), b - a)
            freed = free[len(free) - used :][::-1]
            new = b - a - used
            cut = range(source.chunk, source.chunk + new * source.size, source.size)
            if new * source.size > source.nchunk or wanted[:used].tolist() != freed:
                raise GaveUp
            if new and not np.array_equal(wanted[used:], np.arange(cut.start, cut.stop, cut.step, np.uint64)):
                raise GaveUp
            del free[len(free) - used :]
            source.chunk = cut.stop
            source.nchunk -= new * source.size
            source.inuse += (b - a) * source.size
            self.replayer.made += (name, freed), (name, cut)
