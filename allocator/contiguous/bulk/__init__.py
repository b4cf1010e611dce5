"""Many allocations at once, with the addresses and the machine of one at a time.

Objects are grouped by the place that they come from, a size class of an mcache.
Within a place the addresses follow from the spans that it takes, so only the
moments matter at which a place has run out and takes another span: these are
carried out in the order in which the objects would have caused them. While the
heap has nothing free but the run of pages at its end, and nothing waits to be
swept, even that is not needed: spans then follow each other in memory, and only
the moments are carried out at which the runtime asks the OS.

- `many`: the machine as the call sees it (`allocator.common.many`)
- `places`: a place, and the span that it has cached
- `batch`: the order of events
- `growth`: spans cut from the end of the heap, thousands at a time
- `bitmaps`: heap bitmaps of whole spans
- `profile`: the heap profile's samples
- `snapshot`: what is restored when the OS refuses in the middle of many spans
- `marking`, `sweeping`: collections of many objects and spans at once

What does not depend on the machine is in `allocator.common.bulk`.
"""

from allocator.common.bulk.engine import use_compiled

__all__ = ["use_compiled"]
