"""Following a machine step by step: what it did, and what clocks and other threads decide.

A step is what one critical section of the runtime does. Whoever replays a recording with several Ps makes the
machine wait at each for its turn. By default nothing follows, and the machine decides for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from allocator.sparse.fixalloc import FixAlloc
    from allocator.sparse.mspan import MSpan
    from allocator.sparse.page_cache import PageCache
    from allocator.sparse.span_set import SpanSet
    from allocator.sparse.sweep import Sweeper


class Steps(Protocol):
    """Something that follows a machine. Addresses and sizes are bytes."""

    def turn(self) -> None:
        """A step is about to be made."""

    def persistent(self, size: int, align: int, stat: str, ret: int) -> None:
        """persistentalloc gave memory."""

    def fixed(self, source: FixAlloc, ret: int) -> None:
        """A fixalloc gave a record."""

    def unfixed(self, source: FixAlloc, ptr: int) -> None:
        """A fixalloc took one back."""

    def cached(self, cache: PageCache) -> None:
        """A page cache took 64 pages."""

    def flushing(self, cache: PageCache) -> None:
        """A page cache that is not empty is about to give its pages back."""

    def span(
        self, npages: int, kind: int, spanclass: int, from_cache: bool, base: int, scav: int, s: MSpan
    ) -> None:
        """Pages were found for a span."""

    def pool_gave(self, order: int | None, ret: int) -> None:
        """A stack left the pool of an order; None: those that are large."""

    def takes_large(self, free: Iterable[MSpan]) -> bool:
        """Whether one of these spans is taken, which are free and large enough; not if they came just now."""

    def pool_takes(self, order: int | None, ptr: int) -> None:
        """A stack is about to go there."""

    def bits_arena(self) -> str | None:
        """Whether the next mark bits are in another arena: a `new` one, or one that is `free`."""

    def bits_arena_unused(self, at: int) -> bool:
        """An arena for mark bits was taken; whether it is put back, as another thread had begun one."""

    def zeroed(self, base: int, needzero: int) -> int:
        """Whether a span's memory may be dirty, as far as the machine can tell; what is so."""

    def reclaim_from(self, at: int) -> int | None:
        """The page, over all arenas, from which on to look next for what can be reclaimed; None: enough.

        `at` is the page as far as the machine knows."""

    def freed(self, npages: int, kind: int, base: int) -> None:
        """A span's pages were freed."""

    def pushes(self, to: SpanSet, s: MSpan) -> bool:
        """Whether a span that is pushed goes behind the others, into a block there is; it is pushed then."""

    def needs_block(self, to: SpanSet) -> bool:
        """Whether the next span that is pushed on a set finds no block there."""

    def new_block(self) -> bool:
        """Whether a block of a span set is new memory, though some are free as far as the machine knows."""

    def pushed(self, to: SpanSet, s: MSpan) -> None:
        """A span was pushed on a set."""

    def pops(self, source: SpanSet, s: MSpan | None) -> bool:
        """Whether that span is popped, the first one of the set, or none where there is none; it is then."""

    def place_of_next(self, source: SpanSet) -> int | None:
        """Which span is popped of those in the set, counted from the first; None for none."""

    def popped(self, source: SpanSet, s: MSpan | None) -> None:
        """A span was popped, or none was there."""

    def sweeping(self, s: MSpan, preserve: bool) -> None:
        """A span is about to be swept; its marks can be set."""

    def swept(self, base: int, freed: bool) -> None:
        """That is done."""

    def sweeps(self) -> bool:
        """Whether an allocation sweeps one more span to pay its share."""

    def acquires(self, s: MSpan) -> bool:
        """Whether an unswept span is taken now; another thread may be about to take it."""

    def looks_from(self, sweeper: Sweeper, end: int) -> int:
        """The unswept list, of `end`, that sweepone begins with; the sweeper knows its own place."""

    def finds_none(self, lists: Sequence[SpanSet], first: int, end: int) -> bool:
        """Whether these unswept lists, which are empty, are found so one after the other; they are then."""

    def looks(self) -> bool:
        """Whether unswept lists are looked at for a span with room."""

    def sweeping_one(self) -> None:
        """sweepone begins."""

    def swept_one(self, pages: int) -> None:
        """sweepone has freed pages, -1 where there was nothing to sweep."""

    def reclaims(self, npages: int) -> bool:
        """Whether pages are reclaimed before an allocation of npages; that begins then."""

    def reclaimed(self) -> None:
        """That is done."""

    def scavenges(self) -> tuple[int, bool] | None:
        """Bytes that an allocation gives back first, and whether huge pages are broken for it."""

    def scavenging(self, nbytes: int, force: bool) -> None:
        """pageAlloc.scavenge begins."""

    def found(self, chunk: tuple[int, int] | None, force: bool) -> tuple[tuple[int, int] | None, bool]:
        """The chunk that it looks at next, and from which page downwards, as far as the machine knows; what
        is so, and whether that is known only once another thread has said what it did to the index: who
        follows then moves the cursor."""

    def goes_on(self) -> bool:
        """Whether it looks for one more."""

    def scavenged(self, released: int) -> None:
        """It is done."""

    def taken(self, npages: int, base: int) -> None:
        """The scavenger took pages."""

    def released(self, npages: int, base: int) -> None:
        """The scavenger has released them."""

    def nothing_in(self, chunk: int) -> None:
        """It found nothing in the chunk at that address."""
