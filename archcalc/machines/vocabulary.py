"""The names that machines of any generation tell their figures under, for files that may speak of any."""

from __future__ import annotations

from allocator.common.vocabulary import ADDRESS, BootRule, NamedFigure
from allocator.contiguous import vocabulary as contiguous
from allocator.contiguous.mstats import MStats
from allocator.sparse import vocabulary as sparse

_OLD = frozenset(named.name for named in contiguous.HEAP)
HEAP: tuple[NamedFigure, ...] = (
    *contiguous.HEAP,
    *(named for named in sparse.HEAP if named.name not in _OLD),
)
# The address up to which a heap has been used, by its name in tables.
HEAP_ENDS = {
    contiguous.EXTENT[1]: "the end of what is used of the arena",
    sparse.EXTENT[1]: "the end of what the heap has grown to",
}
BOOT: tuple[BootRule, ...] = (*contiguous.BOOT, *sparse.BOOT)
COUNTERS: tuple[str, ...] = MStats.__slots__
ADDRESSES = frozenset(named.name for named in HEAP if named.unit == ADDRESS)
# What a heap can be grown up to.
GROWING = (
    *contiguous.GROWS,
    *(name for name in sparse.GROWS if name not in contiguous.GROWS),
    *sorted(name for name in COUNTERS if name not in ("enablegc", "nsmallfree", "size_by_class")),
)


def meaning(name: str) -> str:
    """What a figure of the heap is."""
    return next(named.what for named in HEAP if named.name == name)
