"""Which calls of a program's list its Go runtime did not make: its dynamic loader's, and its C library's.

The loader's come before the runtime's first. A C library makes threads and their stacks where a program has
C in it (cgo). It reserves memory and lifts the protection of what it uses, where a runtime maps what it uses
of a reservation a second time; and it moves the break.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allocator.kernels.calls import Call
from allocator.sparse.mem_linux import PREFIX

SHADOW = 1 << 20  # bytes of the smallest piece that counts
LIBRARIES = 0x7000_0000_0000  # where a 64-bit linux begins to put libraries, with 47 bits of addresses


@dataclass(frozen=True, slots=True)
class Parts:
    """Whose calls those of a list are, by their places: the runtime's own, and the C library's. `shadow`:
    what came before the runtime has made a shadow of all memory, as -race, -msan and -asan let it.
    """

    runtime: tuple[int, ...]
    library: frozenset[int]
    shadow: bool


def part(calls: Sequence[Call], first: Call | None, is_64bit: bool) -> Parts:
    """The parts of a list. `first` is what a runtime asks for first."""
    begin = _end_of_loader(calls, first)
    library = _of_library(calls, range(begin, len(calls)), is_64bit)
    shadow = is_64bit and any(_is_shadow(call) for call in calls[:begin])
    return Parts(tuple(i for i in range(begin, len(calls)) if i not in library), library, shadow)


def _is_shadow(call: Call) -> bool:
    """A loader insists on addresses only where it has put a library, which is where the system puts it."""
    return call.name == "map" and call.fixed and call.size >= SHADOW and call.address < LIBRARIES


def _end_of_loader(calls: Sequence[Call], first: Call | None) -> int:
    """A loader begins with a brk, and ends before the first call that a runtime asks for."""
    if not calls or calls[0].name != "brk" or first is None:
        return 0
    return next((place for place, call in enumerate(calls) if call[:5] == first[:5]), 0)


def _of_library(calls: Sequence[Call], places: range, is_64bit: bool) -> frozenset[int]:
    found = {i for i in places if _is_librarys(calls[i], is_64bit)}
    protected = [calls[i] for i in found if calls[i].name == "protect"]
    reserved = [i for i in places if calls[i].reserves]
    owned = {i for i in reserved if any(_within(one, calls[i]) for one in protected)}
    # Of those whose protection is lifted only behind the list's end, stacks are known by their size, and what
    # malloc asks for again by lying where it has just unmapped. The runtime has reserved its tables before
    # there are threads, and asks for room for the heap at hints of its own.
    sizes = {calls[i].size for i in owned}
    later = [i for i in reserved if owned and i > min(owned)]
    owned |= {i for i in later if not calls[i].address and calls[i].size in sizes}
    owned |= {i for i in later if any(_within(calls[i], calls[j]) for j in owned)}
    cut = {i for i in places if calls[i].name == "unmap" and any(_within(calls[i], calls[j]) for j in owned)}
    return frozenset(found | owned | cut)


def _is_librarys(call: Call, is_64bit: bool) -> bool:
    """Runtimes protect nothing on their way to main, and only those of 32 bits ask for the break. What they
    name has their own name before it."""
    if call.name == "name":
        return not call.access.startswith(PREFIX)
    return call.name == "protect" or (call.name == "brk" and bool(call.address or is_64bit))


def _within(call: Call, reservation: Call) -> bool:
    begin = reservation.answer
    return isinstance(begin, int) and begin <= call.address < begin + reservation.size
