"""The page allocator: address-ordered first fit over bits and a radix tree of summaries (mpagealloc.go).

Every chunk has a bit for each page; above them are summaries, each of which merges eight below it, up to a
root level that spans the address space. Chunks and summaries exist here only where the heap has grown to:
what is missing is as good as allocated.

Addresses inside are offset addresses (Config.offset), chunks are numbered from the beginning of
the arena map. What drives it passes and gets real addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Protocol

from allocator.common.throw import Throw
from allocator.sparse.addr_ranges import AddrRanges
from allocator.sparse.chunk_table import ChunkTable
from allocator.sparse.config import Config
from allocator.sparse.pallocbits import ALLOCATED, NONE, Summary, find_run, merge, summarize, trailing_zeros
from allocator.sparse.scavenge_index import ScavengeIndex
from allocator.sparse.top import Top

MANY_STALE = 32  # pieces that the summaries do not know yet; more are brought up to date at once


class Tables(Protocol):
    """The memory that summaries, chunks and index take from the system; simulated like everything."""

    def in_use(self, entries: int) -> None:
        """The array of ranges in use needs room for so many."""

    def reserve(self) -> None:
        """Addresses for summaries and index (sysInit)."""

    def grow(self, base: int, limit: int, in_use: AddrRanges) -> None:
        """Summaries and index for [base, limit), offset addresses at chunks' borders (sysGrow)."""

    def chunks(self, first: int, end: int) -> None:
        """Bits for chunks first to end."""

    def known_up_to(self, limit: int) -> int:
        """Up to where there are bits for chunks, if the heap ends at an offset address."""
        ...

    def ready_up_to(self, limit: int) -> int:
        """Up to where the heap, which ends there, can grow on without memory for summaries and index."""
        ...


class Chunk:
    """pallocData: the pages that are allocated, and those whose memory was given back; a bit a page."""

    __slots__ = ("bits", "scavenged")

    def __init__(self, scavenged: int) -> None:
        self.bits = 0
        self.scavenged = scavenged

    def copy(self) -> Chunk:
        """Another like it."""
        other = Chunk(self.scavenged)
        other.bits = self.bits
        return other


KEY = attrgetter("bits", "scavenged")  # all of a chunk


class PageAlloc:
    """One heap's pages. `start` and `end` are the first chunk and the one after the last.

    mapped: whether an address lies in an arena of the heap. All below search_addr is allocated.
    `chunks` and `index` may lag behind (see Top) until they are asked for, so ask each time.
    """

    __slots__ = (
        "_chunks", "_crossed", "_free_from", "_index", "_levels", "_scavenged", "_stale", "_top", "all_pages",
        "chunk_mask", "chunk_pages", "chunk_shift", "config",
        "end", "in_use", "level_bits", "level_pages", "level_shift", "mapped", "max_search_addr",
        "page_shift", "search_addr", "start", "tables",
    )  # fmt: skip

    def __init__(self, config: Config, tables: Tables, mapped: Callable[[int], bool]) -> None:
        self.config = config
        self.tables = tables
        self.mapped = mapped
        self.page_shift = config.page_shift
        self.chunk_shift = config.log_palloc_chunk_bytes
        self.chunk_pages = config.palloc_chunk_pages
        self.chunk_mask = self.chunk_pages - 1
        self.all_pages = (1 << self.chunk_pages) - 1
        self.level_bits = config.level_bits
        self.level_shift = config.level_shift
        self.level_pages = tuple(1 << log for log in config.level_log_pages)
        self._levels: list[dict[int, Summary]] = [{} for _ in self.level_bits]
        self._stale: list[tuple[int, int]] = []  # chunks, from and to, whose bits the summaries do not know
        self._scavenged = 0
        # The largest summaries that a run crosses the border of, by how its first and last address differ.
        self._crossed = [next((s for s in self.level_shift if s < bits), 0) for bits in range(65)]
        self._top: Top | None = None
        self._chunks = ChunkTable(KEY, Chunk.copy)
        self.start = self.end = 0
        self.max_search_addr = (1 << config.heap_addr_bits) - 1
        self.search_addr = self.max_search_addr
        self._free_from = self.max_search_addr  # no page below is free; searchAddr may know less
        self.in_use = AddrRanges(tables.in_use)
        tables.reserve()
        self._index = ScavengeIndex(config)

    @property
    def chunks(self) -> ChunkTable[Chunk]:
        """The bits of each chunk that the heap has grown to."""
        if self._top is not None:
            self._settle(self._top)
        return self._chunks

    @chunks.setter
    def chunks(self, chunks: ChunkTable[Chunk]) -> None:
        self._chunks = chunks

    @property
    def index(self) -> ScavengeIndex:
        """What can be given back to the system."""
        if self._top is not None:
            self._settle(self._top)
        return self._index

    def summary(self, chunk: int) -> Summary:
        """A chunk's summary; where the heap never was, nothing is free."""
        return self.levels[-1].get(chunk, ALLOCATED)

    def known_most(self, chunk: int) -> int | None:
        """How many pages side by side a chunk has free, by its summary; None where that does not know yet.

        All below searchAddr is allocated, so that looking for a run from there on tells as well.
        """
        if self._top is not None:
            self._settle(self._top)
        if self._stale:
            for first, last in self._stale:
                if first <= chunk <= last:
                    return None
        return self._levels[-1].get(chunk, ALLOCATED)[1]

    def grow(self, base: int, size: int) -> None:
        """The heap has `size` more bytes from the address base on, free and not backed (grow)."""
        off = self.config.offset(base)
        chunk_bytes = 1 << self.chunk_shift
        limit = off + size + chunk_bytes - 1 & -chunk_bytes
        first = off >> self.chunk_shift
        end = limit >> self.chunk_shift
        top = self._top
        if top is not None:
            if off == top.limit and limit <= top.known:
                if limit > top.ready:
                    self.tables.grow(top.told, limit, self.in_use)
                    top.told, top.ready = limit, self.tables.ready_up_to(limit)
                top.limit = limit
                self.end = end
                self.in_use.add(off, limit)
                if self.search_addr > off:
                    self.search_addr = off
                return
            self._settle(top)
        self.tables.grow(first << self.chunk_shift, limit, self.in_use)
        self._index.grow(first, end)
        if self.start == 0 or first < self.start:
            self.start = first
        if end > self.end:
            self.end = end
        self.in_use.add(first << self.chunk_shift, limit)
        self.search_addr = min(self.search_addr, first << self.chunk_shift)
        self.tables.chunks(first, end)
        self._chunks.grow(first, end, Chunk(self.all_pages), self._unback)
        self.update(off, size >> self.page_shift)

    def tables_suffice(self, size: int) -> bool:
        """Whether the heap can grow at its end by `size` bytes without memory for tables."""
        top, limit = self._top, self.end << self.chunk_shift
        if top is not None:
            return limit + size <= top.known and limit + size <= top.ready
        return limit + size <= min(self.tables.known_up_to(limit), self.tables.ready_up_to(limit))

    def begin_top(self, base: int) -> None:
        """The heap has just grown from the address base on: from now on that is its top, if nothing else is
        free."""
        off = self.config.offset(base)
        if self._top is None and self.search_addr == off and self._is_top(off):
            limit = self.end << self.chunk_shift
            self._free_from = off
            self._top = Top(off, limit, self.tables.known_up_to(limit), self.tables.ready_up_to(limit))

    def take_top(self, most: int, begun: int = -1) -> tuple[int, int] | None:
        """Pages of one chunk at the heap's top, so many at most: the offset address, and how many.

        A P's cache takes them, one by one, and so the rest of the last one's group with them. What it has
        left of a group, from `begun` on, comes first. None: something else may be free or come before.
        """
        top = self._top
        if top is None:
            return None
        first, shift, group = top.first, self.page_shift, 64 << self.page_shift
        if begun >= 0:
            if (begun | group - 1) + 1 != first:
                return None
            first = begun
        elif first == top.limit:
            self.search_addr = self.max_search_addr
            return first, 0
        n = min(most, self.chunk_pages - (first >> shift & self.chunk_mask))
        end = first + (n << shift) + group - 1 & -group
        if end != top.first:
            top.first = end
            self.search_addr = end - (1 << shift)
        return first, n

    def _settle(self, top: Top) -> None:
        """Writes down what was taken from the heap's top, and how it grew."""
        self._top = None
        if top.grown_from != top.limit:
            first, end = top.grown_from >> self.chunk_shift, top.limit >> self.chunk_shift
            if top.told != top.limit:
                self.tables.grow(top.told, top.limit, self.in_use)
            self._index.grow(first, end)
            self._chunks.grow(first, end, Chunk(self.all_pages))
            self.update(top.grown_from, top.limit - top.grown_from >> self.page_shift)
        self._take(top.taken_from, top.first - top.taken_from >> self.page_shift)

    def _unback(self, chunk: Chunk) -> None:
        """No page of a chunk has memory."""
        chunk.scavenged = self.all_pages

    def update(self, off: int, npages: int) -> None:
        """The bits of pages from off on have changed, and the summaries do not know yet (update).

        They are brought up to date when they are read.
        """
        if off < self._free_from:
            self._free_from = off
        first, last = off >> self.chunk_shift, off + (npages << self.page_shift) - 1 >> self.chunk_shift
        stale = self._stale
        if stale:
            low, high = stale[-1]
            if low <= first <= high + 1:
                if last > high:
                    stale[-1] = low, last
                return
        stale.append((first, last))
        if len(stale) > MANY_STALE:
            self._bring_up()

    @property
    def levels(self) -> list[dict[int, Summary]]:
        """The summaries of each level, by number; those without a free page are left out."""
        if self._top is not None:
            self._settle(self._top)
        if self._stale:
            self._bring_up()
        return self._levels

    def _bring_up(self) -> None:
        """Makes the summaries what the bits say."""
        changed: set[int] = set()
        leaf = self._levels[-1]
        for first, last in self._stale:
            for start, end, chunk in self._chunks.parts(first, last + 1):
                summary = summarize(chunk.bits, self.chunk_pages)
                known: Iterable[int] = range(start, end)
                if summary == ALLOCATED and len(leaf) < end - start:
                    known = [ci for ci in leaf if start <= ci < end]
                changed.update(ci for ci in known if _put(leaf, ci, summary))
        self._stale.clear()
        for level in range(len(self._levels) - 2, -1, -1):
            bits = self.level_bits[level + 1]
            pages = self.level_pages[level + 1]
            below, here = self._levels[level + 1].get, self._levels[level]
            changed = {
                i
                for i in {j >> bits for j in changed}
                if _put(here, i, merge(map(below, range(i << bits, (i + 1) << bits)), pages))
            }

    def pieces(self, off: int, npages: int) -> list[tuple[int, int, int]]:
        """Chunk, first page, pages of each part of a run of pages; chunks that it has as a whole are one."""
        chunk = off >> self.chunk_shift
        page = off >> self.page_shift & self.chunk_mask
        size = self.chunk_pages
        if page + npages <= size:
            return [(chunk, page, npages)]
        pieces = []
        if page:
            pieces.append((chunk, page, size - page))
            chunk += 1
            npages -= size - page
        tail = npages & self.chunk_mask
        if npages != tail:
            pieces.append((chunk, 0, npages - tail))
            chunk += npages - tail >> size.bit_length() - 1
        if tail:
            pieces.append((chunk, 0, tail))
        return pieces

    def alloc_range(self, base: int, npages: int) -> int:
        """Allocates the pages from base on; the bytes of them that were scavenged (allocRange)."""
        if self._top is not None:
            self._settle(self._top)
        return self._take(self.config.offset(base), npages)

    def _take(self, off: int, npages: int) -> int:
        """The same from an offset address on."""
        ci = off >> self.chunk_shift
        page = off >> self.page_shift & self.chunk_mask
        if page + npages < self.chunk_pages:
            return self._take_within(off, ci, page, npages)
        scavenged = 0
        for ci, page, n in self.pieces(off, npages):
            if n < self.chunk_pages:
                scavenged += self._take_in_chunk(ci, page, n)
                continue
            end = ci + n // self.chunk_pages
            self._scavenged = 0
            self._chunks.change(ci, end, self._take_whole)
            self._index.alloc_whole(ci, end)
            scavenged += self._scavenged
        free_from = self._free_from
        self.update(off, npages)
        if free_from >= off:
            self._free_from = max(free_from, off + (npages << self.page_shift))
        return scavenged << self.page_shift

    def _take_within(self, off: int, ci: int, page: int, n: int) -> int:
        """The same where all pages are of one chunk, and not all that it has."""
        scavenged = self._take_in_chunk(ci, page, n)
        free_from = self._free_from
        stale = self._stale
        if not stale or not stale[-1][0] <= ci <= stale[-1][1]:
            self.update(off, n)
        if free_from >= off:
            self._free_from = max(free_from, off + (n << self.page_shift))
        return scavenged << self.page_shift

    def _take_in_chunk(self, ci: int, page: int, n: int) -> int:
        """Allocates pages of one chunk; how many were scavenged."""
        chunk = self._chunks.own.get(ci) or self._chunks[ci]
        mask = (1 << n) - 1 << page
        chunk.bits = bits = chunk.bits | mask
        self._index.alloc(ci, n)
        backed = chunk.scavenged & mask
        if backed:
            chunk.scavenged ^= backed
        if bits == self.all_pages and not chunk.scavenged:
            self._chunks.fold_one(ci)
            self._index.chunks.fold_one(ci)
        return backed.bit_count()

    def _take_whole(self, chunk: Chunk, n: int) -> None:
        """Allocates all pages of n equal chunks."""
        self._scavenged += chunk.scavenged.bit_count() * n
        chunk.bits = self.all_pages
        chunk.scavenged = 0

    def mark_random_padding(self, base: int, npages: int) -> None:
        """Allocates pages at the heap's beginning that are never used (markRandomPaddingPages)."""
        off = self.config.offset(base)
        while npages:
            ci, page, n = self.pieces(off, min(npages, self.chunk_pages))[0]
            chunk = self.chunks[ci]
            mask = (1 << n) - 1 << page
            chunk.bits |= mask
            chunk.scavenged |= mask
            self.index.alloc(ci, n)
            self.update(off, n)
            off += n << self.page_shift
            npages -= n

    def alloc(self, npages: int) -> tuple[int, int]:
        """The lowest run of so many pages: its address, and the bytes of it that were scavenged (alloc).

        (0, 0) where there is none.
        """
        if self._top is not None:
            return self._alloc_at_top(self._top, npages)
        ci = self.search_addr >> self.chunk_shift
        if ci >= self.end:
            return 0, 0
        page = self.search_addr >> self.page_shift & self.chunk_mask
        if npages < self.chunk_pages - page:
            # Usually so many begin at the first free page.
            chunk = self._chunks.own.get(ci) or self._chunks.get(ci)
            assert chunk is not None
            free = (chunk.bits ^ self.all_pages) >> (page & -64)
            lowest = (free & -free).bit_length() - 1
            wanted = (1 << npages) - 1
            if free and free >> lowest & wanted == wanted:
                at = (page & -64) + lowest
                off = (ci << self.chunk_shift) + (at << self.page_shift)
                scavenged = self._take_within(off, ci, at, npages)
                if self.search_addr < off:
                    self.search_addr = off
                return self.config.address(off), scavenged
        found = lowest = NONE
        known = None
        chunk = self._chunks.get(ci)
        if self.chunk_pages - page >= npages and ((known := self.known_most(ci)) is None or known >= npages):
            assert chunk is not None
            found, lowest = self.find_in_chunk(chunk, npages, page)
            if found == NONE and known is not None:
                raise Throw(
                    "bad summary data",
                    f"runtime: max = {self.summary(ci)[1]}, npages = {npages}",
                    f"runtime: searchIdx = {page}, p.searchAddr = {self._shown(self.search_addr)}",
                )
        if found != NONE:
            off = (ci << self.chunk_shift) + (found << self.page_shift)
            search = (ci << self.chunk_shift) + (lowest << self.page_shift)
        else:
            off, search = self.find(npages)
            if off == NONE:
                if npages == 1:
                    # Nothing at all is free.
                    self.search_addr = self.max_search_addr
                return 0, 0
            if off == self._free_from and self._is_top(off):
                limit = self.end << self.chunk_shift
                known, ready = self.tables.known_up_to(limit), self.tables.ready_up_to(limit)
                self._top = top = Top(off, limit, known, ready)
                return self._alloc_at_top(top, npages)
        scavenged = self._take(off, npages)
        if self.search_addr < search:
            self.search_addr = search
        return self.config.address(off), scavenged

    def _is_top(self, first: int) -> bool:
        """Whether nothing from `first` on is allocated or has memory, below which nothing is free."""
        ci, end = first >> self.chunk_shift, self.end
        page = first >> self.page_shift & self.chunk_mask
        mask = self.all_pages >> page << page
        taken = page
        while ci < end:
            chunk, behind = self._chunks.piece(ci)
            use, of_use = self._index.chunks.piece(ci)
            if chunk is None or use is None or use.in_use != taken:
                return False
            if chunk.bits & mask or chunk.scavenged & mask != mask:
                return False
            if mask == self.all_pages:
                ci = min(behind, of_use)
            else:
                ci, mask, taken = ci + 1, self.all_pages, 0
        return True

    def _alloc_at_top(self, top: Top, npages: int) -> tuple[int, int]:
        """The same where all that is free is at the heap's end."""
        first, size = top.first, npages << self.page_shift
        search = self.search_addr
        last = first + size - 1
        if last >= top.limit:
            if npages == 1:
                self.search_addr = self.max_search_addr
            return 0, 0
        top.first = last + 1
        if search >> self.chunk_shift == last >> self.chunk_shift:
            self.search_addr = first
        else:
            found = self._free_below(first, last)
            if search < found:
                self.search_addr = found
        return self.config.address(first), size

    def find_in_chunk(self, chunk: Chunk, npages: int, page: int) -> tuple[int, int]:
        """The first run of so many pages of a chunk, and its first free page, from `page` on (find).

        The search begins at a block of 64, in which nothing below `page` is free.
        """
        skip = page & -64
        free = chunk.bits >> skip ^ self.all_pages >> skip
        if not free:
            return NONE, NONE
        found = find_run(free, npages)
        return (NONE if found == NONE else skip + found), skip + trailing_zeros(free)

    def find(self, npages: int) -> tuple[int, int]:
        """The lowest run of so many pages, and an address below which nothing is free (find).

        Walks the summaries from the root: into the first that has room inside, or to the first run
        that goes on from one to the next. NONE where there is no room.
        """
        if self._top is not None:
            self._settle(self._top)
        if self._stale:
            free = self._free_at_end()
            if free is not None:
                return self._find_in(*free, npages)
            self._bring_up()
        free_base, free_bound = 0, self.max_search_addr
        at = 0
        for level, bits in enumerate(self.level_bits):
            at <<= bits
            shift = self.level_shift[level]
            pages = self.level_pages[level]
            searched = self.search_addr >> shift
            first = searched if searched >> bits == at >> bits else at
            base = size = 0
            down = NONE
            for i, (start, most, end) in self._entries(level, first, at + (1 << bits)):
                if not most:
                    size = 0
                    continue
                entry, bound = i << shift, (i + 1 << shift) - 1
                if free_base <= entry and bound <= free_bound:
                    free_base, free_bound = entry, bound
                elif not (bound < free_base or free_bound < entry):
                    raise self._overlapping(entry, bound, free_base, free_bound)
                if size + start >= npages:
                    if not size:
                        base = (i - at) * pages
                    size += start
                    break
                if most >= npages:
                    down = i
                    break
                if not size or start < pages:
                    size = end
                    base = (i + 1 - at) * pages - size
                    continue
                size += pages
            if down != NONE:
                at = down
                continue
            if size >= npages:
                return (at << shift) + (base << self.page_shift), self._mapped_at(free_base)
            if level == 0:
                return NONE, self.max_search_addr
            raise self._promised_too_much(level, npages, at, first)
        return self._find_in_leaf(at, npages, free_base, free_bound)

    def _free_at_end(self) -> tuple[int, int] | None:
        """The first and last free page, if all free pages are in a row at the heap's end.

        None: it is not so, or not known. A growing heap is nearly always like that.
        """
        limit = self.end << self.chunk_shift
        first = limit
        ci = self._free_from >> self.chunk_shift
        while ci < self.end:
            chunk, behind = self._chunks.piece(ci)
            if chunk is None:
                above = self.in_use.at_or_above(behind << self.chunk_shift)
                if above is None or first != limit:
                    return None
                ci = above >> self.chunk_shift
                continue
            free = chunk.bits ^ self.all_pages
            if free:
                lowest = trailing_zeros(free)
                if (first != limit and lowest) or free + (1 << lowest) != 1 << self.chunk_pages:
                    return None
                if first == limit:
                    if lowest and behind != ci + 1:
                        return None
                    first = (ci << self.chunk_shift) + (lowest << self.page_shift)
            elif first != limit:
                return None
            ci = behind
        self._free_from = first
        return first, limit

    def _find_in(self, first: int, end: int, npages: int) -> tuple[int, int]:
        """What `find` returns where the pages from `first` to `end` are all that is free."""
        size = npages << self.page_shift
        if end - first < size:
            return NONE, self.max_search_addr
        return first, self._free_below(first, first + size - 1)

    def _free_below(self, first: int, last: int) -> int:
        """Below which address `find` knows that nothing is free, when it has found all that is from first on.

        It stops at the level where the run, whose last byte is at `last`, goes on from one entry to the next.
        """
        shift = self._crossed[(first ^ last).bit_length()]
        found = first >> shift << shift
        # The heap's last range has all addresses from its beginning on.
        return found if found >= self.in_use.bases[-1] else self._mapped_at(found)

    def _find_in_leaf(self, ci: int, npages: int, free_base: int, free_bound: int) -> tuple[int, int]:
        """The end of `find` in the one chunk that is left."""
        chunk_of_all = self._chunks.get(ci)
        assert chunk_of_all is not None
        found, lowest = self.find_in_chunk(chunk_of_all, npages, 0)
        if found == NONE:
            level = len(self.levels) - 1
            raise Throw(
                "bad summary data", _entry(level, ci, self.summary(ci)), f"runtime: npages = {npages}"
            )
        chunk = ci << self.chunk_shift
        search = chunk + (lowest << self.page_shift)
        bound = (ci + 1 << self.chunk_shift) - 1
        if free_base <= search and bound <= free_bound:
            free_base = search
        elif not (bound < free_base or free_bound < search):
            raise self._overlapping(search, bound, free_base, free_bound)
        return chunk + (found << self.page_shift), self._mapped_at(free_base)

    def _shown(self, off: int) -> str:
        return f"{self.config.address(off):#x}"

    def _overlapping(self, base: int, bound: int, free_base: int, free_bound: int) -> Throw:
        """What is said of a range that is neither within what is free nor apart from it."""
        return Throw(
            "range partially overlaps",
            f"runtime: addr = {self._shown(base)}, size = {bound - base + 1}",
            f"runtime: base = {self._shown(free_base)}, bound = {self._shown(free_bound)}",
        )

    def _promised_too_much(self, level: int, npages: int, at: int, first: int) -> Throw:
        """What is said of a summary that has more than those below it, which begin with number `at`."""
        bits = self.level_bits[level]
        start, most, end = self.levels[level - 1].get(at >> bits, ALLOCATED)
        here = self.levels[level]
        return Throw(
            "bad summary data",
            f"runtime: summary[{level - 1}][{at >> bits}] = {start}, {most}, {end}",
            f"runtime: level = {level}, npages = {npages}, j0 = {first - at}",
            f"runtime: p.searchAddr = {self._shown(self.search_addr)}, i = {at}",
            f"runtime: levelShift[level] = {self.level_shift[level]}, levelBits[level] = {bits}",
            *(_entry(level, i, here.get(i, ALLOCATED)) for i in range(at, at + (1 << bits))),
        )

    def _entries(self, level: int, first: int, end: int) -> list[tuple[int, Summary]]:
        """The summaries from first to end that exist, and one without room after each gap."""
        here = self._levels[level]
        if end - first <= 64:
            return [(i, here.get(i, ALLOCATED)) for i in range(first, end)]
        known = sorted(i for i in here if first <= i < end)
        entries: list[tuple[int, Summary]] = []
        expected = first
        for i in known:
            if i != expected:
                entries.append((i - 1, ALLOCATED))
            entries.append((i, here[i]))
            expected = i + 1
        if expected != end:
            entries.append((end - 1, ALLOCATED))
        return entries

    def _mapped_at(self, off: int) -> int:
        """off, or the first address above it that the heap has grown to (findMappedAddr)."""
        if self.mapped(self.config.address(off)):
            return off
        above = self.in_use.at_or_above(off)
        return self.max_search_addr if above is None else above

    def free(self, base: int, npages: int) -> None:
        """Frees the pages from the address base on (free)."""
        off = self.config.offset(base)
        if off < self.search_addr:
            self.search_addr = off
        for ci, page, n in self.pieces(off, npages):
            if n >= self.chunk_pages:
                last = ci + n // self.chunk_pages
                self.chunks.change(ci, last, _give_whole)
                self.index.free_whole(ci, last)
            else:
                self.chunks[ci].bits &= ~((1 << n) - 1 << page)
                self.index.free(ci, page, n)
        self.update(off, npages)

    def free_pages(self) -> int:
        """How many pages are free, caches' not among them."""
        parts = self.chunks.parts(self.start, self.end)
        return sum((self.chunk_pages - chunk.bits.bit_count()) * (end - first) for first, end, chunk in parts)


def _give_whole(chunk: Chunk, n: int) -> None:
    """No page of a chunk is allocated any more."""
    chunk.bits = 0


def _entry(level: int, i: int, summary: Summary) -> str:
    start, most, end = summary
    return f"runtime: summary[{level}][{i}] = ({start}, {most}, {end})"


def _put(level: dict[int, Summary], i: int, new: Summary) -> bool:
    """Enters a summary, unless it has no free page; returns whether it has changed."""
    if level.get(i, ALLOCATED) == new:
        return False
    if new == ALLOCATED:
        del level[i]
    else:
        level[i] = new
    return True
