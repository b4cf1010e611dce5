"""The heap that an execution trace shows, and a verdict on each step: right, wrong, or not decidable.

A span's next object is in its lowest free slot, because what is free below the last one given out was taken
before, and a sweep makes the span start over (nextFree). A P keeps a span of a class until that is full,
or until the world was stopped, which takes all spans from all Ps (mcache.refill, releaseAll). So the place
of most objects is certain. Late reports blur it: malloc writes down an object when all else is done, and may
be interrupted before that. Such an object's slot is skipped at first, and reported by a goroutine that has
just resumed; until then, the slot is owed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from allocator.sparse.config import Config
from allocator.sparse.heap_bits import SpanLayout, layouts
from archcalc.reading.words import counted

UNKNOWN = 0  # no block lies there
OPEN_BLOCKS = 8  # that a P may have open, as far as it is followed
MANUAL = -1  # the class of a span that is not the heap's: stacks, work buffers
ALL_PAGES = 64  # spans of more pages are known by their first alone: they hold one object, or one stack
ELSEWHERE = "reported by a goroutine that had been interrupted, perhaps on another P"


class Certainty(Enum):
    """What can be said of a step."""

    RIGHT = "right"
    WRONG = "wrong"
    OPEN = "not decidable"


class Appraisal(NamedTuple):
    """A verdict, and in words what there is instead of what should be, or why nothing can be said."""

    verdict: Certainty
    found: str = ""
    left_out: bool = False  # it may be due to a span or stack that the tracer has left out
    awaits: bool = False  # it may be due to what is reported later


RIGHT = Appraisal(Certainty.RIGHT)


class SeenSpan:
    """A span as the trace shows it; `live` has a bit for each object, `owed` for each slot that was skipped
    and is free as far as is known."""

    __slots__ = ("base", "elemsize", "live", "manual", "nelems", "npages", "owed", "owner", "spanclass")

    def __init__(self, base: int, npages: int, spanclass: int, elemsize: int, nelems: int) -> None:
        self.base = base
        self.npages = npages
        self.spanclass = spanclass
        self.manual = spanclass == MANUAL
        self.elemsize = elemsize
        self.nelems = nelems
        self.live = 0
        self.owed = 0
        self.owner: int | None = None  # the P that has it, as far as an object of it showed

    @property
    def noscan(self) -> bool:
        """Whether its objects have no pointers."""
        return bool(self.spanclass & 1)

    def lowest_free(self) -> int:
        """The slot that comes next, or the number of slots where none is free."""
        free = ~(self.live | self.owed)
        return min((free & -free).bit_length() - 1, self.nelems)


class SeenType(NamedTuple):
    """A type as far as a trace knows it, in bytes."""

    size: int
    ptrdata: int
    name: str


class SeenStep(NamedTuple):
    """One thing that happened, as a record says it: by which P (-1: none), where, how many pages or bytes,
    of which span class or type (0: none), and whether others may have run on the P since its last object."""

    record: str
    p: int
    addr: int
    n: int = 0
    of: int = 0
    resumed: bool = False


class SeenHeap:
    """Spans, objects and stacks that live, and who has which span. Addresses are bytes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.layout: list[SpanLayout] = layouts(config)
        self.shift = config.page_shift
        self.tiny_class = config.tiny_size_class << 1 | 1
        self.types: dict[int, SeenType] = {}
        self.pages: dict[int, SeenSpan] = {}
        self.bases: list[int] = []
        self.spans: dict[int, SeenSpan] = {}
        self.stacks: dict[int, int] = {}  # bytes by base
        # What each P allocates from: the span of a class, and the blocks that tiny objects may go into.
        self.current: dict[tuple[int, int], SeenSpan] = {}
        self.tiny: dict[int, tuple[int, ...]] = {}  # UNKNOWN among them where it may be another
        self.owed = 0
        # Ps that may have been stopped with the world and have not begun again: what they report is older.
        self.stopping: set[int] = set()
        self.snapshot = False  # what was there before is being reported
        self.begun = False  # and has been reported
        self.collections = 0
        # Manual spans that were there before: stacks in them may be older than the trace.
        self.older: set[int] = set()

    def judge(self, step: SeenStep) -> Appraisal:
        """What can be said of a step, before it is carried out."""
        judged = self._judged(step)
        if judged.verdict is Certainty.WRONG:
            if not self.begun and step.record not in "huo":
                return Appraisal(Certainty.OPEN, "what was there before the trace began is not reported yet")
            if judged.left_out and not self.config.traces_all_spans:
                return Appraisal(
                    Certainty.OPEN,
                    f"{judged.found}; such a tracer leaves out some spans and stacks",
                )
        return judged

    def _judged(self, step: SeenStep) -> Appraisal:
        record, p, addr, n, of, resumed = step
        if record == "m":
            return self.judge_object(addr, of, p, resumed)
        if record == "f":
            return self.judge_free(addr)
        if record in "hH":
            return self.judge_span(addr, n, of, record == "h")
        if record == "D":
            return self.judge_span_free(addr)
        if record in "us":
            return self.judge_stack(addr, n, record == "u")
        if record == "S":
            return self.judge_stack_free(addr)
        return self.judge_older(addr, of) if record == "o" else RIGHT

    def carry_out(self, step: SeenStep) -> int:
        """Carries out a step, whatever was said of it. Returns the bytes that an object newly takes."""
        record, p, addr, n, of, resumed = step
        if record in "huo":
            self.snapshot = True
        elif self.snapshot and record in "mfHDsS":
            self.begun = True
        if record == "m":
            return self.add_object(addr, p, resumed)
        if record == "f":
            self.remove_object(addr)
        elif record in "hH":
            self.add_span(addr, n, of, record == "h")
        elif record == "D":
            s = self.spans.get(addr)
            if s is not None:
                self.remove_span(s)
        elif record in "us":
            self.stacks[addr] = n
        elif record == "S":
            self.stacks.pop(addr, None)
        elif record == "o":
            self.exists(addr)
        elif record in "xP":
            self.stopped(p)
        elif record == "i":
            self.stopping.discard(p)
        return 0

    # Spans.

    def span_at(self, addr: int) -> SeenSpan | None:
        """The span that holds an address."""
        s = self.pages.get(addr >> self.shift)
        if s is not None:
            return s
        at = bisect_right(self.bases, addr) - 1
        if at < 0:
            return None
        s = self.spans[self.bases[at]]
        return s if addr < s.base + (s.npages << self.shift) else None

    def judge_span(self, base: int, npages: int, spanclass: int, older: bool = False) -> Appraisal:
        """Whether a span of so many pages can be there."""
        if not npages or base % self.config.page_size:
            return Appraisal(Certainty.WRONG, f"{counted(npages, 'page')} from {base:x} on are not a span")
        if spanclass != MANUAL:
            if spanclass >= len(self.layout):
                return Appraisal(Certainty.WRONG, f"there is no span class {spanclass}")
            wanted = self.layout[spanclass].npages
            if wanted and npages != wanted:
                return Appraisal(
                    Certainty.WRONG, f"spans of class {spanclass} have {counted(wanted, 'page')}"
                )
        other = self._overlapping(base, npages)
        if other is not None and not (older and (other.base, other.npages) == (base, npages)):
            return Appraisal(Certainty.WRONG, f"the span at {other.base:x} has those pages", True)
        return RIGHT

    def _overlapping(self, base: int, npages: int) -> SeenSpan | None:
        at = bisect_left(self.bases, base + (npages << self.shift)) - 1
        if at < 0:
            return None
        s = self.spans[self.bases[at]]
        return s if s.base + (s.npages << self.shift) > base else None

    def add_span(self, base: int, npages: int, spanclass: int, older: bool) -> None:
        """A span is there from now on; what is in its way is gone, except for the same one reported twice."""
        same = self.spans.get(base)
        if older and same is not None and same.npages == npages:
            return
        while (other := self._overlapping(base, npages)) is not None:
            self.remove_span(other)
        if spanclass == MANUAL:
            s = SeenSpan(base, npages, MANUAL, 0, 0)
            if older:
                self.older.add(base)
        else:
            layout = self.layout[spanclass]
            size = layout.elemsize or npages << self.shift
            s = SeenSpan(base, npages, spanclass, size, layout.nelems)
        self.spans[base] = s
        insort(self.bases, base)
        if npages <= ALL_PAGES:
            for page in range(base >> self.shift, (base >> self.shift) + npages):
                self.pages[page] = s

    def judge_span_free(self, base: int) -> Appraisal:
        """Whether the span that begins there can be given back."""
        s = self.spans.get(base)
        if s is None:
            return Appraisal(Certainty.WRONG, f"no span begins at {base:x}", True)
        if s.live:
            return Appraisal(
                Certainty.WRONG, f"{counted(s.live.bit_count(), 'object')} live in the span", True
            )
        if s.manual:
            for stack in self.stacks_in(s):
                return Appraisal(Certainty.WRONG, f"the stack at {stack:x} lives in the span", True)
        return RIGHT

    def stacks_in(self, s: SeenSpan) -> Iterator[int]:
        """The stacks that live in a span of them."""
        step = self.config.fixed_stack
        if s.npages > ALL_PAGES:
            if s.base in self.stacks:
                yield s.base
            return
        for at in range(s.base, s.base + (s.npages << self.shift), step):
            if at in self.stacks:
                yield at

    def remove_span(self, s: SeenSpan) -> None:
        """A span no longer exists, nor does what was in it."""
        if s.manual:
            for stack in list(self.stacks_in(s)):
                del self.stacks[stack]
            self.older.discard(s.base)
        self._nobodys(s)
        self.owed -= s.owed.bit_count()
        del self.spans[s.base]
        del self.bases[bisect_left(self.bases, s.base)]
        if s.npages <= ALL_PAGES:
            for page in range(s.base >> self.shift, (s.base >> self.shift) + s.npages):
                self.pages.pop(page, None)

    # Objects.

    def judge_object(self, addr: int, type_: int, p: int, resumed: bool) -> Appraisal:
        """Whether the object that P has made can be there; `resumed` as the trace's order has it."""
        s = self.pages.get(addr >> self.shift) or self.span_at(addr)
        if s is None or s.manual:
            return Appraisal(Certainty.WRONG, f"no span with objects holds {addr:x}", True)
        if type_:
            wrong = self._type(s, type_)
            if wrong:
                return Appraisal(Certainty.WRONG, wrong)
        slot, beside = divmod(addr - s.base, s.elemsize)
        if slot >= s.nelems:
            return Appraisal(Certainty.WRONG, f"the span has {counted(s.nelems, 'object')}")
        bit = 1 << slot
        if s.live & bit:
            return self._in_live(s, addr, slot, p, resumed)
        if beside != (self.config.malloc_header_size if self._has_headers(s) else 0):
            return Appraisal(
                Certainty.WRONG,
                f"no object of the span begins {counted(beside, 'byte')} after the start of its slot",
            )
        if s.owed & bit:
            if resumed:
                return RIGHT
            return Appraisal(Certainty.WRONG, "that slot was skipped, and no goroutine was interrupted there")
        return self._next(s, slot, p, resumed)

    def _has_headers(self, s: SeenSpan) -> bool:
        """Whether its objects begin after their types."""
        return s.spanclass > 1 and not s.noscan and not self.layout[s.spanclass].bits_in_span

    def _type(self, s: SeenSpan, number: int) -> str:
        """What is wrong with a type in that span, or nothing."""
        typ = self.types.get(number)
        if typ is None:
            return f"there is no type {number}"
        if bool(typ.ptrdata) == s.noscan:
            which = "without" if s.noscan else "with"
            return (
                f"the span is for objects {which} pointers, but {typ.name} has "
                f"{counted(typ.ptrdata, 'byte')} of them"
            )
        if typ.size > s.elemsize:
            return f"{typ.name} has {counted(typ.size, 'byte')}, but objects of the span have {s.elemsize}"
        return ""

    def _in_live(self, s: SeenSpan, addr: int, slot: int, p: int, resumed: bool) -> Appraisal:
        """A slot that is taken can only be an open block of tiny objects."""
        base = s.base + slot * s.elemsize
        if s.spanclass != self.tiny_class:
            return Appraisal(Certainty.WRONG, f"the object at {base:x} lives there")
        blocks = self.tiny.get(p, (UNKNOWN,))
        if base in blocks:
            return RIGHT
        if UNKNOWN in blocks:
            return Appraisal(
                Certainty.OPEN, "which block for tiny objects the P has open is not reported yet"
            )
        if resumed:
            return Appraisal(Certainty.OPEN, ELSEWHERE)
        return Appraisal(Certainty.WRONG, f"the block for tiny objects at {base:x} is not that P's")

    def _next(self, s: SeenSpan, slot: int, p: int, resumed: bool) -> Appraisal:
        """A free slot: whether it is the one that comes next."""
        if slot != s.lowest_free():
            at = s.base + s.lowest_free() * s.elemsize
            if resumed:
                return Appraisal(Certainty.OPEN, "reported by a goroutine that had been interrupted")
            return Appraisal(
                Certainty.OPEN, f"the free slot at {at:x} was skipped, or is reported later", awaits=True
            )
        if p < 0:
            return Appraisal(Certainty.OPEN, "a thread without a P")
        if s.owner is not None and s.owner != p:
            if resumed:
                return Appraisal(Certainty.OPEN, ELSEWHERE)
            return Appraisal(Certainty.WRONG, f"P {s.owner} has the span at {s.base:x}")
        if s.elemsize <= self.config.max_small_size and s.spanclass > 1:
            now = self.current.get((p, s.spanclass))
            if now is not None and now is not s and now.lowest_free() < now.nelems:
                if resumed:
                    return Appraisal(Certainty.OPEN, ELSEWHERE)
                at = now.base + now.lowest_free() * now.elemsize
                found = f"the P's span has a free slot at {at:x}, or it is reported later"
                return Appraisal(Certainty.OPEN, found, awaits=True)
        return RIGHT

    def add_object(self, addr: int, p: int, resumed: bool) -> int:
        """An object is there from now on. Returns the bytes that it takes, 0 in a block that was open."""
        s = self.pages.get(addr >> self.shift) or self.span_at(addr)
        if s is None or s.manual:
            return 0
        slot = (addr - s.base) // s.elemsize
        if slot >= s.nelems:
            return 0
        bit = 1 << slot
        if s.live & bit:
            if s.spanclass == self.tiny_class and not resumed:
                self.tiny[p] = (s.base + slot * s.elemsize,)
            return 0
        if s.spanclass == self.tiny_class:
            self._opened(p, s.base + slot * s.elemsize)
        s.live |= bit
        if s.owed & bit:
            s.owed ^= bit
            self.owed -= 1
            return s.elemsize
        if not resumed:
            skipped = ~(s.live | s.owed) & (bit - 1)
            if skipped:
                s.owed |= skipped
                self.owed += skipped.bit_count()
        if s.spanclass > 1 and p >= 0 and not resumed and p not in self.stopping:
            now = self.current.get((p, s.spanclass))
            if now is not None and now is not s:
                self._left(now)
            s.owner = p
            self.current[p, s.spanclass] = s
        return s.elemsize

    def _left(self, s: SeenSpan) -> None:
        """A P goes on with another span: what is free in this one was taken, and is reported later."""
        left = ~(s.live | s.owed) & (1 << s.nelems) - 1
        s.owed |= left
        self.owed += left.bit_count()

    def _opened(self, p: int, block: int) -> None:
        """A new block for tiny objects. It is the open one if there is more room in it than in the last."""
        blocks = self.tiny.get(p, (UNKNOWN,))
        self.tiny[p] = (block, *blocks) if len(blocks) < OPEN_BLOCKS else (block, UNKNOWN)

    def judge_free(self, addr: int) -> Appraisal:
        """Whether the object at an address can be found dead."""
        s = self.pages.get(addr >> self.shift) or self.span_at(addr)
        if s is None or s.manual:
            return Appraisal(Certainty.WRONG, f"no span with objects holds {addr:x}", True)
        slot, beside = divmod(addr - s.base, s.elemsize)
        if beside or slot >= s.nelems or not s.live >> slot & 1:
            return Appraisal(Certainty.WRONG, f"no object lives at {addr:x}")
        return RIGHT

    def remove_object(self, addr: int) -> None:
        """An object is dead. Its span is swept, so no P has it, and it starts over."""
        s = self.pages.get(addr >> self.shift) or self.span_at(addr)
        if s is None or s.manual:
            return
        slot = (addr - s.base) // s.elemsize
        s.live &= ~(1 << slot)
        if s.owner is not None:
            self._nobodys(s)

    def judge_older(self, addr: int, type_: int) -> Appraisal:
        """Whether an object can have been there when the trace began."""
        s = self.span_at(addr)
        if s is None or s.manual:
            return Appraisal(Certainty.WRONG, f"no span with objects holds {addr:x}", True)
        slot, beside = divmod(addr - s.base, s.elemsize)
        if beside or slot >= s.nelems or s.live >> slot & 1:
            return Appraisal(Certainty.WRONG, f"no further object of the span can be at {addr:x}")
        wrong = self._type(s, type_) if type_ else ""
        return Appraisal(Certainty.WRONG, wrong) if wrong else RIGHT

    def exists(self, addr: int) -> None:
        """An object was there when the trace began."""
        s = self.span_at(addr)
        if s is not None and not s.manual:
            slot = (addr - s.base) // s.elemsize
            if slot < s.nelems:
                s.live |= 1 << slot

    def describe(self, s: SeenSpan) -> dict[str, Any]:
        """A span in words, for explanations."""
        return {
            "base": s.base, "npages": s.npages, "class": s.spanclass, "elemsize": s.elemsize,
            "nelems": s.nelems, "live": s.live.bit_count(), "next": s.lowest_free(), "owner": s.owner,
        }  # fmt: skip

    # Stacks.

    def judge_stack(self, base: int, size: int, older: bool = False) -> Appraisal:
        """Whether a stack of so many bytes can be given out there."""
        s = self.span_at(base)
        if s is None or not s.manual:
            return Appraisal(Certainty.WRONG, f"no span of stacks holds {base:x}", True)
        if size < self.config.fixed_stack or (base - s.base) % min(size, s.npages << self.shift):
            return Appraisal(Certainty.WRONG, f"stacks of {counted(size, 'byte')} do not begin there")
        if base + size > s.base + (s.npages << self.shift):
            return Appraisal(Certainty.WRONG, f"the span ends at {s.base + (s.npages << self.shift):x}")
        for at in self.stacks_in(s):
            if older and at == base and self.stacks[at] == size:
                continue
            if at < base + size and base < at + self.stacks[at]:
                return Appraisal(Certainty.WRONG, f"the stack at {at:x} lives there", True)
            if self.stacks[at] != size:
                return Appraisal(
                    Certainty.WRONG, f"the span's stacks have {counted(self.stacks[at], 'byte')}", True
                )
        return RIGHT

    def judge_stack_free(self, base: int) -> Appraisal:
        """Whether the stack there can be given back."""
        if base in self.stacks:
            return RIGHT
        s = self.span_at(base)
        if s is not None and s.base in self.older:
            return Appraisal(Certainty.OPEN, "a stack that may have been there before the trace began")
        return Appraisal(Certainty.WRONG, f"no stack lives at {base:x}", True)

    # The world.

    def stopped(self, p: int) -> None:
        """The world is being stopped by a P: all caches may be emptied.

        What others did before is still reported until they begin again.
        """
        for s in self.current.values():
            s.owner = None
            self.stopping = {other for other, _ in self.current} | set(self.tiny) | self.stopping
        self.stopping.discard(p)
        self.current.clear()
        self.tiny.clear()

    def _nobodys(self, s: SeenSpan) -> None:
        if s.owner is not None and self.current.get((s.owner, s.spanclass)) is s:
            del self.current[s.owner, s.spanclass]
        s.owner = None
