"""Following a machine of today's runtime along a recording: each step is compared with the record of it.

Where clocks and other threads decide (whether to sweep one more span, how far to scavenge), the next record
says how it went.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.kernels.calls import Call
from allocator.kernels.system import Answer, Errno
from allocator.sparse.mheap import HEAP, RECLAIM_DONE
from allocator.sparse.mspan import DEAD
from archcalc.traces.reader import address, decimal, marks_of
from archcalc.traces.records.version2 import ADVICE, ERRNO, KINDS
from archcalc.traces.version2.draws import Draws
from archcalc.traces.version2.turns import Placed, Turn

if TYPE_CHECKING:
    from allocator.sparse.fixalloc import FixAlloc
    from allocator.sparse.mspan import MSpan
    from allocator.sparse.page_cache import PageCache
    from allocator.sparse.runtime import Runtime
    from allocator.sparse.span_set import SpanSet
    from allocator.sparse.sweep import Sweeper

ERRNO_OF = {name: number for number, name in ERRNO.items()}
ADVISED = {f"MADV_{name.upper()}": name for name in ADVICE.values()}
BITS_BYTES = 64 << 10
FOR_OTHERS = frozenset("NsSMp")  # records that may be for another part of the runtime
ONLY_HERE = frozenset("+-bQCDEH)")  # and such as never are
CHANGES = frozenset("HDCEun")  # what changes the scavenger's index, under the heap's lock
ERRNO_ENDS = {name[-1] for name in ERRNO_OF}  # no address ends so: these are capitals

Differs = Callable[[Placed | None, str], None]


# A span whose pages were found, and whose memory is not looked at yet: its bytes, those of them that were
# scavenged, its record, and whether some was used before, as far as was known when the pages were found. A
# tuple, as one is made for each span.
Making = tuple[int, int, "MSpan", bool]


@dataclass(slots=True)
class SetPlaces:
    """A span set: its class and which of the four it is, and the places of the spans in it."""

    name: str
    pushes: Draws = field(default_factory=Draws)  # the places that were drawn
    places: deque[int] = field(default_factory=deque)  # of the spans in it
    lines: dict[int, int] = field(default_factory=dict)  # by place, the line that put a span there
    # Places of which a line said that no span is there any more.
    owed: dict[int, int] = field(default_factory=dict)
    empty: str = ""  # what is said where no span is there

    def __post_init__(self) -> None:
        self.empty = f"- {self.name} -"


@dataclass(slots=True)
class FoundEarly:
    """A chunk that the scavenger found because of what another thread was doing with the heap's lock."""

    told: tuple[int, int] | None
    force: bool
    placed: Placed
    changes: int = 0  # of the index, since then


class Companion:
    """Steps of one machine, and its kernel. `turn_of` is the request that is carried out now."""

    def __init__(
        self,
        differs: Differs,
        requests: Callable[[Placed], None],
        nested: Callable[[Placed, deque[Placed]], None],
    ) -> None:
        self.differs = differs
        self.requests = requests
        self.nested = nested
        self.threads: Callable[[], Sized] = tuple  # those on record
        self.now = Turn(deque())
        self.outside = False  # what is asked for now is not for the allocator itself
        self.log: list[Call] = []  # a kernel has one; the recording is it
        self._freed_at: dict[int, int] = {}  # by base, the line that freed a large stack
        self._reclaimed = Draws()
        self._all_reclaimed = False
        self._making: dict[int, Making] = {}  # by base: spans whose pages are found, and no more yet
        self._popped_at = 0
        self._early: list[FoundEarly] = []
        self.unordered = 0
        self._sets: dict[int, SetPlaces] = {}
        self._empties: dict[int, list[str]] = {}  # what is said of lists of sets that are empty
        self._split: tuple[str, list[str]] = "", [""]  # the line that was split last
        self.core: Runtime  # from mallocinit on

    # Records.

    def expect(self, found: str) -> None:
        """The next record is this one, or that is a difference."""
        now = self.now
        if now.lines[now.at] == found and not self._early:
            now.at += 1
            return
        if now.records and now.records[0][1] == found and not self._early:
            now.drop()
            return
        self.next()
        placed = self.now.take()
        if placed is None or placed[1] != found:
            self.differs(placed, found)
        elif self._early:
            self._changed(found)

    def next(self) -> str:
        """The next record, which stays; empty where there is none."""
        now = self.now
        line = now.lines[now.at] or (now.records[0][1] if now.records else "")
        if line and line[0] not in FOR_OTHERS and line[:7] != "( stack" and not self._early:
            return line
        while (placed := self.now.peek()) is not None:
            if self._early:
                self._settle()
            line = placed[1]
            if line[0] == "N":  # what a mapping is called is nothing that a machine knows
                self.now.take()
            elif line[0] in "sSp" or (line[:7] == "( stack" and line[7:12] != "clear"):
                # Any function of the runtime may find its own stack too small, and who gives a lock back
                # that others waited for may note that in a profile.
                self.now.take()
                self.nested(placed, deque())
            elif line[:4] == "M 0 " and line[-1] not in ERRNO_ENDS and self._for_others():
                continue
            else:
                return line
        return ""

    def _words(self) -> list[str]:
        """The fields of the next record, which stays."""
        line = self.next()
        if line is not self._split[0]:
            self._split = line, line.split(" ")
        return self._split[1]

    def _for_others(self) -> bool:
        """Carries out what another part of the runtime asks the system for inside a request, if that is next.

        The tracer writes down what the allocator does, and its buffer may be full; or the profiles' memory.
        """
        behind = 1
        while (placed := self.now.ahead(behind)) is not None and placed[1][0] == "N":
            behind += 1
        if placed is None or placed[1][0] not in "Yp":
            return False
        records = deque(self.now.take() for _ in range(behind))
        self.now.take()
        self.nested(placed, deque(one for one in records if one is not None))
        return True

    def _who(self) -> str:
        p = self.core.current_p
        return "-" if p is None else str(p)

    def _name(self, source: FixAlloc) -> str | None:
        """What a fixalloc of the allocator's own is called."""
        core = self.core
        if source is core.heap.spanalloc:
            return "spanalloc"
        if source is core.cachealloc:
            return "cachealloc"
        return "arenaHintAlloc" if source is core.arenas.hint_alloc else None

    def _set(self, of: SpanSet) -> SetPlaces:
        """What is known of a span set."""
        if not self._sets:
            for c in self.core.central:
                for name, pair in (("p", c.partial), ("f", c.full)):
                    for i, each in enumerate(pair):
                        self._sets[id(each)] = SetPlaces(f"{c.spanclass} {name}{i}")
        return self._sets[id(of)]

    # Steps.

    def turn(self) -> None:
        now = self.now
        if now.lines[now.at][:1] not in ONLY_HERE or self._early:
            self.next()

    def persistent(self, size: int, align: int, stat: str, ret: int) -> None:
        if not self.outside:
            self.expect(f"q {self._who()} {size} {align} {stat} {ret:x}")

    def fixed(self, source: FixAlloc, ret: int) -> None:
        name = self._name(source)
        if name is not None:
            self.expect(f"F {name} {ret:x}")

    def unfixed(self, source: FixAlloc, ptr: int) -> None:
        name = self._name(source)
        if name is not None:
            self.expect(f"X {name} {ptr:x}")

    def cached(self, cache: PageCache) -> None:
        self.expect(f"C {self._who()} {cache.base:x} {cache.cache:x} {cache.scav:x}")

    def flushing(self, cache: PageCache) -> None:
        self.expect(f"E {cache.base:x} {cache.cache:x} {cache.scav:x}")

    def span(
        self, npages: int, kind: int, spanclass: int, from_cache: bool, base: int, scav: int, s: MSpan
    ) -> None:
        how = "c" if from_cache else "h"
        of_class = spanclass if kind == HEAP else 0
        heap = self.core.heap
        self._making[base] = npages << heap.page_shift, scav, s, heap.was_used(base, npages)
        self.expect(
            f"H {self._who()} {npages} {KINDS[kind]} {of_class} {how} {base:x} {scav} {s.self_addr:x}"
        )

    def pool_gave(self, order: int | None, ret: int) -> None:
        self.expect(f"< {'large' if order is None else order} {ret:x}")

    def takes_large(self, free: Iterable[MSpan]) -> bool:
        if self.next()[:2] == "< " or any(self._freed_at.get(s.base, 0) < self.now.line for s in free):
            return True
        self.unordered += 1
        return False

    def pool_takes(self, order: int | None, ptr: int) -> None:
        if order is None and (placed := self.now.peek()) is not None:
            self._freed_at[ptr] = placed[0]
        self.expect(f"> {'large' if order is None else order} {ptr:x}")

    def bits_arena(self) -> str | None:
        now = self.now
        if now.lines[now.at][:1] in ONLY_HERE and not self._early:
            return None
        line = self.next()
        if line[:2] == "* ":
            return "free"
        return "new" if line[:4] == "M 0 " and line.split(" ")[2] == str(BITS_BYTES) else None

    def bits_arena_unused(self, at: int) -> bool:
        self.expect(f"* {at:x}")
        unused = self.next()[:2] == "/ "
        if unused:
            self.expect(f"/ {at:x}")
        return unused

    def zeroed(self, base: int, needzero: int) -> int:
        making = self._making.pop(base, None)
        now = self.now
        if now.lines[now.at] == f"Q {needzero} {base:x}" and not self._early:
            now.at += 1
            return needzero
        told = int(self.next() == f"Q 1 {base:x}")
        if told != needzero and making is not None and self._may_be(told, base, making):
            self.unordered += 1
            needzero = told
        self.expect(f"Q {needzero} {base:x}")
        return needzero

    def _may_be(self, needzero: int, base: int, making: Making) -> bool:
        """Whether another thread can have used the arena up beyond that span before this one did, or
        just not before it: both were making spans there at the same time."""
        core = self.core
        size, scav, _, used = making
        if scav == size and not core.mem.need_zero_after_sys_unused():
            return False  # all of it comes back from the system, zeroed
        if not needzero:
            return not used
        index = core.config.arena_index
        arena = index(base + size - 1)
        return any(other > base and index(other) <= arena for other in self._making)

    def reclaim_from(self, at: int) -> int | None:
        words = self.next().split(" ")
        if words[0] != "R":
            return None
        told = decimal(words[1])
        step = self.core.config.pages_per_reclaimer_chunk
        done = self._all_reclaimed and self.core.config.uintptr_mask & RECLAIM_DONE
        if self._all_reclaimed and 0 <= told - done < len(self.threads()) * step and not told % step:
            # Others kept drawing when one had drawn the last. On 32 bits the sign for that is cut off.
            self.unordered += 1
            at = told
        elif not told % step and self._reclaimed.draw(told // step, len(self.threads())):
            at = told
        else:
            at = self._reclaimed.expected * step
        self.expect(f"R {at}")
        if at // self.core.config.pages_per_arena >= len(self.core.heap.sweep_arenas):
            self._all_reclaimed = True
        return at

    def begins(self) -> None:
        """A sweep phase begins: what was drawn in the last one is whole."""
        self._whole(self._reclaimed, lambda number: f"a record R of chunk {number}")
        self._all_reclaimed = False

    def epoch(self) -> None:
        """The sets that were swept are empty, and start over."""
        for c in self.core.central:
            for each in (c.partial_unswept(), c.full_unswept()):
                self.emptied(each)

    def emptied(self, of: SpanSet) -> None:
        """A set starts over, or the recording is over: every place of it was seen."""
        known = self._set(of)
        if known.pushes.next or known.owed:
            self._whole(known.pushes, lambda place: f"+ {known.name} {place}")
            owed, known.owed = known.owed, {}
            for place in owed:
                self.differs(None, f"- {known.name} {place}")

    def _whole(self, draws: Draws, what: Callable[[int], str]) -> None:
        self.unordered += draws.unordered
        draws.unordered = 0
        left = draws.begin()
        if left is not None:
            self.differs(None, what(left))

    def finish(self) -> None:
        """The recording is over."""
        self.begins()
        for c in self.core.central:
            for each in (*c.partial, *c.full):
                self.emptied(each)
        if self._early:
            self._settle()
            for one in self._early:
                self.differs(one.placed, "another chunk, or none")

    def freed(self, npages: int, kind: int, base: int) -> None:
        self.expect(f"D {self._who()} {npages} {KINDS[kind]} {base:x}")

    def pushes(self, to: SpanSet, s: MSpan) -> bool:
        known = self._sets.get(id(to)) or self._set(to)
        draws, now = known.pushes, self.now
        place = draws.next
        if draws.missing or place >= to.block_entries * len(to.blocks) or self._early:
            return False
        if now.lines[now.at] != f"+ {known.name} {place} {s.base:x} {s.self_addr:x}":
            return False
        draws.next = place + 1
        known.lines[place] = now.first + now.at
        known.places.append(place)
        now.at += 1
        return True

    def needs_block(self, to: SpanSet) -> bool:
        words = self._words()
        if words[0] != "+" or len(words) != 6:
            return True
        return decimal(words[3]) >= to.block_entries * len(to.blocks)

    def new_block(self) -> bool:
        new = self.next()[:1] in ("M", "q")
        self.unordered += new
        return new

    def pushed(self, to: SpanSet, s: MSpan) -> None:
        words = self._words()
        placed = self.now.peek()
        known = self._set(to)
        draws, places = known.pushes, known.places
        place = draws.expected if draws.missing else draws.next
        if words[0] == "+" and len(words) == 6:
            # Others push at the same time: the place that each drew is what counts.
            told = decimal(words[3])
            if draws.draw(told, len(self.threads())):
                place = told
        known.lines[place] = placed[0] if placed is not None else 0
        if places and places[-1] > place:
            self._reorder(to, places, place)
        else:
            places.append(place)
        self.expect(f"+ {known.name} {place} {s.base:x} {s.self_addr:x}")

    def pops(self, source: SpanSet, s: MSpan | None) -> bool:
        known = self._sets.get(id(source)) or self._set(source)
        now, places = self.now, known.places
        line = now.lines[now.at]
        if self._early or known.owed:
            return False
        if s is None:
            if line != known.empty:
                return False
        elif line == f"- {known.name} {places[0]} {s.base:x} {s.self_addr:x}":
            del known.lines[places.popleft()]
        else:
            return False
        now.at += 1
        return True

    def popped(self, source: SpanSet, s: MSpan | None) -> None:
        name = self._set(source).name
        if s is None:
            self.expect(f"- {name} -")
            return
        base = s.base
        if s.state == DEAD:
            # A span that was freed meanwhile. Another thread may be making a new one of its record.
            words = self.next().split(" ")
            making = {new.self_addr: other for other, (_, _, new, _) in self._making.items()}
            if len(words) == 6 and words[4] == f"{making.get(s.self_addr, base):x}" != f"{base:x}":
                self.unordered += 1
                base = making[s.self_addr]
        self.expect(f"- {name} {self._popped_at} {base:x} {s.self_addr:x}")

    def place_of_next(self, source: SpanSet) -> int | None:
        """Which of a set's spans is popped: the first, but that several threads may pop at once."""
        words = self._words()
        known = self._set(source)
        places = known.places
        if not places:
            return None
        at = 0
        if words[0] == "-":
            if len(words) == 6:
                if words[3] != str(places[0]):
                    drawn = decimal(words[3])
                    if drawn in places:
                        at = places.index(drawn)
                        self.unordered += 1
            elif words[-1] == "-" and known.name == " ".join(words[1:3]) and self._finds_none(known):
                self.unordered += 1
                return None
        self._popped_at = place = places[at]
        if known.owed and known.owed.pop(place, self.now.line) < self.now.line:
            # Another thread found the set empty before this one can have begun to pop.
            self.differs(self.now.peek(), f"- {known.name} -")
        del places[at]
        del known.lines[place]
        return at

    def _finds_none(self, known: SetPlaces) -> bool:
        """Whether a thread can have found that set empty: spans that are in it were pushed since the thread's
        last record, or other threads are about to write down that they popped them."""
        placed = self.now.peek()
        owed = [place for place in known.places if known.lines[place] < self.now.line]
        if placed is None or len(owed) >= len(self.threads()):
            return False
        known.owed.update(dict.fromkeys(owed, placed[0]))
        return True

    def _reorder(self, to: SpanSet, places: deque[int], place: int) -> None:
        at = len(places)
        while at and places[at - 1] > place:
            at -= 1
        places.insert(at, place)
        s = to.spans.pop()
        to.spans.insert(at, s)

    def sweeping(self, s: MSpan, preserve: bool) -> None:
        if self._sweeps_plainly(s, preserve):
            return
        self.expect(f"( sweep {self._who()} {int(preserve)} {s.base:x}")
        # Finalizers and the like of dead objects are handled first, outside the allocator.
        while (line := self.next()) and line[0] not in "b)":
            placed = self.now.take()
            assert placed is not None
            self.requests(placed)
        placed = self.now.take()
        if placed is None or placed[1][:2] != "b ":
            self.differs(placed, f"b {s.base:x}")
            return
        words = placed[1].split(" ")
        self._check_page(s, placed)
        s.mark_bits = marks = marks_of(words[5])
        nalloc = marks.bit_count()
        found = f"b {s.base:x} {s.spanclass} {nalloc} {s.alloc_count - nalloc} {words[5]}"
        if found != placed[1]:
            self.differs(placed, found)

    def _sweeps_plainly(self, s: MSpan, preserve: bool) -> bool:
        """Whether the marks come next, with nothing outside the allocator before; they are set then."""
        now, core = self.now, self.core
        lines, at = now.lines, now.at
        if self._early:
            return False
        p = core.current_p
        if lines[at] != f"( sweep {'-' if p is None else p} {preserve:d} {s.base:x}":
            return False
        line = lines[at + 1]
        words = line.rpartition(" ")[2]
        try:
            marks = marks_of(words)
        except ValueError:
            return False
        n = marks.bit_count()
        if line != f"b {s.base:x} {s.spanclass} {n} {s.alloc_count - n} {words}":
            return False
        if not marks and s.base >> core.config.page_shift in core.heap.marked:
            return False
        s.mark_bits = marks
        now.at = at + 2
        return True

    def _check_page(self, s: MSpan, placed: Placed) -> None:
        """A span whose page was marked has an object that is."""
        core = self.core
        marked = s.base >> core.config.page_shift in core.heap.marked
        if marked and not placed[1].rpartition(" ")[2].strip("0,"):
            self.differs(placed, f"b {s.base:x} {s.spanclass} with a mark, as its page has")

    def swept(self, base: int, freed: bool) -> None:
        self.expect(f") sweep {freed:d} {base:x}")

    def sweeps(self) -> bool:
        now = self.now
        line = now.lines[now.at]
        if line[:1] not in ONLY_HERE or self._early:
            line = self.next()
        return line[:11] == "( sweepone "

    def acquires(self, s: MSpan) -> bool:
        line = self.next()
        return (line[:7] == "( sweep" and line.endswith(f" {s.base:x}")) or len(self.threads()) < 2

    def looks_from(self, sweeper: Sweeper, end: int) -> int:
        line = self.next()
        at = sweeper.central_index  # another thread may have moved it on until now
        if line.startswith(f"- {at >> 1} {'p' if at & 1 else 'f'}"):
            return at
        told = end
        if line[:2] == "- ":
            words = line.split(" ")
            told = 2 * decimal(words[1]) + (words[2][0] == "p")
        if told != at and len(self.threads()) > 1:
            # Another thread was about to move the place on, or had just done so.
            self.unordered += 1
            return told
        return at

    def finds_none(self, lists: Sequence[SpanSet], first: int, end: int) -> bool:
        if first == end or self._early:
            return first == end
        empty = self._empties.get(id(lists))
        if empty is None:
            empty = self._empties[id(lists)] = [self._set(each).empty for each in lists]
        now = self.now
        after = now.at + end - first
        if now.lines[now.at : after] != empty[first:end]:
            return False
        now.at = after
        return True

    def looks(self) -> bool:
        now = self.now
        line = now.lines[now.at]
        if line[:1] not in ONLY_HERE or self._early:
            line = self.next()
        return line[:2] == "- "

    def sweeping_one(self) -> None:
        p = self.core.current_p
        self.expect(f"( sweepone {'-' if p is None else p}")

    def swept_one(self, pages: int) -> None:
        self.expect(f") sweepone {'done' if pages < 0 else pages}")

    def reclaims(self, npages: int) -> bool:
        now = self.now
        if now.lines[now.at][:1] in ONLY_HERE and not self._early:
            return False
        if not self.next().startswith("( reclaim "):
            return False
        self.expect(f"( reclaim {self._who()} {npages}")
        return True

    def reclaimed(self) -> None:
        self.expect(") reclaim")

    def scavenges(self) -> tuple[int, bool] | None:
        now = self.now
        if now.lines[now.at][:1] in ONLY_HERE and not self._early:
            return None
        line = self.next()
        if line[:11] != "( scavenge ":
            return None
        words = line.split(" ")
        return decimal(words[3]), words[4] == "1"

    def scavenging(self, nbytes: int, force: bool) -> None:
        self.expect(f"( scavenge {self._who()} {nbytes} {int(force)}")

    def found(self, chunk: tuple[int, int] | None, force: bool) -> tuple[tuple[int, int] | None, bool]:
        core = self.core
        shift = core.config.log_palloc_chunk_bytes
        line = self.next()
        told = chunk
        if line[:2] == "c ":
            words = line.split(" ")
            told = (
                None
                if words[1] == "-"
                else (core.config.offset(address(words[1])) >> shift, decimal(words[2]))
            )
        placed = self.now.peek()
        early = False
        if told != chunk and placed is not None and len(self.threads()) > 1 and self._is_chunk(told):
            # It is found without a lock. What others did meanwhile is partly written already, or
            # who has the heap's lock has done it and has not written it down yet.
            early = placed[0] <= self.now.line + 1
            chunk = told
            if early:
                self._early.append(FoundEarly(told, force, placed))
            else:
                self.unordered += 1
        self.expect("c -" if chunk is None else f"c {core.config.address(chunk[0] << shift):x} {chunk[1]}")
        return chunk, early

    def _is_chunk(self, told: tuple[int, int] | None) -> bool:
        index = self.core.pages.index
        return told is None or (told[0] in index.chunks and told[1] < index.chunk_pages)

    def _settle(self) -> None:
        """What was found early may be so by now."""
        index = self.core.pages.index
        for one in self._early[:]:
            if index.look(one.force) == one.told:
                index.move(one.force, one.told)
                self.unordered += 1
                self._early.remove(one)

    def _changed(self, line: str) -> None:
        """The index was changed: it must be that change, or the one before, that was seen early."""
        for one in self._early[:]:
            one.changes += line[0] in CHANGES and (line[0] != "H" or " h " in line)
            if one.changes > 1:
                self._early.remove(one)
                self.differs(one.placed, "another chunk, or none")

    def goes_on(self) -> bool:
        return self.next()[:2] == "c "

    def scavenged(self, released: int) -> None:
        self.expect(f") scavenge {released}")

    def taken(self, npages: int, base: int) -> None:
        self.expect(f"V {npages} {base:x}")

    def released(self, npages: int, base: int) -> None:
        self.expect(f"v {npages} {base:x}")

    def nothing_in(self, chunk: int) -> None:
        self.expect(f"u {chunk:x}")

    # The kernel.

    def _answer(self, found: str, what: str) -> str:
        """The answer on record, after what was asked."""
        line = self.next()
        if not line.startswith(what):
            self.differs(self.now.peek(), found)
            return "0"
        placed = self.now.take()
        assert placed is not None
        asked, _, answer = line.rpartition(" ")
        if asked != found:
            self.differs(placed, found)
        return answer

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        """What mmap answered."""
        found = f"M {v:x} {n} {'rw' if access else '-'} {'fixed' if fixed else '-'}"
        answer = self._answer(found, "M ")
        return Errno(ERRNO_OF[answer]) if answer in ERRNO_OF else address(answer)

    def munmap(self, v: int, n: int) -> Answer:
        """munmap."""
        self.expect(f"O {v:x} {n}")
        return 0

    def madvise(self, v: int, n: int, advice: str) -> Answer:
        """What madvise answered."""
        answer = self._answer(f"A {v:x} {n} {ADVISED.get(advice, advice)}", "A ")
        if answer != "0" and answer not in ERRNO_OF:
            raise ValueError(f"madvise answered {answer}; expected 0 or an error's name")
        return Errno(ERRNO_OF[answer]) if answer in ERRNO_OF else 0

    def mprotect(self, v: int, n: int, access: bool) -> Answer:
        """mprotect."""
        self.expect(f"G {v:x} {n} {'rw' if access else '-'}")
        return 0

    def brk(self) -> int:
        """Where the break was."""
        return address(self._answer("B", "B"))
