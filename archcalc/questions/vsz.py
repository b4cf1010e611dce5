"""Why a Go process's VIRT is so large, and how much of it is real, in a program that has just begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allocator.common.throw import Death
from allocator.interface import Region
from allocator.kernels.address_space import MAPPED
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.questions.boot import try_boot

_RESERVED_IS_FREE = (
    ": it costs no memory and no swap, and is only felt by limits on the address space (ulimit -v)."
)
_RESERVED_COSTS = {
    # golang/go#5402: why the arena is 32 GB there, and not 512 GB.
    "windows": (
        ", but it is not free: Windows charges the page tables for it to the process, 8 bytes for each "
        "4 KB page, against the limit of committed memory."
    ),
}
"""What a system takes for addresses that are reserved only, where it takes anything."""

_BESIDE = {
    "darwin": " On macOS VIRT also counts a shared region of 2.3 to 2.4 GB, which every process has.",
}
"""What VIRT has on a system beside the parts of the table."""


@dataclass(frozen=True, slots=True)
class VirtPart:
    """One part of the address space, in bytes.

    `held` is what counts as VIRT, `mapped` the part that can be touched without asking the system
    again, `planned` what the runtime keeps free for it without the system knowing.
    """

    name: str
    planned: int
    held: int
    mapped: int
    why: str


@dataclass(frozen=True, slots=True)
class Footprint:
    """A platform's program with one object on its heap. `death` where it does not get so far."""

    platform: str
    parts: tuple[VirtPart, ...]
    reserved: bool
    attempts: int
    death: str = ""

    @property
    def virt(self) -> int:
        """Bytes of address space, as ps and top count them."""
        return sum(part.held for part in self.parts)

    @property
    def mapped(self) -> int:
        """Bytes that are mapped or committed; what is resident is at most this."""
        return sum(part.mapped for part in self.parts)


def footprint(figures: Figures, options: MachineOptions | None = None) -> Footprint:
    """Boots, allocates one object, and looks at who holds what."""
    boot = try_boot(figures, options)
    rt = boot.runtime
    if rt is None:
        assert boot.death is not None
        return Footprint(figures.platform, (), False, len(boot.attempts), str(boot.death["throw"]))
    try:
        rt.malloc(8)
    except Death as death:
        return Footprint(figures.platform, (), False, len(boot.attempts), death.words)
    image: int = getattr(rt.kernel, "program_bytes", machine_of(figures.profile, options).image_bytes)
    parts = [
        VirtPart("program", image, image, image, "text, data and bss, and what the system maps at the start")
    ]
    named: dict[str, list[Region]] = {}
    for region in rt.regions():
        named.setdefault(region.name, []).append(region)
    for name, regions in named.items():
        pieces = [_held(rt.kernel, region.base, region.end) for region in regions]
        held, mapped = map(sum, zip(*pieces, strict=True))
        planned = sum(region.end - region.base for region in regions)
        parts.append(VirtPart(name, planned, held, mapped, _WHY.get(name, regions[0].what)))
    held, mapped = _held(rt.kernel, 0, 1 << 64)
    held -= sum(part.held for part in parts[1:])
    mapped -= sum(part.mapped for part in parts[1:])
    if held:
        parts.append(
            VirtPart("other", held, held, mapped, "the runtime's own records: spans, caches, mark bits")
        )
    reserved = boot.attempts[-1].reserved if boot.attempts else True
    return Footprint(figures.platform, tuple(parts), reserved, len(boot.attempts))


_WHY = {
    "heap": "a chunk of the heap, in use",
    "chunks": "the bitmaps of pages, a second level of their map",
    "arena map": "from an address to its arena's record",
    "arena records": "which span each page of an arena belongs to",
    "scavenge index": "which chunks have pages to give back; mapped where the heap is",
    "summaries": "which pages are free, in a tree over all addresses; mapped where the heap is",
}
"""What a region is for, where the machine's words are of one piece of it."""


def _held(system: Any, low: int, high: int) -> tuple[int, int]:
    """Bytes between two addresses that the process holds, and that are mapped or committed of them."""
    pieces = system.space.pieces(low, high)
    held = sum(end - start for start, end, kind in pieces if kind)
    committed = getattr(system, "committed", None)
    if committed is not None:
        return held, sum(end - start for start, end, _ in committed.pieces(low, high))
    return held, sum(end - start for start, end, kind in pieces if kind & MAPPED)


def story(found: Footprint) -> str:
    """The footprint in words."""
    parts = {part.name: part for part in found.parts}
    if found.death:
        return f"The program does not live to have one: {found.death}."
    if "summaries" in parts:
        return _sparse_story(found, parts)
    tables = parts["spans"].planned + parts["bitmap"].planned
    ratio = found.virt // max(found.mapped, 1)
    arena, bitmap = parts["arena"], parts["bitmap"]
    words = (
        "The heap is one range of addresses, with tables in front that describe all of it, so both are given "
        "their place before the first object. "
    )
    if arena.held > 2 * arena.mapped:
        words += (
            f"This system really reserves that range, so VIRT counts it: {ratio} times what is mapped. "
            "A reservation is a promise of addresses, not of memory"
        )
        words += _RESERVED_COSTS.get(found.platform.partition("/")[0], _RESERVED_IS_FREE)
    elif arena.mapped == arena.planned:
        words += (
            "This system knows no reservations: the process's segment ends behind the whole range at once. "
            "Its pages are given when they are touched, so it costs addresses and no memory."
        )
    else:
        words += (
            "This system is not asked to reserve it: the range is only kept in mind, and VIRT grows with "
            "what is mapped. Tools that show far more count threads' stacks, libraries and files too."
        )
    words += _BESIDE.get(found.platform.partition("/")[0], "")
    if 16 << 20 < bitmap.mapped < bitmap.planned:
        words += (
            f" Of the bitmap {bitmap.mapped >> 20} MB are mapped at once, since on 32-bit it describes all "
            "from address 0 to the heap; only the last page of it is touched."
        )
    return words + f" Tables alone have {tables >> 20} MB of addresses here. Watch RSS, not VIRT."


def _sparse_story(found: Footprint, parts: Mapping[str, VirtPart]) -> str:
    tables = sum(
        part.held for name, part in parts.items() if name not in ("program", "heap", "arena", "arenas")
    )
    words = f"{tables >> 20} MB" if tables >> 20 else f"{tables >> 10} KB"
    goos = found.platform.partition("/")[0]
    return (
        "The heap takes arenas one by one, but its tables are for all addresses that there are: "
        f"{words}. With program and heap, {found.mapped >> 20} MB are mapped in all. "
        "A reservation is a promise of addresses, not of memory"
        f"{_RESERVED_COSTS.get(goos, _RESERVED_IS_FREE)}{_BESIDE.get(goos, '')}"
        " Threads' stacks, libraries and files come on top. Watch RSS, not VIRT."
    )
