"""The neighbours of a heap in a /proc/PID/maps file, where that is of a Go program itself.

The heap that such a program has already is not foreign: it is what the machine is about to make, and
would stand in its own way. It is known by its shape. In 2017 spans table, bitmap and arena lie in one
reservation that begins at a hint of mallocinit. Since 1.11 arenas of 64 MB lie side by side, whole ones
only, at a hint or, where the base is drawn by lot, far below the system's own mappings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from allocator.kernels.maps import MapsLine

ARENA = 64 << 20  # heapArenaBytes on 64-bit systems
HINTS = (0xC0 << 32, 0x40 << 32, 0x13 << 28)  # mallocinit's first: most ports, arm64, iOS
STEP = 1 << 40  # from a hint to the next
TABLES_2017 = (1 << 34) + (1 << 29)  # bitmap and spans, behind which the arena begins
RESERVED_2017 = (1 << 39) + TABLES_2017 + 8192
SYSTEMS = 1 << 42  # how far below the stack a system puts its own mappings at most
NAMED = "[anon: Go: "  # how releases since 1.25 name their mappings where the kernel lets them


class GoHeap(NamedTuple):
    """The addresses [start, end) of a Go program's own heap, and of which era of Go it is."""

    start: int
    end: int
    era: str

    def __str__(self) -> str:
        return f"{self.start:#x}-{self.end:#x}, the heap of a Go program {self.era}"


def go_heaps(mappings: Sequence[MapsLine]) -> list[GoHeap]:
    """The heaps of Go programs among the mappings of a 64-bit process, lowest first."""
    top = next((one.start for one in mappings if one.name == "[stack]"), 1 << 46)
    found: list[GoHeap] = []
    for run in _runs(mappings):
        start, end = run[0].start, run[-1].end
        if found and start < found[-1].end:
            continue
        if start % ARENA == end % ARENA == 0 and (_is_hint(start) or end + SYSTEMS <= top):
            found.append(GoHeap(start, end, "since 1.11"))
        elif _is_hint(start) and run[0].permissions == "rw-p":
            arena, limit = start + TABLES_2017, start + RESERVED_2017
            inside = [one for one in mappings if _anonymous(one) and start <= one.start and one.end <= limit]
            if any(one.start <= arena < one.end for one in inside):
                found.append(GoHeap(start, inside[-1].end, "before 1.11"))
    return found


def foreign(mappings: Sequence[MapsLine]) -> list[MapsLine]:
    """The mappings without a Go program's heap and whatever else its runtime calls its own."""
    heaps = go_heaps(mappings)
    return [
        one
        for one in mappings
        if not one.name.startswith(NAMED)
        and not (_anonymous(one) and any(heap.start <= one.start < heap.end for heap in heaps))
    ]


def _runs(mappings: Sequence[MapsLine]) -> Iterator[list[MapsLine]]:
    """Anonymous mappings that follow each other without a hole, from 4 GB on."""
    run: list[MapsLine] = []
    for one in mappings:
        if not _anonymous(one) or one.start < 1 << 32:
            continue
        if run and run[-1].end != one.start:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _anonymous(one: MapsLine) -> bool:
    plain = one.permissions in ("rw-p", "---p") and (not one.name or one.name.startswith(NAMED))
    return plain or (one.permissions == "rwxp" and not one.name)  # MIPS says so of all that is writable


def _is_hint(address: int) -> bool:
    return any(address >= hint and (address - hint) % STEP == 0 for hint in HINTS)
