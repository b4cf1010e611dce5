"""The heap on top of the system's memory: page heap, central lists, caches, stacks, sweeper, collector.

`Core` has the memory and the address space; this has all parts that hand it out, each of which
holds this and reaches the others through it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from allocator.common.contents import Contents
from allocator.common.sampling import FastRand, next_sample, next_sample_no_fp
from allocator.common.sizeclasses import SizeClasses
from allocator.common.throw import BadRequest
from allocator.common.tiny import GRAINS
from allocator.common.types import Type
from allocator.interface import Live
from allocator.sparse.config import Config
from allocator.sparse.core import Core
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.gc import OFF, Collector
from allocator.sparse.heap_bits import ObjectType, Plan, SpanLayout, layouts
from allocator.sparse.mark_bits import GcBitsArenas
from allocator.sparse.mcache import MCache
from allocator.sparse.mcentral import MCentral
from allocator.sparse.memory_of_system import MemoryOfSystem
from allocator.sparse.mheap import MHeap
from allocator.sparse.mspan import MSpan
from allocator.sparse.mstats import HeapStats
from allocator.sparse.pacer import NO_LIMIT, Pacer
from allocator.sparse.procs import P
from allocator.sparse.scavenge import Scavenger
from allocator.sparse.span_set import BlockPool
from allocator.sparse.specials import PROFILE, Specials
from allocator.sparse.stack import StackHeap
from allocator.sparse.sweep import Sweeper
from allocator.sparse.user_arena import UserArenas
from allocator.sparse.watch import Watch

MAX_PROCS = 1024


class HeapCore(Core):
    """The shared state of one simulated process's allocator, heap and all.

    `p` is the P that runs, None while none does; `ps` are all, `mcache0` what is used without
    one. `unusual` says that something looks at objects one by one: a watch, stored pointers.
    """

    heap: MHeap
    cachealloc: FixAlloc
    mcache0: MCache

    def __init__(
        self,
        config: Config,
        os: MemoryOfSystem,
        *,
        seed: int = 0,
        sample_seed: int = 1,
        mem_profile_rate: int = 0,
    ) -> None:
        super().__init__(config, os, seed=seed)
        self.layout: list[SpanLayout] = layouts(config)
        self.narrow = config.ptr_size == 4
        self.grains = tiny_grains(self.narrow)
        self.word = config.uintptr_mask
        self.largest_small = config.max_small_size
        self.noscan_class = noscan_classes(config.size_classes)
        self.tiny_spanclass = config.tiny_size_class << 1 | 1
        self.stacks_need_aligned_pages = (
            config.phys_page_aligned_stacks and config.page_size < config.phys_page_size
        )
        self.rand = FastRand(sample_seed)
        self.mem_profile_rate = mem_profile_rate
        # Of single values by their type, which is found faster than what is by type and size.
        self.plans: dict[Type | tuple[Type, int], Plan] = {}
        ptr = config.ptr_size
        self.pointer_type: Type = Type(ptr, ptr, 22 | 1 << 5, ptr, b"\x01", "unsafe.Pointer")
        self.ps: list[P] = []
        self.p: P | None = None
        self.memory = Contents(config.page_shift, config.ptr_size)
        # Objects freed by the sweep of everything that runs: by size, number and pages of such spans.
        self.freed: dict[tuple[int, int, int], list[tuple[int, int]]] | None = None
        self.watched: Watch | None = None
        self.unusual = False
        self.plain = False
        self.marking = False
        self.mallocing = False
        self.gc_enabled = False
        self.liveness: Live | None = True
        self.num_gc = 0
        self.num_forced_gc = 0
        self.debug_sbrk = False
        self.gomemlimit = NO_LIMIT
        # zerobase is a variable of the program: some address in its data segment.
        self.zerobase = max(config.data_end - config.phys_page_size, ptr) & -ptr

    def init_heap(self) -> None:
        """mheap.init, and all that is built on it, still empty."""
        config = self.config
        self.heap_stats = HeapStats(len(config.size_classes))
        self.heap = MHeap(self)
        self.cachealloc = FixAlloc(self, config.sizeof["mcache"], "mcache_sys")
        self.specials = Specials(self)
        self.span_set_blocks = BlockPool(self)
        self.gc_bits = GcBitsArenas(self)
        self.pacer = Pacer(self)
        self.scavenger = Scavenger(self)
        self.central = [MCentral(self, spanclass) for spanclass in range(len(self.layout))]
        self.sweeper = Sweeper(self)
        super().init_heap()
        self.stack_heap = StackHeap(self)
        self.user_arenas = UserArenas(self)
        self.gc = Collector(self)

    # Ps.

    def new_mcache(self) -> MCache:
        """Adds an mcache (allocmcache)."""
        return MCache(self, self.cachealloc.alloc())

    def procresize(self, procs: int) -> None:
        """So many Ps (procresize). Who runs on one that goes continues on the first."""
        check_procs(procs)
        if self.gc.phase != OFF:
            raise BadRequest("GOMAXPROCS waits for the end of the collection")
        while len(self.ps) < procs:
            self.add_p()
        if self.p is not None and self.p.number >= procs:
            self.run_on(0)
        for p in self.ps[procs:]:
            self.destroy_p(p)
        del self.ps[procs:]

    def destroy_p(self, p: P) -> None:
        """A P gives back all that it holds (p.destroy)."""
        self.heap.clear_mspan_cache(p)
        p.page_cache.flush(self.pages)
        p.mcache.release_all()
        self.stack_heap.clear_cache(p.mcache)
        self.cachealloc.free(p.mcache.address)

    def add_p(self) -> P:
        """Adds a P (p.init); the first takes over the mcache of the start."""
        p = P(len(self.ps), self.new_mcache() if self.ps else self.mcache0)
        self.ps.append(p)
        return p

    def run_on(self, number: int) -> P:
        """Makes that P the running one."""
        self.p = p = self.ps[number]
        self.current_p = number
        return p

    @property
    def mcache(self) -> MCache:
        """The mcache of whoever runs (getMCache)."""
        return self.mcache0 if self.p is None else self.p.mcache

    def sync_caches(self) -> None:
        """Brings every span's own counts up to date with what the caches have handed out."""
        for p in self.ps:
            p.mcache.sync()
        self.mcache0.sync()

    # Counters.

    def heap_retained(self) -> int:
        """Bytes of the heap that are backed by memory (heapRetained)."""
        stats = self.stats.bytes
        return stats["heap_in_use"] + stats["heap_free"]

    def next_sample(self) -> int:
        """Bytes to the next heap profile sample (nextSample)."""
        rate = self.mem_profile_rate
        if self.config.goos == "plan9" and self.debug_sbrk:
            return next_sample_no_fp(rate, self.rand, 8 * self.config.ptr_size)
        if rate == 1:
            return 0
        return next_sample(rate, self.rand)

    # Objects.

    def header_of(self, s: MSpan) -> int:
        """Where in a slot of the span its object begins: after the header, if it has one."""
        if s.spanclass < 2 or s.spanclass & 1 or not self.config.headers:
            return 0
        return 0 if self.layout[s.spanclass].bits_in_span else self.config.malloc_header_size

    def object_type(self, s: MSpan, index: int) -> ObjectType | None:
        """What is written down of an object's pointers; None for nothing."""
        if s.spanclass & 1:
            return None
        if s.spanclass == 0:
            return s.large_type
        if s.spanclass == 2 and self.config.ptr_size == 8:
            return 1
        return None if s.types is None else s.types[index]

    def in_use(self) -> list[MSpan]:
        """The spans with heap objects, in address order."""
        found = (self.heap.table.get(page) for page in self.heap.in_use)
        return [s for s in found if s is not None]

    def enable_metadata_huge_pages(self) -> None:
        """Tables of a heap this large may be backed by huge pages (enableMetadataHugePages)."""
        self.tables.enable_huge_pages(self.pages.in_use)
        self.arenas.enable_huge_pages()

    def objects_freed(self, s: MSpan, objects: int) -> None:
        """A sweep freed these objects of a span, as bits: what was noted of them goes."""
        if self.watched is not None:
            self.watched.freed(s, objects)
        if self.freed is not None:
            self.freed.setdefault((s.elemsize, s.nelems, s.npages), []).append((s.base, objects))
        elif self.memory:
            self.memory.zero_objects(s.base, s.elemsize, objects)
            self.phase_changed()

    def on_sweep(self, s: MSpan) -> None:
        """A span is about to be swept; its mark bits are final. A hook."""

    def memory_released(self, base: int, n: int) -> None:
        """Memory of free pages was given back to the system. A hook."""

    def profile(self, v: int, size: int) -> None:
        """An object was sampled for the heap profile (profilealloc): it has a record from now on."""
        self.specials.add(v, PROFILE)

    def profile_freed(self, size: int) -> None:
        """A sampled object was freed (mProf_Free). A hook."""

    def may_collect(self) -> None:
        """Begins a cycle where the heap has reached its trigger."""
        pacer = self.pacer
        if (pacer.gc_percent >= 0 or pacer.memory_limit != NO_LIMIT) and pacer.should_start():
            self.start_collection()

    def start_collection(self) -> None:
        """The heap has reached its trigger (gcStart), and a cycle runs; what lives is `liveness`."""
        raise NotImplementedError

    def phase_changed(self) -> None:
        """Decides again whether allocations may take the short way."""
        self.unusual = self.watched is not None or bool(self.memory)
        self.plain = not (
            self.unusual or self.marking or self.debug_sbrk or self.mallocing or self.mem_profile_rate
        )

    def counters(self) -> dict[str, Any]:
        """The counters while the machine runs, under the names of mstats and gcController."""
        return {
            **self.stats.bytes,
            "mapped_ready": self.stats.mapped_ready,
            "committed": self.heap_stats.committed,
            "in_stacks": self.heap_stats.in_stacks,
            "in_work_bufs": self.heap_stats.in_work_bufs,
            "heap_live": self.pacer.heap_live,
            "heap_marked": self.pacer.heap_marked,
            "heap_goal": self.pacer.heap_goal,
            "total_alloc": self.pacer.total_alloc,
            "total_free": self.pacer.total_free,
            "num_gc": self.num_gc,
        }


def check_procs(procs: int) -> None:
    """Raises BadRequest for a number of Ps that no program can have."""
    if not 1 <= procs <= MAX_PROCS:
        raise BadRequest(f"{procs} Ps: GOMAXPROCS is 1 to {MAX_PROCS}")


def tiny_grains(narrow: bool) -> tuple[int, ...]:
    """What is added to an offset in the tiny block and masked off, by size.

    12 bytes may be a word beside 64 bits, which 32-bit machines need at a multiple of 8 where they
    are used atomically.
    """
    return tuple(GRAINS[0 if narrow and size == 12 else size & 7] for size in range(16))


@lru_cache(maxsize=8)
def noscan_classes(classes: SizeClasses) -> bytes:
    """The span class without pointers of every small size, by size."""
    return classes.by_size().translate(bytes(sizeclass << 1 & 0xFF | 1 for sizeclass in range(256)))
