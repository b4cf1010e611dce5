"""Two records of one run compared, place by place: `archcalc record`'s and the official tracer's.

Both have what happened at each place of the heap: an object, found dead, another object. The tracer
began later and ended earlier. So what it has of a place must be a part, without gaps, of what the recording
has of it: the same kinds of things, of the same types and sizes.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from allocator.sparse.config import Config
from archcalc.traces import columnar
from archcalc.traces.execution.heap import MANUAL, SeenHeap
from archcalc.traces.reader import address, decimal, fault, parse_header
from archcalc.traces.records.version2 import MADE

FIRST = 10  # differences that are kept
KINDS = ("objects", "spans", "stacks")
Happened = tuple[str, ...]
"""One thing at a place: `allocated` and of what, or `freed`."""
FREED: Happened = ("freed",)


@dataclass(frozen=True, slots=True)
class PlaceDiffers:
    """What each of the two has of a place, in its order: what was allocated there, and that it was freed."""

    kind: str
    address: int
    recorded: tuple[str, ...]
    traced: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "address": self.address,
            "recorded": list(self.recorded),
            "traced": list(self.traced),
        }

    def __str__(self) -> str:
        ours, theirs = (", ".join(things[-6:]) or "nothing" for things in (self.recorded, self.traced))
        return f"{self.kind} at {self.address:x}: {ours}; the tracer: {theirs}"


@dataclass(slots=True)
class SameRun:
    """How many things of each kind both have; the places where they do not agree, and the first of them."""

    both: dict[str, int] = field(default_factory=dict)
    differing: Counter[str] = field(default_factory=Counter)
    first: list[PlaceDiffers] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """Places at which they do not agree."""
        return self.differing.total()

    @property
    def ok(self) -> bool:
        """Whether they agree on all."""
        return not self.differences


class PlaceHistories:
    """What happened at each place, by kind (objects, spans, stacks) and address."""

    def __init__(self, config: Config) -> None:
        self.heap = SeenHeap(config)
        self.types: dict[str, Happened] = {}
        self.of: dict[str, dict[int, list[Happened]]] = {kind: defaultdict(list) for kind in KINDS}

    def add(self, kind: str, at: int, what: Happened) -> None:
        """One thing more."""
        self.of[kind][at].append(what)

    def slot(self, addr: int) -> int:
        """Where the slot of an object begins."""
        s = self.heap.span_at(addr)
        return addr if s is None or s.manual else addr - (addr - s.base) % s.elemsize

    def span(self, at: int, npages: int, spanclass: int, older: bool = False) -> None:
        """A span."""
        if not older:
            self.add("spans", at, ("allocated", str(npages), "-" if spanclass == MANUAL else str(spanclass)))
        self.heap.add_span(at, npages, spanclass, older)

    def gone(self, at: int) -> None:
        """A span that was given back."""
        self.add("spans", at, FREED)
        s = self.heap.spans.get(at)
        if s is not None:
            self.heap.remove_span(s)

    def alike(self, letter: str, words: list[str]) -> None:
        """A record that both versions have with the same fields where they matter."""
        if letter == "D":
            self.gone(address(words[-1]))
        elif letter == "s":
            self.add("stacks", address(words[-1]), ("allocated", words[2]))
        elif letter == "S":
            self.add("stacks", address(words[-1]), FREED)

    def object(self, addr: int, number: str) -> None:
        """An object."""
        self.add("objects", self.slot(addr), ("allocated", *self.types.get(number, ())))
        self.heap.add_object(addr, -1, False)


def places_of_trace(path: Path, config: Config) -> PlaceHistories:
    """Of a recording of version 3."""
    found = PlaceHistories(config)
    for line in _lines(path, 3):
        words = line.split(" ")
        letter, last = words[0], words[-1]
        if letter == "T":
            name = json.loads(line.split(" ", 4)[4])
            found.types[words[1]] = (words[2], words[3], name)
        elif letter == "m":
            found.object(address(last), words[2])
        elif letter == "f":
            found.add("objects", address(last), FREED)
        elif letter in "hH":
            spanclass = MANUAL if words[3] == "-" else decimal(words[3])
            found.span(address(last), decimal(words[2]), spanclass, letter == "h")
        else:
            found.alike(letter, words)
    return found


def places_of_recording(path: Path, config: Config) -> PlaceHistories:
    """Of a recording of version 2."""
    found = PlaceHistories(config)
    for line in _lines(path, 2):
        words = line.split(" ")
        letter, last = words[0], words[-1]
        if letter == "T":
            found.types[words[1]] = (words[2], words[3], json.loads(line.split(" ", 7)[7]))
        elif letter == "m":
            if "tc" not in words[4] or config.traces_tiny:
                found.object(address(last), words[3])
        elif letter == "b":
            _swept(found, address(words[1]), words[-1])
        elif letter == "H":
            found.span(
                address(words[6]), decimal(words[2]), decimal(words[4]) if words[3] == "heap" else MANUAL
            )
        else:
            found.alike(letter, words)
    return found


def _swept(found: PlaceHistories, base: int, marks: str) -> None:
    """A sweep of a span: what lived there and has no mark was freed."""
    s = found.heap.spans.get(base)
    if s is None:
        return
    marked = 0
    for word in reversed(marks.split(",")):
        marked = marked << 64 | address(word)
    dead = s.live & ~marked
    while dead:
        slot = (dead & -dead).bit_length() - 1
        found.add("objects", base + slot * s.elemsize, FREED)
        dead &= dead - 1
    s.live &= marked


def _lines(path: Path, version: int) -> Iterator[str]:
    """The lines after the header of a recording of that version. Raises TraceFault."""
    stream = columnar.lines(path)
    first = next(stream, None)
    if first is None:
        raise fault(str(path), 1, "an empty file", "a recording")
    parse_header(str(path), first[0], (version,))
    yield from first[1:]
    for piece in stream:
        yield from piece


def compare(recording: Path, trace: Path, config: Config) -> SameRun:
    """A recording of version 2 and one of version 3, of the same run. Raises TraceFault."""
    ours, theirs = places_of_recording(recording, config), places_of_trace(trace, config)
    result = SameRun()
    made = _made(ours, theirs)
    for kind, places in theirs.of.items():
        known = ours.of[kind]
        result.both[kind] = 0
        for at, things in sorted(places.items()):
            told = [made.get(thing, thing) for thing in things]
            gaps = kind != "objects" and not config.traces_all_spans
            if (_is_among if gaps else _is_part)(told, known.get(at, [])):
                result.both[kind] += len(told)
                continue
            result.differing[kind] += 1
            if len(result.first) < FIRST:
                result.first.append(PlaceDiffers(kind, at, _words(known.get(at, [])), _words(told)))
    return result


def _made(ours: PlaceHistories, theirs: PlaceHistories) -> dict[Happened, Happened]:
    """Objects of types that reflect made, as the trace names them, and as the recording does, which only
    knows their sizes."""
    known = set(ours.types.values())
    return {
        ("allocated", *told): ("allocated", *told[:2], MADE)
        for told in theirs.types.values()
        if told not in known and (*told[:2], MADE) in known
    }


def _is_part(told: list[Happened], known: list[Happened]) -> bool:
    """Whether some things are a part, without gaps, of others."""
    n = len(told)
    return any(known[i : i + n] == told for i in range(len(known) - n + 1))


def _is_among(told: list[Happened], known: list[Happened]) -> bool:
    """Whether some things are others in their order, where some may have been left out."""
    rest = iter(known)
    return all(thing in rest for thing in told)


def _words(things: list[Happened]) -> tuple[str, ...]:
    return tuple(" ".join(thing) for thing in things)
