"""Replaying a recording: its inputs go in, and every answer and event is compared.

Most lines are allocations like the ones before them, and those take a short way: the
machine's state is changed as malloc's own short way changes it, where the recorded address is the
one that comes next. Every other line is carried out in full.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from allocator.common.tiny import BLOCK, GRAINS
from allocator.contiguous.config import Config
from allocator.contiguous.fixalloc import FixAlloc
from allocator.contiguous.heap_bitmap import press
from allocator.contiguous.mcache import CachedSpan
from allocator.contiguous.mspan import Spans
from archcalc.reading.errors import UsageFault
from archcalc.reading.words import counted
from archcalc.traces import columnar
from archcalc.traces.ending import Ending
from archcalc.traces.judgement import KEPT, WRONG
from archcalc.traces.machine import ReplayedRuntime, ReplayedSystem
from archcalc.traces.outcome import Replay, carry_out
from archcalc.traces.reader import Header, fault, parse_header, shorten
from archcalc.traces.requests import (
    EMPTY,
    LONG,
    SHARED_STAMP,
    STAMP,
    TINY_FIT,
    TINY_NEW,
    MallocRequest,
    Requests,
)

OWN = frozenset("MOUVqQXHKDELb")  # reproduced by the machine, logged in the recording's own words
BEFORE_BOOT = frozenset("TI")
ANYWHERE = frozenset(("R", "Y", "F", "!", "Z", "Zs", "Zb"))
MAX_PENDING = 1 << 20

# A line up to its last space, and what comes after it: text, or the address as a number.
Parted = tuple[str, str, Any]


class Replayer(Ending):
    """Carries one recording out on one machine. `source` gives the file's lines, some at a time."""

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Config],
        keep_going: bool = False,
        source: Callable[[Path], Iterator[list[str]]] = columnar.lines,
    ) -> None:
        super().__init__(path, keep_going)
        self.config_for = config_for
        self.source = source

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file. Raises TraceFault where it is not a whole recording."""
        stream = self.source(self.path)
        try:
            lines = next(stream)
        except StopIteration:
            raise fault(self.name, 1, "an empty file", "a recording") from None
        self.begin(lines[0])
        started = time.perf_counter()
        carry_out(self, lines[1:], stream, progress)
        return self.sum_up(started)

    def begin(self, header_line: str) -> None:
        """Makes the machine that the header asks for."""
        self.header = parse_header(self.name, header_line)
        self.result = Replay(self.name, self.header.platform)
        try:
            config = self.config_for(self.header)
        except UsageFault as broken:
            found = f"{shorten(self.header.platform)} in the header: {broken}"
            raise fault(self.name, 1, found) from None
        self.system = self.system_for(config)
        self.rt = rt = ReplayedRuntime(config, self.system)
        self.understood = Requests(rt, self.types)
        self.system.outside = lambda record: rt.stat_inc(record.stat, record.size)
        self.line = 1

    def system_for(self, config: Config) -> ReplayedSystem:
        """What answers in the OS's place."""
        return ReplayedSystem(config.goos, config)

    def sum_up(self, started: float) -> Replay:
        self.result.events = min(self.event, self.header.events)
        self.result.seconds = time.perf_counter() - started
        if self.result.ok and self.result.death is None:
            self.result.memstats = {**self.rt.memstats(), "NumGC": self.rt.heap.sweepgen >> 1}
        return self.result

    def feed(self, lines: list[str]) -> None:
        """Carries out lines of the file."""
        self.feed_parted(lines)

    def feed_parted(self, lines: list[str], parted: Iterable[Parted] | None = None) -> None:
        """Carries out lines of the file, in the short way where nothing unusual happens.

        `parted`: what they say, if that is known. A line that is all said so may be empty.
        One loop for all that ordinary lines need: with a call for each line, of a function or a closure
        for each way, whole replays took a tenth longer.
        """
        requests = self.requests
        specials = self.specials
        pending, pending_at = self.pending, self.pending_at
        rt = self.rt
        spans = rt.spans
        word_shift, grains = rt.word_shift, GRAINS
        first = self.line + 1
        as_text = parted is None
        if parted is None:
            parted = map(str.rpartition, lines, repeat(" "))
        self.before = [*self.before, *self.lines[-KEPT:]][-KEPT:]
        self.lines, self.first = lines, first
        if self.ended:
            self._feed_end(0)
            return
        at = -1
        last: MallocRequest | None = None  # the latest that went the short way
        for at, (key, _, ret) in enumerate(parted):
            request = requests.get(key)
            if request is None and key[:2] == "m ":
                request = self.learn(key)
            if request is not None:
                how = LONG if pending else request.how
                if TINY_NEW <= how < EMPTY:
                    cache, size = request.cache, request.size
                    grain = grains[size & 7]
                    off = (cache.tiny_offset + grain) & ~grain
                    if off + size <= BLOCK and cache.tiny:
                        v = cache.tiny + off
                        if how == TINY_FIT and (f"{v:x}" if as_text else v) == ret:
                            cache.tiny_offset = off + size
                            cache.local_tinyallocs += 1
                            last = request
                            continue
                        how = LONG
                if how < TINY_FIT:
                    cached = request.cached
                    v = cached.next
                    if v == cached.end and cached.span >= 0:
                        v = _further(cached, spans)
                    if (f"{v:x}" if as_text else v) == ret and v != cached.end:
                        cached.next = v + cached.size
                        bits = cached.bits
                        if how == STAMP:
                            if bits is None:
                                bits = rt.open_bits(cached)
                            i = (v - cached.base) >> word_shift >> 2
                            body = request.mark.body
                            bits[i : i + len(body)] = body
                            request.cache.local_scan += request.scan
                        elif SHARED_STAMP <= how < TINY_NEW:
                            if how == SHARED_STAMP:
                                if bits is None:
                                    bits = rt.open_bits(cached)
                                press(bits, (v - cached.base) >> word_shift, request.mark)
                            request.cache.local_scan += request.scan
                        else:
                            if bits is not None:
                                word = (v - cached.base) >> word_shift
                                bits[word >> 2] &= ~(0x11 << (word & 3))
                            if how:
                                _open_block(request, v)
                        last = request
                        continue
                elif how == EMPTY and self.zerobase_known and f"{rt.zerobase:x}" == ret:
                    last = request
                    continue
                line = lines[at]
                if not as_text:
                    ret = f"{ret:x}"
                    line = f"{key} {ret}"
                self.line = first + at
                last = None  # mallocgc notes which P runs
                if request.how == EMPTY or self.line > self.last_line:
                    self.carry_out(line)
                else:
                    self.allocate(request, line, ret)
                continue
            if key in specials and not pending and _cut(*specials[key], ret if as_text else f"{ret:x}"):
                continue
            self.line = first + at
            line = lines[at] if as_text or not key else f"{key} {ret:x}"
            letter = line[:1]
            if letter in OWN:
                if self.running and letter != "q" and len(pending) < MAX_PENDING:
                    if letter == "b":
                        try:
                            self.marks(line)
                        except ValueError as broken:
                            raise self.broken(line, broken) from None
                    pending.append(line)
                    pending_at.append(self.line)
                else:
                    self._own(line)
                continue
            if last is not None:
                # The P that allocated last is the one that runs.
                rt.cache = last.cache
                last = None
            self.carry_out(line)
            requests = self.requests
            if self.ended:
                self._feed_end(at + 1)
                return
        self.line = first + at
        if last is not None:
            rt.cache = last.cache

    def _feed_end(self, at: int) -> None:
        """Carries out the lines being fed from there on, which come after the end state."""
        lines, end_state = self.lines, self.end_state
        if not self.died:
            at = end_state.pass_spans(lines, at)
        for i, line in enumerate(lines[at:], at):
            self.line = self.first + i
            if line[:1] in OWN:
                self._own(line)
            elif self.died or not end_state.pass_bitmap(line):
                self.carry_out(line)
        self.line = self.first + len(lines) - 1

    # One record.

    def _own(self, line: str) -> None:
        """A record of the allocator's own: it waits for the event that causes it."""
        if not self.booted or self.ended:
            raise fault(self.name, self.line, shorten(line), "no event of the allocator here")
        kind = line[0]
        try:
            if kind == "q":
                line = self.persistent_ahead(line)
            elif kind == "b":
                self.marks(line)
        except (ValueError, IndexError) as broken:
            raise self.broken(line, broken) from None
        self.pending.append(line)
        self.pending_at.append(self.line)
        if len(self.pending) > MAX_PENDING:
            raise fault(
                self.name,
                self.line,
                f"{counted(MAX_PENDING, 'event')} without the request that causes them",
                "a recording",
            )

    def carry_out(self, line: str) -> None:
        """A record of any other kind, in full."""
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
            self.went_wrong(kind, line, wrong)

    def _check_place(self, kind: str, line: str) -> None:
        """TraceFault where an event of that kind cannot be here."""
        if kind in BEFORE_BOOT and self.booted:
            raise fault(self.name, self.line, shorten(line), "this only before the first event")
        if kind not in BEFORE_BOOT and not self.booted:
            raise fault(self.name, self.line, shorten(line), "the arena (I) before this")
        if self.ended or self.died:
            raise fault(self.name, self.line, shorten(line), "the end state, since the run is over")
        if self.event > self.header.events:
            raise self.miscounted(self.event)


# What the short ways need less often.


def _open_block(request: MallocRequest, v: int) -> None:
    """A new block of tiny objects at v: it is the open one if it has more room left than the old one."""
    cache = request.cache
    if request.size < cache.tiny_offset or not cache.tiny:
        cache.tiny = v
        cache.tiny_offset = request.size


def _further(cached: CachedSpan, spans: Spans) -> int:
    """The next object of a span that was swept, where there may be free ones further on."""
    cached.sync(spans)
    cached.next_run(spans)
    return cached.next


def _cut(source: FixAlloc, live: set[int], ret: str) -> bool:
    """A profile record or a finalizer's, if it comes from the chunk that fixalloc is cutting up."""
    v = source.chunk
    if f"{v:x}" != ret or source.free_list or source.nchunk < source.size:
        return False
    source.chunk = v + source.size
    source.nchunk -= source.size
    source.inuse += source.size
    live.add(v)
    return True
