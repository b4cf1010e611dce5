"""The neighbours of a heap in a /proc/PID/maps file, where that is of a Go program itself.

The heap that such a program has already is not foreign: it is what the machine is about to make, and
would get in its own way. It is known by its shape. In 2017 spans table, bitmap and arena lie in one
reservation that begins at a hint of mallocinit. Since 1.11 arenas of 64 MB lie side by side, whole ones
only, at a hint or, where the base is drawn at random, far below the system's own mappings.

A 32-bit program reserves its heap after its own image. In 2017 tables and arena have an odd size together;
since 1.11 arenas of 4 MB are taken from a reservation of 128 MB at least, after the process's break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from allocator.kernels.maps import MapsLine
from archcalc.calculator.figures import compute
from archcalc.generations import CURRENT as OLD
from archcalc.profiles import platforms
from archcalc.profiles.profile import latest

BREAK = 33 << 20  # from the image to the hint after the break; Linux adds up to 32 MB at random
SYSTEMS = 1 << 42  # how far below the stack a system puts its own mappings at most
NAMED = "[anon: Go: "  # how releases since 1.25 name their mappings where the kernel lets them


class _Sizes(NamedTuple):
    """What Go heaps are known by: hints of mallocinit, and bytes; `old` ones of 2017, with tables before."""

    hints: tuple[int, ...]  # the first of most ports, of arm64, of iOS
    step: int  # from a hint to the next
    old_tables: int
    old_reserved: int
    old_page: int
    old_spans_32: int
    old_tables_32: int
    least_32: int  # the smallest reservation that mallocinit tries on 32 bits, in both eras
    arena: int
    arena_32: int


@cache
def _sizes() -> _Sizes:
    """The figures of the eras' ports. Their tables are read only where there are maps to look at."""
    old, old_32 = (compute(platforms.load(name, OLD)) for name in ("linux/amd64", "linux/386"))
    now, now_32 = (compute(platforms.load(name, latest())) for name in ("linux/amd64", "linux/386"))
    others = [compute(platforms.load(name, OLD)).layout for name in ("linux/arm64", "darwin/arm64")]
    layout, rungs = old.layout, old_32.layout.rungs
    first, second = (hint.address for hint in layout.hints[:2])
    return _Sizes(
        hints=(first, *(other.hints[0].address for other in others)),
        step=second - first,
        old_tables=layout.spans_size + layout.bitmap_size,
        old_reserved=layout.reservation_size,
        old_page=int(old_32.constants["_PageSize"]),
        old_spans_32=rungs[0].spans_size,
        old_tables_32=rungs[0].spans_size + rungs[0].bitmap_size,
        least_32=min(rung.arena_size for rung in rungs if rung.arena_size),
        arena=int(now.constants["heapArenaBytes"]),
        arena_32=int(now_32.constants["heapArenaBytes"]),
    )


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
    known = _sizes()
    top = next((one.start for one in mappings if one.name == "[stack]"), 1 << 46)
    found: list[GoHeap] = []
    for run in _runs(mappings, 1 << 32):
        start, end = run[0].start, run[-1].end
        if found and start < found[-1].end:
            continue
        if start % known.arena == end % known.arena == 0 and (_is_hint(start) or end + SYSTEMS <= top):
            found.append(GoHeap(start, end, "since 1.11"))
        elif _is_hint(start) and run[0].permissions == "rw-p":
            arena, limit = start + known.old_tables, start + known.old_reserved
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
    known = _sizes()
    image = next((one.name for one in mappings if one.name.startswith("/")), "")
    behind = 0  # the end of the program's own image, its data without a file included
    for one in mappings:
        if image and (one.name == image or (behind == one.start and not one.name)):
            behind = one.end
    for run in _runs(mappings, max(behind, 1)):
        start, size = run[0].start, run[-1].end - run[0].start
        if run[0].permissions == "---p" or size < known.least_32:
            continue
        old = next(_reservations_of_2017(run), None)
        if old is not None:
            yield old
        elif (
            start % known.arena_32 == size % known.arena_32 == 0
            and 0 < start - behind <= BREAK + known.arena_32
        ):
            yield GoHeap(start, run[-1].end, "since 1.11")


def _reservations_of_2017(run: Sequence[MapsLine]) -> Iterator[GoHeap]:
    """Part of a 32-bit process's run that could be spans, bitmap and arena: 258 MB, some 128 MB and a page.

    The kernel may have merged the used part of the table of spans with a mapping below it.
    """
    known = _sizes()
    for end in (one.end for one in run):
        for spans in run:
            first = end - known.old_tables_32 - known.old_page
            start = first - (first - spans.start) // known.least_32 * known.least_32
            arena = start + known.old_tables_32
            if (
                spans.start <= start < spans.end <= start + known.old_spans_32
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
    known = _sizes()
    return any(address >= hint and (address - hint) % known.step == 0 for hint in known.hints)
