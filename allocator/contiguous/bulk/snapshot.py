"""The state of the OS and of its memory, in case that it refuses in the middle."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allocator.contiguous.bulk.batch import Batch
    from allocator.contiguous.core import Core


class Snapshot:
    """All that changes while spans are only cut from the end of the heap, except the spans themselves."""

    def __init__(self, batch: Batch) -> None:
        rt = batch.rt
        self.rt = rt
        self.profile = batch.profile
        self.samples = None if batch.profile is None else batch.profile.save()
        self.fields = [
            (part, name, _copied(getattr(part, name))) for part, names in _parts(rt) for name in names
        ]
        self.buckets = {key: (b.allocs, b.alloc_bytes) for key, b in rt.specials.buckets.items()}
        self.printed = len(rt.printed)
        system, kernel = rt.system, rt.system.kernel
        memo = {id(value): value for value in (rt.printed, kernel, getattr(kernel, "machine", None))}
        parts = (system,) if kernel is None else (system, kernel)
        self.system = [(part, copy.deepcopy(vars(part), memo)) for part in parts]

    def restore(self) -> None:
        """Restores all of it."""
        for part, name, value in self.fields:
            setattr(part, name, value)
        if self.profile is not None and self.samples is not None:
            self.profile.restore(self.samples)
        buckets = self.rt.specials.buckets
        for key in [*buckets]:
            if key in self.buckets:
                buckets[key].allocs, buckets[key].alloc_bytes = self.buckets[key]
            else:
                del buckets[key]
        del self.rt.printed[self.printed :]
        for part, was in self.system:
            vars(part).update(was)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else value


def _parts(rt: Core) -> list[tuple[Any, tuple[str, ...]]]:
    record = ("chunk", "free_list", "inuse", "nchunk")
    return [
        (rt.heap, ("arena_used", "arena_end", "arena_reserved", "bitmap_mapped", "spans_len")),
        (rt.stats, type(rt.stats).__slots__),
        (rt.spanalloc, (*record, "allspans_at", "allspans_cap")),
        (rt.specialprofilealloc, record),
        *[(buf, ("blocks", "spine_cap")) for buf in rt.sweep_spans.bufs],
        (rt.arenas, ("free", "next", "next_free")),
        (rt.persistent, ("chunks",)),
        (rt.rand, ("state",)),
        *[(cache, ("next_sample",)) for cache in rt.caches],
    ]
