"""The page allocator and its page caches: address-ordered first fit, against a model of single pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from allocator.common.throw import Throw
from allocator.sparse.addr_ranges import AddrRanges
from allocator.sparse.config import Config
from allocator.sparse.page_alloc import MANY_STALE, Chunk, PageAlloc
from allocator.sparse.page_cache import PageCache
from allocator.sparse.pallocbits import ALLOCATED, merge, summarize
from tests.support.sparse import NoTables, config

PAGE = 8192
CHUNK = 512 * PAGE
ARENA = 64 << 20
CONFIGS = [config(), config("linux/386"), config("js/wasm"), config(log_palloc_chunk_pages=6)]
BASE = 0xC000000000


def page_alloc(c: Config | None = None, base: int = BASE, chunks: int = 2) -> PageAlloc:
    c = c or config()
    pages = PageAlloc(c, NoTables(), lambda p: True)
    if chunks:
        pages.grow(base, chunks * CHUNK)
    return pages


def check_summaries(pages: PageAlloc) -> None:
    """Every summary is what the bits below it say, and nothing free lies below search_addr."""
    for ci, chunk in pages.chunks.items():
        assert pages.summary(ci) == summarize(chunk.bits, pages.chunk_pages)
        free = ~chunk.bits & pages.all_pages
        if free:
            lowest = (ci << pages.chunk_shift) + ((free & -free).bit_length() - 1) * PAGE
            assert pages.search_addr <= lowest
    for level in range(len(pages.levels) - 1):
        bits = pages.level_bits[level + 1]
        below = pages.levels[level + 1]
        for i in {i >> bits for i in below}:
            children = [below.get(j, ALLOCATED) for j in range(i << bits, i + 1 << bits)]
            assert pages.levels[level].get(i, ALLOCATED) == merge(children, pages.level_pages[level + 1])


@pytest.mark.parametrize(
    ("taken", "npages", "page"),
    [
        ([], 1, 0),
        ([(0, 1)], 1, 1),
        ([(0, 1), (3, 1)], 2, 1),
        ([(0, 1), (3, 1)], 3, 4),
        ([(0, 500)], 20, 500),  # across two chunks
        ([(0, 500), (510, 2)], 20, 512),
        ([], 1024, 0),  # all there is
        ([(1, 1)], 1023, None),
        ([(5, 1000)], 19, 1005),
        ([(5, 1000)], 5, 0),
    ],
)
def test_the_first_run_that_is_long_enough_is_taken(
    taken: list[tuple[int, int]], npages: int, page: int | None
) -> None:
    pages = page_alloc()
    for first, n in taken:
        pages.alloc_range(BASE + first * PAGE, n)
    base, scavenged = pages.alloc(npages)
    if page is None:
        assert (base, scavenged) == (0, 0)
    else:
        assert (base, scavenged) == (BASE + page * PAGE, npages * PAGE)
    check_summaries(pages)


def test_a_run_may_cross_summaries_of_every_level() -> None:
    pages = page_alloc(chunks=0)
    # Up to the border of a root entry and one chunk beyond.
    border = 1 << pages.level_shift[0]
    base = pages.config.address(pages.config.offset(BASE) // border * border + border - CHUNK)
    pages.grow(base, 2 * CHUNK)
    pages.alloc_range(base, 500)
    assert pages.alloc(100)[0] == base + 500 * PAGE
    check_summaries(pages)


def test_far_apart_arenas_are_searched_in_order_of_addresses() -> None:
    pages = page_alloc(chunks=0)
    low = 0x1000000000
    for base in (BASE, low, 0xFFFF900000000000):
        pages.grow(base, CHUNK)
    assert [pages.alloc(512)[0] for _ in range(4)] == [0xFFFF900000000000, low, BASE, 0]
    pages.free(BASE, 512)
    pages.free(low, 512)
    assert pages.alloc(2)[0] == low
    check_summaries(pages)


def test_nothing_free_moves_the_search_to_the_end_and_freeing_back() -> None:
    pages = page_alloc(chunks=1)
    pages.alloc(512)
    assert pages.alloc(1) == (0, 0)
    assert pages.search_addr == pages.max_search_addr
    assert pages.alloc(1) == (0, 0)
    pages.free(BASE + 7 * PAGE, 1)
    assert pages.alloc(1) == (BASE + 7 * PAGE, 0)


def test_a_search_beyond_the_heap_goes_on_where_the_next_arena_begins() -> None:
    arenas = {BASE, BASE + 4 * ARENA}
    pages = PageAlloc(config(), NoTables(), lambda p: p // ARENA * ARENA in arenas)
    pages.grow(BASE, ARENA)
    pages.grow(BASE + 4 * ARENA, ARENA)
    pages.alloc(ARENA // PAGE)
    pages.alloc(1)
    assert pages.config.address(pages.search_addr) >= BASE + 4 * ARENA


def test_padding_is_allocated_and_not_backed() -> None:
    pages = page_alloc()
    pages.mark_random_padding(BASE, 600)
    assert pages.alloc(1) == (BASE + 600 * PAGE, PAGE)
    assert pages.chunks[pages.start].scavenged == pages.all_pages
    check_summaries(pages)


def test_summaries_that_lie_are_noticed() -> None:
    pages = page_alloc()
    check_summaries(pages)
    for chunk in pages.chunks.values():
        chunk.bits = pages.all_pages
    with pytest.raises(Throw, match="bad summary data"):
        pages.alloc(3)
    with pytest.raises(Throw, match="bad summary data"):
        PageCache().fill(pages)


def test_a_cache_takes_the_block_of_the_first_free_page() -> None:
    pages = page_alloc()
    pages.alloc_range(BASE, 70)
    cache = PageCache()
    cache.fill(pages)
    assert cache.base == BASE + 64 * PAGE
    assert cache.cache == (1 << 64) - 1 << 6 & (1 << 64) - 1
    assert cache.scav == cache.cache
    assert cache.alloc(2, PAGE) == (BASE + 70 * PAGE, 2 * PAGE)
    assert cache.alloc(1, PAGE) == (BASE + 72 * PAGE, PAGE)
    assert cache.alloc(60, PAGE) == (0, 0)
    assert pages.alloc(1)[0] == BASE + 128 * PAGE


def test_a_cache_of_nothing_stays_empty() -> None:
    cache = PageCache()
    pages = page_alloc(chunks=1)
    pages.alloc(512)
    cache.fill(pages)
    assert cache.cache == 0
    cache.fill(pages)  # the search is beyond the heap now
    assert cache.alloc(1, PAGE) == (0, 0)
    cache.flush(pages)
    assert pages.free_pages() == 0


def fields(known: Any) -> tuple[Any, ...]:
    """All that is known of a chunk."""
    return tuple(getattr(known, name) for name in type(known).__slots__)


class TwinsMachine(RuleBasedStateMachine):
    """What the runtime keeps of a page allocator is the same whether bits, index and summaries are brought up
    at each step, as Go does, or only when somebody looks at them."""

    runs = Bundle("runs")

    @initialize(c=st.sampled_from(CONFIGS))
    def begin(self, c: Config) -> None:
        self.base = BASE if c.heap_addr_bits > 32 else 0x8000000
        self.chunk = c.palloc_chunk_bytes
        self.twins = [PageAlloc(c, NoTables(), lambda p: True) for _ in range(2)]
        self.caches = [PageCache(), PageCache()]
        self.grown: set[int] = set()

    def both(self, act: Callable[[PageAlloc, PageCache], Any]) -> Any:
        seen = []
        for lazy, (pages, cache) in enumerate(zip(self.twins, self.caches, strict=True)):
            if not lazy:
                assert pages.levels
            seen.append((act(pages, cache), pages.search_addr, cache.base, cache.cache, cache.scav))
        assert seen[0] == seen[1]
        return seen[0][0]

    @rule(at=st.integers(0, 60), n=st.integers(1, 20))
    def grow(self, at: int, n: int) -> None:
        if not self.grown & set(range(at, at + n)):
            self.grown |= set(range(at, at + n))
            self.both(lambda pages, _: pages.grow(self.base + at * self.chunk, n * self.chunk))

    @rule(n=st.integers(1, 20))
    def grow_on(self, n: int) -> None:
        self.grow(max(self.grown, default=-1) + 1, n)

    @rule(target=runs, npages=st.one_of(st.integers(1, 20), st.integers(1, 3000)), chunks=st.integers(0, 8))
    def alloc(self, npages: int, chunks: int) -> tuple[int, int]:
        npages = chunks * self.twins[0].chunk_pages or npages
        return self.both(lambda pages, _: pages.alloc(npages))[0], npages

    @rule(npages=st.integers(1, 4000))
    def find(self, npages: int) -> None:
        self.both(lambda pages, _: pages.find(npages))

    @rule(run=consumes(runs))
    def release(self, run: tuple[int, int]) -> None:
        if run[0]:
            self.both(lambda pages, _: pages.free(*run))

    @rule(npages=st.integers(1, 16))
    def take(self, npages: int) -> None:
        def act(pages: PageAlloc, cache: PageCache) -> tuple[int, int]:
            if not cache.cache:
                cache.fill(pages)
            return cache.alloc(npages, PAGE)

        self.both(act)

    @rule()
    def flush(self) -> None:
        self.both(lambda pages, cache: cache.flush(pages))

    @rule(force=st.booleans())
    def scavenge(self, force: bool) -> None:
        self.both(lambda pages, _: pages.index.find(force))

    @rule()
    def collect(self) -> None:
        self.both(lambda pages, _: pages.index.next_gen())

    @rule()
    def look(self) -> None:
        for pages in self.twins:
            check_summaries(pages)
        self.the_same_is_known()

    def the_same_is_known(self) -> None:
        for table in (lambda pages: pages.chunks, lambda pages: pages.index.chunks):
            one, other = ([(ci, fields(known)) for ci, known in table(pages).items()] for pages in self.twins)
            assert one == other

    def teardown(self) -> None:
        if hasattr(self, "twins"):
            self.look()
        assert self.twins[0].levels == self.twins[1].levels


TestTwins = TwinsMachine.TestCase
TestTwins.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


class PagesMachine(RuleBasedStateMachine):
    """Any history of a page allocator with two page caches, against a set of single pages."""

    runs = Bundle("runs")

    @initialize(c=st.sampled_from(CONFIGS))
    def begin(self, c: Config) -> None:
        self.config = c
        self.base = BASE if c.heap_addr_bits > 32 else 0x8000000
        self.chunk = self.config.palloc_chunk_bytes
        self.pages = PageAlloc(self.config, NoTables(), lambda p: True)
        self.free: set[int] = set()
        self.scavenged: set[int] = set()
        self.caches = [PageCache(), PageCache()]
        self.grown: set[int] = set()

    @rule(at=st.integers(0, 40), n=st.integers(1, 9))
    def grow(self, at: int, n: int) -> None:
        if self.grown & set(range(at, at + n)):
            return
        self.grown |= set(range(at, at + n))
        base = self.base + at * self.chunk
        self.pages.grow(base, n * self.chunk)
        new = range(base // PAGE, (base + n * self.chunk) // PAGE)
        self.free.update(new)
        self.scavenged.update(new)

    def first_fit(self, npages: int) -> int:
        run = 0
        before = -2
        for page in sorted(self.free):
            run = run + 1 if page == before + 1 else 1
            before = page
            if run == npages:
                return (page - npages + 1) * PAGE
        return 0

    def take(self, base: int, npages: int) -> int:
        taken = set(range(base // PAGE, base // PAGE + npages))
        self.free -= taken
        scavenged = len(taken & self.scavenged)
        self.scavenged -= taken
        return scavenged * PAGE

    @rule(target=runs, npages=st.one_of(st.integers(1, 20), st.integers(1, 3000)))
    def alloc(self, npages: int) -> tuple[int, int]:
        expected = self.first_fit(npages)
        base, scavenged = self.pages.alloc(npages)
        assert base == expected
        assert scavenged == (self.take(base, npages) if base else 0)
        return base, npages

    @rule(target=runs, which=st.integers(0, 1), npages=st.integers(1, 16))
    def alloc_from_cache(self, which: int, npages: int) -> tuple[int, int]:
        cache = self.caches[which]
        if not cache.cache:
            lowest = min(self.free, default=None)
            cache.fill(self.pages)
            if lowest is not None:
                offset = self.config.offset(lowest * PAGE) // PAGE
                block = lowest - offset % 64
                assert cache.base == block * PAGE
                mine = {block + i for i in range(64) if block + i in self.free}
                assert {block + i for i in range(64) if cache.cache >> i & 1} == mine
                assert {block + i for i in range(64) if cache.scav >> i & 1} & mine == mine & self.scavenged
                self.free -= mine
        base, scavenged = cache.alloc(npages, PAGE)
        if base:
            assert scavenged == self.take(base, npages)
        return base, npages

    @rule(run=consumes(runs))
    def release(self, run: tuple[int, int]) -> None:
        base, npages = run
        if base:
            self.pages.free(base, npages)
            self.free.update(range(base // PAGE, base // PAGE + npages))

    @rule(which=st.integers(0, 1))
    def flush(self, which: int) -> None:
        cache = self.caches[which]
        self.free.update(cache.base // PAGE + i for i in range(64) if cache.cache >> i & 1)
        cache.flush(self.pages)

    @invariant()
    def bits_are_the_model(self) -> None:
        pages = self.pages
        check_summaries(pages)
        free = set()
        for ci, chunk in pages.chunks.items():
            first = self.config.chunk_base(ci) // PAGE
            free.update(first + i for i in range(pages.chunk_pages) if not chunk.bits >> i & 1)
            assert pages.index.chunks[ci].in_use == chunk.bits.bit_count()
        assert free == self.free


TestPages = PagesMachine.TestCase
TestPages.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


# Ways that ordinary histories come by seldom or never, so that every branch was gone once.


def test_growth_over_a_known_chunk_keeps_what_is_allocated() -> None:
    pages = page_alloc(chunks=1)
    pages.alloc(100)
    pages.grow(BASE, CHUNK)
    chunk = pages.chunks[pages.start]
    assert chunk.bits.bit_count() == 100
    assert chunk.scavenged == pages.all_pages
    assert pages.alloc(1) == (BASE + 100 * PAGE, PAGE)


def test_bits_that_changed_in_several_chunks_are_summed_up_again() -> None:
    pages = page_alloc(chunks=3)
    first = pages.start
    for ci in (first, first + 1, first + 2):
        pages.chunks[ci].bits = 0b101
    pages.update(first << pages.chunk_shift, 3 * 512)
    pages.search_addr = first << pages.chunk_shift
    check_summaries(pages)
    assert pages.summary(first + 1) == (0, 509, 509)


def test_a_search_in_a_level_with_gaps() -> None:
    pages = page_alloc(chunks=0)
    root = 1 << pages.level_shift[0]
    start = pages.config.offset(BASE) // root * root
    # Neighbouring root entries, then some far away, and the last one of all.
    for entry in (0, root, 5 * root, 9 * root):
        pages.grow(pages.config.address(start + entry), CHUNK)
    assert [pages.alloc(512)[0] for _ in range(5)] == [
        *(pages.config.address(start + entry) for entry in (0, root, 5 * root, 9 * root)),
        0,
    ]
    last = (1 << pages.config.heap_addr_bits) - CHUNK
    pages.grow(pages.config.address(last), CHUNK)
    assert pages.alloc(512)[0] == pages.config.address(last)


def test_a_free_run_that_ends_where_the_next_entry_is_full() -> None:
    pages = page_alloc(chunks=3)
    pages.alloc_range(BASE + CHUNK, 512)
    pages.alloc_range(BASE, 500)
    assert pages.alloc(100)[0] == BASE + 2 * CHUNK
    assert pages.alloc(12)[0] == BASE + 500 * PAGE


@pytest.mark.parametrize("lied_at", ["leaf", "above"])
def test_what_a_lying_summary_lets_the_runtime_print(lied_at: str) -> None:
    pages = page_alloc(chunks=1)
    ci = pages.start
    check_summaries(pages)
    pages.chunks[ci].bits = pages.all_pages
    shift, bits = pages.level_shift[-1], pages.level_bits[-1]
    for level in range(4):
        at = ci << pages.chunk_shift >> pages.level_shift[level]
        pages.levels[level][at] = (0, 7, 0)
    if lied_at == "leaf":
        pages.levels[-1][ci] = (0, 7, 0)
        lines = (f"runtime: summary[4][{ci}] = (0, 7, 0)", "runtime: npages = 3")
    else:
        pages.levels[-1][ci] = ALLOCATED
        first = ci >> bits << bits
        lines = (
            f"runtime: summary[3][{ci >> bits}] = 0, 7, 0",
            f"runtime: level = 4, npages = 3, j0 = {ci - first}",
            f"runtime: p.searchAddr = {BASE:#x}, i = {first}",
            f"runtime: levelShift[level] = {shift}, levelBits[level] = {bits}",
            *(f"runtime: summary[4][{i}] = (0, 0, 0)" for i in range(first, first + (1 << bits))),
        )
    with pytest.raises(Throw, match="bad summary data") as died:
        pages.find(3)
    assert died.value.before == lines


def test_what_a_lying_chunk_lets_the_runtime_print() -> None:
    pages = page_alloc(chunks=1)
    check_summaries(pages)
    pages.chunks[pages.start].bits = pages.all_pages
    with pytest.raises(Throw, match="bad summary data") as died:
        pages.alloc(3)
    assert died.value.before == (
        "runtime: max = 512, npages = 3",
        f"runtime: searchIdx = 0, p.searchAddr = {BASE:#x}",
    )


def test_windows_of_free_addresses_that_overlap_in_part() -> None:
    pages = page_alloc(chunks=1)
    check_summaries(pages)
    inside = (pages.start << pages.chunk_shift) + 10 * PAGE
    pages.max_search_addr = inside
    with pytest.raises(Throw, match="range partially overlaps") as died:
        pages.find(1024)
    entry = 1 << pages.level_shift[0]
    base = pages.config.offset(BASE) // entry * entry
    assert died.value.before == (
        f"runtime: addr = {pages.config.address(base):#x}, size = {entry}",
        f"runtime: base = {pages.config.address(0):#x}, bound = {pages.config.address(inside):#x}",
    )
    with pytest.raises(Throw, match="range partially overlaps"):
        pages._find_in_leaf(pages.start, 1, inside, inside + PAGE)
    # Apart from it is no overlap.
    assert pages._find_in_leaf(pages.start, 1, 0, PAGE)[0] == pages.start << pages.chunk_shift


def test_an_empty_cache_has_nothing() -> None:
    assert PageCache().alloc(1, PAGE) == (0, 0)
    assert PageCache().alloc(2, PAGE) == (0, 0)


# Ranges of addresses.


@pytest.mark.parametrize(
    ("added", "ranges"),
    [
        ([(4, 6)], [(4, 6)]),
        ([(4, 6), (6, 8)], [(4, 8)]),
        ([(4, 6), (2, 4)], [(2, 6)]),
        ([(4, 6), (8, 9)], [(4, 6), (8, 9)]),
        ([(8, 9), (4, 6)], [(4, 6), (8, 9)]),
        ([(4, 6), (8, 9), (6, 8)], [(4, 9)]),
        ([(4, 6), (8, 9), (6, 7)], [(4, 7), (8, 9)]),
    ],
)
def test_ranges_grow_together_with_what_they_touch(
    added: list[tuple[int, int]], ranges: list[tuple[int, int]]
) -> None:
    made = AddrRanges(lambda entries: None)
    for base, limit in added:
        made.add(base, limit)
    assert list(made) == ranges
    assert len(made) == len(ranges)
    assert made.total_bytes == sum(limit - base for base, limit in added)
    inside = {addr for base, limit in ranges for addr in range(base, limit)}
    for addr in range(12):
        assert made.contains(addr) == (addr in inside)
        assert made.at_or_above(addr) == min((one for one in inside if one >= addr), default=None)


def test_a_range_of_nothing_is_the_end_and_the_array_doubles() -> None:
    asked: list[int] = []
    made = AddrRanges(asked.append)
    with pytest.raises(Throw, match="zero-sized address range"):
        made.add(4, 4)
    for i in range(17):
        made.add(2 * i, 2 * i + 1)
    assert asked == [16, 32]


@pytest.mark.parametrize(("grown", "search"), [(2, 0), (0, None)])
def test_the_search_goes_on_at_the_first_address_that_is_mapped(grown: int, search: int | None) -> None:
    pages = page_alloc(chunks=0)
    root = 1 << pages.level_shift[0]
    border = pages.config.address(pages.config.offset(BASE) // root * root + root)
    base = border - CHUNK
    pages.mapped = lambda p: p >= base
    if grown:
        pages.grow(base, grown * CHUNK)
        # Across the border, so that the window is as wide as a root entry and begins below the heap.
        assert pages.alloc(1024)[0] == base
    off = pages.config.offset(border - root)
    expected = pages.max_search_addr if search is None else pages.config.offset(base)
    assert pages._mapped_at(off) == expected


def test_a_page_that_was_in_use_is_backed() -> None:
    pages = page_alloc()
    pages.alloc(2)
    pages.free(BASE, 2)
    cache = PageCache()
    cache.fill(pages)
    assert cache.alloc(1, PAGE) == (BASE, 0)
    assert cache.alloc(2, PAGE) == (BASE + PAGE, PAGE)


def test_a_cache_with_pages_enough_but_no_such_run_gives_none() -> None:
    cache = PageCache()
    cache.base, cache.cache = BASE, 0b1011
    assert cache.alloc(3, PAGE) == (0, 0)
    assert cache.alloc(4, PAGE) == (0, 0)
    assert cache.alloc(2, PAGE) == (BASE, 0)
    assert cache.cache == 0b1000


# A growing heap, all that is free of which lies at its end.


def at_the_top(chunks: int = 2, taken: int = 600) -> PageAlloc:
    pages = page_alloc(chunks=chunks)
    pages.alloc(taken)
    assert pages._top is not None
    return pages


def known(pages: PageAlloc) -> None:
    """Asks for what may or may not be known yet."""
    assert pages.known_most(pages.start + 1) in (None, 424)


def alloc(npages: int) -> Callable[[PageAlloc], Any]:
    return lambda pages: pages.alloc(npages)


def grow(chunk: int, chunks: int = 1) -> Callable[[PageAlloc], Any]:
    return lambda pages: pages.grow(BASE + chunk * CHUNK, chunks * CHUNK)


@pytest.mark.parametrize(
    "steps",
    [
        [alloc(5), alloc(400)],
        [alloc(424), alloc(1), alloc(2), grow(2), alloc(1)],  # all is taken, then it grows
        [alloc(425), alloc(424), grow(2), alloc(500), alloc(13)],
        [grow(2), grow(3), alloc(900), alloc(30)],
        [grow(2, 7), alloc(512), grow(9), alloc(512)],  # further than tables are ready for
        [grow(2), grow(40), alloc(2000), alloc(1)],  # somewhere else
        [grow(2), lambda pages: pages.alloc_range(BASE + 900 * PAGE, 10), alloc(400)],
        [grow(2), known, alloc(3)],
        [grow(2), lambda pages: pages.find(300)],
    ],
)
def test_a_heap_that_grows_is_the_one_that_is_written_down_at_each_step(
    steps: list[Callable[[PageAlloc], Any]],
) -> None:
    seen = []
    for looks in (False, True):
        pages = at_the_top()
        answers = []
        for step in steps:
            if looks:
                assert pages.levels
            answers.append((step(pages), pages.search_addr))
        chunks = [(ci, fields(chunk)) for ci, chunk in pages.chunks.items()]
        index = [(ci, fields(use)) for ci, use in pages.index.chunks.items()]
        seen.append((answers, chunks, index, list(pages.in_use), pages.levels))
        check_summaries(pages)
    assert seen[0] == seen[1]


def test_chunks_can_be_kept_in_another_table() -> None:
    pages = page_alloc()
    table: Any = {pages.start: Chunk(0)}
    pages.chunks = table
    assert pages.chunks is table


def test_summaries_that_lag_far_behind_are_brought_up_to_date() -> None:
    pages = page_alloc(chunks=80)
    pages.alloc(80 * 512)
    assert pages.levels
    for i in range(0, 80, 2):
        pages.free(BASE + i * CHUNK, 1)
    assert 0 < len(pages._stale) < MANY_STALE
    check_summaries(pages)


def test_a_free_end_that_begins_within_equal_chunks_is_none() -> None:
    pages = page_alloc()
    pages.alloc_range(BASE, 100)
    pages.alloc_range(BASE + CHUNK, 100)
    pages.chunks.fold(pages.start, pages.end)
    assert pages._free_at_end() is None
    assert pages.alloc(412)[0] == BASE + 100 * PAGE
    assert pages.alloc(412)[0] == BASE + 612 * PAGE


# Groups of 64 that a cache would take one after the other.


@pytest.mark.parametrize(
    ("taken", "most", "groups"),
    [
        ([], 3, 3),
        ([], 20, 8),  # all of a chunk
        ([(0, 64)], 3, 3),
        ([(0, 60)], 3, 0),  # the first group is not whole
        ([(64, 64), (128, 1)], 9, 1),
        ([(200, 1)], 9, 3),
        ([(0, 1024)], 9, 0),
    ],
)
def test_groups_are_passed_as_the_cache_takes_them(
    taken: list[tuple[int, int]], most: int, groups: int
) -> None:
    at_once, one_by_one = page_alloc(), page_alloc()
    for pages in (at_once, one_by_one):
        for first, n in taken:
            pages.alloc_range(BASE + first * PAGE, n)
    cache, other = PageCache(), PageCache()
    assert cache.whole_groups(at_once, most) == groups
    if not groups:
        return
    base, scavenged = cache.pass_groups(at_once, groups)
    bits = 0
    for i in range(groups):
        other.fill(one_by_one)
        assert (other.base, other.cache) == (base + 64 * i * PAGE, (1 << 64) - 1)
        bits |= other.scav << 64 * i
        while other.cache:
            other.alloc(1, PAGE)
    assert scavenged == bits
    assert fields(cache) == fields(other)
    assert at_once.search_addr == one_by_one.search_addr
    for table in (lambda pages: pages.chunks, lambda pages: pages.index.chunks):
        one, two = (
            [(ci, fields(known)) for ci, known in table(pages).items()] for pages in (at_once, one_by_one)
        )
        assert one == two
    check_summaries(at_once)


def one_by_one_from_caches(cache: PageCache, pages: PageAlloc, n: int) -> list[int]:
    """The addresses of single pages as a P takes them, as long as the allocator has any."""
    found = []
    for _ in range(n):
        if not cache.cache:
            cache.fill(pages)
        if not cache.cache:
            break
        address, scavenged = cache.alloc(1, PAGE)
        assert scavenged == PAGE
        found.append(address)
    return found


@pytest.mark.parametrize("steps", [[1, 62, 1, 64, 200], [63, 500], [64, 1, 128], [300, 300, 1]])
def test_the_top_is_passed_as_the_cache_takes_it(steps: list[int]) -> None:
    at_top, written = page_alloc(chunks=1), page_alloc(chunks=1)
    cache, other = PageCache(), PageCache()
    for pages in (at_top, written):
        pages.alloc(512)
        assert pages.alloc(1) == (0, 0)
    for turn in (1, 2, 3):
        base = BASE + turn * CHUNK
        for pages in (at_top, written):
            assert pages.tables_suffice(CHUNK)
            assert not pages.tables_suffice(3 * CHUNK)
            pages.grow(base, CHUNK)
        at_top.begin_top(base)
        assert at_top.alloc(1) == written.alloc(1) == (base, PAGE)
        for n in steps:
            found: list[int] = []
            while len(found) < n:
                first, some = cache.pass_top(at_top, n - len(found)) or (0, 0)
                if not some:
                    break
                found += range(first, first + some * PAGE, PAGE)
            assert found == one_by_one_from_caches(other, written, n)
            assert fields(cache) == fields(other)
            assert at_top.search_addr == written.search_addr
        # The rest of the growth, and one page that is not there.
        one_by_one_from_caches(cache, at_top, 513)
        one_by_one_from_caches(other, written, 513)
        assert fields(cache) == fields(other)
        assert at_top.search_addr == written.search_addr == at_top.max_search_addr
    assert at_top.levels == written.levels
    for table in (lambda pages: pages.chunks, lambda pages: pages.index.chunks):
        one, two = ([(ci, fields(known)) for ci, known in table(p).items()] for p in (at_top, written))
        assert one == two
    check_summaries(at_top)


def test_what_a_cache_has_left_is_the_tops_beginning_only_where_it_is() -> None:
    pages, cache = page_alloc(chunks=1), PageCache()
    pages.alloc(512)
    assert pages.alloc(1) == (0, 0)
    pages.grow(BASE + CHUNK, CHUNK)
    pages.begin_top(BASE + CHUNK)
    assert cache.pass_top(pages, 10) == (BASE + CHUNK, 10)
    assert pages.alloc(1) == (BASE + CHUNK + 64 * PAGE, PAGE)
    before = fields(cache)
    assert cache.pass_top(pages, 10) is None  # that page lies between
    cache.cache ^= 1 << 12
    assert cache.pass_top(pages, 10) is None  # what is left is not side by side
    cache.cache ^= 1 << 12
    assert fields(cache) == before
    # Where the search has ended it stays, since nothing else is taken.
    assert pages.alloc(512 - 65 - 64) == (BASE + CHUNK + 65 * PAGE, (512 - 65 - 64) * PAGE)
    other = PageCache()
    other.fill(pages)
    assert pages.alloc(1) == (0, 0)
    assert other.pass_top(pages, 10) == (BASE + CHUNK + 448 * PAGE, 10)
    assert pages.search_addr == pages.max_search_addr


def test_only_all_that_is_free_is_the_top() -> None:
    pages = page_alloc(chunks=1)
    pages.alloc(511)
    pages.grow(BASE + CHUNK, CHUNK)
    pages.begin_top(BASE + CHUNK)  # a page below is free
    assert pages.take_top(1) is None
    assert PageCache().pass_top(pages, 1) is None
    pages.alloc(1)
    pages.alloc(513)
    pages.grow(BASE + 2 * CHUNK, CHUNK)
    pages.chunks[pages.end - 1].scavenged = 0
    pages.begin_top(BASE + 2 * CHUNK)  # it has memory
    assert pages.take_top(1) is None


def test_no_groups_are_left_where_nothing_is_free() -> None:
    pages = page_alloc(chunks=1)
    pages.alloc(512)
    pages.alloc(1)
    assert PageCache().whole_groups(pages, 3) == 0


def test_a_chunk_is_known_beside_one_that_has_changed() -> None:
    pages = page_alloc(chunks=3)
    assert pages.levels
    pages.alloc_range(BASE, 1)
    assert pages.known_most(pages.start) is None
    assert pages.known_most(pages.start + 2) == 512


def test_a_level_whose_last_entry_has_room_ends_with_it() -> None:
    pages = page_alloc()
    last = pages.config.address((1 << pages.config.heap_addr_bits) - CHUNK)
    pages.grow(last, CHUNK)
    root = pages.levels[0]
    end = 1 << pages.level_bits[0]
    first = pages.config.offset(BASE) >> pages.level_shift[0]
    entries = pages._entries(0, 0, end)
    assert [i for i, _ in entries] == [first - 1, first, end - 2, end - 1]
    assert entries[-1] == (end - 1, root[end - 1])
