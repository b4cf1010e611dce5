"""Version 3: what Go's own execution traces tell of the heap, which `archcalc trace import` writes.

A record's first field is the time since the record before, in ticks (`ticks_per_second` of the header; 64 ns),
0 where a thread's clock was behind. Addresses are the program's own. Nothing is given to a machine: `replay`
checks what can be checked.
"""

from __future__ import annotations

from archcalc.traces.records.version1 import Record

PARTS = {
    "about": "About the records",
    "older": "What was there when the trace began",
    "heap": "What happened to the heap: checked",
    "collector": "What the collector and the scheduler did",
}

RECORDS = (
    Record("T id size ptrdata name", "about", "a type, before its first use: sizes in bytes, the name as a JSON string"),
    Record("@ p", "about", "the records from here on are of that P; `-` for a thread without one"),
    Record("h ticks npages class base", "older", "a span: its span class, `-` where it is of stacks or the collector's own"),
    Record("o ticks type addr", "older", "an object: where its slot begins; the type's number or `-`"),
    Record("u ticks n base", "older", "a goroutine's stack of n bytes"),
    Record("H ticks npages class base", "heap", "a span was allocated"),
    Record("D ticks base", "heap", "a span was freed"),
    Record("m ticks type flag addr", "heap", "an object was allocated: the type's number or `-`; `r` where since the thread's last object others may have run on the P, so that it may have been allocated before, else `.`. Of tiny objects addresses are rounded down to 8 bytes; before 1.24 only those with a new block are reported"),
    Record("f ticks addr", "heap", "a sweep found an object dead: where its slot begins"),
    Record("s ticks n base", "heap", "a goroutine's stack of n bytes was allocated"),
    Record("S ticks base", "heap", "a goroutine's stack was freed"),
    Record("g ticks n", "collector", "a collection begins, the n-th one of the collector's events"),
    Record("e ticks n", "collector", "its marking is over"),
    Record("x ticks why", "collector", "a P stops the world; why, as a JSON string"),
    Record("P ticks n", "collector", "the world is stopped, and there are n Ps: no P has a span then"),
    Record("i ticks", "collector", "this P begins to run"),
    Record("b ticks swept reclaimed", "collector", "a P has swept so many bytes, and so many of them were dead"),
    Record("l ticks n", "collector", "the live heap in bytes, as the pacer counts it"),
    Record("w ticks n", "collector", "the pacer's goal in bytes"),
)  # fmt: skip
