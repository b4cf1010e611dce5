"""Replaying a recording: its inputs go in, and every answer and event is compared.

The runtime's own records (what the allocator did by itself) stand before the
event that caused them. So they wait in `pending` until that event's line
comes; the event is carried out, and the lines that the machine logged must be
exactly those that waited. The OS's answers wait in a queue of their own.

Two kinds of records need care. Persistent memory is handed out in the order
of the file's lines, whoever asks, so a `q` line is carried out when it is
read and the machine is given the result when it asks. And profile records
(`f`, `p`) are made inside the allocation whose line follows them.
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from allocator.common.throw import BadRequest, Death
from allocator.common.types import BadType, Type
from allocator.contiguous.config import Config
from allocator.contiguous.fixalloc import FixAlloc
from allocator.contiguous.gc import MARK_TERMINATION
from allocator.contiguous.heap_bitmap import press
from allocator.contiguous.mcache import MCache
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.persistent import DEFAULT_ALIGN
from allocator.contiguous.sweep import DONE
from allocator.kernels.recorded import RecordedMismatch, parse_answer
from archcalc.reading.errors import UsageFault
from archcalc.traces import columnar
from archcalc.traces.end_state import EndState
from archcalc.traces.machine import ReplayedRuntime, ReplayedSystem
from archcalc.traces.outcome import Difference, Replay, Stop
from archcalc.traces.reader import (
    Header,
    TraceFault,
    address,
    decimal,
    fault,
    parse_header,
    parse_type,
    shorten,
)
from archcalc.traces.requests import (
    EMPTY,
    SHARED_STAMP,
    STAMP,
    TINY_FIT,
    TINY_NEW,
    Request,
    Requests,
)

OWN = frozenset("MOUVqQXHKDELb")  # reproduced by the machine, logged in the recording's own words
BEFORE_BOOT = frozenset("TI")
ANYWHERE = frozenset(("R", "Y", "F", "!", "Z", "Zs", "Zb"))
MAX_PENDING = 1 << 20
MAX_ANSWERS = 1 << 16
MAX_CACHES = 256  # _MaxGomaxprocs: there cannot be more Ps, and each has one
MAX_RATIO = float(1 << 63)
STATS = (
    "heap_sys", "stacks_sys", "mspan_sys", "mcache_sys", "buckhash_sys", "gc_sys", "other_sys",
)  # fmt: skip
RECORD_OF = {"Reserve": "R", "Alloc": "Y", "Failure": "F"}
# What each record looks like, for messages.
SHAPES = {
    "T": "T id size ptrdata kind align ptrmask name",
    "R": "R addr n ret reserved",
    "Y": "Y n ret stat",
    "F": "F call addr n answer",
    "I": "I spans bitmap arena_start arena_used arena_end reserved",
    "m": "m size type flags cache ret",
    "s": "s n cache ret",
    "S": "S ptr n cache",
    "p": "p size align stat slot ret",
    "f": "f which ret",
    "x": "x which ptr",
    "u": "u cache",
    "k": "k cache",
    "z": "z",
    "P": "P phase",
    "y": "y",
    "g": "g sweepgen heap_live gc_trigger next_gc pages_in_use",
    "r": "r ratio",
    "w": "w pages",
    "e": "e base",
    "v": "v now limit",
    "!": "! json",
    "Z": "Z json",
    "Zb": "Zb base hex",
}
# What an event can end with other than well.
WRONG = (BadRequest, BadType, RecordedMismatch, Death, ValueError, IndexError)
_RATIO = re.compile(r"0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,3}")
_WORDS = re.compile(r"(?:0|[1-9a-f][0-9a-f]{0,15})(?:,(?:0|[1-9a-f][0-9a-f]{0,15}))*")
KEPT = 12  # the events shown around a difference

ARENA_KEYS = ("arena_start", "arena_used", "arena_end", "bitmap", "bitmap_mapped", "pages_in_use", "sweepgen")
DEATH_KEYS = ("arena_start", "arena_used", "arena_end", "bitmap_mapped", "pages_in_use")


class Replayer:
    """Carries one recording out on one machine. `source` gives the file's lines, some at a time."""

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Config],
        keep_going: bool = False,
        source: Callable[[Path], Iterator[list[str]]] = columnar.lines,
    ) -> None:
        self.path = path
        self.name = str(path)
        self.config_for = config_for
        self.keep_going = keep_going
        self.source = source
        self.line = 0
        self.zerobase_known = False
        self.pending: list[str] = []
        self.pending_at: list[int] = []  # the lines that they stand in
        self.answers_at: dict[int, int] = {}  # the lines of the OS's answers that wait, by id
        self.types: dict[int, Type] = {}
        self.requests: dict[str, Request] = {}  # those understood, while there can be allocations
        self.allocating = False
        self.specials: dict[str, tuple[FixAlloc, set[int]]] = {}  # short ways too, by an f record's start
        self.booted = False
        self.died: Death | None = None
        self.ended = False
        self.end_state = EndState(self)
        self.default_align = ""
        self.stacks: dict[int, int] = {}  # the stacks in use, and their sizes in bytes
        self.records: dict[str, set[int]] = {
            "mcache": set(),
            "specialfinalizer": set(),
            "specialprofile": set(),
        }
        # The lines being fed, the number of the first, and the last of those before.
        self.lines: list[str] = []
        self.first = 1
        self.before: list[str] = []
        self.running = False  # between boot and the end
        self.last_line = 0  # the last that can be an event, by the header
        self.handlers: dict[str, Callable[[str, list[str]], None]] = {
            "T": self._type, "R": self._reserve, "Y": self._alloc, "F": self._failure, "I": self._init,
            "m": self._malloc, "s": self._stack_alloc, "S": self._stack_free, "p": self._persistent,
            "f": self._fix_alloc, "x": self._fix_free, "u": self._release, "k": self._clear_stacks,
            "z": self._free_stack_spans, "P": self._phase, "y": self._epoch, "g": self._sweep_phase,
            "r": self._ratio, "w": self._sweepone, "e": self._ensure_swept, "v": self._scavenge,
            "!": self._death, "Z": self._end, "Zs": self.end_state.span, "Zb": self.end_state.bitmap,
        }  # fmt: skip

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file. Raises TraceFault where it is no whole recording."""
        stream = self.source(self.path)
        try:
            lines = next(stream)
        except StopIteration:
            raise fault(self.name, 1, "an empty file", "a recording") from None
        self._begin(lines[0])
        started = time.perf_counter()
        try:
            self._feed(lines[1:])
            for lines in stream:
                self._feed(lines)
                if progress is not None:
                    progress(self.event, self.header.events)
            self._finish()
        except Stop:
            pass
        except KeyboardInterrupt:
            self.result.interrupted = True
        return self._sum_up(started)

    def _begin(self, header_line: str) -> None:
        """Makes the machine that the header asks for."""
        self.header = parse_header(self.name, header_line)
        self.result = Replay(self.name, self.header.platform)
        try:
            config = self.config_for(self.header)
        except UsageFault as broken:
            found = f"{shorten(self.header.platform)} in the header: {broken}"
            raise fault(self.name, 1, found) from None
        self.system = self._system(config)
        self.rt = rt = ReplayedRuntime(config, self.system)
        self.understood = Requests(rt, self.types)
        self.system.outside = lambda record: rt.stat_inc(record.stat, record.size)
        self.line = 1

    def _system(self, config: Config) -> ReplayedSystem:
        """What answers in the OS's place."""
        return ReplayedSystem(config.goos, config)

    def _sum_up(self, started: float) -> Replay:
        self.result.events = min(self.event, self.header.events)
        self.result.seconds = time.perf_counter() - started
        return self.result

    def _feed(self, lines: list[str]) -> None:
        """Carries out lines of the file, in the short way where nothing unusual happens."""
        requests = self.requests
        specials = self.specials
        pending, pending_at = self.pending, self.pending_at
        rt = self.rt
        spans = rt.spans
        word_shift = rt.word_shift
        first = self.line + 1
        self.before = [*self.before, *self.lines][-KEPT:]
        self.lines, self.first = lines, first
        if self.ended:
            self._feed_end(0)
            return
        at = -1
        last: Request | None = None  # the latest that went the short way
        for at, line in enumerate(lines):
            key, _, ret = line.rpartition(" ")
            request = requests.get(key)
            if request is None and line[:2] == "m ":
                request = self._learn(key)
            if request is not None:
                if not pending:
                    how = request.how
                    if how < TINY_NEW:
                        cached = request.cached
                        v = cached.next
                        if v == cached.end and cached.span >= 0:
                            # Where the span was swept there may be more free objects further on.
                            cached.sync(spans)
                            cached.next_run(spans)
                            v = cached.next
                        if v != cached.end and f"{v:x}" == ret:
                            cached.next = v + cached.size
                            bits = cached.bits
                            if how == STAMP:
                                if bits is None:
                                    bits = rt.open_bits(cached)
                                i = (v - cached.base) >> word_shift >> 2
                                body = request.mark.body
                                bits[i : i + len(body)] = body
                                request.cache.local_scan += request.scan
                            elif not how:
                                if bits is not None:
                                    word = (v - cached.base) >> word_shift
                                    bits[word >> 2] &= ~(0x11 << (word & 3))
                            else:
                                if how == SHARED_STAMP:
                                    if bits is None:
                                        bits = rt.open_bits(cached)
                                    press(bits, (v - cached.base) >> word_shift, request.mark)
                                request.cache.local_scan += request.scan
                            last = request
                            continue
                    elif how < EMPTY:
                        cache = request.cache
                        size = request.size
                        off = cache.tiny_offset
                        if size & 7 == 0:
                            off = (off + 7) & -8
                        elif size & 3 == 0:
                            off = (off + 3) & -4
                        elif size & 1 == 0:
                            off = (off + 1) & -2
                        tiny = cache.tiny
                        if off + size <= 16 and tiny:
                            if how == TINY_FIT and f"{tiny + off:x}" == ret:
                                cache.tiny_offset = off + size
                                cache.local_tinyallocs += 1
                                last = request
                                continue
                        elif how == TINY_NEW:
                            cached = request.cached
                            v = cached.next
                            if v == cached.end and cached.span >= 0:
                                cached.sync(spans)
                                cached.next_run(spans)
                                v = cached.next
                            if v != cached.end and f"{v:x}" == ret:
                                cached.next = v + cached.size
                                bits = cached.bits
                                if bits is not None:
                                    word = (v - cached.base) >> word_shift
                                    bits[word >> 2] &= ~(0x11 << (word & 3))
                                if size < cache.tiny_offset or not tiny:
                                    cache.tiny = v
                                    cache.tiny_offset = size
                                last = request
                                continue
                    elif how == EMPTY and self.zerobase_known and f"{rt.zerobase:x}" == ret:
                        last = request
                        continue
                self.line = first + at
                last = None  # mallocgc notes which P runs
                self._allocate(request, line, ret)
                continue
            if key in specials and not pending:
                # A profile record or a finalizer's, in the chunk that fixalloc is cutting up.
                source, live = specials[key]
                v = source.chunk
                if f"{v:x}" == ret and not source.free_list and source.nchunk >= source.size:
                    source.chunk = v + source.size
                    source.nchunk -= source.size
                    source.inuse += source.size
                    live.add(v)
                    continue
            self.line = first + at
            letter = line[:1]
            if letter in OWN:
                if self.running and letter != "q" and len(pending) < MAX_PENDING:
                    if letter == "b":
                        try:
                            self._marks(line)
                        except ValueError as broken:
                            raise self._broken(line, broken) from None
                    pending.append(line)
                    pending_at.append(self.line)
                else:
                    self._own(line)
                continue
            if last is not None:
                # The P that allocated last is the one that runs.
                rt.cache = last.cache
                last = None
            self._event(line)
            requests = self.requests
            if self.ended:
                self._feed_end(at + 1)
                return
        self.line = first + at
        if last is not None:
            rt.cache = last.cache

    def _feed_end(self, at: int) -> None:
        """Carries out the lines being fed from there on, which stand behind the end state."""
        lines, end_state = self.lines, self.end_state
        if not self.died:
            at = end_state.pass_spans(lines, at)
        for i, line in enumerate(lines[at:], at):
            self.line = self.first + i
            if line[:1] in OWN:
                self._own(line)
            elif self.died or not end_state.pass_bitmap(line):
                self._event(line)
        self.line = self.first + len(lines) - 1

    @property
    def event(self) -> int:
        """The number of the record at hand; types do not count, nor what follows the last event."""
        return self.line - 1 - len(self.types)

    # One record.

    def _own(self, line: str) -> None:
        """A record of the allocator's own: it waits for the event that causes it."""
        if not self.booted or self.ended:
            raise fault(self.name, self.line, shorten(line), "no event of the allocator here")
        kind = line[0]
        try:
            if kind == "q":
                line = self._persistent_ahead(line)
            elif kind == "b":
                self._marks(line)
        except (ValueError, IndexError) as broken:
            raise self._broken(line, broken) from None
        self.pending.append(line)
        self.pending_at.append(self.line)
        if len(self.pending) > MAX_PENDING:
            raise fault(
                self.name, self.line, f"{MAX_PENDING} events without one that causes them", "a recording"
            )

    def _broken(self, line: str, why: Exception) -> TraceFault:
        return fault(self.name, self.line, f"{shorten(line)}: {why}")

    def _event(self, line: str) -> None:
        """A record of any other kind, the careful way."""
        parts = line.split(" ")
        kind = parts[0]
        handler = self.handlers.get(kind)
        if handler is None:
            raise fault(self.name, self.line, shorten(line), "a record of this format")
        if kind not in ANYWHERE and (not self.running or self.line > self.last_line or kind in BEFORE_BOOT):
            self._check_place(kind, line)
        try:
            handler(line, parts)
        except WRONG as wrong:
            self._went_wrong(kind, line, wrong)

    def _check_place(self, kind: str, line: str) -> None:
        """TraceFault where an event of that kind cannot stand here."""
        if kind in BEFORE_BOOT and self.booted:
            raise fault(self.name, self.line, shorten(line), "this only before the first event")
        if kind not in BEFORE_BOOT and not self.booted:
            raise fault(self.name, self.line, shorten(line), "the arena (I) before this")
        if self.ended or self.died:
            raise fault(self.name, self.line, shorten(line), "the end state, since the run is over")
        if self.event > self.header.events:
            raise self._miscounted(self.event)

    def _went_wrong(self, kind: str, line: str, wrong: Exception) -> None:
        """An event could not be carried out: a difference, or a fault of the file."""
        if isinstance(wrong, BadRequest | BadType):
            raise fault(self.name, self.line, f"{shorten(line)}: {wrong}", "what a program can do") from None
        if isinstance(wrong, RecordedMismatch):
            self._parted()
            self._answer_differs(kind, wrong)
            self.system.queue.clear()
            self._skip()
        elif isinstance(wrong, Death):
            self._parted()
            words = self.rt.last_words(wrong)
            self.differs(kind, shorten(line), f"the runtime died: {words['throw']} {words['printed']}")
            raise Stop from None
        else:
            raise fault(self.name, self.line, f"{shorten(line)}: {wrong}", SHAPES.get(kind, "")) from None

    def _parted(self) -> None:
        """An event came to a bad end: if what it did before that differs already, that is what to tell."""
        log = self.rt.log or ()
        for at, expected, found in zip(self.pending_at, self.pending, log, strict=False):
            if expected != found:
                self.differs(expected[0], expected, found, self._span_in(expected), at)
                return

    def _answer_differs(self, event: str, wrong: RecordedMismatch) -> None:
        """The machine asked the OS for something else than the recording has next."""
        expected = wrong.expected
        if expected is None:
            self.differs(event, "no call of the OS", str(wrong))
        else:
            kind = RECORD_OF[type(expected).__name__]
            self.differs(kind, str(expected), str(wrong), at=self.answers_at.get(id(expected)))

    def _fed(self) -> None:
        """Notes where the answer that was just read stands."""
        queue = self.system.queue
        record = queue[-1]
        self.answers_at[id(record)] = self.line
        if type(record.answer) is int and record.answer > self.rt.word:
            raise ValueError(f"{record.answer:#x} is no address of {self.header.platform}")
        if len(queue) > MAX_ANSWERS:
            raise ValueError(f"{MAX_ANSWERS} answers of the OS that nobody asked for")

    def differs(
        self, record: str, expected: str, found: str, span: int | None = None, at: int | None = None
    ) -> None:
        """Notes a difference, at this line unless another is given, and stops at the first if so asked."""
        result = self.result
        result.mismatches += 1
        result.by_record[record] += 1
        if result.first is None:
            rt = self.rt
            line = at or self.line
            result.first = Difference(
                record,
                line,
                self.event - (self.line - line),
                expected,
                found,
                rt.spans.describe(span) if span is not None and span >= 0 else None,
                self._arena() if self.booted else None,
                self._around(),
            )
        if not self.keep_going:
            raise Stop

    def _around(self) -> tuple[str, ...]:
        """The line at hand and those before it."""
        end = self.line - self.first + 1
        return tuple([*self.before, *self.lines[max(end - KEPT, 0) : end]][-KEPT:])

    def _arena(self) -> dict[str, Any]:
        heap = self.rt.heap
        return {key: getattr(heap, key) for key in ARENA_KEYS}

    def _same(self, record: str, expected: str, found: str, addr: int | None = None) -> None:
        if expected != found:
            span = self.rt.heap.lookup(addr) if addr is not None and self.booted else None
            self.differs(record, expected, found, span)

    def _skip(self) -> None:
        """Forgets what waits, after a difference that makes it meaningless."""
        self.pending.clear()
        self.pending_at.clear()
        self.rt.ready.clear()
        assert self.rt.log is not None
        self.rt.log.clear()

    def _settle(self) -> None:
        """After an event: what the machine logged must be what was waiting, and every answer taken."""
        rt = self.rt
        log = rt.log
        assert log is not None
        pending = self.pending
        if log != pending:
            self._settle_differently(log, pending, self.pending_at)
        log.clear()
        if pending:
            pending.clear()
            self.pending_at.clear()
        if self.system.queue:
            left = self.system.settle()
            if left is not None:
                self.system.queue.clear()
                kind, at = RECORD_OF[type(left).__name__], self.answers_at.get(id(left))
                self.differs(kind, str(left), "an answer that was never asked for", at=at)
        if rt.ready:
            line = rt.ready[0][4]
            rt.ready.clear()
            self.differs("q", line, "persistent memory that was never asked for")

    def _settle_differently(self, log: list[str], pending: list[str], lines: list[int]) -> None:
        """Tells where the machine's own events and the recorded ones, which stand in those lines, part."""
        for at, expected, found in zip(lines, pending, log, strict=False):
            if expected != found:
                self.differs(expected[0], expected, found, self._span_in(expected), at)
        for at, expected in zip(lines[len(log) :], pending[len(log) :], strict=True):
            self.differs(expected[0], expected, "nothing", self._span_in(expected), at)
        for found in log[len(pending) :]:
            self.differs(found[0], "nothing", found, self._span_in(found))

    def _span_in(self, line: str) -> int | None:
        """The span that an event of the allocator's is about."""
        parts = line.split(" ")
        at = {"H": 3, "K": 2, "D": 1, "E": 1, "L": 2, "b": 1}.get(parts[0])
        try:
            return self.rt.heap.lookup(int(parts[at], 16)) if at else None
        except (ValueError, IndexError):
            return None

    # Inputs before the first event.

    def _type(self, line: str, parts: list[str]) -> None:
        number, typ = parse_type(line, self.rt.config.ptr_size)
        if number != len(self.types) + 1 or self.system.queue:
            raise ValueError(
                f"found type {number}, expected number {len(self.types) + 1}, types coming first"
            )
        self.types[number] = typ

    def _allow(self, allocating: bool) -> None:
        """Whether there can be allocations from now on: where not, none takes the short way."""
        self.allocating = allocating
        self.requests = self.understood.known if allocating else {}

    def _init(self, line: str, parts: list[str]) -> None:
        rt = self.rt
        rt.boot()
        self.booted = self.running = True
        self.last_line = 1 + len(self.types) + self.header.events
        self._allow(True)
        h = rt.heap
        self._same(
            "I",
            line,
            f"I {h.spans_start:x} {h.bitmap:x} {h.arena_start:x} {h.arena_used:x} {h.arena_end:x} "
            f"{h.arena_reserved:d}",
        )
        self._settle()

    # Answers of the OS.

    def _reserve(self, line: str, parts: list[str]) -> None:
        _, v, n, ret, reserved = parts
        if reserved not in ("0", "1"):
            raise ValueError(f"found {reserved!r}, expected reserved 0 or 1")
        self.system.feed_reserve(address(v), decimal(n), address(ret), reserved == "1")
        self._fed()

    def _alloc(self, line: str, parts: list[str]) -> None:
        _, n, ret, stat = parts
        if stat not in STATS:
            raise ValueError(f"found {shorten(stat)}, expected one of {', '.join(STATS)}")
        self.system.feed_alloc(decimal(n), address(ret), stat)
        self._fed()

    def _failure(self, line: str, parts: list[str]) -> None:
        _, call, v, n, answer = parts
        if call not in ("sysMap", "sysUsed"):
            raise ValueError(f"found {shorten(call)}, expected sysMap or sysUsed")
        self.system.feed_failure(call, address(v), decimal(n), parse_answer(answer))
        self._fed()

    # What the runtime was asked to do.

    def _cache(self, text: str) -> MCache:
        number = decimal(text)
        if number >= len(self.rt.caches):
            raise ValueError(f"mcache {number} was never made")
        return self.rt.caches[number]

    def _request(self, parts: list[str]) -> tuple[int, Type | None, bool, int]:
        """Size, type, needzero and cache of an m record."""
        _, size, number, flags, cache = parts[:5]
        typ = None
        if number != "-":
            typ = self.types.get(decimal(number))
            if typ is None:
                raise ValueError(f"type {number} was never declared")
        return decimal(size), typ, "z" in flags, self._cache(cache).id

    def _malloc(self, line: str, parts: list[str]) -> None:
        """An m record whose fields are not understood, or the first without a size."""
        _, _, _, _, _, ret = parts
        size, typ, needzero, p = self._request(parts)
        rt = self.rt
        v = address(ret)
        if size == 0 and not self.zerobase_known:
            # The address of zerobase is the program's; the first one tells it.
            rt.zerobase = v
            self.zerobase_known = True
        v = rt.mallocgc(size, typ, needzero, p)
        self._settle()
        self._compare(line, size, typ, needzero, v)

    def _allocate(self, request: Request, line: str, ret: str) -> None:
        """An allocation that takes the long way, mallocgc."""
        if request.how == EMPTY or self.line > self.last_line:
            self._event(line)
            return
        try:
            address(ret)
            rt = self.rt
            v = rt.mallocgc(request.size, request.typ, request.needzero, request.cache.id)
            self._settle()
            if f"{v:x}" != ret or rt.last_flags != request.flags:
                self._compare(line, request.size, request.typ, request.needzero, v)
        except WRONG as wrong:
            self._went_wrong("m", line, wrong)

    def _compare(self, line: str, size: int, typ: Type | None, needzero: bool, v: int) -> None:
        """Compares an m record with what mallocgc gave."""
        _, size_text, number, _, cache, _ = line.split(" ")
        noscan = typ is None or typ.noscan
        flags = ("n" if noscan else "") + ("z" if needzero else "") + (self.rt.last_flags if size else "")
        self._same("m", line, f"m {size_text} {number} {flags or '.'} {cache} {v:x}", v)

    def _learn(self, key: str) -> Request | None:
        """How allocations with these fields go; None where that is not known, or there can be none."""
        return self.understood.learn(key) if self.allocating else None

    def _stack_alloc(self, line: str, parts: list[str]) -> None:
        _, n, cache, _ = parts
        p = None if cache == "-" else self._cache(cache).id
        v = self.rt.stack_alloc(decimal(n), p)
        self.stacks[v] = decimal(n)
        self._settle()
        self._same("s", line, f"s {n} {cache} {v:x}", v)

    def _stack_free(self, line: str, parts: list[str]) -> None:
        _, v, n, cache = parts
        p = None if cache == "-" else self._cache(cache).id
        size = self.stacks.pop(address(v), None)
        if size == decimal(n):
            self.rt.stack_free(address(v), size, p)
        else:
            found = "no stack in use begins there" if size is None else f"that stack has {size} bytes"
            self.differs("S", line, found)
        self._settle()

    def _persistent_ahead(self, line: str) -> str:
        """Carries out a q record when it is read; the machine will ask for it."""
        rt = self.rt
        _, size, align, stat, slot, ret = line.split(" ")
        if stat not in STATS:
            raise ValueError(f"found {shorten(stat)}, expected one of {', '.join(STATS)}")
        n, a = decimal(size), decimal(align) or DEFAULT_ALIGN
        if a == DEFAULT_ALIGN:
            # Recordings have the default as it was asked for (0) or as it was taken (8), each always so.
            self.default_align = self.default_align or align
            self._same("q", line, f"q {size} {self.default_align} {stat} {slot} {ret}")
        expected = f"q {n} {a} {stat} {slot} {ret}"
        self.system.ahead = True
        try:
            addr, taken_from = rt.persistent.alloc(n, a, stat, slot)
        except Death as death:
            self.differs("q", line, f"the runtime died: {death.words}")
            raise Stop from None
        except RecordedMismatch as wrong:
            self._answer_differs("q", wrong)
            return expected
        finally:
            self.system.ahead = False
        # Compared when the machine has asked for it: only then is it known whether the size was right.
        rt.ready.append((n, a, stat, addr, f"q {n} {a} {stat} {taken_from} {addr:x}"))
        return expected

    def _persistent(self, line: str, parts: list[str]) -> None:
        _, size, align, stat, slot, _ = parts
        if stat not in STATS:
            raise ValueError(f"found {shorten(stat)}, expected one of {', '.join(STATS)}")
        self.system.ahead = True
        try:
            addr, taken_from = self.rt.persistent.alloc(decimal(size), decimal(align), stat, slot)
        finally:
            self.system.ahead = False
        self._same("p", line, f"p {size} {align} {stat} {taken_from} {addr:x}")

    def _fix_alloc(self, line: str, parts: list[str]) -> None:
        _, which, _ = parts
        live = self._live_records(which)
        if which == "mcache" and len(live) >= MAX_CACHES:
            raise ValueError(f"there are {MAX_CACHES} mcaches, and no more Ps than that")
        rt = self.rt
        assert rt.log is not None
        # It may stand inside an allocation whose own events wait already. Only a q record right
        # in front of it is its own.
        outer = len(rt.log)
        waiting = rt.ready
        mine = 1 if self.pending and self.pending[-1][0] == "q" and waiting else 0
        rt.ready = deque([waiting.pop()] if mine else ())
        addr = rt.new_mcache().addr if which == "mcache" else rt.fix_alloc(which)
        waiting.extend(rt.ready)
        rt.ready = waiting
        found = rt.log[outer:]
        del rt.log[outer:]
        first = max(len(self.pending) - len(found), 0)
        if found != self.pending[first:]:
            self._settle_differently(found, self.pending[first:], self.pending_at[first:])
        del self.pending[first:], self.pending_at[first:]
        self._same("f", line, f"f {which} {addr:x}")
        live.add(addr)
        if which != "mcache":
            self.specials[f"f {which}"] = getattr(rt, f"{which}alloc"), live

    def _fix_free(self, line: str, parts: list[str]) -> None:
        _, which, ptr = parts
        live = self._live_records(which)
        addr = address(ptr)
        if addr in live:
            live.remove(addr)
            self.rt.fix_free(which, addr)
        else:
            self.differs("x", line, f"no {which} in use is there")

    def _live_records(self, which: str) -> set[int]:
        live = self.records.get(which)
        if live is None:
            raise ValueError(f"found {shorten(which)}, expected one of {', '.join(self.records)}")
        return live

    def _release(self, line: str, parts: list[str]) -> None:
        _, cache = parts
        self.rt.release_cache(self._cache(cache))
        self._settle()

    def _clear_stacks(self, line: str, parts: list[str]) -> None:
        _, cache = parts
        self.rt.clear_stack_cache(self._cache(cache))
        # Whoever empties a P's caches (a collection, ReadMemStats, procresize) takes its counters too.
        self.rt.purge_cached_stats(self._cache(cache))
        self._settle()

    def _free_stack_spans(self, line: str, parts: list[str]) -> None:
        (_,) = parts
        self.rt.free_stack_spans()
        self._settle()

    def _phase(self, line: str, parts: list[str]) -> None:
        _, phase = parts
        if phase not in ("0", "1", "2"):
            raise ValueError(f"found phase {shorten(phase)}, expected 0, 1 or 2")
        self.rt.gc.phase = int(phase)
        self._allow(self.rt.gc.phase != MARK_TERMINATION)

    def _epoch(self, line: str, parts: list[str]) -> None:
        (_,) = parts
        self.rt.arenas.next_epoch()
        self._settle()

    def _sweep_phase(self, line: str, parts: list[str]) -> None:
        _, sweepgen, heap_live, gc_trigger, next_gc, pages = parts
        rt = self.rt
        rt.stats.heap_live = decimal(heap_live)
        rt.stats.gc_trigger = decimal(gc_trigger)
        rt.stats.next_gc = decimal(next_gc)
        decimal(sweepgen), decimal(pages)
        rt.open_sweep_phase()
        rt.sweeper.pages_per_byte = 0.0
        rt.sweeper.pages_swept = 0
        heap = rt.heap
        found = f"g {heap.sweepgen} {heap_live} {gc_trigger} {next_gc} {heap.pages_in_use}"
        self._settle()
        self._same("g", line, found)

    def _ratio(self, line: str, parts: list[str]) -> None:
        _, ratio = parts
        if not _RATIO.fullmatch(ratio) or float.fromhex(ratio) > MAX_RATIO:
            raise ValueError(f"found {shorten(ratio)}, expected pages for each byte as a hexadecimal float")
        self.rt.set_sweep_ratio(float.fromhex(ratio))

    def _marks(self, line: str) -> None:
        """The mark bits that a sweep is about to find."""
        _, base, sizeclass, count, preserve, words = line.split(" ")
        addr = base_of(base)
        decimal(sizeclass), decimal(count), decimal(preserve)
        heap, spans = self.rt.heap, self.rt.spans
        s = heap.pages.get((addr - heap.arena_start) >> heap.page_shift)
        if s < 0 or spans.base[s] != addr or spans.state[s] != IN_USE:
            self.differs("b", line, "no span in use begins there")
            return
        nelems = spans.nelems[s]
        if words.count(",") != (nelems - 1) // 64:
            found = f"a span of {nelems} objects there, so {(nelems + 63) // 64} words"
            self.differs("b", line, found, s)
            return
        marks = marks_of(words)
        if marks >> nelems:
            self.differs("b", line, f"a span of {nelems} objects there, so no marks behind them", s)
            return
        spans.mark_bits[s] = marks

    def _in_use(self, addr: int) -> int | None:
        """The span in use that begins at an address."""
        spans = self.rt.spans
        s = self.rt.heap.lookup(addr)
        return s if s >= 0 and spans.base[s] == addr and spans.state[s] == IN_USE else None

    def _sweepone(self, line: str, parts: list[str]) -> None:
        _, pages = parts
        if pages != "done":
            decimal(pages)
        n = self.rt.sweeper.sweepone()
        self._settle()
        self._same("w", line, f"w {'done' if n == DONE else n}")

    def _ensure_swept(self, line: str, parts: list[str]) -> None:
        _, base = parts
        s = self._in_use(address(base))
        if s is None:
            self.differs("e", line, "no span in use begins there")
        elif not self.rt.sweeper.ensure_swept(s):
            self.differs("e", line, "a span that was swept already", s)
        self._settle()

    def _scavenge(self, line: str, parts: list[str]) -> None:
        _, now, limit = parts
        self.rt.scavenge(decimal(now), decimal(limit))
        self._settle()

    # The end.

    def _death(self, line: str, parts: list[str]) -> None:
        record = self._json(line[2:])
        during, words = record.get("during"), record.get("throw")
        if not isinstance(during, str) or not isinstance(words, str):
            raise ValueError("expected its words under throw, and during: an m record or boot")
        rt = self.rt
        try:
            if during == "boot":
                # mallocinit has ended when it announces the arena, but for the first mcache.
                if not self.booted:
                    rt.boot()
                rt.new_mcache()
            else:
                request = during.split(" ")
                if request[0] != "m" or len(request) != 5:
                    raise ValueError(
                        f"found during {shorten(during)}, expected an m record without its answer"
                    )
                size, typ, needzero, p = self._request(request)
                flags = ("n" if typ is None or typ.noscan else "") + ("z" if needzero else "")
                self._same("!", request[3], flags or ".")
                rt.mallocgc(size, typ, needzero, p)
        except Death as death:
            self.died = death
            self._stop_running()
            found = rt.last_words(death)
            self.result.death = found
            self._settle()
            self._same("!", words, found["throw"])
            printed = record.get("printed", [])
            if printed != found["printed"]:
                self.differs("!", json.dumps(printed), json.dumps(found["printed"]))
            return
        self.differs("!", f"the runtime's death: {words}", "it went on")
        raise Stop

    def _stop_running(self) -> None:
        self.running = False
        self.specials.clear()
        self._allow(False)

    def _json(self, text: str) -> dict[str, Any]:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise ValueError("expected a JSON object")
        return record

    def _end(self, line: str, parts: list[str]) -> None:
        record = self._json(line[2:])
        if self.ended:
            raise ValueError("the end state stands here twice")
        if self.pending:
            self._settle()
        self.ended = True
        self._stop_running()
        if self.event - 1 != self.header.events:
            raise self._miscounted(self.event - 1)
        rt = self.rt
        rt.sync_caches()
        # A machine that died before mallocinit had a place for its heap has none; all is zero then.
        heap = getattr(rt, "heap", None)
        for key in DEATH_KEYS if self.died else ARENA_KEYS:
            if type(record.get(key)) is not int:
                raise ValueError(f"expected a number under {key}")
            value = 0 if heap is None else int(getattr(heap, key))
            self._same("Z", f"{key} {record[key]}", f"{key} {value}")
        if self.died:
            return
        for key in ("heap_live", "heap_scan", "gc_trigger", "next_gc"):
            if type(record.get(key)) is not int:
                raise ValueError(f"expected a number under {key}")
            value = int(getattr(rt.stats, key))
            if key in ("heap_live", "heap_scan") and self.header.collector_off:
                self._same("Z", f"{key} {record[key]}", f"{key} {value}")
            self.result.reported[key] = (record[key], value)

    def _miscounted(self, events: int) -> TraceFault:
        expected = f"{self.header.events}, as the header says: lines are missing or added"
        return fault(self.name, self.line, f"{events} events", expected)

    def _finish(self) -> None:
        if not self.ended:
            raise fault(self.name, self.line, "the end of the file", "the end state (Z): it is cut short")
        if not self.died:
            self.end_state.finish()


base_of = lru_cache(maxsize=1 << 14)(address)  # of spans, which are swept again in each cycle


@lru_cache(maxsize=1 << 12)  # what lives long has the same ones again in each cycle
def marks_of(words: str) -> int:
    """The mark bits that 64-bit words say, low bits first. ValueError where they are not written so."""
    if not _WORDS.fullmatch(words):
        raise ValueError(f"found {shorten(words)}, expected hexadecimal words of 64 bits")
    return int("".join([word.zfill(16) for word in reversed(words.split(","))]), 16)


def replay(
    path: Path,
    config_for: Callable[[Header], Config],
    *,
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Replays a recording on a machine of the given making. Raises TraceFault for a damaged file.

    Either form of recording; the columnar one needs the extra `bulk`. What comes of it is the same.
    """
    with no_garbage_collection():
        if columnar.is_columnar(path):
            from archcalc.traces.keys import GaveUp
            from archcalc.traces.runs import ColumnarReplayer

            with contextlib.suppress(GaveUp):
                return ColumnarReplayer(columnar.ColumnarFile(path), config_for).run(progress)
        return Replayer(path, config_for, keep_going).run(progress)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """A replay makes no reference cycles, but so many objects that Python would always look for some."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
