"""Counting what an execution trace reports about objects: by type, by class, how long they lived.

A trace has each object's type and place, and not the size that was asked for. So an object counts with the
bytes of its slot, and what goes into an open block for tiny objects with none.
"""

from __future__ import annotations

import json

from archcalc.traces.counting import Count, CountedSpan, Share, Stats
from archcalc.traces.reader import address, decimal


class TracedSpan(CountedSpan):
    """A span's objects, with the class that they are counted under."""

    __slots__ = ("sizeclass",)

    def __init__(self, base: int, size: int, n: int, sizeclass: int) -> None:
        super().__init__(base, size, n)
        self.sizeclass = sizeclass


class TracedCount(Count):
    """A recording of version 3 on its way through. Objects of before the trace are not counted."""

    def is_event(self, kind: str) -> bool:
        return kind not in ("T", "@")

    def _line(self, line: str) -> None:
        found = self.found
        words = line.split(" ", 4)
        kind = words[0]
        try:
            found.records[kind] += 1
            found.events += self.is_event(kind)
            if kind == "m":
                self._object(words[2], address(words[4]))
            elif kind == "f":
                self._died(address(words[2]))
            elif kind in ("h", "H"):
                self._new_span(decimal(words[2]), words[3], address(words[4]))
            elif kind == "T":
                found.type_names[words[1]] = str(json.loads(words[4]))
            elif kind == "g":
                found.collections += 1
                self.sample()
            elif kind == "Z" or not kind or not kind.isprintable() or len(kind) > 1:
                raise ValueError("expected a record of this format")
            if found.events >= self.next_sample:
                self._sample_in_turn()
        except (IndexError, ValueError, OverflowError) as broken:
            raise self._fault(line, broken) from None

    def _new_span(self, npages: int, spanclass: str, base: int) -> None:
        if spanclass == "-":
            return
        sizeclass = decimal(spanclass) >> 1
        if sizeclass >= len(self.classes.class_to_size):
            raise ValueError(f"there is no span class {spanclass}")
        size = self.classes.class_to_size[sizeclass] or npages << self.shift
        n = (npages << self.shift) // max(size, 1) if sizeclass else 1
        span = TracedSpan(base, max(size, 1), n, sizeclass)
        for page in range(base >> self.shift, (base >> self.shift) + (npages if sizeclass else 1)):
            self.pages[page] = span

    def _object(self, number: str, v: int) -> None:
        found = self.found
        if number != "-" and number not in found.type_names:
            raise ValueError(f"type {number} was never declared")
        found.allocations += 1
        span = self.pages.get(v >> self.shift)
        size = 0
        if not isinstance(span, TracedSpan):
            found.unplaced += 1
        else:
            at = (v - span.base) // span.size
            if not span.count[at]:
                size = span.size
                span.born[at] = found.events
            span.count[at] += 1
            span.bytes[at] += size
            found.by_class.setdefault(span.sizeclass, Share()).add(1, size)
            found.rounded_by_class[span.sizeclass] += size
        found.bytes += size
        found.rounded += size
        self.asked += size
        found.by_type.setdefault(number, Share()).add(1, size)

    def _died(self, v: int) -> None:
        span = self.pages.get(v >> self.shift)
        if span is None:
            return
        at = (v - span.base) // span.size
        if span.count[at]:
            age = max(self.found.events - span.born[at], 1).bit_length() - 1
            self.deaths[age] += span.count[at]
            self.dead_bytes[age] += span.bytes[at]
            self.freed_bytes += span.bytes[at]
            span.count[at] = span.bytes[at] = 0

    def result(self) -> Stats:
        found = super().result()
        found.records["m"] = found.allocations
        return found
