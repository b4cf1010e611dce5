"""Many allocations at once: the same addresses, and the same machine afterwards, as one by one.

Objects are grouped by the place that they come from, a size class of an mcache.
Within a place the addresses follow from the spans that it takes, so only the
moments matter at which a place has run out and takes another span: those are
played in the order in which the objects would have asked for them. While the
heap has nothing free but the run of pages at its end, and nothing waits to be
swept, even these moments need no playing: spans then follow each other in
memory, and only the moments at which the runtime asks the OS are carried out.

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
