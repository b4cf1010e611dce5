"""Every place where today's machine can say its last words, reached.

Where only overwritten memory leads there, the test overwrites the model's.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from allocator.common.throw import Death
from allocator.common.types import KIND_NO_POINTERS, Type
from allocator.kernels.fault_plans import Request
from allocator.kernels.system import ENOMEM, Errno
from allocator.sparse.addr_ranges import AddrRanges
from allocator.sparse.arena_hints import HeapLot
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.gc import MARK_TERMINATION
from allocator.sparse.heap import Heap
from allocator.sparse.lfstack import LFStack
from allocator.sparse.mem_linux import Debug, MemLinux
from allocator.sparse.mheap import HEAP, STACK
from allocator.sparse.mspan import DEAD, MSpan, SpanList
from allocator.sparse.page_cache import PageCache
from allocator.sparse.pallocbits import ALLOCATED
from allocator.sparse.runtime import Runtime
from allocator.sparse.scavenge import candidate
from allocator.sparse.span_set import SpanSet
from allocator.sparse.specials import FINALIZER
from allocator.sparse.summary_memory import subtract
from archcalc.boot import boot
from archcalc.machines.computer import machine_of
from archcalc.profiles import platforms
from archcalc.questions import throws
from tests.support.sparse import config

MB = 1 << 20
PAGE = 8192


@contextmanager
def reaches(site: str, who: Any = None) -> Iterator[None]:
    """What is done within must die at `site`, with the words and the lines of the table's row."""
    row = throws.by_site(site, "sparse")
    with pytest.raises(Death) as caught:
        yield
    death = caught.value
    printed = [*(who.printed if who is not None else ()), *death.before]
    frames = traceback.extract_tb(death.__traceback__)
    module, _, function = row.model.partition(".")
    assert (frames[-1].filename.rpartition("/")[2], frames[-1].name) == (f"{module}.py", function)
    assert death.kind == row.kind
    assert row.fits(death.words)
    # The first lines that are told must be there in their order; some tables go on.
    lines = iter(printed)
    for template in row.printed:
        assert any(throws.matches(template, line) for line in lines), (template, printed)


def unborn(platform: str = "linux/amd64", go: str = "1.27", **changes: Any) -> Runtime:
    """A machine that was not started, with changes to its configuration."""
    return Runtime.prepared(config(platform, go, **changes), machine_of(platforms.load(platform, go=go)))


def refuse(rt: Heap, helper: str, size: int | None = None, answer: Any = ENOMEM) -> None:
    """From now on the system answers all calls of a kind, and of a size, so."""
    rt.kernel.plan = Request(helper, None, size, answer)  # type: ignore[attr-defined]


class Dry:
    """No records and no pages."""

    def alloc(self, *asked: int) -> Any:
        return 0 if len(asked) > 1 else (0, 0)

    def grow(self, npages: int) -> int:
        return npages * PAGE

    def find(self, npages: int) -> tuple[int, int]:
        return -1, 0


@pytest.fixture
def rt() -> Runtime:
    made = boot("linux/amd64", go="1.27")
    assert isinstance(made, Runtime)
    return made


def some_span(rt: Heap) -> MSpan:
    """A span with one object in it, in nobody's cache."""
    v = rt.malloc(8 * PAGE)
    s = rt.heap.span_of(v)
    assert s is not None
    return s


# malloc.go: mallocinit, then sysAlloc


@pytest.mark.parametrize(
    ("site", "changes"),
    [
        ("malloc.go:407", {"tiny_size_class": 3}),
        ("malloc.go:413", {"ptr_size": 3}),
        ("malloc.go:419", {"phys_page_size": 0}),
        ("malloc.go:423", {"phys_page_size": MB}),
        ("malloc.go:427", {"phys_page_size": 2048}),
        ("malloc.go:431", {"phys_page_size": 12288}),
        ("malloc.go:435", {"phys_huge_page_size": 3 * MB}),
        ("malloc.go:453", {"pages_per_span_root": 511}),
        ("malloc.go:457", {"pages_per_reclaimer_chunk": 511}),
        ("malloc.go:477", {"min_size_for_malloc_header": 500}),
        ("malloc.go:480", {"min_size_for_malloc_header": 2048}),
        ("malloc.go:485", {"min_size_for_malloc_header": 1024}),
        ("malloc.go:489", {"min_tag_bits": 30}),
    ],
)
def test_constants_and_page_sizes_that_cannot_be(site: str, changes: dict[str, int]) -> None:
    rt = unborn(**changes)
    with reaches(site, rt):
        rt.start()


def test_a_lot_with_too_few_bits() -> None:
    with reaches("malloc.go:397"):
        HeapLot(1).next(65)


def test_addresses_that_no_arena_can_have(rt: Runtime) -> None:
    arena = rt.config.heap_arena_bytes
    refuse(rt, "sysReserve", answer=3 << 48)
    with reaches("malloc.go:838", rt):
        rt.arenas.sys_alloc(arena)
    with reaches("malloc.go:843", rt):
        rt.arenas._check(rt.growth.base + 4096, arena)


def test_every_hint_of_the_race_detector_refused() -> None:
    rt = unborn(go="1.24", race=True)
    rt.kernel.plan = lambda call, v, n: ENOMEM if call == "sysReserve" and v else None
    with reaches("malloc.go:803", rt):
        rt.start()


def test_an_arena_that_the_heap_has_already(rt: Runtime) -> None:
    base = rt.config.arena_base(rt.arenas.heap_list[0])
    with reaches("malloc.go:877", rt):
        rt.arenas._add_arenas(base, rt.config.heap_arena_bytes, False)


def test_no_memory_for_the_tables_of_arenas() -> None:
    rt = unborn()
    refuse(rt, "sysAlloc", 32 * MB)
    with reaches("malloc.go:866", rt):
        rt.start()
    rt = unborn("linux/386")
    rt.init_heap()
    rt.persistent = Dry()  # type: ignore[assignment]
    with reaches("malloc.go:884", rt):
        rt.arenas._new_record()
    with reaches("malloc.go:896", rt):
        rt.arenas._register(1, False)


def test_records_that_are_never_given_back(rt: Runtime) -> None:
    with reaches("malloc.go:2331", rt):
        rt.persistent.alloc(0, 8, "other_sys")
    with reaches("malloc.go:2335", rt):
        rt.persistent.alloc(8, 3, "other_sys")
    with reaches("malloc.go:2338", rt):
        rt.persistent.alloc(8, 2 * PAGE, "other_sys")
    refuse(rt, "sysAlloc")
    with reaches("malloc.go:2363", rt):
        for _ in range(100):
            rt.persistent.alloc(32 << 10, 8, "other_sys")


# malloc.go: objects


def test_allocating_at_the_wrong_moment(rt: Runtime) -> None:
    with rt.during_malloc(), reaches("malloc.go:1213", rt):
        rt.malloc(1)
    rt.gc.set_phase(MARK_TERMINATION)
    with reaches("malloc.go:1070", rt):
        rt.malloc(100)


def test_arrays_that_are_too_long(rt: Runtime) -> None:
    with reaches("malloc.go:2189", rt):
        rt.newarray(Type(8, 0, KIND_NO_POINTERS, 8, b"", ""), -1)


def test_no_room_for_small_and_large_objects(rt: Runtime) -> None:
    refuse(rt, "sysReserve")
    with reaches("mcache.go:244", rt):
        rt.mcache.alloc_large(rt.config.uintptr_mask, True)
    with reaches("mcache.go:259", rt):
        rt.malloc(1 << 30)
    with reaches("mcache.go:207", rt):
        while True:
            rt.malloc(1 << 10)


# mcache.go, mcentral.go


def cached_class(rt: Heap) -> int:
    """A span class of which the running P's cache has a span with room."""
    rt.malloc(100)
    return rt.noscan_class[100]


def test_a_cache_s_span_that_is_not_what_it_should_be(rt: Runtime) -> None:
    spc = cached_class(rt)
    with reaches("mcache.go:165", rt):
        rt.mcache.refill(spc)
    cached = rt.mcache.alloc[spc]
    s = cached.span
    assert s is not None
    while cached.next != cached.end:
        rt.malloc(100)
    s.sweepgen = 0
    with reaches("mcache.go:180", rt):
        rt.malloc(100)


def test_a_cache_that_missed_a_cycle(rt: Runtime) -> None:
    rt.heap.sweepgen += 4
    with reaches("mcache.go:364", rt):
        rt.mcache.prepare_for_sweep()
    with reaches("mgc.go:809", rt):
        rt.collect([])


def test_a_central_list_s_span_that_is_full_or_empty(rt: Runtime) -> None:
    spc = cached_class(rt)
    s = rt.mcache.alloc[spc].span
    assert s is not None
    rt.mcache.release_all()
    s.alloc_count = s.nelems
    with reaches("mcentral.go:187", rt):
        rt.central[spc].cache_span()
    s.alloc_count = 0
    with reaches("mcentral.go:207", rt):
        rt.central[spc].uncache_span(s)


# mspanset.go, lfstack.go


def test_a_set_of_spans_that_is_made_new_too_early(rt: Runtime) -> None:
    one = SpanSet(rt)
    one.push(rt.heap.new_mspan())
    with reaches("mspanset.go:256", rt):
        one.reset()
    two = SpanSet(rt)
    two.push(rt.heap.new_mspan())
    two.spans.clear()
    with reaches("mspanset.go:273", rt):
        two.reset()


def test_addresses_that_do_not_fit_into_a_word() -> None:
    with reaches("lfstack.go:29"):
        LFStack(config(go="1.24")).push(1 << 47)
    with reaches("tagptr_64bit.go:67"):
        LFStack(config(go="1.27")).push(1 << 48)


# mem.go and mem_*.go


def test_reservations_that_are_not_to_be_had_aligned() -> None:
    rt = unborn("js/wasm")
    with reaches("mem.go:188", rt):
        rt.mem.sys_reserve_aligned(MB, MB, MB, "heap")
    rt = unborn("windows/amd64")
    rt.kernel.plan = lambda call, v, n: (
        (Errno(487) if v else (5 * MB) + 4096) if call == "sysReserve" else None
    )
    with reaches("mem.go:215", rt):
        rt.mem.sys_reserve_aligned(0, 64 * MB, 64 * MB, "heap")


def test_linux_memory_that_is_refused_or_not_aligned(rt: Runtime) -> None:
    os = rt.mem.os
    assert isinstance(os, MemLinux)
    v = os.reserve(0, MB, "heap")
    for site, act in (
        ("mem_linux.go:47", os.unused),
        ("mem_linux.go:120", os.no_huge_page),
        ("mem_linux.go:129", os.huge_page_collapse),
    ):
        with reaches(site, os):
            act(v + 1, 4096)
    refuse(rt, "sysMap")
    with reaches("mem_linux.go:175", os):
        os.map(v, MB, "heap")
    refuse(rt, "sysMap", answer=Errno(22))
    with reaches("mem_linux.go:179", os):
        os.map(v, MB, "heap")
    hard = MemLinux(rt.config, rt.kernel, Debug(harddecommit=True))
    with reaches("mem_linux.go:83", hard):
        hard.unused(v, MB)
    with reaches("mem_linux.go:96", hard):
        hard.used(v, MB)
    refuse(rt, "sysMap")
    with reaches("mem_linux.go:93", hard):
        hard.used(v, MB)
    for site, errno in (("mem_linux.go:26", 13), ("mem_linux.go:30", 11)):
        refuse(rt, "sysAlloc", answer=Errno(errno))
        with reaches(site, os):
            os.alloc(MB, "heap")


@pytest.mark.parametrize(
    ("platform", "errno", "site"),
    [
        ("netbsd/amd64", 12, "mem_bsd.go:81"),
        ("netbsd/amd64", 22, "mem_bsd.go:85"),
        ("solaris/amd64", 11, "mem_bsd.go:81"),
        ("darwin/arm64", 12, "mem_darwin.go:70"),
        ("darwin/arm64", 22, "mem_darwin.go:74"),
        ("aix/ppc64", 12, "mem_aix.go:75"),
        ("aix/ppc64", 22, "mem_aix.go:79"),
    ],
)
def test_other_systems_memory_that_is_refused(platform: str, errno: int, site: str) -> None:
    rt = unborn(platform)
    v = rt.mem.os.reserve(0, MB, "heap")
    refuse(rt, "sysMap", answer=Errno(errno))
    with reaches(site, rt.mem.os):
        rt.mem.os.map(v, MB, "heap")


def test_windows_memory_that_is_refused() -> None:
    rt = unborn("windows/amd64")
    os = rt.mem.os
    v = os.reserve(0, MB, "heap")
    for site, helper, errno, act in (
        ("mem_windows.go:83", "sysUsed", 1455, lambda: os.used(v, MB)),
        ("mem_windows.go:86", "sysUsed", 487, lambda: os.used(v, MB)),
        ("mem_windows.go:55", "sysUnused", 487, lambda: os.unused(v, MB)),
        ("mem_windows.go:111", "sysFree", 487, lambda: os.free(v, MB)),
    ):
        refuse(rt, helper, answer=Errno(errno))
        with reaches(site, os):
            act()


# mfixalloc.go, mheap.go


def test_records_that_cannot_be_had(rt: Runtime) -> None:
    with reaches("mfixalloc.go:58", rt):
        FixAlloc(rt, 1 << 20, "other_sys")
    refuse(rt, "sysAlloc")
    with reaches("mheap.go:550", rt):
        rt.heap.allspans_cap = 0
        while True:
            rt.heap.new_mspan()
    with reaches("mheap.go:3013", rt):
        rt.gc_bits._take_arena()
    rt.gc_bits.capacity = 0
    rt.kernel.plan = None
    with reaches("mheap.go:2950", rt):
        rt.gc_bits.new_bits(64)


def test_pages_that_are_not_there(rt: Runtime) -> None:
    with reaches("mheap.go:1032", rt):
        rt.heap.alloc_manual(1, HEAP)
    rt.pages = Dry()  # type: ignore[assignment]
    rt.growth = Dry()  # type: ignore[assignment]
    with reaches("mheap.go:1278", rt):
        rt.malloc(MB)
    stacks = boot("openbsd/amd64", go="1.27", page_size=16384)
    assert isinstance(stacks, Runtime) and stacks.stacks_need_aligned_pages
    stacks.pages = Dry()  # type: ignore[assignment]
    stacks.growth = Dry()  # type: ignore[assignment]
    with reaches("mheap.go:1297", stacks):
        stacks.stack_alloc(1 << 20)


def test_spans_that_are_given_back_wrongly(rt: Runtime) -> None:
    s = some_span(rt)
    with reaches("mheap.go:1735", rt):
        rt.heap.free_span(s)
    s.state = DEAD
    with reaches("mheap.go:1748", rt):
        rt.heap.free_span(s)
    stack = rt.heap.span_of(rt.stack_alloc(2048))
    assert stack is not None
    with reaches("mheap.go:1727", rt):
        rt.heap.free_manual(stack, STACK)


def test_lists_of_spans_that_are_damaged(rt: Runtime) -> None:
    one, two = SpanList(), SpanList()
    s = rt.heap.new_mspan()
    s.list = None
    one.insert(s)
    with reaches("mheap.go:1878", rt):
        two.insert(s)
    with reaches("mheap.go:1896", rt):
        two.insert_back(s)
    with reaches("mheap.go:1854", rt):
        two.remove(s)


def test_records_on_what_is_not_an_object(rt: Runtime) -> None:
    with reaches("mheap.go:1997", rt):
        rt.specials.add(8, FINALIZER)
    with reaches("mheap.go:2035", rt):
        rt.specials.remove(8, FINALIZER)


# mpagealloc.go and its kin, mranges.go


def test_summaries_that_lie(rt: Runtime) -> None:
    pages = rt.pages
    ci = pages.search_addr >> pages.chunk_shift
    assert pages.summary(ci) != ALLOCATED
    pages.chunks[ci].bits = pages.all_pages
    with reaches("mpagealloc.go:899", rt):
        pages.alloc(1)
    with reaches("mpagecache.go:135", rt):
        PageCache().fill(pages)
    with reaches("mpagealloc.go:854", rt):
        pages.find(3)
    pages.levels[-1][ci] = ALLOCATED
    pages.levels[-2][ci >> pages.level_bits[-1]] = (0, 100, 0)
    with reaches("mpagealloc.go:836", rt):
        pages.find(3)


def test_ranges_that_overlap(rt: Runtime) -> None:
    with pytest.raises(Death) as died:
        raise rt.pages._overlapping(10, 20, 15, 25)
    row = throws.by_site("mpagealloc.go:724", "sparse")
    assert row.fits(died.value.words)
    assert [throws.matches(t, line) for t, line in zip(row.printed, died.value.before, strict=True)] == [
        True
    ] * 2
    with reaches("mranges.go:64"):
        subtract((0, 10), (4, 6))
    with reaches("mranges.go:350"):
        AddrRanges(lambda entries: None).add(4 * MB, 4 * MB)


def test_tables_of_pages_that_cannot_be_had() -> None:
    rt = unborn()
    refuse(rt, "sysReserve")
    with reaches("mpagealloc_64bit.go:81", rt):
        rt.start()
    rt = unborn("linux/386")
    rt.kernel.plan = lambda call, v, n: ENOMEM if call == "sysReserve" and n < MB else None
    with reaches("mpagealloc_32bit.go:76", rt):
        rt.init_heap()
    rt = unborn()
    refuse(rt, "sysAlloc", MB)
    with reaches("mpagealloc.go:413", rt):
        rt.start()


def test_growth_by_something_else_than_chunks(rt: Runtime) -> None:
    for site in ("mpagealloc_64bit.go:103", "mpagealloc_64bit.go:191"):
        with reaches(site, rt):
            rt.tables.grow(MB, 2 * MB, rt.pages.in_use)


def test_counters_below_zero(rt: Runtime) -> None:
    with reaches("mstats.go:663", rt):
        rt.stats.add("other_sys", -(1 << 40))


# stack.go


def test_stacks_that_cannot_be_had(rt: Runtime) -> None:
    refuse(rt, "sysReserve")
    with reaches("stack.go:424", rt):
        rt.stack_alloc(1 << 30)
    with reaches("stack.go:202", rt):
        while True:
            rt.stack_alloc(16 << 10)


def test_stacks_whose_spans_are_damaged(rt: Runtime) -> None:
    v = rt.stack_alloc(2048, None)
    s = rt.heap.span_of(v)
    assert s is not None
    with reaches("stack.go:468", rt):
        rt.stack_free(v, 3000)
    spans = rt.stack_heap.pool[0]
    first = spans.first
    if first is None:
        spans.insert(s)
    assert spans.first is not None
    spans.first.manual_free_list = []
    with reaches("stack.go:228", rt):
        rt.stack_alloc(2048, None)
    with reaches("stack.go:243", rt):
        rt.stack_heap._pool_free(rt.malloc(100), 0)


# arena.go


def test_user_arenas_that_are_used_wrongly(rt: Runtime) -> None:
    arena = rt.new_user_arena()
    words = Type(8, 0, KIND_NO_POINTERS, 8, b"", "")
    with reaches("arena.go:292", rt):
        arena.slice(words, -1)
    with rt.during_malloc(), reaches("arena.go:475", rt):
        arena.new(words)
    with reaches("arena.go:391", rt):
        arena._refill()
    arena.free()
    with reaches("arena.go:318", rt):
        arena.free()
    rt.user_arenas.bytes = 48 * MB
    rt.user_arenas.ready = SpanList()
    rt.user_arenas.reuse.clear()
    with reaches("arena.go:1018", rt):
        rt.user_arenas.new_chunk()


def test_a_user_arena_at_the_wrong_moment(rt: Runtime) -> None:
    rt.gc.set_phase(MARK_TERMINATION)
    with reaches("arena.go:739", rt):
        rt.new_user_arena()


def test_no_room_for_a_user_arena(rt: Runtime) -> None:
    refuse(rt, "sysReserve")
    with reaches("arena.go:416", rt):
        rt.new_user_arena()


# mgcsweep.go, mgcscavenge.go


def test_spans_that_cannot_be_swept(rt: Runtime) -> None:
    s = some_span(rt)
    with reaches("mgcsweep.go:523", rt):
        rt.sweeper.sweep(s, False)
    s.sweepgen = rt.heap.sweepgen - 1
    s.mark_bits = 1
    s.alloc_count = 0
    with reaches("mgcsweep.go:685", rt):
        rt.sweeper.sweep(s, False)
    spc = cached_class(rt)
    small = rt.mcache.alloc[spc].span
    assert small is not None
    rt.mcache.release_all()
    small.sweepgen = rt.heap.sweepgen - 1
    small.mark_bits = 1 << small.nelems - 1
    with reaches("mgcsweep.go:893", rt):
        rt.sweeper.sweep(small, False)


def test_a_span_in_the_unswept_list_that_is_not_in_use(rt: Runtime) -> None:
    s = some_span(rt)
    rt.collect(True, mode="force")
    s.state = DEAD
    s.sweepgen = 1
    with reaches("mgcsweep.go:389", rt):
        while rt.sweepone() >= 0:
            pass


def test_a_chunk_of_a_user_arena_that_is_swept_wrongly(rt: Runtime) -> None:
    s = rt.user_arenas.new_chunk()
    with reaches("mgcsweep.go:755", rt):
        rt.user_arenas.swept(s)
    s.sweepgen = rt.heap.sweepgen - 1
    with reaches("mgcsweep.go:734", rt):
        rt.sweeper.sweep(s, True)


def test_physical_pages_that_are_none(rt: Runtime) -> None:
    chunk = next(iter(rt.pages.chunks.values()))
    with reaches("mgcscavenge.go:897", rt):
        candidate(chunk, 511, 3, 10, 0, 64)
    with reaches("mgcscavenge.go:900", rt):
        candidate(chunk, 511, 128, 10, 0, 64)


def test_an_index_that_counts_wrongly(rt: Runtime) -> None:
    ci = next(iter(rt.pages.chunks))
    with reaches("mgcscavenge.go:1319", rt):
        rt.pages.index.alloc(ci, 513)
    with reaches("mgcscavenge.go:1336", rt):
        rt.pages.index.free(ci, 0, 513)


def test_every_row_with_a_model_is_reached() -> None:
    text = Path(__file__).read_text()
    modelled = {row.site for row in throws.table("sparse") if row.model}
    reached = set(re.findall(r'"(\w+\.go:\d+)"', text))
    assert modelled == reached
