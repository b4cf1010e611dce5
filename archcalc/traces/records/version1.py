"""What each record of a recording says: for the documentation, and for whoever reads a recording by eye.

This is version 1, of the runtime of January 2017. How a record is read is in `replay`; a test holds the two lists together.
"""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One kind of record: its letters and fields, whose it is, and what it says."""

    shape: str
    part: str
    meaning: str

    @property
    def letters(self) -> str:
        """What the line begins with."""
        return self.shape.partition(" ")[0]


PARTS = {
    "types": "Types, before all events",
    "answers": "What the OS answered: given to the machine",
    "inputs": "What the runtime was asked to do: given to the machine, whose answer (`ret`) is compared",
    "own": "What the allocator did by itself: compared. They come before the event that caused them",
    "end": "How it ended: compared",
}

RECORDS = (
    Record("T id size ptrdata kind align ptrmask name", "types", "a type: sizes in bytes, the kind's byte (128 no pointers, 64 a GC program, 32 direct interface), which words are pointers as hexadecimal bytes with the low bit first (or the GC program; `-` for none), the name as a JSON string"),
    Record("R addr n ret reserved", "answers", "sysReserve of n bytes at addr; reserved says whether the addresses are really held"),
    Record("Y n ret stat", "answers", "sysAlloc of n bytes, charged to a counter of memstats"),
    Record("F call addr n answer", "answers", "a sysMap or sysUsed that the OS did not do: `errno=N`, the address it gave instead, or `-` for no memory"),
    Record("I spans bitmap arena_start arena_used arena_end reserved", "inputs", "what mallocinit set up"),
    Record("m size type flags cache ret", "inputs", "mallocgc. Flags: `n` no pointers, `z` must be zero, `t` tiny allocator, with `c` in the block that was open, `h` a collection may be due, `.` none; the type's number or `-`"),
    Record("s n cache ret", "inputs", "a stack of n bytes; cache `-` is the global pool"),
    Record("S ptr n cache", "inputs", "a stack given back"),
    Record("p size align stat slot ret", "inputs", "persistentalloc by a part of the runtime outside the allocator. Slot: `G` the global chunk, `P0` and on a P's own, `S` straight from the OS"),
    Record("f which ret", "inputs", "a record of fixalloc: mcache, specialfinalizer or specialprofile"),
    Record("x which ptr", "inputs", "such a record given back"),
    Record("u cache", "inputs", "an mcache releases all its spans"),
    Record("k cache", "inputs", "an mcache gives its stacks back"),
    Record("z", "inputs", "the stack pools free what is empty, at the end of a collection"),
    Record("P phase", "inputs", "the collector's phase: 0 off, 1 mark, 2 mark termination"),
    Record("y", "inputs", "the arenas of mark bits take their next names"),
    Record("g sweepgen heap_live gc_trigger next_gc pages_in_use", "inputs", "a sweep phase begins, with the values of that moment"),
    Record("r ratio", "inputs", "the ratio of proportional sweep, a hexadecimal float"),
    Record("b base class nelems preserve marks", "own", "the mark bits that the sweep of that span finds, as 64-bit words; given to the machine, not compared"),
    Record("w pages", "inputs", "a sweepone from outside the allocator: pages freed, or `done`"),
    Record("e base", "inputs", "ensureSwept swept that span"),
    Record("v now limit", "inputs", "a scavenge of what has been idle for longer than limit, in nanoseconds"),
    Record("M addr n reserved stat", "own", "sysMap"),
    Record("O addr n stat", "own", "sysFree"),
    Record("U addr n", "own", "sysUnused"),
    Record("V addr n", "own", "sysUsed"),
    Record("q size align stat slot ret", "own", "persistentalloc by fixalloc or by the sweep buffers"),
    Record("Q which ret", "own", "a span record from fixalloc"),
    Record("X which ptr", "own", "a span record given back"),
    Record("H npages class base needzero", "own", "the page heap gave a span for objects"),
    Record("K npages base", "own", "the page heap gave a span for stacks"),
    Record("D base npages acct", "own", "a span of objects was freed"),
    Record("E base npages", "own", "a span of stacks was freed"),
    Record("L class base alloc_count free_index cache", "own", "an mcache took that span"),
    Record("! json", "end", "the runtime's death: `throw` its words, `printed` the lines before, `during` the m record without its answer, or boot"),
    Record("Z json", "end", "the end state: where the arena stands, what is in use, the pacer's counters"),
    Record("Zs base npages state class nelems alloc_count free_index needzero npreleased sweepgen elemsize limit self", "end", "every span record, in allspans order; state 0 dead, 1 in use, 2 stacks, 3 free"),
    Record("Zb base hex", "end", "the heap bitmap of a span in use, a byte for four words, its first 4096 or 65536 bytes"),
)  # fmt: skip
