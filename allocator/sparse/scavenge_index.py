"""Where memory can be given back to the system: the scavenge index (mgcscavenge.go, type scavengeIndex).

For each chunk it knows how many pages are in use, how many were when the last collection ended,
and whether anything may be free and not given back yet. Two cursors walk it from high addresses
to low ones: the background scavenger's, which leaves dense chunks alone, and that of forced
scavenging. Addresses are offset addresses.
"""

from __future__ import annotations

from operator import attrgetter

from allocator.common.throw import Throw
from allocator.sparse.chunk_table import ChunkTable
from allocator.sparse.config import Config


class ChunkUse:
    """What the index knows of one chunk (scavChunkData)."""

    __slots__ = ("gen", "has_free", "in_use", "last_in_use")

    def __init__(self) -> None:
        self.in_use = 0
        self.last_in_use = 0
        self.gen = 0
        self.has_free = False

    def copy(self) -> ChunkUse:
        """Another like it."""
        other = ChunkUse()
        other.in_use, other.last_in_use, other.gen, other.has_free = KEY(self)
        return other

    def renew(self, gen: int) -> None:
        """The first change in a generation: what was in use until then is what the last one left."""
        if self.gen != gen:
            self.last_in_use = self.in_use
            self.gen = gen

    def packed(self, log_chunk_pages: int) -> int:
        """The 64 bits that the runtime keeps (scavChunkData.pack)."""
        flags = int(self.has_free) << 16 + log_chunk_pages + 1
        return self.in_use | self.last_in_use << 16 | flags | self.gen << 32


KEY = attrgetter("in_use", "last_in_use", "gen", "has_free")  # all that is known of a chunk


class Cursor:
    """An address that only moves down, unless it is marked, which voids what others knew (atomicOffAddr)."""

    __slots__ = ("addr", "marked")

    def __init__(self) -> None:
        self.addr = 0
        self.marked = False

    def clear(self) -> None:
        """To the lowest address, unless it was marked."""
        if not self.marked:
            self.addr = 0

    def sink(self, addr: int) -> None:
        """Down to addr, unless it is below already or was marked (StoreMin)."""
        if not self.marked and addr <= self.addr:
            self.addr = addr

    def unmark(self, seen: int, addr: int) -> None:
        """To addr if it is still what was seen and marked (StoreUnmark)."""
        if self.marked and self.addr == seen:
            self.addr = addr
            self.marked = False

    def mark(self, addr: int) -> None:
        """To addr, whatever it was (StoreMarked). The mark is a sign, and zero has none."""
        self.addr = addr
        self.marked = addr != 0


class ScavengeIndex:
    """The index of one page allocator. `chunks` has what was ever grown into, by chunk."""

    __slots__ = (
        "background", "chunk_pages", "chunk_shift", "chunks", "dense", "force", "free_high", "gen",
        "min_heap", "page_shift",
    )  # fmt: skip

    def __init__(self, config: Config) -> None:
        self.chunk_pages = config.palloc_chunk_pages
        self.chunk_shift = config.log_palloc_chunk_bytes
        self.page_shift = config.page_shift
        self.dense = config.scav_chunk_hi_occ_pages
        self.chunks = ChunkTable(KEY, ChunkUse.copy)
        self.min_heap = 0  # the lowest chunk of the heap
        self.gen = 0
        self.background = Cursor()
        self.force = Cursor()
        self.free_high = 0  # the highest page freed in this generation

    def grow(self, first: int, end: int) -> None:
        """The heap has chunks first to end from now on (grow)."""
        if not self.min_heap or first < self.min_heap:
            self.min_heap = first
        self.chunks.grow(first, end, ChunkUse())

    def alloc(self, chunk: int, pages: int) -> None:
        """So many pages of a chunk were allocated (alloc)."""
        use = self.chunks.own.get(chunk) or self.chunks[chunk]
        total = use.in_use + pages
        if total > self.chunk_pages:
            raise Throw("too many pages allocated in chunk?", f"runtime: inUse={use.in_use} npages={pages}")
        if use.gen != self.gen:
            use.renew(self.gen)
        use.in_use = total
        if total == self.chunk_pages:
            use.has_free = False

    def alloc_whole(self, first: int, end: int) -> None:
        """All pages of chunks first to end were allocated."""
        self.chunks.change(first, end, self._take_whole)

    def _take_whole(self, use: ChunkUse, n: int) -> None:
        if use.in_use:
            line = f"runtime: inUse={use.in_use} npages={self.chunk_pages}"
            raise Throw("too many pages allocated in chunk?", line)
        use.renew(self.gen)
        use.in_use = self.chunk_pages
        use.has_free = False

    def free_whole(self, first: int, end: int) -> None:
        """All pages of chunks first to end were freed."""
        self.chunks.change(first, end, self._give_whole)
        self._freed((end << self.chunk_shift) - (1 << self.page_shift))

    def _give_whole(self, use: ChunkUse, n: int) -> None:
        if use.in_use < self.chunk_pages:
            line = f"runtime: inUse={use.in_use} npages={self.chunk_pages}"
            raise Throw("allocated pages below zero?", line)
        use.renew(self.gen)
        use.in_use = 0
        use.has_free = True

    def free(self, chunk: int, page: int, pages: int) -> None:
        """So many pages of a chunk, from `page` of it on, were freed (free)."""
        use = self.chunks[chunk]
        if use.in_use < pages:
            raise Throw("allocated pages below zero?", f"runtime: inUse={use.in_use} npages={pages}")
        use.renew(self.gen)
        use.in_use -= pages
        use.has_free = True
        self._freed((chunk << self.chunk_shift) + (page + pages - 1 << self.page_shift))

    def _freed(self, addr: int) -> None:
        """The page at addr is the highest of some that were freed."""
        if self.free_high < addr:
            self.free_high = addr
        if self.force.addr < addr:
            self.force.mark(addr)

    def next_gen(self) -> None:
        """A collection ended: what was freed since the last may be looked at by the background (nextGen)."""
        self.gen = self.gen + 1 & 0xFFFFFFFF
        if self.background.addr < self.free_high:
            self.background.mark(self.free_high)
        self.free_high = 0

    def set_empty(self, chunk: int) -> None:
        """Nothing of a chunk is left to give back (setEmpty)."""
        self.chunks[chunk].has_free = False

    def should_scavenge(self, chunk: int, force: bool) -> bool:
        """Whether a chunk has something to give back and, unless forced, is not dense (shouldScavenge)."""
        use = self.chunks.get(chunk)
        if use is None or not use.has_free:
            return False
        if force:
            return True
        if use.gen == self.gen and use.last_in_use >= self.dense:
            return False
        return use.in_use < self.dense

    def find(self, force: bool) -> tuple[int, int] | None:
        """The highest chunk to scavenge, and the page of it to begin with, downwards (find)."""
        found = self.look(force)
        self.move(force, found)
        return found

    def look(self, force: bool) -> tuple[int, int] | None:
        """What is found from the cursor on, which stays where it is."""
        addr = (self.force if force else self.background).addr
        if not addr:
            return None
        start = addr >> self.chunk_shift
        chunk = self._highest(start, force)
        if chunk is None:
            return None
        return (
            chunk,
            addr >> self.page_shift & self.chunk_pages - 1 if chunk == start else self.chunk_pages - 1,
        )

    def move(self, force: bool, found: tuple[int, int] | None) -> None:
        """Moves the cursor down to what was found."""
        cursor = self.force if force else self.background
        addr = cursor.addr
        if found is None:
            cursor.clear()
        elif addr >> self.chunk_shift != found[0]:
            lower = (found[0] + 1 << self.chunk_shift) - (1 << self.page_shift)
            if cursor.marked:
                cursor.unmark(addr, lower)
            else:
                cursor.sink(lower)

    def _highest(self, start: int, force: bool) -> int | None:
        """The highest chunk not above `start` that should be scavenged; None below the heap."""
        if start - self.min_heap > 4 * len(self.chunks):
            # Far-apart arenas: what lies between them was never grown into.
            known: list[int] | range = sorted((c for c in self.chunks if c <= start), reverse=True)
        else:
            known = range(start, self.min_heap - 1, -1)
        for chunk in known:
            if self.should_scavenge(chunk, force):
                return chunk
        return None
