"""Counting a recording without a machine: sizes, types, classes, lifetimes, live bytes over events.

Objects die when a sweep finds them unmarked. A `b` record says what a sweep finds, so a lifetime is
known to the sweep; it is counted in events of the recording. Which span an address belongs to is
known from the `H` records. What is alive at the end has no lifetime.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from archcalc.reading.words import counted
from archcalc.traces.reader import Header, TraceFault, base_of, decimal, fault, marks_of, parse_type, shorten

SAMPLES = 100  # points of live bytes over events


@dataclass(slots=True)
class Share:
    """The allocations of one type, one class or one lifetime. Bytes as asked for."""

    allocations: int = 0
    bytes: int = 0

    def add(self, count: int, size: int) -> None:
        """Adds allocations, and their bytes in all."""
        self.allocations += count
        self.bytes += size


@dataclass(slots=True)
class Stats:
    """The figures of one recording. `bytes` as asked for, `rounded` to their classes.

    `frees` counts allocations that sweeps found dead, a tiny block's all together. `lifetimes` go by
    powers of two: key k is 2^k events up to 2^(k+1). `live` are (event, bytes asked for and not yet
    found dead). `unplaced` are allocations whose span the recording does not show.
    """

    path: str
    header: Header
    events: int = 0
    allocations: int = 0
    frees: int = 0
    collections: int = 0
    bytes: int = 0
    rounded: int = 0
    freed_bytes: int = 0
    zero_sized: int = 0
    unplaced: int = 0
    records: Counter[str] = field(default_factory=Counter)
    by_type: dict[str, Share] = field(default_factory=dict)
    type_names: dict[str, str] = field(default_factory=dict)
    by_class: dict[int, Share] = field(default_factory=dict)
    class_sizes: dict[int, int] = field(default_factory=dict)
    rounded_by_class: Counter[int] = field(default_factory=Counter)
    lifetimes: dict[int, Share] = field(default_factory=dict)
    live: list[tuple[int, int]] = field(default_factory=list)

    @property
    def live_bytes(self) -> int:
        """Bytes asked for that no sweep found dead."""
        return self.bytes - self.freed_bytes


class CountedSpan:
    """A span's objects, each place's: the event of its first allocation, how many of those, and their bytes.

    A tiny block is one place with several. Arrays, since a recording may have millions alive.
    """

    __slots__ = ("base", "born", "bytes", "count", "size")

    def __init__(self, base: int, size: int, n: int) -> None:
        self.base = base
        self.size = size
        self.born = array("q", bytes(8 * n))
        self.count = array("q", bytes(8 * n))
        self.bytes = array("q", bytes(8 * n))


class CountedRequest:
    """What allocations with equal fields have in common; `size` as asked for, `rounded` by its class."""

    __slots__ = ("count", "rounded", "size", "sizeclass", "type")

    def __init__(self, size: int, rounded: int, sizeclass: int, typ: str) -> None:
        self.size = size
        self.rounded = rounded
        self.sizeclass = sizeclass
        self.type = typ
        self.count = 0


class Count:
    """A recording on its way through."""

    def __init__(self, path: str, header: Header, config_for: Callable[[Header], Any]) -> None:
        self.found = found = Stats(path, header)
        self.config = config = config_for(header)
        self.classes = config.size_classes
        self.line = 1
        self.noscan: dict[str, bool] = {"-": True}
        self.requests: dict[str, CountedRequest] = {}
        self.pages: dict[int, CountedSpan] = {}
        self.every = max(found.header.events // SAMPLES, 1)
        self.next_sample = self.every
        self.asked = 0
        self.freed_bytes = 0
        # By the logarithm of the age in events.
        self.deaths = [0] * 64
        self.dead_bytes = [0] * 64
        self.ended = False
        self.shift = config.page_shift
        # What says where objects are, and which are dead.
        self.placing: dict[str, Callable[[str], None]] = {"H": self._span, "b": self._sweep}

    def take(self, group: list[str]) -> None:
        """Some lines."""
        for line in group:
            self.line += 1
            self._line(line)

    def _line(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        try:
            if kind == "m":
                key, _, ret = rest.rpartition(" ")
                self._allocation(self.requests.get(key) or self.request(key), int(ret, 16))
            else:
                self.found.events += self.is_event(kind)
                self.other(kind, rest, line)
                if self.found.events >= self.next_sample:
                    self._sample_in_turn()
        except (IndexError, ValueError, OverflowError) as broken:
            raise self._fault(line, broken) from None

    def _fault(self, line: str, broken: Exception) -> TraceFault:
        if isinstance(broken, IndexError):
            said = f"{shorten(line)}: no object lies there"
            return fault(self.found.path, self.line, said, "an address in the span")
        return fault(self.found.path, self.line, f"{shorten(line)}: {broken}")

    def _allocation(self, request: CountedRequest, v: int) -> None:
        """An m record. IndexError where no object lies at the address."""
        found = self.found
        found.events += 1
        request.count += 1
        self.asked += request.size
        span = self.pages.get(v >> self.shift)
        if span is None:
            if request.size:
                found.unplaced += 1
        else:
            at = (v - span.base) // span.size
            if not span.count[at]:
                span.born[at] = found.events
            span.count[at] += 1
            span.bytes[at] += request.size
        if found.events >= self.next_sample:
            self._sample_in_turn()

    def is_event(self, kind: str) -> bool:
        """Whether a record other than m is an event."""
        return not (self.ended or kind in ("T", "Z", "Zs", "Zb"))

    def other(self, kind: str, rest: str, line: str) -> None:
        """Any other record than m."""
        found = self.found
        found.records[kind] += 1
        if kind in self.placing:
            self.placing[kind](rest)
        elif kind == "T":
            number, typ = parse_type(line, self.config.ptr_size)
            self.noscan[str(number)] = typ.noscan
            found.type_names[str(number)] = typ.name
        elif kind in ("Z", "Zs", "Zb"):
            self.ended = True
        elif kind == "g":
            found.collections += 1
            self.sample()
        elif not kind or not kind.isprintable() or len(kind) > 2:
            raise ValueError("expected a record of this format")

    def _sample_in_turn(self) -> None:
        self.next_sample += self.every
        self.sample()

    def sample(self) -> None:
        point = (self.found.events, self.asked - self.freed_bytes)
        if not self.found.live or self.found.live[-1][0] != point[0]:
            self.found.live.append(point)

    def request(self, key: str) -> CountedRequest:
        """What is known of allocations with these fields, which may be met for the first time."""
        request = self.requests.get(key)
        if request is None:
            request = self.requests[key] = self._understood(key)
        return request

    def _understood(self, key: str) -> CountedRequest:
        text, number, _, _ = key.split(" ")
        size = decimal(text)
        if number not in self.noscan:
            raise ValueError(f"type {number} was never declared")
        config = self.config
        if size > config.max_small_size:
            rounded = (size + config.page_size - 1) & -config.page_size
            return CountedRequest(size, rounded, 0, number)
        if self.noscan[number] and size < config.tiny_size:
            return CountedRequest(size, size, config.tiny_size_class if size else 0, number)
        sizeclass = self.classes.size_to_class(size)
        return CountedRequest(size, self.classes.class_to_size[sizeclass], sizeclass, number)

    def _span(self, rest: str) -> None:
        """mheap.alloc gave a span: its objects are new."""
        npages, sizeclass, base, _ = rest.split(" ")
        start, number, n = base_of(base), decimal(sizeclass), decimal(npages)
        if number >= len(self.classes.class_to_size):
            raise ValueError(f"there is no size class {number}")
        shift = self.config.page_shift
        size = self.classes.class_to_size[number] or n << shift
        if number and n != self.classes.class_to_allocnpages[number]:
            raise ValueError(
                f"spans of class {number} have {counted(self.classes.class_to_allocnpages[number], 'page')}"
            )
        # Of a large object only the address is ever seen.
        pages = range(start >> shift, (start >> shift) + (n if number else 1))
        self.new_span(pages, start, max(size, 1), (n << shift) // size if number else 1)

    def new_span(self, pages: range, base: int, size: int, n: int) -> None:
        """n objects of so many bytes, on those pages."""
        span = CountedSpan(base, size, n)
        for page in pages:
            self.pages[page] = span

    def _sweep(self, rest: str) -> None:
        """A sweep finds these marks; all else in the span is dead."""
        base, _, _, _, words = rest.split(" ")
        span = self.pages.get(base_of(base) >> self.config.page_shift)
        if span is not None:
            self.swept(span, marks_of(words))

    def swept(self, span: CountedSpan, marked: int) -> None:
        """What has no mark in a span is dead; bit i is object i's."""
        # The marks as letters, the first object's first.
        marks = f"{marked:b}"[::-1].ljust(len(span.count), "0")
        born, sizes, now = span.born, span.bytes, self.found.events
        deaths, dead_bytes = self.deaths, self.dead_bytes
        for at, count in enumerate(span.count):
            if count and marks[at] == "0":
                age = max(now - born[at], 1).bit_length() - 1
                deaths[age] += count
                dead_bytes[age] += sizes[at]
                self.freed_bytes += sizes[at]
                span.count[at] = sizes[at] = 0

    def result(self) -> Stats:
        """The sums."""
        found = self.found
        self.sample()
        found.frees = sum(self.deaths)
        found.freed_bytes = self.freed_bytes
        for age, count in enumerate(self.deaths):
            if count:
                found.lifetimes[age] = Share(count, self.dead_bytes[age])
        if self.requests:
            found.records["m"] = sum(request.count for request in self.requests.values())
        for request in self.requests.values():
            n, size = request.count, request.size * request.count
            found.allocations += n
            found.bytes += size
            found.rounded += request.rounded * n
            found.zero_sized += n if not request.size else 0
            found.by_type.setdefault(request.type, Share()).add(n, size)
            if request.size:
                found.by_class.setdefault(request.sizeclass, Share()).add(n, size)
                found.rounded_by_class[request.sizeclass] += request.rounded * n
        found.class_sizes = dict(enumerate(self.classes.class_to_size))
        return found


class SparseCount(Count):
    """A recording of version 2 on its way through."""

    def __init__(self, path: str, header: Header, config_for: Callable[[Header], Any]) -> None:
        super().__init__(path, header, config_for)
        self.placing = {"H": self._run_of_pages, "b": self._marks}

    def _run_of_pages(self, rest: str) -> None:
        """The heap gave pages; those for objects are a span."""
        _, npages, what, spanclass, _, base, _, _ = rest.split(" ")
        if what == "heap":
            self._span(f"{npages} {decimal(spanclass) >> 1} {base} 0")

    def _marks(self, rest: str) -> None:
        base, *_, words = rest.split(" ")
        self._sweep(f"{base} 0 0 0 {words}")

    def is_event(self, kind: str) -> bool:
        return kind != "T" and kind[0] not in "Z@"

    def other(self, kind: str, rest: str, line: str) -> None:
        found = self.found
        found.records[kind] += 1
        if kind == "T":
            number, _, ptrdata, *_, name = rest.split(" ", 6)
            self.noscan[number] = ptrdata == "0"
            found.type_names[number] = json.loads(name)
        elif kind in self.placing:
            self.placing[kind](rest)
        elif kind == "g":
            found.collections += 1
            self.sample()

    def _understood(self, key: str) -> CountedRequest:
        _, text, number, flags = key.split(" ")
        size = decimal(text)
        if number not in self.noscan:
            raise ValueError(f"type {number} was never declared")
        config, noscan = self.config, self.noscan[number]
        if "l" in flags:
            return CountedRequest(size, (size + config.page_size - 1) & -config.page_size, 0, number)
        if noscan and size < config.tiny_size:
            return CountedRequest(size, size, config.tiny_size_class, number)
        # An object with pointers that is too large for bits in the span has a header before it.
        header = 0 if noscan or size <= config.min_size_for_malloc_header else config.malloc_header_size
        sizeclass = self.classes.size_to_class(size + header)
        return CountedRequest(size, self.classes.class_to_size[sizeclass], sizeclass, number)
