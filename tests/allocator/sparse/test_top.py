"""A growing heap is written down when somebody looks, and is then the one that was written down each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.throw import Death, Throw
from allocator.kernels.system import ENOMEM
from allocator.sparse.page_alloc import PageAlloc
from archcalc.boot import boot
from tests.support.sparse import NoTables, config

PORTS = ["linux/amd64", "linux/386", "linux/ppc64le", "windows/amd64", "plan9/386", "js/wasm", "aix/ppc64"]
KB, MB = 1 << 10, 1 << 20
ROW = st.tuples(
    st.sampled_from([100, 8 * KB, 33 * KB, 100 * KB, MB, 4 * MB, 5 * MB, 30 * MB, 64 * MB, 70 * MB]),
    st.integers(1, 12),
)


def known(rt: Any) -> dict[str, Any]:
    """All that the page heap knows, and what it has asked the system for."""
    pages, tables = rt.pages, rt.tables
    return {
        "calls": rt.mem.os.kernel.log,
        "chunks": [(ci, chunk.bits, chunk.scavenged) for ci, chunk in pages.chunks.items()],
        "index": [
            (ci, use.in_use, use.last_in_use, use.gen, use.has_free) for ci, use in pages.index.chunks.items()
        ],
        "levels": pages.levels,
        "search": (pages.search_addr, pages.start, pages.end, pages.index.min_heap),
        "in use": (pages.in_use.bases, pages.in_use.limits, pages.in_use.total_bytes),
        "tables": (tables.lengths, tables.mapped, tables.tables, tables.index_min, tables.index_max),
        "counters": rt.counters(),
    }


@pytest.mark.parametrize("port", PORTS)
@given(rows=st.lists(ROW, min_size=1, max_size=6), collects=st.booleans())
@settings(max_examples=12, deadline=None)
def test_who_looks_changes_nothing(port: str, rows: list[tuple[int, int]], collects: bool) -> None:
    looked_at, left_alone = boot(port, go="1.27"), boot(port, go="1.27")
    for size, n in rows:
        if size > 5 * MB and not port.endswith("64"):
            size >>= 6
        for _ in range(n):
            assert looked_at.pages.levels
            assert looked_at.malloc(size) == left_alone.malloc(size)
        if collects:
            for rt in (looked_at, left_alone):
                rt.collect([])
                rt.scavenge()
    assert known(looked_at) == known(left_alone)
    assert not left_alone.audit()


@pytest.mark.parametrize(
    ("size", "limit"),
    [(100 * KB, "1500m"), (MB, "1500m"), (MB, "5g"), (30 * MB, "5g"), (64 * MB, "2100m"), (64 * MB, "40g")],
)
def test_a_heap_that_dies_is_the_same_when_it_is_looked_at_afterwards(size: int, limit: str) -> None:
    states = []
    for looks in (True, False):
        rt: Any = boot("linux/amd64", go="1.27", ulimit_v=limit)
        words, count = "", 0
        while not words:
            if looks:
                assert rt.pages.levels
            try:
                rt.malloc(size)
                count += 1
            except Death as death:
                words = str(death)
        states.append((words, count, rt.printed, known(rt)))
    assert states[0] == states[1]


def test_a_heap_without_memory_for_bits_of_chunks_dies_as_it_would_at_once() -> None:
    states = []
    for looks in (True, False):
        rt: Any = boot("linux/amd64", go="1.27")
        table = rt.tables.table_bytes
        rt.kernel.plan = lambda helper, v, n, table=table: ENOMEM if n == table else None
        with pytest.raises(Death, match="pageAlloc: out of memory"):
            while True:
                if looks:
                    assert rt.pages.levels
                rt.malloc(64 * MB)
        states.append(known(rt))
    assert states[0] == states[1]


@pytest.mark.parametrize("port", ["linux/amd64", "linux/arm64", "linux/s390x", "windows/amd64", "js/wasm"])
def test_growth_for_which_tables_are_ready_asks_the_system_for_nothing(port: str) -> None:
    rt = boot(port, go="1.27")
    chunk = rt.config.palloc_chunk_bytes
    for _ in range(3):
        end = rt.pages.end << rt.config.log_palloc_chunk_bytes
        ready = min(rt.tables.ready_up_to(end), rt.tables.known_up_to(end))
        assert end <= ready
        calls = len(rt.mem.os.kernel.log)
        if ready > end:
            rt.pages.grow(rt.config.address(end), ready - end)
        assert len(rt.mem.os.kernel.log) == calls
        if ready < 1 << rt.config.heap_addr_bits:
            rt.pages.grow(rt.config.address(ready), chunk)
            assert len(rt.mem.os.kernel.log) > calls
    assert rt.tables.ready_up_to(0) == 0


def test_a_terabyte_one_by_one_is_in_a_few_pieces() -> None:
    rt = boot("linux/amd64", go="1.27")
    for _ in range(2000):
        rt.malloc(64 * MB)
    assert len(rt.pages.chunks.parts(rt.pages.start, rt.pages.end)) < 20
    assert len(rt.pages.chunks) == rt.pages.end - rt.pages.start


CHUNK = 4 * MB
PAGES = CHUNK >> 13
BASE = 0xC000000000
CROSSES = PAGES + 10  # pages, so many that they are searched for from the root


class Twins:
    """Two page allocators that are asked the same, one of which is looked at before each step."""

    def __init__(self) -> None:
        self.grown: list[tuple[int, int]] = []
        self.twins = [
            PageAlloc(config(), NoTables(), lambda p: any(base <= p < end for base, end in self.grown))
            for _ in range(2)
        ]

    def both(self, act: Callable[[PageAlloc], Any]) -> Any:
        looked_at, left_alone = self.twins
        assert looked_at.levels
        found = act(looked_at)
        assert act(left_alone) == found
        assert left_alone.search_addr == looked_at.search_addr
        return found

    def grow(self, base: int, chunks: int) -> None:
        self.grown.append((base, base + chunks * CHUNK))
        self.both(lambda pages: pages.grow(base, chunks * CHUNK))

    def alloc(self, npages: int) -> tuple[int, int]:
        found: tuple[int, int] = self.both(lambda pages: pages.alloc(npages))
        return found


def test_a_full_heap_is_searched_from_its_end_until_it_grows() -> None:
    heap = Twins()
    heap.grow(BASE, 4)
    heap.alloc(CROSSES)
    heap.alloc(4 * PAGES - CROSSES)
    assert heap.alloc(1) == (0, 0)
    assert heap.twins[1].search_addr == heap.twins[1].max_search_addr
    assert heap.alloc(2) == (0, 0)
    heap.grow(BASE + 4 * CHUNK, 2)
    assert heap.alloc(3)[0] == BASE + 4 * CHUNK


def test_memory_that_is_there_already_is_not_counted_again() -> None:
    heap = Twins()
    heap.grow(BASE, 4)
    for npages in (CROSSES, 100):
        base, scavenged = heap.alloc(npages)
        assert (base, scavenged) == (BASE, npages << 13 if npages == CROSSES else 0)
        heap.both(lambda pages, n=npages: pages.free(BASE, n))
    assert heap.alloc(CROSSES + 5) == (BASE, 5 << 13)
    assert heap.alloc(CROSSES)[1] == CROSSES << 13


def test_the_search_goes_on_where_the_heap_does_when_an_entry_begins_in_a_gap() -> None:
    entry = 2 << 30
    heap = Twins()
    heap.grow(BASE, 2)
    heap.alloc(2 * PAGES)
    above = BASE + 2 * entry - CHUNK
    heap.grow(above, 10)
    for twin in heap.twins:
        assert twin.search_addr < config().offset(above)
    # Across the border of two entries, the first of which begins between the heap's two parts.
    assert heap.alloc(CROSSES)[0] == above
    assert heap.twins[1].search_addr == config().offset(above)
    assert heap.alloc(CROSSES)[0] == above + (CROSSES << 13)


def test_an_index_that_counts_wrong_is_noticed_at_once() -> None:
    heap = Twins()
    heap.grow(BASE, 4)
    heap.alloc(CROSSES)
    for pages in heap.twins:
        pages.index.chunks[pages.start + 2].in_use = PAGES
        with pytest.raises(Throw, match="too many pages allocated in chunk"):
            pages.alloc(2 * PAGES)
