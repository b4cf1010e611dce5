"""The runtime's own names for what a machine tells of itself, and what each means."""

from __future__ import annotations

from allocator.common.vocabulary import ADDRESS, BYTES, COUNT, FLAG, Named

# In the order in which they are told. A boot tells the landmarks.
HEAP = (
    Named("spans_start", ADDRESS, "start of the table of spans", landmark=True),
    Named("bitmap", ADDRESS, "end of the heap bitmap, which grows downward from there", landmark=True),
    Named("bitmap_start", ADDRESS, "start of what is mapped of it"),
    Named("bitmap_mapped", BYTES, "bytes of it that are mapped"),
    Named("arena_start", ADDRESS, "start of the arena; 0 on 32-bit", landmark=True),
    Named("arena_used", ADDRESS, "end of what was ever used", landmark=True),
    Named("arena_end", ADDRESS, "end of the reservation", landmark=True),
    Named("reserved", FLAG, "whether the system really reserved it", landmark=True),
    Named("spans_mapped", COUNT, "entries of the table of spans that are mapped"),
    Named("spans_capacity", COUNT, "entries that it was reserved for"),
    Named("pages_in_use", COUNT, "runtime pages in spans that are in use"),
    Named("sweepgen", COUNT, "mheap_.sweepgen"),
)
# What a heap can be grown up to; arena_size are the bytes that were ever used.
GROWS = ("arena_used", "arena_end", "arena_size", "bitmap_mapped", "pages_in_use")
# The two landmarks between which the heap has been used.
EXTENT = ("arena_start", "arena_used")
