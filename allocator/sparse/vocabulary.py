"""The runtime's own names for what a sparse machine tells of itself, and what each means."""

from __future__ import annotations

from allocator.common.vocabulary import ADDRESS, BYTES, COUNT, FLAG, Named

# In the order in which they are told. A boot tells the landmarks.
HEAP = (
    Named("heap_start", ADDRESS, "where the heap begins", landmark=True),
    Named("heap_end", ADDRESS, "end of what the heap has grown to", landmark=True),
    Named("arena_start", ADDRESS, "start of the current arena", landmark=True),
    Named("arena_end", ADDRESS, "end of the current arena", landmark=True),
    Named("arenas", COUNT, "arenas that the heap has", landmark=True),
    Named("hints", COUNT, "hints that are left for further arenas"),
    Named("summaries", ADDRESS, "start of the root level of summaries", landmark=True),
    Named("scavenge_index", ADDRESS, "start of the scavenge index", landmark=True),
    Named("index_unreserved", FLAG, "whether the index's reservation failed, which nobody notices"),
    Named("reserved", BYTES, "address space that is reserved for tables", landmark=True),
    Named("pages_in_use", COUNT, "runtime pages in spans that are in use"),
    Named("sweepgen", COUNT, "mheap_.sweepgen"),
)
# What a heap can be grown up to.
GROWS = ("heap_end", "arenas", "pages_in_use")
# The two landmarks between which the heap has been used.
EXTENT = ("heap_start", "heap_end")
