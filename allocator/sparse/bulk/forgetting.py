"""Forgets what was stored in objects that a sweep of everything has freed, for spans that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.bulk.forget import forget

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore


def forget_freed(core: HeapCore) -> None:
    """Ends the gathering of freed objects; it is then as if each had been zeroed when it was freed."""
    freed, core.freed = core.freed, None
    stale = core.gc.stale
    for (elemsize, nelems, npages), spans in (freed or {}).items():
        if stale is not None:
            spans = [span for span in spans if span[0] in stale]
        if nelems > 1:
            forget(core.memory, spans, elemsize, nelems, npages)
        else:
            for base, _ in spans:
                core.memory.zero(base, elemsize)
    if freed:
        core.phase_changed()
