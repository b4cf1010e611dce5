"""Pushes to span sets and pops from them, along a recording: several threads draw places at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.sparse.mspan import DEAD
from archcalc.traces.reader import decimal
from archcalc.traces.version2.draws import Draws
from archcalc.traces.version2.records_ahead import ONLY_HERE, RecordsAhead

if TYPE_CHECKING:
    from allocator.sparse.mspan import MSpan
    from allocator.sparse.span_set import SpanSet
    from allocator.sparse.sweep import Sweeper

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


class SpanSetSteps(RecordsAhead):
    """Steps of the central lists' sets."""

    def prepare(self) -> None:
        super().prepare()
        self._making: dict[int, Making] = {}  # by base: spans whose pages are found, and no more yet
        self._popped_at = 0
        self._sets: dict[int, SetPlaces] = {}
        self._empties: dict[int, list[str]] = {}  # what is said of lists of sets that are empty

    def _set(self, of: SpanSet) -> SetPlaces:
        """What is known of a span set."""
        if not self._sets:
            for c in self.core.central:
                for name, pair in (("p", c.partial), ("f", c.full)):
                    for i, each in enumerate(pair):
                        self._sets[id(each)] = SetPlaces(f"{c.spanclass} {name}{i}")
        return self._sets[id(of)]

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

    def _whole(self, draws: Draws, what: Callable[[int], str]) -> None:
        self.unordered += draws.unordered
        draws.unordered = 0
        left = draws.begin()
        if left is not None:
            self.differs(None, what(left))
