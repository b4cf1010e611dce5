"""Replaying a recording of version 2 on a machine of today's runtime: inputs go in, every step is compared.

Records that come before a request, or between its brackets, wait for it; then the machine carries it out and
follows them one by one (`follow`). Records of other threads in between make it wait (`turns`).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from allocator.common.throw import BadRequest, Death, Throw
from allocator.common.types import KIND_NO_POINTERS, BadType, Type
from allocator.kernels.system import Answer
from allocator.sparse.config import Config
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.heap_bits import Plan, unrolled_pages
from allocator.sparse.mallocinit import mallocinit
from allocator.sparse.mem_linux import Debug
from allocator.sparse.mheap import SCALAR_BITS, WORK_BUF
from allocator.sparse.mspan import MSpan
from allocator.sparse.procs import P
from allocator.sparse.runtime import Runtime
from archcalc.reading.words import counted
from archcalc.traces import columnar
from archcalc.traces.line_by_line import KEPT, LineByLine
from archcalc.traces.outcome import Parting, Replay, Stop, carry_out
from archcalc.traces.reader import Header, address, decimal, fault, shorten
from archcalc.traces.records.version2 import GODEBUGS, KINDS
from archcalc.traces.version2.ending import EndOfHeap
from archcalc.traces.version2.follow import Companion
from archcalc.traces.version2.turns import AtHand, Placed, Turn, Waiting

TRANSPARENT = frozenset(("readmemstats",))
IN_LINES = TRANSPARENT | {"init"}  # brackets of which some lines are for others than the machine
# What waits for the request that it belongs to.
OWN = frozenset("MOAGNBqFXJHDCcVvu+-bQ*/<>R")
NO_P = "-"
NOT_INSIDE = "@mTZ!"  # records that end what can be told of a bracket by its lines; and an empty line
NOTHING_SWEPT = [") sweepone done"]
REPORTED = ("NextGC", "NumForcedGC", "PauseTotalNs")  # clocks and the pacer decide
WRONG = (BadRequest, BadType, ValueError, IndexError, KeyError, AttributeError, AssertionError)


# What an m record asks for: by which P, how many bytes, of which type, whether they must be zero, and how
# the machine lays it out where there is a short way.
Asked = tuple[int | None, int, Type | None, bool, Plan | None]
SLOWLY: Asked = (None, 0, None, False, None)


class Afterwards:
    """The system when the recording is over: what flushing the caches still asks for is granted."""

    def __init__(self) -> None:
        self.next = 1 << 30

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Answer:
        """Memory where nobody looks."""
        self.next += n
        return v if fixed else self.next - n


class Context:
    """A thread's records that wait: for a request, or for the end of the bracket that is open."""

    __slots__ = ("aside", "depth", "records", "waiting")

    def __init__(self) -> None:
        self.aside: deque[Placed] | None = None
        self.records: deque[Placed] = deque()
        self.depth = 0
        self.waiting: Waiting | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not (self.depth or self.records or self.waiting is not None)


class SparseReplayer(LineByLine):
    """Carries one recording of version 2 out."""

    version = 2
    following: type[Companion] = Companion

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Config],
        keep_going: bool = False,
        source: Callable[[Path], Iterator[list[str]]] = columnar.lines,
    ) -> None:
        super().__init__(path, config_for, keep_going, source)
        self.core: Runtime | None = None
        self.types: dict[str, Type] = {}
        self.asked: dict[str, Asked] = {}  # by an m record's fields but its address
        self.contexts: dict[str, Context] = {}
        self.thread = "0"
        self.heap_goal = 0  # bytes, as the pacer said last
        self.gone: set[int] = set()
        self._next_phase = 1
        self.stacks_given: dict[str, str] = {}  # by thread, of the bracket that was closed last
        self.stacks_taken: dict[str, str] = {}
        # By thread: the span for the large object that comes next; the object, and pages, that wait for it.
        self.unrolled: dict[str, MSpan] = {}
        self.unrolling: dict[str, tuple[MSpan, int, Placed]] = {}
        self.released: dict[str, str] = {}  # by thread, whose mcache it released last
        # The lines being fed, the number of the first, and the last of those before.
        self.lines: list[str] = []
        self.first = 1
        self.before: deque[str] = deque(maxlen=KEPT)
        self.follower = self.following(self.differs, self.outside, self.nested)
        self.follower.threads = lambda: self.contexts
        self.specials: dict[str, FixAlloc] = {}
        self.specials_given: set[tuple[str, int]] = set()
        self.end = EndOfHeap(self)
        self.handlers: dict[str, Callable[[list[str], str], None]] = {
            "m": self._malloc, "s": self._stack, "S": self._stack_free, "p": self._persistent,
            "Y": self._sys_alloc, "y": self._sys_free, "f": self._fix_alloc, "x": self._fix_free,
            "E": self._flush, "=": self._memstats, "I": self._gc_init, "P": self._phase, "e": self._epoch,
            "n": self._next_gen, "K": self._page_marks, "g": self._sweep_begins, "r": self._ratio,
            "l": self._limits, "w": self._goal,
        }  # fmt: skip
        self.brackets: dict[str, Callable[[list[str]], None]] = {
            "init": self._init, "pinit": self._p_init, "pdestroy": self._p_destroy, "refill": self._refill,
            "large": self._large, "stackrefill": self._stack_refill, "stackrelease": self._stack_release,
            "stackalloc": self._stack_alloc, "stackfree": self._stack_give_back, "release": self._release,
            "stackclear": self._stack_clear, "sweepone": self._sweepone, "scavenge": self._scavenge,
            "allocmanual": self._alloc_manual, "freemanual": self._free_manual, "sweep": self._sweep,
            "freestackspans": self._free_stack_spans, "hugepages": self._huge_pages,
            "userarena": self._user_arena, "userfault": self._user_fault,
        }  # fmt: skip

    # The whole.

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file. Raises TraceFault where it is not a whole recording."""
        first, stream = self.begin()
        started = time.perf_counter()
        try:
            carry_out(self, first, stream, progress)
        finally:
            self.abandon()
        return self.sum_up(started)

    def abandon(self) -> None:
        """Ends what waits for records that do not come."""
        for context in self.contexts.values():
            if context.waiting is not None:
                context.waiting.end()

    def sum_up(self, started: float) -> Replay:
        """The outcome, after all lines or as many as there was to carry out."""
        self.result.unordered = self.follower.unordered
        self.result.events = min(self.event, self.header.events)
        self.result.seconds = time.perf_counter() - started
        if self.result.ok and self.result.memstats is None and self.core is not None:
            self.result.memstats = self._memstats_now()
        return self.result

    def feed(self, lines: list[str]) -> None:
        self.before.extend(self.lines[-KEPT:])
        self.lines, self.first = lines, self.line + 1
        context = self.contexts.get(self.thread)
        rest = iter(lines)
        for line in rest:
            self.line += 1
            letter = line[:1]
            if letter == "m" and context is not None and not context.records:
                self.event += 1
                self._object(line)
            elif letter == "@":
                self._switch(line[2:])
                context = self.contexts.get(self.thread)
            elif letter == "T":
                self._type(line)
            elif letter == "Z":
                passed = self.end.pass_rows(lines, self.line - self.first)
                if passed:
                    self.line += passed - 1
                    next(islice(rest, passed - 1, passed - 1), None)
                else:
                    self.end.record(line)
            elif letter == "!":
                self.event += 1
                self._death(line)
            else:
                self.event += 1
                if letter == "(" and context is not None:
                    whole = self._whole(line, context)
                    if whole:
                        next(islice(rest, whole, whole), None)
                        continue
                self._record(line)
                if context is None:
                    context = self.contexts[self.thread]

    def _object(self, line: str) -> None:
        """An m record that nothing else belongs to."""
        key, _, ret = line.rpartition(" ")
        asked = self.asked.get(key)
        if asked is None:
            asked = self.asked[key] = self._asked(key)
        core = self.core
        if core is None or asked is SLOWLY:
            self._request(line)
            return
        follower = self.follower
        if follower.now.records:
            follower.now = Turn(deque())
        p, size, typ, zero, plan = asked
        if plan is not None and p is not None:
            try:
                v = int(ret, 16)
            except ValueError:
                v = 0
            if f"{v:x}" == ret and core.takes_next(plan, v, p):
                return
        try:
            if core.current_p != p or p is None:
                self._run_on(NO_P if p is None else str(p))
            v = core.mallocgc(size, typ, zero, p)
        except Death as death:
            self._died(death, (self.line, line))
        except WRONG as broken:
            self.differs((self.line, line), f"{type(broken).__name__}: {broken}")
        else:
            if f"{v:x}" != ret:
                self.differs((self.line, line), f"{key} {v:x}")

    def _asked(self, key: str) -> Asked:
        """What m records with these fields ask for; SLOWLY where that is to be found out with each."""
        try:
            _, who, size, typ, flags = key.split(" ")
            if "l" in flags:
                return SLOWLY
            p = None if who == NO_P else decimal(who)
            what = self.types[typ] if typ != "-" else None
            core, n = self.core, decimal(size)
            usual = core is not None and p is not None and p < len(core.ps)
            return p, n, what, "z" in flags, core.short_way(n, what) if core is not None and usual else None
        except WRONG:
            return SLOWLY

    def _whole(self, line: str, context: Context) -> int:
        """Carries out a bracket that closes in the lines at hand, with no other thread in between.

        How many lines come after its first; 0 where it is not so, and nothing was done.
        """
        if not context.idle:
            return 0
        lines, first = self.lines, self.line
        before = first - self.first
        if line[:11] == "( sweepone " and self._nothing_to_sweep(line, lines[before + 1 : before + 2]):
            # A thread that sweeps beside the program asks again and again.
            end = before + 2
            asked = lines[before:end]
            while lines[end : end + 2] == asked:
                end += 2
            count = end - before - 1
            self.line += count
            self.event += count
            return count
        depth = 1
        for at in range(before + 1, len(lines)):
            letter = lines[at][:1]
            if letter == ")":
                depth -= 1
                if not depth:
                    break
            elif letter == "(":
                depth += 1
            elif letter in NOT_INSIDE:
                return 0
        if depth or line.split(" ", 2)[1] in IN_LINES:
            return 0
        count = at - before
        self.line += count
        self.event += count
        self._carry_out((first, line), AtHand(lines[before : at + 1], first))
        return count

    def _nothing_to_sweep(self, line: str, after: list[str]) -> bool:
        """Whether a sweepone is whole with the next line and finds all swept: nothing changes then."""
        core = self.core
        if core is None or after != NOTHING_SWEPT or not core.sweeper.drained:
            return False
        try:
            self._run_on(line[11:])
        except WRONG:
            return False
        return True

    def _switch(self, thread: str) -> None:
        """Another thread goes on: what this one has begun must wait from here."""
        context = self.contexts.get(self.thread)
        if context is not None and context.depth and context.waiting is None:
            self._wait(context)
        self.thread = thread

    def _wait(self, context: Context) -> None:
        """Makes an open bracket a request that waits for its records, and does what is there."""
        opening = context.records.popleft()
        context.waiting = Waiting(context.records, lambda turn: self._carry_out(opening, turn), opening[0])
        self._resume(context.waiting)

    def _resume(self, waiting: Waiting) -> None:
        core, follower = self.core, self.follower
        before = follower.now
        follower.now = waiting
        state = None if core is None else (core.p, core.current_p)
        if waiting.state is not None and core is not None:
            core.p, core.current_p = waiting.state
        waiting.resume()
        follower.now = before
        if core is not None:
            waiting.state = (core.p, core.current_p)
            if state is not None:
                core.p, core.current_p = state

    def _record(self, line: str) -> None:
        context = self.contexts.get(self.thread)
        if context is None:
            context = self.contexts[self.thread] = Context()
        letter = line[0]
        if letter == "(":
            if not context.depth:
                if line.split(" ", 2)[1] in TRANSPARENT:
                    return
                if context.records and line[2:7] == "stack":
                    # A stack grew while something else was being done.
                    context.aside, context.records = context.records, deque()
            context.depth += 1
        elif letter == ")":
            if not context.depth and line.split(" ", 2)[1] in TRANSPARENT:
                return
            context.depth -= 1
            if context.depth < 0:
                raise fault(self.name, self.line, shorten(line), "an open bracket before it")
        elif not context.depth and letter not in OWN:
            self._request(line, context)
            return
        waiting = context.waiting
        context.records.append((self.line, line))
        if waiting is not None:
            self._resume(waiting)
            if not context.depth:
                self._all_taken(context, line)
                context.waiting = None
                self._back(context)
        elif letter == ")" and not context.depth:
            records, context.records = context.records, deque()
            while records[0][1][0] in OWN:
                self.differs(records.popleft(), "nothing outside of a request")
            opening = records.popleft()
            self._carry_out(opening, Turn(records, opening[0]))
            self._back(context)

    def _back(self, context: Context) -> None:
        """What was put aside for a stack waits again."""
        if context.aside is not None:
            context.records, context.aside = context.aside, None

    def _all_taken(self, context: Context, line: str) -> None:
        if context.records or (context.waiting is not None and not context.waiting.done):
            self.differs(context.records[0] if context.records else (self.line, line), "nothing more")
            context.records.clear()

    def _carry_out(self, opening: Placed, turn: Turn) -> None:
        """One request with brackets, from its opening record on."""
        follower = self.follower
        before = follower.now
        follower.now = turn
        words = opening[1].split(" ")
        try:
            self.brackets[words[1]](words)
        except Death as death:
            self._died(death, opening)
            if isinstance(turn, Waiting):
                return
            turn.clear()
        except WRONG as broken:
            self.differs(opening, f"{type(broken).__name__}: {broken}")
            turn.clear()
        if not isinstance(turn, Waiting):
            follower.now = before
            if left := turn.peek():
                self.differs(left, "nothing more")

    def _request(self, line: str, context: Context | None = None) -> None:
        """A request without brackets; what it made the allocator do comes before it."""
        records = context.records if context is not None and context.records and line[0] not in "sS" else None
        follower = self.follower
        if records is not None:
            follower.now = Turn(records)
        elif follower.now.records:
            follower.now = Turn(deque())
        words = line.split(" ")
        handler = self.handlers.get(words[0])
        if handler is None:
            raise fault(self.name, self.line, shorten(line), "a record of version 2")
        try:
            handler(words, line)
        except Death as death:
            self._died(death, (self.line, line))
        except WRONG as broken:
            self.differs((self.line, line), f"{type(broken).__name__}: {broken}")
        if records is not None and records:
            self.differs(records[0], "nothing more")
            records.clear()

    def nested(self, placed: Placed, records: deque[Placed]) -> None:
        """A stack that grew inside another request, or memory for others than the allocator.

        `records` are what the system was asked for it.
        """
        core, follower = self.core, self.follower
        assert core is not None
        state = core.p, core.current_p
        words = placed[1].split(" ")
        if words[0] == "(":
            self.brackets[words[1]](words)
        else:
            outer, follower.now = follower.now, Turn(records)
            self.handlers[words[0]](words, placed[1])
            follower.now = outer
        core.p, core.current_p = state

    def outside(self, placed: Placed) -> None:
        """A request inside a sweep: finalizers and the like of what died."""
        waiting = self.follower.now
        kept: deque[Placed] = deque([placed])
        while kept[-1][1][0] in OWN:
            more = waiting.take()
            if more is None:
                break
            kept.append(more)
        line = kept.pop()
        self.follower.now = Turn(kept)
        words = line[1].split(" ")
        handler = self.handlers.get(words[0])
        if handler is None:
            self.differs(line, "nothing here")
        else:
            handler(words, line[1])
        self.follower.now = waiting

    def differs(self, placed: Placed | None, found: str) -> None:
        """Notes a difference; the first ends the replay unless it is to go on."""
        line, expected = placed if placed is not None else (self.line, "nothing")
        result = self.result
        result.mismatches += 1
        record = expected.partition(" ")[0] if expected != "nothing" else found.partition(" ")[0]
        result.by_record[record] += 1
        if result.first is None:
            span = self._span_of(expected)
            result.first = Parting(record, line, self.event, expected, found, span, None, self._around(line))
        if not self.keep_going:
            raise Stop

    def _span_of(self, line: str) -> dict[str, Any] | None:
        """The span, as the machine has it, that the last address of a record lies in."""
        core = self.core
        try:
            s = None if core is None else core.heap.span_of(address(line.rpartition(" ")[2]))
        except ValueError:
            return None
        return None if s is None else s.describe()

    def ends(self) -> None:
        """The run is over: what is known of the machine is written into its spans."""
        assert self.core is not None
        self.core.sync_caches()

    def _around(self, line: int) -> tuple[str, ...]:
        """The lines before one, as far as they are still at hand."""
        end = line - self.first
        before = list(self.before)
        if end >= 0:
            return tuple([*before, *self.lines[:end]][-KEPT:])
        return tuple(before[end - KEPT : end] or before)

    def finish(self) -> None:
        thrown = self.result.death is not None and "throw" in self.result.death
        if self.died is not None and not thrown:
            self.differs(self.died_at, f"the runtime died: {self.died.words}")
        if self.result.death is None and not self.header.extra.get("cut"):
            if self.core is not None:
                self.follower.finish()
            self._all_unrolled(*self.unrolling)
            for context in self.contexts.values():
                for placed in context.records:
                    self.differs(placed, "a request that this belongs to")
                    break
        if self.header.extra.get("whole"):
            self.end.finish()
        self.all_told()

    # What is about the records.

    def _type(self, line: str) -> None:
        number, typ = self._read_type(line)
        self.types[number] = typ

    def _read_type(self, line: str) -> tuple[str, Type]:
        """A type and its number."""
        try:
            _, number, size, ptrdata, kind, align, mask, name = line.split(" ", 7)
            data = b"" if mask == "-" else bytes.fromhex(mask)
            noscan = KIND_NO_POINTERS if ptrdata == "0" else 0
            typ = Type(
                decimal(size),
                decimal(ptrdata),
                decimal(kind) | noscan,
                decimal(align),
                data,
                json.loads(name),
            )
            return number, typ
        except ValueError:
            raise fault(
                self.name, self.line, shorten(line), "T id size ptrdata kind align ptrmask name"
            ) from None

    # Requests.

    def _run_on(self, who: str) -> Any:
        """That P runs; its mcache, or the first one where there is no P."""
        core = self.core
        assert core is not None
        if who == NO_P:
            core.p = None
            core.current_p = None
            return core.mcache0
        number = decimal(who)
        core.p = p = core.ps[number]
        core.current_p = number
        return p.mcache

    def _malloc(self, words: list[str], line: str) -> None:
        _, who, size, typ, flags, ret = words
        core = self.core
        assert core is not None
        if "l" in flags:
            self._large_is(words, line)
            return
        self._run_on(who)
        p = None if who == NO_P else core.current_p
        v = core.mallocgc(decimal(size), self.types[typ] if typ != "-" else None, "z" in flags, p)
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"{line.rpartition(' ')[0]} {v:x}")

    def _large_is(self, words: list[str], line: str) -> None:
        """The object of a span that its bracket took."""
        core = self.core
        assert core is not None
        _, who, _, typ, _, ret = words
        cache = self._run_on(who)
        s = core.heap.span_of(address(ret))
        if s is None or s.base != address(ret) or s.spanclass > 1:
            self.differs((self.line, line), "no large object there")
            return
        s.free_index = 1
        s.alloc_count = 1
        s.large_type = None
        if typ != "-" and self.types[typ].ptrdata:
            s.large_type = self.types[typ]
            self._unroll(s, self.types[typ], (self.line, line))
            cache.scan_alloc += s.elemsize

    def _unroll(self, s: MSpan, typ: Type, placed: Placed) -> None:
        """The span for a large object's GC program comes before its record in 1.22, and after it in 1.23."""
        core = self.core
        assert core is not None
        s.unrolled = self.unrolled.pop(self.thread, None)
        pages = unrolled_pages(core.config, typ)
        self._all_unrolled(self.thread)
        if pages and s.unrolled is None:
            self.unrolling[self.thread] = s, pages, placed
        elif pages != (s.unrolled.npages if s.unrolled is not None else 0):
            self.differs(placed, f"a GC program that takes {counted(pages, 'page')}")

    def _all_unrolled(self, *threads: str) -> None:
        """No object waits for the span of its GC program."""
        for thread in threads:
            waiting = self.unrolling.pop(thread, None)
            if waiting is not None:
                self.differs(waiting[2], "an object that gets no span for its GC program")

    def _stack(self, words: list[str], line: str) -> None:
        _, who, n, how, ret = words
        if how != "c":
            given = self.stacks_given.pop(self.thread, "no stack")
            if given != ret:
                self.differs((self.line, line), f"s {who} {n} {how} {given}")
            return
        core = self.core
        assert core is not None
        v = core.stack_heap.alloc(decimal(n), self._run_on(who))
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"s {who} {n} {how} {v:x}")

    def _stack_free(self, words: list[str], line: str) -> None:
        _, who, n, how, ptr = words
        if how == "c":
            core = self.core
            assert core is not None
            core.stack_heap.free(address(ptr), decimal(n), self._run_on(who))
            return
        taken = self.stacks_taken.pop(self.thread, "no stack")
        if taken != f"{n} {how} {ptr}":
            self.differs((self.line, line), f"S {who} {taken}")

    def _persistent(self, words: list[str], line: str) -> None:
        _, who, size, align, stat, ret = words
        core = self.core
        assert core is not None
        self._run_on(who)
        self.follower.outside = True
        v = core.persistent.alloc(decimal(size), decimal(align), stat)
        self.follower.outside = False
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"{line.rpartition(' ')[0]} {v:x}")

    def _sys_alloc(self, words: list[str], line: str) -> None:
        _, n, stat, ret = words
        core = self.core
        assert core is not None
        v = core.mem.sys_alloc(decimal(n), stat, "")
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"Y {n} {stat} {v:x}")

    def _sys_free(self, words: list[str], line: str) -> None:
        _, n, stat, ptr = words
        core = self.core
        assert core is not None
        core.mem.sys_free(address(ptr), decimal(n), stat)

    def _special(self, which: str) -> FixAlloc:
        found = self.specials.get(which)
        if found is None:
            core = self.core
            assert core is not None
            size, stat = self.header.extra["fixallocs"][which]
            found = self.specials[which] = FixAlloc(core, size, stat)
        return found

    def _fix_alloc(self, words: list[str], line: str) -> None:
        _, who, which, ret = words
        self._run_on(who)
        v = self._special(which).alloc()
        self.specials_given.add((which, v))
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"f {who} {which} {v:x}")

    def _fix_free(self, words: list[str], line: str) -> None:
        which, v = words[1], address(words[2])
        if (which, v) not in self.specials_given:
            self.differs((self.line, line), f"no record of {which} there")
            return
        self.specials_given.discard((which, v))
        self._special(which).free(v)

    def _flush(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        caches = [p.page_cache for p in core.ps if f"{p.page_cache.base:x}" == words[1]]
        found = [f"E {cache.base:x} {cache.cache:x} {cache.scav:x}" for cache in caches]
        if line not in found:
            self.differs((self.line, line), found[0] if found else "no page cache there")
            return
        caches[found.index(line)].flush(core.pages)

    def _memstats_now(self) -> dict[str, Any] | None:
        """What the machine counts; None where it died in the middle of something."""
        core = self.core
        assert core is not None
        core.steps = None
        system: Any = core.mem.os  # Linux' helpers
        system.kernel = Afterwards()
        try:
            return {**core.memstats(), "NumGC": core.heap.sweepgen >> 1, "NextGC": self.heap_goal}
        except Death:
            return None

    def _memstats(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        told = json.loads(line[2:])
        steps, core.steps = core.steps, None
        found = core.memstats()
        core.steps = steps
        found["NumGC"] = core.heap.sweepgen >> 1
        self.result.memstats = {**found, **{key: told[key] for key in REPORTED if key in told}}
        for key, value in told.items():
            if key not in REPORTED and found[key] != value:
                self.differs((self.line, f"= {key} {value}"), f"= {key} {found[key]}")

    # The collector.

    def _gc_init(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        core.sweeper.drained = True
        self._debug(core)

    def _phase(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        found = f"P {self._next_phase}"
        if found != line:
            self.differs((self.line, line), found)
        self._next_phase = (decimal(words[1]) + 1) % 3
        core.marking = words[1] != "0"
        core.phase_changed()

    def _epoch(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        for c in core.central:
            c.partial_unswept().reset()
            c.full_unswept().reset()
        self.follower.epoch()
        core.heap.marked.clear()
        core.gc_bits.next_epoch()

    def _next_gen(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        core.pages.index.next_gen()

    def _page_marks(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        base = address(words[1])
        first = base >> core.config.page_shift
        if base not in map(core.config.arena_base, core.arenas.heap_list):
            self.differs((self.line, line), "no arena there")
        bits = 0 if words[2] == "-" else int.from_bytes(bytes.fromhex(words[2]), "little")
        while bits:
            low = bits & -bits
            page = first + low.bit_length() - 1
            if page not in core.heap.in_use:
                self.differs((self.line, line), f"no span begins at page {page - first} of the arena")
            core.heap.marked.add(page)
            bits ^= low

    def _sweep_begins(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        core.sweeper.begin()
        self.follower.begins()
        core.pacer.heap_live = core.pacer.heap_marked = marked = decimal(words[4])
        found = f"g {core.heap.sweepgen} {marked} {core.heap.pages_in_use} {words[4]}"
        if found != line:
            self.differs((self.line, line), found)

    def _ratio(self, words: list[str], line: str) -> None:
        """The pages left to sweep for each byte up to the trigger, which is the pacer's own."""
        core = self.core
        assert core is not None
        told = float.fromhex(words[1])
        if not told:
            return
        swept = decimal(words[3])
        pages = core.heap.pages_in_use - swept
        bytes_left = round(pages / told)
        ratio = pages / bytes_left if bytes_left > 0 else 0.0
        found = f"r {ratio.hex()} {core.pacer.heap_live} {min(swept, core.heap.pages_swept)}"
        if found != line:
            self.differs((self.line, line), found)

    def _limits(self, words: list[str], line: str) -> None:
        pass

    def _goal(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        self.heap_goal = decimal(words[2])
        marked = core.pacer.heap_marked if core.heap.sweepgen else words[3]
        found = f"w {core.pacer.heap_live} {words[2]} {marked}"
        if found != line:
            self.differs((self.line, line), found)

    # Brackets. What is closed is compared, too.

    def _close(self, found: str) -> None:
        self.follower.expect(f") {found}")

    def _init(self, words: list[str]) -> None:
        turn = self.follower.now
        seed = next((int(line[2:], 16) for _, line in turn.records if line[:2] == "J "), 0)
        kept = [placed for placed in turn.records if placed[1][:2] != "J "]
        turn.records.clear()
        turn.records.extend(kept)
        core = Runtime.__new__(Runtime)
        core.prepare(self.config, self.follower, heap_seed=seed)
        self.core = self.follower.core = core
        core.steps = self.follower
        core.zerobase = self.header.extra.get("zerobase", 0)
        if core.config.early_debug:
            self._debug(core)
        mallocinit(core)
        self._close("init")

    def _debug(self, core: Runtime) -> None:
        """The program knows its GODEBUG from here on."""
        told = self.header.extra.get("godebug")
        if told is not None:
            system: Any = core.mem.os  # Linux' helpers
            system.debug = Debug(**{name: bool(told.get(name)) for name in GODEBUGS})

    def _p_init(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        number = decimal(words[3])
        if number < len(core.ps):
            # It was there before: gone Ps stay in the list, with nothing in them.
            if number in self.gone:
                core.ps[number].mcache = core.new_mcache()
                self.gone.discard(number)
        elif number == len(core.ps):
            core.ps.append(P(number, core.mcache0 if number == 0 else core.new_mcache()))
        else:
            raise ValueError(f"P {number} comes before P {len(core.ps)}")
        self._close(f"pinit {number} {core.ps[number].mcache.address:x}")

    def _p_destroy(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        who, number = words[2], decimal(words[3])
        p = core.ps[number]
        expect = self.follower.expect
        # The collector's queues of this P, and its timers in the heap of the P that goes on.
        self._others()
        core.heap.clear_mspan_cache(p)
        if p.page_cache.cache:
            self.follower.flushing(p.page_cache)
            p.page_cache.flush(core.pages)
        expect(f"( release {who} {number}")
        p.mcache.release_all()
        expect(") release")
        expect(f"( stackclear {who} {number}")
        core.stack_heap.clear_cache(p.mcache)
        expect(") stackclear")
        core.cachealloc.free(p.mcache.address)
        self.gone.add(number)
        self._others()
        self._close("pdestroy")

    def _others(self) -> None:
        """What other parts of the runtime ask for in between."""
        while line := self.follower.next():
            bracket = line.startswith(("( refill ", "( large "))
            if not bracket and line[0] not in "OyxpYfMm":
                return
            placed = self.follower.now.take()
            assert placed is not None
            if bracket:
                self.nested(placed, deque())
            else:
                self.outside(placed)

    def _refill(self, words: list[str]) -> None:
        cache = self._run_on(words[2])
        spanclass = decimal(words[3])
        cache.alloc[spanclass].advance()  # to its end, or the refill is a difference
        cache.refill(spanclass)
        s = cache.alloc[spanclass].span
        self._close(f"refill {s.base:x} {s.alloc_count} {s.free_index}")

    def _large(self, words: list[str]) -> None:
        cache = self._run_on(words[2])
        s = cache.alloc_large(decimal(words[3]), words[4] == "1")
        self._close(f"large {s.base:x} {s.npages} {s.needzero}")

    def _stack_refill(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        core.stack_heap.refill(self._run_on(words[2]), decimal(words[3]))
        self._close("stackrefill")

    def _stack_release(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        core.stack_heap.release(self._run_on(words[2]), decimal(words[3]))
        self._close("stackrelease")

    def _stack_alloc(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        v = core.stack_heap.alloc(decimal(words[3]), None)
        self.stacks_given[self.thread] = f"{v:x}"
        self._close(f"stackalloc {v:x}")

    def _stack_give_back(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        core.stack_heap.free(address(words[5]), decimal(words[3]), None)
        self.stacks_taken[self.thread] = " ".join(words[3:])
        self._close("stackfree")

    def _release(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        self.released[self.thread] = words[3]
        cache = core.ps[decimal(words[3])].mcache
        cache.release_all()
        cache.flush_gen = core.heap.sweepgen
        self._close("release")

    def _stack_clear(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        released = self.released.pop(self.thread, None)
        if released != words[3]:
            # A cache is flushed after its spans are given back.
            self.differs((self.line, " ".join(words)), f"( stackclear {words[2]} {released or 'of no cache'}")
        core.stack_heap.clear_cache(core.ps[decimal(words[3])].mcache)
        self._close("stackclear")

    def _sweepone(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        steps = core.steps
        assert steps is not None
        pages = core.sweeper._sweepone()
        steps.swept_one(pages)

    def _sweep(self, words: list[str]) -> None:
        """ensureSwept, which sweeps the span itself."""
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.heap.span_of(address(words[4]))
        self.follower.now.put_back(" ".join(words))
        if s is None or not core.sweeper.ensure_swept(s):
            self.differs((self.line, " ".join(words)), "nothing to sweep there")

    def _scavenge(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        self.follower.now.put_back(" ".join(words))
        core.scavenger.scavenge(decimal(words[3]), words[4] == "1")

    def _alloc_manual(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        kind = KINDS.index(words[4])
        s = core.heap.alloc_manual(decimal(words[3]), kind)
        if kind == SCALAR_BITS and s is not None:
            waiting = self.unrolling.pop(self.thread, None)
            if waiting is None:
                self.unrolled[self.thread] = s
            else:
                waiting[0].unrolled = s
                if waiting[1] != s.npages:
                    self.differs(waiting[2], f"a GC program that takes {counted(waiting[1], 'page')}")
        self._close(f"allocmanual {0 if s is None else s.base:x}")

    def _free_manual(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.heap.span_of(address(words[4]))
        if s is None or s.base != address(words[4]):
            raise ValueError("no span begins there")
        core.heap.free_manual(s, WORK_BUF)
        self._close("freemanual")

    def _free_stack_spans(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        core.stack_heap.free_spans()
        self._close("freestackspans")

    def _huge_pages(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        core.enable_metadata_huge_pages()
        self._close("hugepages")

    def _user_arena(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.user_arenas.alloc_chunk()
        self._close(f"userarena {0 if s is None else s.base:x}")

    def _user_fault(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.heap.span_of(address(words[3]))
        if s is None or s.base != address(words[3]) or not s.is_user_arena_chunk or s.spanclass:
            raise ValueError("no chunk of a user arena begins there")
        core.user_arenas.set_to_fault(s)
        self._close("userfault")

    # The end.

    def _died(self, death: Death, at: Placed) -> None:
        self.died = death
        self.died_at = at

    died: Death | None = None
    died_at: Placed | None = None

    def _death(self, line: str) -> None:
        told = json.loads(line[2:])
        self.result.death = told
        if "throw" not in told:
            return
        context = self.contexts.get(self.thread)
        if context is not None and context.depth and context.waiting is None:
            self._wait(context)
        died, self.died = self.died, None
        if died is None and not (context is not None and (context.depth or context.records)):
            return  # no request was at work: another part of the runtime threw
        found: dict[str, Any] = {"throw": died.words if isinstance(died, Throw) else None}
        if died is not None and self.core is not None:
            printed = self.core.last_words(died)["printed"]
            # What was printed before goes into the log of the program, in so many lines as here.
            found["printed"] = printed[-len(told["printed"]) :] if told["printed"] else printed[:0]
        if found != told:
            self.differs((self.line, line), f"! {json.dumps(found)}")
