"""Following a machine of today's runtime along a recording: each step is compared with the record of it.

Where clocks and other threads decide (whether to sweep one more span, how far to scavenge), the next record
says how it went.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from allocator.kernels.calls import Call
from allocator.kernels.system import Answer, Errno
from allocator.sparse.mheap import HEAP
from allocator.sparse.mspan import DEAD
from archcalc.traces.reader import address, decimal
from archcalc.traces.records.version2 import ADVICE, ERRNO, KINDS
from archcalc.traces.version2.turns import Placed, Turn

if TYPE_CHECKING:
    from allocator.sparse.fixalloc import FixAlloc
    from allocator.sparse.mspan import MSpan
    from allocator.sparse.page_cache import PageCache
    from allocator.sparse.runtime import Runtime
    from allocator.sparse.span_set import SpanSet

ERRNO_OF = {name: number for number, name in ERRNO.items()}
ADVISED = {f"MADV_{name.upper()}": name for name in ADVICE.values()}
BITS_BYTES = 64 << 10

Differs = Callable[[Placed | None, str], None]


class Companion:
    """Steps of one machine, and its kernel. `turn_of` is the request that is carried out now."""

    def __init__(
        self, differs: Differs, requests: Callable[[Placed], None], nested: Callable[[Placed], None]
    ) -> None:
        self.differs = differs
        self.requests = requests
        self.nested = nested
        self.threads: Callable[[], bool] = lambda: False  # whether more than one is on record
        self.now = Turn(deque())
        self.outside = False  # what is asked for now is not for the allocator itself
        self.log: list[Call] = []  # a kernel has one; the recording is it
        self._places: dict[int, deque[int]] = {}
        self._popped_at = 0
        self.unordered = 0
        self._sets: dict[int, str] = {}
        self.core: Runtime | None = None

    # Records.

    def expect(self, found: str) -> None:
        """The next record is this one, or that is a difference."""
        self.next()
        placed = self.now.take()
        if placed is None or placed[1] != found:
            self.differs(placed, found)

    def next(self) -> str:
        """The next record, which stays; empty where there is none."""
        while (placed := self.now.peek()) is not None:
            line = placed[1]
            if line[0] == "N":  # what a mapping is called is nothing that a machine knows
                self.now.take()
            elif line[0] in "sS" or (line[:7] == "( stack" and line[7:12] != "clear"):
                # Any function of the runtime may find its own stack too small.
                self.now.take()
                self.nested(placed)
            else:
                return line
        return ""

    def _who(self) -> str:
        core = self.core
        return "-" if core is None or core.current_p is None else str(core.current_p)

    def _name(self, source: FixAlloc) -> str | None:
        """What a fixalloc of the allocator's own is called."""
        core = self.core
        assert core is not None
        if source is core.heap.spanalloc:
            return "spanalloc"
        if source is core.cachealloc:
            return "cachealloc"
        return "arenaHintAlloc" if source is core.arenas.hint_alloc else None

    def _set(self, of: SpanSet) -> str:
        """A span set's class, and which of the four it is."""
        if not self._sets:
            core = self.core
            assert core is not None
            for c in core.central:
                for name, pair in (("p", c.partial), ("f", c.full)):
                    for i, each in enumerate(pair):
                        self._sets[id(each)] = f"{c.spanclass} {name}{i}"
        return self._sets[id(of)]

    # Steps.

    def turn(self) -> None:
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
        self.expect(
            f"H {self._who()} {npages} {KINDS[kind]} {of_class} {how} {base:x} {scav} {s.self_addr:x}"
        )

    def pool_gave(self, order: int | None, ret: int) -> None:
        self.expect(f"< {'large' if order is None else order} {ret:x}")

    def pool_takes(self, order: int | None, ptr: int) -> None:
        self.expect(f"> {'large' if order is None else order} {ptr:x}")

    def bits_arena(self) -> str | None:
        line = self.next()
        if line[:2] == "* ":
            return "free"
        return "new" if line[:4] == "M 0 " and line.split(" ")[2] == str(BITS_BYTES) else None

    def new_bits_arena(self, at: int) -> int:
        line = self.next()
        if line[:2] == "* " and self.threads() and line != f"* {at:x}":
            # Who asks for one at the same time as others may put it back unused.
            told, bits = address(line[2:]), self.core.gc_bits if self.core is not None else None
            if bits is not None and told in (*bits.free, *bits.next, *bits.current, *bits.previous):
                self.unordered += 1
                at = told
        self.expect(f"* {at:x}")
        return at

    def zeroed(self, base: int, needzero: int) -> int:
        line = self.next()
        other = f"Q {1 - needzero} {base:x}"
        if line == other and self.threads():
            # Another thread's span was made in the same arena at the same time.
            self.unordered += 1
            needzero = 1 - needzero
        self.expect(f"Q {needzero} {base:x}")
        return needzero

    def reclaim_from(self, at: int) -> int | None:
        words = self.next().split(" ")
        if words[0] != "R":
            return None
        told = decimal(words[1])
        if told != at and self.threads():
            # Others draw their pages at the same time.
            self.unordered += 1
            at = told
        self.expect(f"R {at}")
        return at

    def freed(self, npages: int, kind: int, base: int) -> None:
        self.expect(f"D {self._who()} {npages} {KINDS[kind]} {base:x}")

    def pushed(self, to: SpanSet, s: MSpan) -> None:
        words = self.next().split(" ")
        places = self._places.setdefault(id(to), deque())
        last = places[-1] if places else to.head - 1
        place = last + 1
        if words[0] == "+" and len(words) == 5 and words[3] != str(place):
            # Others pushed at the same time: the place that each drew is what counts.
            place = self._reorder(to, places, decimal(words[3]))
        else:
            places.append(place)
        self.expect(f"+ {self._set(to)} {place} {s.base:x}")

    def popped(self, source: SpanSet, s: MSpan | None) -> None:
        if s is None:
            self.expect(f"- {self._set(source)} -")
            return
        found = f"- {self._set(source)} {self._popped_at} {s.base:x}"
        line = self.next()
        if s.state == DEAD and self.threads() and line.rpartition(" ")[0] == found.rpartition(" ")[0]:
            # A span that was freed meanwhile; another thread may be making a new one of its record.
            self.unordered += line != found
            found = line
        self.expect(found)

    def place_of_next(self, source: SpanSet) -> int | None:
        """Which of a set's spans is popped: the first, but that several threads may pop at once."""
        words = self.next().split(" ")
        places = self._places.setdefault(id(source), deque())
        at = 0
        if words[0] == "-" and len(words) == 5 and places and words[3] != str(places[0]):
            drawn = decimal(words[3])
            if drawn in places:
                at = places.index(drawn)
                self.unordered += 1
        if words[0] == "-" and words[-1] == "-" and places and self._set(source) == " ".join(words[1:3]):
            # It looked before the last push, and was written down behind it.
            self.unordered += 1
            return None
        if not places:
            return None
        self._popped_at = places[at]
        del places[at]
        return at

    def _reorder(self, to: SpanSet, places: deque[int], place: int) -> int:
        at = len(places)
        while at and places[at - 1] > place:
            at -= 1
        places.insert(at, place)
        s = to.spans.pop()
        to.spans.insert(at, s)
        self.unordered += 1
        return place

    def sweeping(self, s: MSpan, preserve: bool) -> None:
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
        marks = 0
        for i, word in enumerate(words[5].split(",")):
            marks |= int(word, 16) << 64 * i
        s.mark_bits = marks
        nalloc = marks.bit_count()
        found = f"b {s.base:x} {s.spanclass} {nalloc} {s.alloc_count - nalloc} {words[5]}"
        if found != placed[1]:
            self.differs(placed, found)

    def swept(self, base: int, freed: bool) -> None:
        self.expect(f") sweep {int(freed)} {base:x}")

    def sweeps(self) -> bool:
        return self.next().startswith("( sweepone ")

    def acquires(self, s: MSpan) -> bool:
        line = self.next()
        mine = line[:7] == "( sweep" and line.endswith(f" {s.base:x}")
        return mine or not self.threads()

    def looks_from(self, at: int, end: int) -> int:
        words = self.next().split(" ")
        told = end
        if words[0] == "-":
            told = 2 * decimal(words[1]) + (words[2][0] == "p")
        if told != at and self.threads():
            # Another thread was about to move the place on, or had just done so.
            self.unordered += 1
            return told
        return at

    def looks(self) -> bool:
        return self.next()[:2] == "- "

    def sweeping_one(self) -> None:
        self.expect(f"( sweepone {self._who()}")

    def swept_one(self, pages: int) -> None:
        self.expect(f") sweepone {'done' if pages < 0 else pages}")

    def reclaims(self, npages: int) -> bool:
        if not self.next().startswith("( reclaim "):
            return False
        self.expect(f"( reclaim {self._who()} {npages}")
        return True

    def reclaimed(self) -> None:
        self.expect(") reclaim")

    def scavenges(self) -> tuple[int, bool] | None:
        words = self.next().split(" ")
        return (decimal(words[3]), words[4] == "1") if words[:2] == ["(", "scavenge"] else None

    def scavenging(self, nbytes: int, force: bool) -> None:
        self.expect(f"( scavenge {self._who()} {nbytes} {int(force)}")

    def goes_on(self) -> bool:
        return not self.next().startswith(")")

    def scavenged(self, released: int) -> None:
        self.expect(f") scavenge {released}")

    def taken(self, npages: int, base: int) -> None:
        self.expect(f"V {npages} {base:x}")

    def released(self, npages: int, base: int) -> None:
        self.expect(f"v {npages} {base:x}")

    def finds(self, chunk: int) -> bool:
        if self.threads() and self.next() == f"u {chunk:x}":
            # From where a chunk is looked at is kept without a lock, and others move it at the same time.
            self.unordered += 1
            return False
        return True

    def nothing_in(self, chunk: int) -> None:
        self.expect(f"u {chunk:x}")

    # The kernel.

    def _answer(self, found: str, what: str) -> str:
        """The answer on record, behind what was asked."""
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
