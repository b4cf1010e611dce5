"""Every finding that the audit can come to, by its message, on a machine that was well and broken by hand."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from allocator.common.types import Type
from allocator.contiguous.heap_bitmap import LargeBits
from allocator.contiguous.mspan import DEAD, FREE, IN_USE, NIL, STACK
from allocator.contiguous.runtime import Runtime
from allocator.contiguous.specials import FINALIZER, PROFILE, Special
from archcalc.boot import boot
from archcalc.workloads.driver import types_for

PAGE = 8192
PLATFORMS = (
    "linux/amd64",
    "linux/386",
    "linux/mips64",
    "linux/ppc64le",
    "windows/386",
    "windows/amd64",
    "darwin/amd64",
    "plan9/arm",
    "nacl/amd64p32",
    "solaris/amd64",
)


def busy(platform: str = "linux/amd64") -> Runtime:
    """A watched machine that has everything: two caches, small and large objects, stacks, finalizers,
    profile records, released and unreleased free runs, and spans swept and still to be swept."""
    rt = boot(platform, procs=2, mem_profile_rate=4096)
    rt.watch()
    rng = random.Random(7)
    types = types_for(rt.config.ptr_size)
    live: list[int] = []

    def some(n: int, p: int) -> None:
        for _ in range(n):
            typ = rng.choice((None, None, *types))
            size = rng.choice((3, 16, 24, 48, 200, 1024, 3000, 9000)) if typ is None else typ.size
            live.append(rt.malloc(size, typ, p=p))

    some(700, 0)
    some(700, 1)
    pinned = [rt.malloc(n * PAGE) for n in (5, 5, 5, 9, 140, 150)]
    rt.malloc(200 * PAGE)
    pinned.append(rt.malloc(types[4].size * 2000, types[4]))
    fixed = rt.config.fixed_stack
    stacks = [(rt.stack_alloc(fixed << n, i % 2), fixed << n) for i, n in enumerate([0, 1, 0, 0, 1] * 8)]
    rt.stack_alloc(1 << 16)
    for i, (v, n) in enumerate(stacks[:16]):
        rt.stack_free(v, n, i % 2)
    for v in live[::40]:
        rt.set_finalizer(v)
    live = [v for v in live if rng.random() < 0.6]
    rt.collect([*live, *pinned])
    some(300, 1)
    live += [rt.malloc(40000) for _ in range(6)]
    rt.collect([*pinned, *(v for v in live if rng.random() < 0.7)], mode="force")
    for _ in range(30):
        rt.sweepone()
    some(40, 0)
    some(40, 1)
    taken = [rt.stack_alloc(fixed << 1, i % 2) for i in range(12)]
    freed_later, _ = rt.stack_alloc(1 << 16), rt.stack_alloc(1 << 16)
    rt.scavenge()
    rt.stack_free(freed_later, 1 << 16)
    for i, v in enumerate(taken[3:]):
        rt.stack_free(v, fixed << 1, i % 2)
    return rt


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_busy_machine_is_well(platform: str) -> None:
    rt = busy(platform)
    assert rt.audit() == []
    while rt.sweepone() >= 0:
        pass
    assert rt.audit() == []
    rt.collect([])
    rt.scavenge()
    assert rt.audit() == []


def test_a_marking_machine_is_well() -> None:
    rt = boot("linux/amd64", gogc=100, procs=2)
    rt.watch()
    kept = [rt.malloc(48, types_for(8)[4], p=i & 1) for i in range(500)]
    rt.begin_mark(kept[::2])
    for i in range(300):
        rt.malloc(48, p=i & 1)
    assert rt.audit() == []
    if rt.gc.phase:
        rt.finish_mark()
    assert rt.audit() == []


# Which span of the busy machine to break.


def find(rt: Runtime, want: Callable[[int], bool]) -> int:
    """The first span that is as wanted."""
    rt.sync_caches()
    return next(s for s in range(len(rt.spans)) if want(s))


def free_span(rt: Runtime) -> int:
    return find(rt, lambda s: rt.spans.state[s] == FREE)


def released_span(rt: Runtime) -> int:
    return find(rt, lambda s: rt.spans.state[s] == FREE and rt.spans.npreleased[s] > 0)


def unreleased_span(rt: Runtime) -> int:
    return find(rt, lambda s: rt.spans.state[s] == FREE and not rt.spans.npreleased[s])


def stack_span(rt: Runtime) -> int:
    return find(rt, lambda s: rt.spans.state[s] == STACK)


def in_use(rt: Runtime, want: Callable[[int], bool]) -> int:
    return find(rt, lambda s: rt.spans.state[s] == IN_USE and want(s))


def swept(rt: Runtime, s: int) -> bool:
    return rt.spans.sweepgen[s] == rt.heap.sweepgen


def small(rt: Runtime) -> int:
    """A swept small span in no cache."""
    sp = rt.spans
    return in_use(rt, lambda s: sp.sizeclass[s] > 0 and swept(rt, s) and not sp.in_cache[s])


def small_with_room(rt: Runtime) -> int:
    """A swept small span on its nonempty list."""
    sp = rt.spans
    return in_use(rt, lambda s: sp.sizeclass[s] > 0 and sp.on_list[s] is rt.central[sp.sizeclass[s]].nonempty)


def cached(rt: Runtime) -> int:
    """A cached span of 48-byte objects or so, partly used."""
    sp = rt.spans
    return in_use(rt, lambda s: sp.in_cache[s] and 2 < sp.alloc_count[s] < sp.nelems[s] - 2)


def unswept(rt: Runtime) -> int:
    return in_use(rt, lambda s: not swept(rt, s))


def large(rt: Runtime) -> int:
    """A swept large object."""
    return in_use(rt, lambda s: rt.spans.sizeclass[s] == 0 and swept(rt, s))


def lowest(rt: Runtime) -> int:
    return rt.heap.lookup(rt.heap.arena_start)


def pool_span(rt: Runtime) -> int:
    """A stack span in the pool, with used stacks and free ones."""
    return next(s for pool in rt.stacks.pool for s in pool if rt.spans.alloc_count[s])


def with_records(rt: Runtime, kind: int, count: int = 1) -> int:
    """A span with so many special records of objects that are alive."""
    return in_use(
        rt,
        lambda s: (
            len(rt.spans.specials[s] or ()) >= count
            and any(r.kind == kind for r in rt.spans.specials[s] or ())
        ),
    )


def records(rt: Runtime, s: int) -> list[Special]:
    found = rt.spans.specials[s]
    assert found is not None
    return found


def class_of_cached(rt: Runtime, s: int) -> tuple[int, int]:
    """Which mcache and class hold a cached span."""
    return next(
        (cache.id, i) for cache in rt.caches for i, place in enumerate(cache.alloc) if place.span == s
    )


# How to break it.

BREAKS: list[tuple[str, str, Callable[[Runtime], object]]] = []


def breaks(name: str, message: str) -> Callable[[Callable[[Runtime], object]], Callable[[Runtime], object]]:
    """A function that breaks the machine, the invariant that must tell, and how."""

    def note(function: Callable[[Runtime], object]) -> Callable[[Runtime], object]:
        BREAKS.append((name, message, function))
        return function

    return note


@breaks("spans-tile-arena", r"has npages 0")
@breaks("counters", r"heap_idle is \d+, the spans have \d+")
def _(rt: Runtime) -> None:
    rt.spans.npages[free_span(rt)] = 0


@breaks("spans-tile-arena", r"begins before 0x")
@breaks("page-table", r"page \d+ of span \d+ .* is entered for")
def _(rt: Runtime) -> None:
    rt.spans.base[large(rt)] -= PAGE


@breaks("spans-tile-arena", r"leaves 8192 bytes behind the one below it")
def _(rt: Runtime) -> None:
    rt.spans.base[large(rt)] += PAGE


@breaks("spans-tile-arena", r"spans have \d+ bytes, heap_inuse and heap_idle come to \d+")
@breaks("counters", r"heap_idle is \d+, the spans have \d+")
def _(rt: Runtime) -> None:
    rt.stats.heap_idle += PAGE


@breaks("spans-tile-arena", r"the first span is at 0xc420000000, the arena at 0xc41fffe000")
def _(rt: Runtime) -> None:
    rt.heap.arena_start -= PAGE


@breaks("spans-tile-arena", r"the last span ends at 0x\w+, arena_used is 0x\w+")
def _(rt: Runtime) -> None:
    rt.heap.arena_used += PAGE


@breaks("spans-tile-arena", r"leaves \d+ bytes behind the one below it")
@breaks("records-in-use", r"bytes of span records are in use")
def _(rt: Runtime) -> None:
    rt.spans.state[stack_span(rt)] = DEAD


@breaks("page-table", r"is entered for -1")
def _(rt: Runtime) -> None:
    s = large(rt)
    rt.heap.pages.set(rt.heap.page(rt.spans.base[s]) + 2, NIL)


@breaks("page-table", r"page \d+ of span \d+ .* is entered for 0")
def _(rt: Runtime) -> None:
    s = find(rt, lambda s: s > 0 and rt.spans.state[s] == FREE and rt.spans.npages[s] > 1)
    rt.heap.pages.set(rt.heap.page(rt.spans.base[s]) + rt.spans.npages[s] - 1, 0)


@breaks("page-table", r"ends at page \d+, \d+ are mapped")
def _(rt: Runtime) -> None:
    rt.heap.spans_len = rt.heap.page(rt.heap.arena_used) - 1


@breaks("list-links", r"busy\[\d+\] has span \d+ at 0x\w+ twice")
def _(rt: Runtime) -> None:
    s = large(rt)
    rt.spans.next[s] = s


@breaks("list-links", r"free\[\d+\] has span \d+ at 0x\w+ twice")
def _(rt: Runtime) -> None:
    s = find(rt, lambda s: rt.spans.state[s] == FREE and rt.spans.npages[s] < 128)
    rt.spans.next[s] = s


@breaks("list-links", r"stackpool\[\d\] has span \d+ at 0x\w+ twice")
def _(rt: Runtime) -> None:
    s = pool_span(rt)
    rt.spans.next[s] = s


@breaks("list-links", r"points back to \d+, not -1")
def _(rt: Runtime) -> None:
    rt.spans.prev[rt.heap.busylarge.first] = 3


@breaks("list-links", r"is on free\[\d+\] but does not say so")
@breaks("list-links", r"\d+ spans say that they are on a list, but \d+ are")
@breaks("free-lists", r"is free but not on the list of \d+ pages")
def _(rt: Runtime) -> None:
    s = find(rt, lambda s: rt.spans.state[s] == FREE and rt.spans.npages[s] < 128)
    rt.spans.on_list[s] = None


@breaks("list-links", r"freelarge ends with \d+ but its last is \d+")
def _(rt: Runtime) -> None:
    rt.heap.freelarge.last = small(rt)


@breaks("list-links", r"\d+ spans say that they are on a list, but \d+ are")
@breaks("free-lists", r"the mask of free lists is wrong about free\[\d+\]")
def _(rt: Runtime) -> None:
    s = find(rt, lambda s: rt.spans.state[s] == FREE and rt.spans.npages[s] < 128)
    lst = rt.heap.free[rt.spans.npages[s]]
    lst.first = lst.last = NIL


@breaks("free-lists", r"is free but not on the list of \d+ pages")
@breaks("free-lists", r"is on free\[\d+\] and has npages \d+")
def _(rt: Runtime) -> None:
    s = find(rt, lambda s: rt.spans.state[s] == FREE and rt.spans.npages[s] < 100)
    rt.spans.npages[s] += 1


@breaks("free-lists", r"is on freelarge and has npages 3")
def _(rt: Runtime) -> None:
    rt.spans.npages[rt.heap.freelarge.first] = 3


@breaks("free-lists", r"is on free\[\d+\] and _MSpanStack")
def _(rt: Runtime) -> None:
    s = find(rt, lambda s: rt.spans.state[s] == FREE and rt.spans.npages[s] < 128)
    rt.spans.state[s] = STACK


@breaks("free-lists", r"the mask of free lists is wrong about free\[77\]")
def _(rt: Runtime) -> None:
    rt.heap.free_mask ^= 1 << 77


@breaks("coalescing", r"span \d+ at 0x\w+ and span \d+ at 0x\w+ are both free")
def _(rt: Runtime) -> None:
    below = free_span(rt)
    end = rt.spans.base[below] + rt.spans.npages[below] * PAGE
    rt.spans.state[find(rt, lambda s: rt.spans.base[s] == end and rt.spans.state[s] != DEAD)] = FREE


@breaks("needs-zero", r"has pages that were used but needs no zeroing")
def _(rt: Runtime) -> None:
    s = find(
        rt, lambda s: rt.spans.state[s] == FREE and bool(rt.spans.needzero[s]) and not rt.spans.npreleased[s]
    )
    rt.spans.needzero[s] = 0


@breaks("released", r"has (\d+) pages and released \d+")
def _(rt: Runtime) -> None:
    s = released_span(rt)
    rt.spans.npreleased[s] = rt.spans.npages[s] + 1


@breaks("released", r"has \d+ pages and released -1")
def _(rt: Runtime) -> None:
    rt.spans.npreleased[unreleased_span(rt)] = -1


@breaks("released", r"is in use with 1 pages released")
def _(rt: Runtime) -> None:
    rt.spans.npreleased[large(rt)] = 1


@breaks("released", r"\d+ pages are released, memstats has \d+ bytes")
def _(rt: Runtime) -> None:
    rt.stats.heap_released -= PAGE


@breaks("sweep-generations", r"has sweepgen 3, the heap 4")
def _(rt: Runtime) -> None:
    rt.spans.sweepgen[small(rt)] -= 1


@breaks("sweep-generations", r"is unswept and no sweeper will find it")
def _(rt: Runtime) -> None:
    rt.sweep_spans.unswept.remove(unswept(rt))


@breaks("sweep-generations", r"is unswept though sweeping is done")
def _(rt: Runtime) -> None:
    unswept(rt)
    rt.heap.sweepdone = 1


@breaks("sweep-generations", r"is cached and unswept")
def _(rt: Runtime) -> None:
    rt.spans.sweepgen[cached(rt)] -= 2


@breaks("sweep-generations", r"is swept and not among the swept")
def _(rt: Runtime) -> None:
    rt.sweep_spans.swept.remove(large(rt))


@breaks("central-lists", r"is on no list of class \d+")
def _(rt: Runtime) -> None:
    s = small(rt)
    lst = rt.spans.on_list[s]
    assert lst is not None
    lst.remove(s)


@breaks("central-lists", r"is cached and on nonempty\[\d+\]")
def _(rt: Runtime) -> None:
    s = cached(rt)
    central = rt.central[rt.spans.sizeclass[s]]
    central.empty.remove(s)
    central.nonempty.insert(s)


@breaks("central-lists", r"is full and on nonempty\[\d+\]")
def _(rt: Runtime) -> None:
    s = small_with_room(rt)
    rt.spans.alloc_count[s] = rt.spans.nelems[s]


@breaks("central-lists", r"has free objects that no mcache will find")
def _(rt: Runtime) -> None:
    sp = rt.spans
    s = in_use(
        rt,
        lambda s: (
            sp.on_list[s] is rt.central[sp.sizeclass[s]].nonempty
            and swept(rt, s)
            and sp.alloc_count[s] < sp.nelems[s]
        ),
    )
    central = rt.central[sp.sizeclass[s]]
    central.nonempty.remove(s)
    central.empty.insert(s)


@breaks("busy-lists", r"is a large object off its busy list")
@breaks("busy-lists", r"the mask of busy lists is wrong about busy\[\d+\]")
def _(rt: Runtime) -> None:
    s = in_use(rt, lambda s: rt.spans.sizeclass[s] == 0 and rt.spans.npages[s] == 9)
    rt.heap.busy[9].remove(s)


@breaks("object-counts", r"has free_index \d+ of \d+ objects")
def _(rt: Runtime) -> None:
    s = small(rt)
    rt.spans.free_index[s] = rt.spans.nelems[s] + 1


@breaks("object-counts", r"has free_index -1 of \d+ objects")
def _(rt: Runtime) -> None:
    rt.spans.free_index[small(rt)] = -1


@breaks("object-counts", r"has allocation bits beyond its \d+ objects")
def _(rt: Runtime) -> None:
    s = small(rt)
    rt.spans.alloc_bits[s] |= 1 << rt.spans.nelems[s]


@breaks("object-counts", r"has mark bits beyond its \d+ objects")
def _(rt: Runtime) -> None:
    s = small(rt)
    rt.spans.mark_bits[s] |= 1 << rt.spans.nelems[s]


@breaks("object-counts", r"has (\d+) objects, alloc_count is \d+")
def _(rt: Runtime) -> None:
    rt.spans.alloc_count[small(rt)] -= 1


@breaks("object-counts", r"has \d+ objects, alloc_count is \d+")
def _(rt: Runtime) -> None:
    s = small_with_room(rt)
    free = ~rt.allocated_mask(s)
    rt.spans.alloc_bits[s] |= free & -free


@breaks("span-shape", r"of class \d+ has \d+ objects of 7")
def _(rt: Runtime) -> None:
    rt.spans.elemsize[small(rt)] = 7


@breaks("span-shape", r"of class \d+ has \d+ objects of 0")
def _(rt: Runtime) -> None:
    s = in_use(rt, lambda s: bool(rt.spans.specials[s]))
    rt.spans.elemsize[s] = 0


@breaks("span-shape", r"of class \d+ has 5000 objects of \d+")
def _(rt: Runtime) -> None:
    rt.spans.nelems[small(rt)] = 5000


@breaks("span-shape", r"has limit 0x\w+, its objects end at 0x")
def _(rt: Runtime) -> None:
    rt.spans.limit[small(rt)] += 8


@breaks("span-shape", r"has limit 0x\w+ outside itself")
def _(rt: Runtime) -> None:
    s = large(rt)
    rt.spans.limit[s] = rt.spans.base[s] + rt.spans.npages[s] * PAGE + 1


@breaks("cache-runs", r"class \d+ of mcache \d: 0x\w+ to 0x\w+ are not objects of span")
def _(rt: Runtime) -> None:
    p, sizeclass = class_of_cached(rt, cached(rt))
    place = rt.cached(sizeclass, p)
    place.next = place.start = place.next + 1


@breaks("cache-runs", r"class \d+ of mcache \d: 0x\w+ to 0x\w+ are not objects of span")
def _(rt: Runtime) -> None:
    p, sizeclass = class_of_cached(rt, cached(rt))
    place = rt.cached(sizeclass, p)
    place.end = place.base + (rt.spans.nelems[place.span] + 1) * place.size


@breaks("cache-runs", r"class \d+ of mcache \d: an object between 0x\w+ and 0x\w+ is allocated")
def _(rt: Runtime) -> None:
    place = next(place for cache in rt.caches for place in cache.alloc if place.next < place.end)
    rt.spans.alloc_bits[place.span] |= 1 << (place.next - place.base) // place.size


@breaks("cache-ownership", r"mcache \d caches span \d+ at 0x\w+ as class \d+")
def _(rt: Runtime) -> None:
    rt.spans.sizeclass[cached(rt)] += 1


@breaks("cache-ownership", r"mcache \d writes the bitmap of class \d+ somewhere else")
def _(rt: Runtime) -> None:
    place = next(place for cache in rt.caches for place in cache.alloc if place.bits)
    assert place.bits is not None
    place.bits = bytearray(place.bits)


@breaks("cache-ownership", r"mcache 1 has a tiny block at 0x10, which is not an object")
def _(rt: Runtime) -> None:
    rt.caches[1].tiny = 16


@breaks("cache-ownership", r"mcache 0 has a tiny block at 0x\w+, which is not an object")
def _(rt: Runtime) -> None:
    rt.malloc(3)
    assert rt.caches[0].tiny
    rt.caches[0].tiny_offset = 17


@breaks("cache-ownership", r"is cached 2 times")
def _(rt: Runtime) -> None:
    p, sizeclass = class_of_cached(rt, cached(rt))
    rt.caches[1 - p].alloc[sizeclass] = rt.caches[p].alloc[sizeclass]


@breaks("cache-ownership", r"says it is cached")
def _(rt: Runtime) -> None:
    p, sizeclass = class_of_cached(rt, cached(rt))
    rt.cached(sizeclass, p).empty()


@breaks("cache-ownership", r"says it is not cached")
def _(rt: Runtime) -> None:
    rt.spans.in_cache[cached(rt)] = False


@breaks("stack-spans", r"mcache 0 counts \d+ bytes of order 1")
def _(rt: Runtime) -> None:
    rt.caches[0].stack_sizes[1] += 4096


@breaks("stack-spans", r"mcache 0 caches stack 0x\w+, which does not belong to it")
def _(rt: Runtime) -> None:
    stacks = rt.caches[0].stack_lists[1]
    stacks[0] = rt.spans.base[large(rt)]


@breaks("stack-spans", r"mcache 0 caches stack 0x\w+, which does not belong to it")
def _(rt: Runtime) -> None:
    s = pool_span(rt)
    free = rt.spans.stack_free[s]
    assert free is not None
    free.append(rt.caches[0].stack_lists[1][0])
    rt.spans.stack_free[rt.heap.lookup(free[-1])] = free


@breaks("stack-spans", r"stack 0x\w+ is cached 2 times")
def _(rt: Runtime) -> None:
    rt.caches[1].stack_lists[1][0] = rt.caches[0].stack_lists[1][0]


@breaks("stack-spans", r"is in the pool of order \d without a free stack")
def _(rt: Runtime) -> None:
    rt.spans.stack_free[pool_span(rt)] = []


@breaks("stack-spans", r"has \d+ free and \d+ used stacks of \d+")
def _(rt: Runtime) -> None:
    rt.spans.alloc_count[pool_span(rt)] -= 1


@breaks("counters", r"heap_inuse is \d+, the spans have \d+")
def _(rt: Runtime) -> None:
    rt.stats.heap_inuse -= PAGE
    rt.stats.heap_idle += PAGE


@breaks("counters", r"stacks_inuse is \d+, the spans have \d+")
def _(rt: Runtime) -> None:
    rt.stats.stacks_inuse += 32768


@breaks("counters", r"pages_in_use is \d+, the spans have \d+")
def _(rt: Runtime) -> None:
    rt.heap.pages_in_use += 1


@breaks("counters", r"heap_sys is 8192, the spans have more")
def _(rt: Runtime) -> None:
    rt.stats.heap_sys = PAGE


@breaks("records-in-use", r"bytes of span records are in use, \d+ spans of 152 live")
def _(rt: Runtime) -> None:
    rt.spanalloc.inuse -= rt.spanalloc.size


@breaks("records-in-use", r"the record of span \d+ at 0x\w+ is free")
def _(rt: Runtime) -> None:
    rt.spanalloc.free_list.append(large(rt))


@breaks("records-in-use", r"two span records have one address")
def _(rt: Runtime) -> None:
    rt.spans.self_addr[5] = rt.spans.self_addr[6]


@breaks("records-in-use", r"\d+ bytes of special records in use, spans have \d+ of \d+")
def _(rt: Runtime) -> None:
    records(rt, with_records(rt, FINALIZER)).pop()


@breaks("records-in-use", r"\d+ bytes of special records in use, spans have \d+ of \d+")
def _(rt: Runtime) -> None:
    rt.specialprofilealloc.inuse += rt.specialprofilealloc.size


@breaks("records-in-use", r"\d+ bytes of mcaches in use, there are 2")
def _(rt: Runtime) -> None:
    rt.cachealloc.inuse += rt.cachealloc.size


@breaks("special-records", r"has special records and is _MSpanFree")
def _(rt: Runtime) -> None:
    rt.spans.specials[free_span(rt)] = [Special(1, 0, PROFILE)]


@breaks("special-records", r"has its special records out of order")
def _(rt: Runtime) -> None:
    records(rt, with_records(rt, FINALIZER, 2)).reverse()


@breaks("special-records", r"has its special records out of order")
def _(rt: Runtime) -> None:
    found = records(rt, with_records(rt, PROFILE))
    found.append(found[-1])


@breaks("special-records", r"has a special record for a free object at offset \d+")
@breaks("identity", r"the watched object at 0x\w+ is free")
def _(rt: Runtime) -> None:
    s = with_records(rt, PROFILE)
    rt.spans.free_index[s] = 0
    rt.spans.alloc_bits[s] = 0


@breaks("mark-arenas", r"an arena of mark bits has two roles")
def _(rt: Runtime) -> None:
    rt.arenas.previous.append(rt.arenas.next[0])


@breaks("mark-arenas", r"the arena being filled has \d+ of \d+ bytes taken")
def _(rt: Runtime) -> None:
    rt.arenas.next_free = rt.arenas.capacity + 8


@breaks("heap-bitmap", r"the large object at 0x\w+ is described as another")
def _(rt: Runtime) -> None:
    s = in_use(rt, lambda s: isinstance(rt.spans.bits[s], LargeBits))
    bits = rt.spans.bits[s]
    assert isinstance(bits, LargeBits)
    rt.spans.bits[s] = bits._replace(data_size=bits.data_size - bits.typ.size)


@breaks("heap-bitmap", r"the object at 0x\w+ has no bitmap of its own")
def _(rt: Runtime) -> None:
    s = in_use(rt, lambda s: isinstance(rt.spans.bits[s], LargeBits))
    rt.spans.bits[s] = 0


@breaks("heap-bitmap", r"the object without pointers at 0x\w+ is described with some")
def _(rt: Runtime) -> None:
    s, word = first_word(rt, lambda typ: typ is None)
    bits = rt.spans.bits[s]
    assert isinstance(bits, bytearray)
    bits[word >> 2] |= 0x10 << (word & 3)


@breaks("heap-bitmap", r"the node at 0x\w+ is described as another type")
def _(rt: Runtime) -> None:
    s, word = first_word(rt, lambda typ: typ is not None and typ.name == "node")
    bits = rt.spans.bits[s]
    assert isinstance(bits, bytearray)
    bits[word >> 2] ^= 1 << (word & 3)


@breaks("heap-bitmap", r"the string at 0x\w+ is described as another type")
def _(rt: Runtime) -> None:
    s, _ = first_word(rt, lambda typ: typ is not None and typ.name == "string")
    rt.spans.bits[s] = 0


@breaks("identity", r"0x\w+ was handed out while in use")
def _(rt: Runtime) -> None:
    p, sizeclass = class_of_cached(rt, cached(rt))
    place = rt.cached(sizeclass, p)
    rt.spans.alloc_count[place.span] -= 1
    place.next -= place.size  # the object before is handed out again
    place.start = place.next
    rt.malloc(place.size, p=p)


@breaks("identity", r"the watched object at 0x\w+ is in no span")
def _(rt: Runtime) -> None:
    assert rt.watched is not None
    rt.watched.objects[rt.heap.arena_used + 16] = None, 16


def first_word(rt: Runtime, want: Callable[[Type | None], bool]) -> tuple[int, int]:
    """The span and first word of a watched small object of a type, in a span that has a bitmap."""
    assert rt.watched is not None
    for v, (typ, _) in rt.watched.objects.items():
        s = rt.heap.lookup_maybe(v)
        if want(typ) and isinstance(rt.spans.bits[s], bytearray):
            return s, (v - rt.spans.base[s]) // rt.config.ptr_size
    raise AssertionError("there is no such object")


@dataclass(frozen=True)
class Case:
    """One breaking and one finding that it must lead to."""

    name: str
    message: str
    function: Callable[[Runtime], object]


CASES = [Case(*one) for one in BREAKS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.message[:40]}")
def test_what_is_broken_is_reported(case: Case) -> None:
    rt = busy()
    case.function(rt)
    told = [violation.message for violation in rt.audit() if violation.name == case.name]
    assert any(re.search(case.message, message) for message in told), told


def test_a_violation_names_its_span() -> None:
    rt = busy()
    s = small(rt)
    rt.spans.alloc_count[s] -= 1
    (violation,) = (v for v in rt.audit() if v.name == "object-counts")
    assert violation.span == s
