"""Version 2: recordings of Go 1.22 to 1.27, which `archcalc record` makes.

An event's own records come before it, as in version 1, or between its brackets where other threads' records can
come in between. P is the id of the P that runs, or `-` for a thread without one; an mcache goes by its P's.
"""

from __future__ import annotations

from archcalc.traces.records.version1 import Record

PARTS = {
    "about": "About the records",
    "system": "What the system was asked (compared) and answered (given to the machine)",
    "requests": "What the runtime was asked to do: given to the machine, whose answer (the last field) is compared",
    "brackets": "The same, where it takes more steps: what is between the brackets was done for it",
    "own": "What the allocator did by itself: compared",
    "collector": "What the collector and its pacer decided: given to the machine, and compared as far as it follows from the rest",
    "end": "How it ended: compared",
}

# The words that fields have.
KINDS = ("heap", "stack", "work", "bits")
WAYS = "cpl"  # a stack from the P's cache, from the pool, large
SETS = ("p0", "p1", "f0", "f1")  # of an mcentral: partial, full
ADVICE = {4: "dontneed", 8: "free", 14: "hugepage", 15: "nohugepage", 25: "collapse"}
ERRNO = {
    1: "EPERM",
    9: "EBADF",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    14: "EFAULT",
    17: "EEXIST",
    22: "EINVAL",
    38: "ENOSYS",
}
MADE = "made at run time"  # the name of a type that reflect has made: the program's file does not have it
GODEBUGS = ("madvdontneed", "harddecommit", "disablethp")  # settings that the header has where one is unusual
MEMSTATS = (
    "Alloc", "TotalAlloc", "Sys", "Mallocs", "Frees", "HeapAlloc", "HeapSys", "HeapIdle", "HeapInuse",
    "HeapReleased", "HeapObjects", "StackInuse", "StackSys", "MSpanInuse", "MSpanSys", "MCacheInuse",
    "MCacheSys", "BuckHashSys", "GCSys", "OtherSys", "NextGC", "NumGC", "NumForcedGC", "PauseTotalNs",
)  # fmt: skip

RECORDS = (
    Record("T id size ptrdata kind align ptrmask name", "about", "a type, before its first use: sizes in bytes, internal/abi's kind byte, which words are pointers as hexadecimal bytes with the low bit first (`-` where there are none, and for more than 512 bytes of pointers), the name as a JSON string"),
    Record("@ thread", "about", "the records from here on are of that thread, up to the next `@`; 0 to begin with"),
    Record("M addr n access fixed ret", "system", "mmap of n bytes: access `rw` or `-`, `fixed` or `-`; the address or the error's name. Comes before the record of what asked for it"),
    Record("O addr n", "system", "munmap"),
    Record("A addr n advice ret", "system", "madvise: `free`, `dontneed`, `hugepage`, `nohugepage`, `collapse`; 0 or the error's name"),
    Record("G addr n access", "system", "mprotect"),
    Record("N addr n ret name", "system", "prctl gave a mapping a name, a JSON string; 0 or the error's name. Since 1.25, where the kernel can"),
    Record("B ret", "system", "brk, on 32-bit machines"),
    Record("J lot", "system", "the random number that the heap's base is drawn from, 64 bits; since 1.26, on 64-bit machines"),
    Record("m p size type flags ret", "requests", "mallocgc of size bytes. Flags: `n` no pointers, `z` must be zero, `t` a new block for tiny objects, `tc` in the block that was open, `l` large, `r` an object that freegc gave back, `.` none; the type's number or `-`. A large object's `( large` comes before it"),
    Record("s p n how ret", "requests", "stackalloc of n bytes: from the P's cache (`c`), the pool (`p`), or large (`l`)"),
    Record("S p n how ptr", "requests", "stackfree, to the same places"),
    Record("p p size align stat ret", "requests", "persistentalloc by a part of the runtime outside the allocator, charged to a counter; without a P it is the global chunk's"),
    Record("Y n stat ret", "requests", "sysAlloc by a part of the runtime outside the allocator; its `M` comes before it"),
    Record("y n stat addr", "requests", "sysFree of such memory; its `O` comes before it"),
    Record("f p which ret", "requests", "a record of one of the mheap's fixallocs for specials, by the fixalloc's name"),
    Record("x which ptr", "requests", "such a record given back"),
    Record("E base cache scav", "requests", "the page cache at that address is flushed: its free and its scavenged pages, 64 bits each"),
    Record("= json", "requests", "runtime.ReadMemStats, under the names of runtime.MemStats; all caches have been flushed for it"),
    Record("( init p", "brackets", "mallocinit"),
    Record("( pinit p id", "brackets", "a P comes into being, with an mcache; `) pinit id cache`"),
    Record("( pdestroy p id", "brackets", "a P goes away: its span records, its page cache and its mcache are given back"),
    Record("( refill p class", "brackets", "mcache.refill of a span class; `) refill base alloc_count free_index`"),
    Record("( large p size noscan", "brackets", "mcache.allocLarge; `) large base npages needzero`"),
    Record("( stackrefill p order", "brackets", "stackcacherefill"),
    Record("( stackrelease p order", "brackets", "stackcacherelease"),
    Record("( stackalloc p n how", "brackets", "stackalloc not from a cache; `) stackalloc ret`"),
    Record("( stackfree p n how ptr", "brackets", "stackfree not to a cache"),
    Record("( release p cache", "brackets", "mcache.releaseAll, of the P that the cache belongs to"),
    Record("( stackclear p cache", "brackets", "stackcache_clear, of the P that the cache belongs to"),
    Record("( sweepone p", "brackets", "one sweepone, by the background sweeper or to pay for an allocation; `) sweepone pages`, pages freed or `done`"),
    Record("( scavenge p n force", "brackets", "pageAlloc.scavenge of n bytes; it stops where the bracket ends; `) scavenge released`"),
    Record("( allocmanual p npages kind", "brackets", "a span for the collector's work buffers, or up to 1.23 for the GC program of the object behind it (`bits`); `) allocmanual base`"),
    Record("( freemanual p kind base", "brackets", "such a span given back"),
    Record("( freestackspans p", "brackets", "the stack pools free what is empty, at the end of a collection"),
    Record("( reclaim p npages", "brackets", "mheap.reclaim, before pages are allocated while spans are unswept"),
    Record("( sweep p preserve base", "brackets", "a span is swept, for whatever reason; `) sweep freed base`. Outside all other brackets it is ensureSwept"),
    Record("( userarena p", "brackets", "a chunk for user arenas (GOEXPERIMENT=arenas); `) userarena base`"),
    Record("( userfault p base", "brackets", "such a chunk was freed: access to it faults from now on"),
    Record("( hugepages p", "brackets", "enableMetadataHugePages"),
    Record("( readmemstats p", "brackets", "runtime.ReadMemStats flushes all caches; what it found is the `=` after the bracket"),
    Record(") what …", "brackets", "closes the bracket that was opened last, with its result"),
    Record("q p size align stat ret", "own", "persistentalloc by the allocator itself: for fixallocs, arenas, span sets, ranges"),
    Record("F which ret", "own", "a record from the fixalloc of spans, mcaches or arena hints"),
    Record("X which ptr", "own", "such a record given back"),
    Record("H p npages kind class how base scav self", "own", "pages for a span: kind `heap`, `stack`, `work` or `bits`, the span class, from the heap (`h`) or the P's page cache (`c`), bytes of it that were scavenged, the span record's address"),
    Record("Q needzero base", "own", "whether a span's memory may be dirty"),
    Record("* address", "own", "an arena for mark bits begins; where the system gave it, its `M` comes before"),
    Record("< order ret", "own", "a stack leaves the pool of an order, or `large` those that were freed while marking"),
    Record("> order ptr", "own", "a stack goes to such a pool"),
    Record("R page", "own", "mheap.reclaim takes the next pages, counted over all arenas, to look at"),
    Record("D p npages kind base", "own", "a span's pages are freed"),
    Record("C p base cache scav", "own", "a page cache takes 64 pages: those free and those scavenged, 64 bits each"),
    Record("/ address", "own", "that arena is put back, because another thread had begun one meanwhile"),
    Record("+ class set place base self", "own", "a span is pushed on one of its mcentral's sets (`p0`, `p1` partial, `f0`, `f1` full), at that place of it; `self` is the span record's address"),
    Record("- class set place base self", "own", "a span is popped from the set; `- class set -` where the set was empty"),
    Record("b base class nalloc nfreed marks", "own", "what a sweep finds: objects left and freed, and the mark bits as 64-bit words, low bits first. The marks are given to the machine, the counts are compared"),
    Record("c chunk page", "own", "the scavenger looks at the chunk at that address next, from that page of it downwards; `-` where it finds none"),
    Record("V npages base", "own", "the scavenger takes pages to release"),
    Record("v npages base", "own", "the scavenger has released them"),
    Record("u base", "own", "the scavenger finds nothing in the chunk at that address"),
    Record("I", "collector", "gcinit: from here on nothing is left to sweep, until the first collection"),
    Record("P phase", "collector", "gcphase: 0 off, 1 mark, 2 mark termination, in this order"),
    Record("e", "collector", "nextMarkBitArenaEpoch"),
    Record("n", "collector", "the scavenge index takes its next generation"),
    Record("K arena marks", "collector", "which pages of an arena begin a span with a marked object, as hexadecimal bytes, low bit first, without the zeros at the end (`-` for none); before the `g` that they are for. They have spans, whose `b` has a mark"),
    Record("g sweepgen heap_live pages_in_use heap_marked", "collector", "a sweep phase begins, with the values of that moment; of them, heap_marked is given"),
    Record("r ratio live_basis swept_basis", "collector", "gcPaceSweeper: pages to sweep for a byte allocated, a hexadecimal float, and from where it counts. The trigger that it depends on is given, as a whole number of bytes"),
    Record("l percent_goal limit_goal limit", "collector", "gcPaceScavenger: its two goals and the memory limit, in bytes. The second goal, which follows from the limit, is compared"),
    Record("w heap_live goal marked", "collector", "the pacer commits: the live heap, its goal, and what was marked, in bytes. The goal is given"),
    Record("! json", "end", "how it died: `throw` and its words, with the lines `printed` right before them; `panic`; or `signal` and its number. What is thrown inside a request is compared, what other parts of the runtime throw is only reported"),
    Record("Z json", "end", "the end state: sweepgen, pages_in_use, heap_live, where the current arena stands, search_addr, the chunks in use, mapped_ready; `exit` is the program's code. The last line"),
    Record("Za base zeroed metadata", "end", "an arena, in the order they were added: how much of it has been used, where its heapArena is"),
    Record("Zh addr down self", "end", "an arena hint, first to last"),
    Record("Zc base pages scavenged", "end", "a chunk of 512 pages: which are allocated, which scavenged, as hexadecimal bytes"),
    Record("Zs base npages state class nelems alloc_count free_index needzero sweepgen elemsize limit largetype self", "end", "every span record, in allspans' order; state 0 dead, 1 in use, 2 manual. The type of a large object, or `*` and the span that its GC program is unrolled in"),
    Record("Zv base allocbits", "end", "the allocation bits of a span in use"),
    Record("Zb base bits", "end", "the heap bits at the end of a span in use"),
    Record("Zt object type", "end", "the header of an object that has one"),
)  # fmt: skip
