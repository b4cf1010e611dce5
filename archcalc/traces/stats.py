"""What is in a recording, without a machine: sizes, types, classes, lifetimes, live bytes over events.

Objects die when a sweep finds them unmarked. A `b` record says what a sweep finds, so a lifetime is
known to the sweep; it is counted in events of the recording. Which span an address belongs to is
known from the `H` records. What is alive at the end has no lifetime.
"""

from __future__ import annotations

import itertools
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archcalc.host.extras import needed
from archcalc.traces.columnar import CODE, WHAT, ColumnarFile, is_columnar, lines
from archcalc.traces.columns import Columns
from archcalc.traces.reader import (
    VERSIONS,
    Header,
    TraceFault,
    address,
    decimal,
    fault,
    parse_header,
    parse_type,
    shorten,
)

SAMPLES = 100  # points of live bytes over events


@dataclass(slots=True)
class Share:
    """What one type, one class or one lifetime has of the allocations. Bytes as asked for."""

    allocations: int = 0
    bytes: int = 0

    def add(self, count: int, size: int) -> None:
        """So many more, of so many bytes in all."""
        self.allocations += count
        self.bytes += size


@dataclass(slots=True)
class Stats:
    """The figures of one recording. `bytes` as asked for, `rounded` as the classes make of them.

    `frees` counts allocations that sweeps found dead, a tiny block's all with it. `lifetimes` go by
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


class _Span:
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


class _Request:
    """What allocations with equal fields have in common; `size` as asked for, `rounded` by its class."""

    __slots__ = ("count", "rounded", "size", "sizeclass", "type")

    def __init__(self, size: int, rounded: int, sizeclass: int, typ: str) -> None:
        self.size = size
        self.rounded = rounded
        self.sizeclass = sizeclass
        self.type = typ
        self.count = 0


def stats(
    path: Path,
    config_for: Callable[[Header], Any],
    progress: Callable[[int, int], None] | None = None,
) -> Stats:
    """Reads a recording of either form. Raises TraceFault where it cannot be read."""
    if is_columnar(path):
        file = ColumnarFile(path)
        count = _of(str(path), file.header(), config_for)
        np = needed("numpy", WHAT)
        groups: Iterator[Columns | list[str]] = (Columns(batch, np) for batch in file.batches())
    else:
        stream = lines(path)
        first = next(stream, None)
        if first is None:
            raise fault(str(path), 1, "an empty file", "a recording")
        count = _of(str(path), parse_header(str(path), first[0], VERSIONS), config_for)
        groups = itertools.chain([first[1:]], stream)
    for group in groups:
        count.take(group)
        if progress is not None:
            progress(count.found.events, count.found.header.events)
    return count.result()


def _of(path: str, header: Header, config_for: Callable[[Header], Any]) -> _Count:
    """What counts a recording of that version."""
    return (_SparseCount if header.version == 2 else _Count)(path, header, config_for)


class _Count:
    """A recording on its way through."""

    def __init__(self, path: str, header: Header, config_for: Callable[[Header], Any]) -> None:
        self.found = found = Stats(path, header)
        self.config = config = config_for(header)
        self.classes = config.size_classes
        self.line = 1
        self.noscan: dict[str, bool] = {"-": True}
        self.requests: dict[str, _Request] = {}
        self.pages: dict[int, _Span] = {}
        self.every = max(found.header.events // SAMPLES, 1)
        self.next_sample = self.every
        self.asked = 0
        self.freed_bytes = 0
        # By the logarithm of the age in events.
        self.deaths = [0] * 64
        self.dead_bytes = [0] * 64
        self.ended = False
        self.shift = config.page_shift

    def take(self, group: list[str] | Columns) -> None:
        """Some lines, or rows."""
        if isinstance(group, Columns):
            self._rows(group)
            return
        for line in group:
            self.line += 1
            self._line(line)

    def _rows(self, columns: Columns) -> None:
        """Some rows of a columnar recording. Of allocations no lines are made."""
        none = len(columns.words) - 1
        plain = (columns.code == CODE["m"]) & (columns.request != none)
        lines = iter(columns.lines((~plain).nonzero()[0]))
        requests: list[_Request | None] = [None] * len(columns.words)
        rows = zip(plain.tolist(), columns.request.tolist(), columns.address.tolist(), strict=True)
        for is_plain, number, v in rows:
            self.line += 1
            if not is_plain:
                self._line(next(lines))
                continue
            try:
                request = requests[number]
                if request is None:
                    request = requests[number] = self._request(columns.words[number] or "")
                self._allocation(request, v)
            except (IndexError, ValueError, OverflowError) as broken:
                raise self._fault(f"m {columns.words[number]} {v:x}", broken) from None

    def _line(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        try:
            if kind == "m":
                key, _, ret = rest.rpartition(" ")
                self._allocation(self.requests.get(key) or self._request(key), int(ret, 16))
            else:
                self._other(kind, rest, line)
        except (IndexError, ValueError, OverflowError) as broken:
            raise self._fault(line, broken) from None

    def _fault(self, line: str, broken: Exception) -> TraceFault:
        if isinstance(broken, IndexError):
            said = f"{shorten(line)}: no object lies there"
            return fault(self.found.path, self.line, said, "an address in the span")
        return fault(self.found.path, self.line, f"{shorten(line)}: {broken}")

    def _allocation(self, request: _Request, v: int) -> None:
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

    def _other(self, kind: str, rest: str, line: str) -> None:
        """Any other record."""
        found = self.found
        found.records[kind] += 1
        if kind == "T":
            number, typ = parse_type(line, self.config.ptr_size)
            self.noscan[str(number)] = typ.noscan
            found.type_names[str(number)] = typ.name
            return
        if kind in ("Z", "Zs", "Zb"):
            self.ended = True
            return
        found.events += not self.ended
        if kind == "H":
            self._span(rest)
        elif kind == "b":
            self._sweep(rest)
        elif kind == "g":
            found.collections += 1
            self._sample()
        elif not kind or not kind.isprintable() or len(kind) > 2:
            raise ValueError("expected a record of this format")
        if found.events >= self.next_sample:
            self._sample_in_turn()

    def _sample_in_turn(self) -> None:
        self.next_sample += self.every
        self._sample()

    def _sample(self) -> None:
        point = (self.found.events, self.asked - self.freed_bytes)
        if not self.found.live or self.found.live[-1][0] != point[0]:
            self.found.live.append(point)

    def _request(self, key: str) -> _Request:
        """What is known of allocations with these fields, which may be met for the first time."""
        request = self.requests.get(key)
        if request is None:
            request = self.requests[key] = self._understood(key)
        return request

    def _understood(self, key: str) -> _Request:
        text, number, _, _ = key.split(" ")
        size = decimal(text)
        if number not in self.noscan:
            raise ValueError(f"type {number} was never declared")
        config = self.config
        if size > config.max_small_size:
            rounded = (size + config.page_size - 1) & -config.page_size
            return _Request(size, rounded, 0, number)
        if self.noscan[number] and size < config.tiny_size:
            return _Request(size, size, config.tiny_size_class if size else 0, number)
        sizeclass = self.classes.size_to_class(size)
        return _Request(size, self.classes.class_to_size[sizeclass], sizeclass, number)

    def _span(self, rest: str) -> None:
        """mheap.alloc gave a span: its objects are new."""
        npages, sizeclass, base, _ = rest.split(" ")
        start, number, n = address(base), decimal(sizeclass), decimal(npages)
        if number >= len(self.classes.class_to_size):
            raise ValueError(f"there is no size class {number}")
        shift = self.config.page_shift
        size = self.classes.class_to_size[number] or n << shift
        if number and n != self.classes.class_to_allocnpages[number]:
            raise ValueError(
                f"spans of class {number} have {self.classes.class_to_allocnpages[number]} pages"
            )
        span = _Span(start, max(size, 1), (n << shift) // size if number else 1)
        # Of a large object only the address is ever seen.
        for page in range(start >> shift, (start >> shift) + (n if number else 1)):
            self.pages[page] = span

    def _sweep(self, rest: str) -> None:
        """A sweep finds these marks; all else in the span is dead."""
        base, _, _, _, words = rest.split(" ")
        span = self.pages.get(address(base) >> self.config.page_shift)
        if span is None:
            return
        marked = 0
        for word in reversed(words.split(",")):
            marked = marked << 64 | address(word)
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
        self._sample()
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


class _SparseCount(_Count):
    """A recording of version 2 on its way through."""

    def _other(self, kind: str, rest: str, line: str) -> None:
        found = self.found
        found.records[kind] += 1
        if kind == "T":
            number, _, ptrdata, *_, name = rest.split(" ", 6)
            self.noscan[number] = ptrdata == "0"
            found.type_names[number] = json.loads(name)
            return
        if kind[0] in "Z@":
            return
        found.events += 1
        if kind == "H":
            _, npages, what, spanclass, _, base, _, _ = rest.split(" ")
            if what == "heap":
                self._span(f"{npages} {decimal(spanclass) >> 1} {base} 0")
        elif kind == "b":
            base, *_, words = rest.split(" ")
            self._sweep(f"{base} 0 0 0 {words}")
        elif kind == "g":
            found.collections += 1
            self._sample()
        if found.events >= self.next_sample:
            self._sample_in_turn()

    def _understood(self, key: str) -> _Request:
        _, text, number, flags = key.split(" ")
        size = decimal(text)
        if number not in self.noscan:
            raise ValueError(f"type {number} was never declared")
        config, noscan = self.config, self.noscan[number]
        if "l" in flags:
            return _Request(size, (size + config.page_size - 1) & -config.page_size, 0, number)
        if noscan and size < config.tiny_size:
            return _Request(size, size, config.tiny_size_class, number)
        # An object with pointers that is too large for bits in the span has a header before it.
        header = 0 if noscan or size <= config.min_size_for_malloc_header else config.malloc_header_size
        sizeclass = self.classes.size_to_class(size + header)
        return _Request(size, self.classes.class_to_size[sizeclass], sizeclass, number)


def document(found: Stats) -> dict[str, Any]:
    """The figures under the keys that `trace stats` promises."""
    return {
        "path": found.path,
        "platform": found.header.platform,
        "events": found.events,
        "allocations": found.allocations,
        "frees": found.frees,
        "collections": found.collections,
        "bytes": found.bytes,
        "rounded_bytes": found.rounded,
        "freed_bytes": found.freed_bytes,
        "live_bytes": found.live_bytes,
        "zero_sized": found.zero_sized,
        "unplaced": found.unplaced,
        "by_type": [
            {
                "type": None if number == "-" else int(number),
                "name": found.type_names.get(number, ""),
                "allocations": share.allocations,
                "bytes": share.bytes,
            }
            for number, share in sorted(found.by_type.items(), key=lambda item: (-item[1].bytes, item[0]))
        ],
        "by_class": [
            {
                "class": sizeclass,
                "size": found.class_sizes[sizeclass],
                "allocations": share.allocations,
                "bytes": share.bytes,
                "rounded_bytes": found.rounded_by_class[sizeclass],
            }
            for sizeclass, share in sorted(found.by_class.items())
        ],
        "lifetimes": [
            {"from": 1 << power, "to": 2 << power, "allocations": share.allocations, "bytes": share.bytes}
            for power, share in sorted(found.lifetimes.items())
        ],
        "live": [{"event": event, "bytes": size} for event, size in found.live],
        "records": dict(sorted(found.records.items())),
    }


def head(path: Path, n: int) -> tuple[Header, list[tuple[int, str]]]:
    """A recording's header and its first n records, with their line numbers. Opens it once."""
    header: Header | None = None
    first: list[tuple[int, str]] = []
    for piece in lines(path):
        if header is None:
            header = parse_header(str(path), piece[0])
            piece = piece[1:]
        first += enumerate(piece[: n - len(first)], start=2 + len(first))
        if len(first) == n:
            break
    if header is None:
        raise fault(str(path), 1, "an empty file", "a recording")
    return header, first
