"""The neighbours of a heap in a /proc/PID/maps file, where that is of a Go program itself.

The heap that such a program has already is not foreign: it is what the machine is about to make, and
would stand in its own way. It is known by its shape. In 2017 spans table, bitmap and arena lie in one
reservation that begins at a hint of mallocinit. Since 1.11 arenas of 64 MB lie side by side, whole ones
only, at a hint or, where the base is drawn by lot, far below the system's own mappings.

A 32-bit program reserves its heap behind its own image. In 2017 tables and arena have an odd size together;
since 1.11 arenas of 4 MB are taken from a reservation of 128 MB at least, behind the process's break.
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
ARENA_32 = 4 << 20  # heapArenaBytes on 32-bit systems
LEAST_32 = 128 << 20  # the smallest reservation that mallocinit tries there, in both eras
SPANS_2017_32 = 2 << 20
TABLES_2017_32 = SPANS_2017_32 + (256 << 20)  # and the bitmap, behind which the arena begins
BREAK = 33 << 20  # from the image to the hint behind the break, of which Linux draws up to 32 MB by lot
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
    """The heaps of Go programs among the mappings of a process, lowest first."""
    if mappings and mappings[-1].end <= 1 << 32:
        return list(_heaps_of_32_bits(mappings))
    top = next((one.start for one in mappings if one.name == "[stack]"), 1 << 46)
    found: list[GoHeap] = []
    for run in _runs(mappings, 1 << 32):
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
        and not (_anonymous(one) and any(heap.start < one.end and one.start < heap.end for heap in heaps))
    ]


def _heaps_of_32_bits(mappings: Sequence[MapsLine]) -> Iterator[GoHeap]:
    image = next((one.name for one in mappings if one.name.startswith("/")), "")
    behind = 0  # the end of the program's own image, its data without a file included
    for one in mappings:
        if image and (one.name == image or (behind == one.start and not one.name)):
            behind = one.end
    for run in _runs(mappings, max(behind, 1)):
        start, size = run[0].start, run[-1].end - run[0].start
        if run[0].permissions == "---p" or size < LEAST_32:
            continue
        old = next(_reservations_of_2017(run), None)
        if old is not None:
            yield old
        elif start % ARENA_32 == size % ARENA_32 == 0 and 0 < start - behind <= BREAK + ARENA_32:
            yield GoHeap(start, run[-1].end, "since 1.11")


def _reservations_of_2017(run: Sequence[MapsLine]) -> Iterator[GoHeap]:
    """What of a 32-bit process's run could be spans, bitmap and arena: 258 MB, some 128 MB and a page.

    The kernel may have merged the used part of the table of spans with a mapping below it.
    """
    for end in (one.end for one in run):
        for spans in run:
            first = end - TABLES_2017_32 - 8192
            start = first - (first - spans.start) // LEAST_32 * LEAST_32
            arena = start + TABLES_2017_32
            if (
                spans.start <= start < spans.end <= start + SPANS_2017_32
                and spans.permissions != "---p"
                and any(one.start <= arena < one.end and one.permissions != "---p" for one in run)
            ):
                yield GoHeap(start, end, "before 1.11")


def _runs(mappings: Sequence[MapsLine], low: int) -> Iterator[list[MapsLine]]:
    """Anonymous mappings that follow each other without a hole, from an address on."""
    run: list[MapsLine] = []
    for one in mappings:
        if not _anonymous(one) or one.start < low:
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
