"""A survey of a process's address space: which address belongs to what.

The regions of a survey tile the user's addresses from end to end; what belongs to nobody is
a region too. Reservations that are only checked, as on 64-bit Linux, are shown where the runtime
counts on them, although the kernel knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from allocator.interface import RESERVED, USED, Allocator, Attempt
from allocator.kernels.address_space import TAKEN
from allocator.kernels.maps import MapsLine
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.questions.boot import Boot
from archcalc.reading.words import counted


@dataclass(frozen=True, slots=True)
class AtlasRegion:
    """The addresses from `start` up to, not including, `end`; `kind` is a key of palette.LOOKS."""

    start: int
    end: int
    kind: str
    what: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Mark:
    """An address that has a name."""

    address: int
    what: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A reservation that mallocinit asks for, or would ask for next.

    `state` is `had` (granted), moved (answered, at another address), refused, untried, or beyond where the
    whole of it lies outside the user's addresses. `answer` is 0 where there is none; `obstacle`
    is what others have there.
    """

    address: int
    size: int
    state: str
    answer: int = 0
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Atlas:
    """One address space at one moment. `high` is the first address that is not the user's.

    `mappings` are the runtime's as /proc/PID/maps has them, where the kernel was told what they are for.
    """

    platform: str
    moment: str
    outcome: str
    low: int
    high: int
    regions: tuple[AtlasRegion, ...]
    marks: tuple[Mark, ...]
    asked: tuple[Asked, ...]
    mappings: tuple[MapsLine, ...] = ()

    def holes(self) -> list[AtlasRegion]:
        """What is free, largest first."""
        return sorted((r for r in self.regions if r.kind == "free"), key=lambda r: -r.size)


# Addresses that are in everybody's logs, by generation of Go.
KNOWN = (
    Mark(0xC000000000, "the first hint of 64-bit ports: spans begin here, from Go 1.11 on the heap itself"),
    Mark(0xC420000000, "the first object of 64-bit ports with an arena of 512 GB: pointers in logs begin so"),
)


def survey(boot: Boot, low: int, high: int, moment: str, outcome: str = "") -> Atlas:
    """The address space of a machine that has booted, or died booting."""
    rt, system = boot.runtime, boot.kernel
    parts = list(_heap(rt)) if rt is not None else []
    asked = tuple(_asked(boot.attempts, boot.figures, system, low, high))
    taken = [
        AtlasRegion(a, b, "foreign", "taken") for a, b, kind in _pieces(system, low, high) if kind == TAKEN
    ]
    image = boot.config.data_end
    named = [
        AtlasRegion(
            r.start, r.end, r.kind, "program image" if r.start < image <= r.end else "taken by others"
        )
        for r in taken
    ]
    own = [
        AtlasRegion(a, b, "own", "runtime's own (sysAlloc)")
        for a, b, kind in _pieces(system, low, high)
        if kind != TAKEN
    ]
    regions = tuple(tiled((named, parts, own), low, high))
    marks = _marks(boot, low, high)
    outcome = outcome or boot.outcome
    if boot.limits:
        outcome += f"; {boot.limits}"
    return Atlas(boot.platform, moment, outcome, low, high, regions, marks, asked, _named(system))


def _named(system: Any) -> tuple[MapsLine, ...]:
    maps: list[MapsLine] = system.maps() if hasattr(system, "maps") else []
    return tuple(maps) if any(one.name for one in maps) else ()


def _pieces(system: Any, low: int, high: int) -> list[tuple[int, int, int]]:
    """What the system has given out or found taken, clipped to the user's addresses."""
    space = getattr(system, "space", None)
    return [] if space is None else space.pieces(low, high)


def _heap(rt: Allocator) -> Iterator[AtlasRegion]:
    """What the machine uses or has reserved; `kind` is a region's name, and its state unless reserved."""
    for r in rt.regions():
        name = r.name.replace(" ", "-")
        kind = name if r.state == RESERVED else f"{name}-{r.state}"
        yield AtlasRegion(r.base, r.end, kind, f"{r.name}, {r.state}")


def tiled(layers: Sequence[Sequence[AtlasRegion]], low: int, high: int) -> Iterator[AtlasRegion]:
    """One row of regions without gap or overlap; where layers overlap, the first one wins."""
    edges = {low, high}
    for layer in layers:
        for region in layer:
            edges |= {min(max(region.start, low), high), min(max(region.end, low), high)}
    ordered = sorted(edges)
    stacks = [sorted((r for r in layer if r.end > r.start), key=lambda r: r.start) for layer in layers]
    at = [0] * len(stacks)
    open_region: AtlasRegion | None = None
    for start, end in pairwise(ordered):
        found: AtlasRegion | None = None
        for number, stack in enumerate(stacks):
            while at[number] < len(stack) and stack[at[number]].end <= start:
                at[number] += 1
            if found is None and at[number] < len(stack) and stack[at[number]].start <= start:
                found = stack[at[number]]
        kind, what = (found.kind, found.what) if found else ("free", "free")
        if open_region is not None and (open_region.kind, open_region.what) == (kind, what):
            open_region = AtlasRegion(open_region.start, end, kind, what)
            continue
        if open_region is not None:
            yield open_region
        open_region = AtlasRegion(start, end, kind, what)
    if open_region is not None:
        yield open_region


def _marks(boot: Boot, low: int, high: int) -> tuple[Mark, ...]:
    marks = {
        mark.address: mark.what for mark in KNOWN if boot.config.ptr_size == 8 and low <= mark.address < high
    }
    attempt = next((a for a in reversed(boot.attempts) if a.answer), None)
    if attempt is not None and low <= attempt.answer < high:
        marks.setdefault(attempt.answer, "the reservation came here")
    rt = boot.runtime
    if rt is not None:
        first = next((r.base for r in rt.regions() if r.state == USED), None)
        if first is not None:
            marks.setdefault(first, "the first object's address")
    return tuple(Mark(address, marks[address]) for address in sorted(marks))


def _asked(
    attempts: Sequence[Attempt], figures: Figures, system: Any, low: int, high: int
) -> Iterator[Asked]:
    """What was asked for, in order, and the hints that were left."""
    tried = set()
    for attempt in attempts:
        tried.add((attempt.hint, attempt.size))
        end = attempt.hint + attempt.size
        if attempt.answer == attempt.hint:
            state = "had"
        elif attempt.answer:
            state = "moved"
        else:
            state = "refused"
        obstacle = "" if state == "had" else _obstacle(system, attempt.hint, end, low, high)
        yield Asked(attempt.hint, attempt.size, state, attempt.answer, obstacle)
    for address, size in machines.hints_of(figures):
        if (address, size) not in tried:
            yield Asked(address, size, "beyond" if address >= high else "untried")


def _obstacle(system: Any, start: int, end: int, low: int, high: int) -> str:
    """What others have in [start, end), or that it reaches beyond the user's addresses."""
    if start >= high or end > high:
        return f"user addresses end at {high:#x}"
    if start < low:
        return f"user addresses begin at {low:#x}"
    for a, b, kind in _pieces(system, start, end):
        if kind == TAKEN:
            return f"{a:#x}-{b:#x} is taken"
    machine = getattr(system, "machine", None)
    limit = getattr(machine, "ulimit_v", None)
    if limit is not None and end - start + getattr(machine, "image_bytes", 0) > limit:
        return f"together with the image it exceeds the {counted(limit, 'byte')} of ulimit -v"
    return ""
