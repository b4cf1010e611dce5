"""What the allocator does on its own, as recordings write it: the shapes of those records.

They are filled in by `%`: a replay writes one for every few allocations, and `%x` and `%d` take two thirds of
the time of a format string.
"""

SPAN_FOR_OBJECTS = "H %d %d %x %d"  # pages, class, base, needzero: mheap.alloc
SPAN_FOR_STACKS = "K %d %x"  # pages, base: mheap.allocStack
SPAN_FREED = "D %x %d %d"  # base, pages, acct: mheap.freeSpan
STACKS_FREED = "E %x %d"  # base, pages: mheap.freeStack
RECORD_TAKEN = "Q span %x"  # its address: fixalloc.alloc
RECORD_FREED = "X span %x"  # its address: fixalloc.free
REFILLED = "L %d %x %d %d %d"  # class, base, alloc_count, free_index, mcache: mcache.refill
SWEPT = "b %x %d %d %d %s"  # base, class, objects, preserve, mark bits: mspan.sweep
SWEPT_ONE_WORD = "b %x %d %d %d %x"  # the same where the mark bits are one word
SPAN_AT_END = "Zs %x %d %d %d %d %d %d %d %d %d %d %x %x"  # end_state.span_lines
