"""What all parts of a machine share: its state, the OS helpers with their counters, the log of a recording.

The parts (heap, central lists, caches, stacks, sweeper, collector) hold this
and reach each other through it. `malloc.Malloc` adds allocation,
`runtime.Runtime` what drivers call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from allocator.common.contents import Contents
from allocator.common.sampling import FastRand, next_sample, next_sample_no_fp
from allocator.common.sizeclasses import SizeClasses
from allocator.common.throw import BadRequest, Exit, Throw
from allocator.common.types import Type
from allocator.common.uintptr import printint
from allocator.contiguous.config import Config
from allocator.contiguous.fixalloc import FixAlloc, SpanAlloc
from allocator.contiguous.gc import BACKGROUND, MARK, OFF, Collector
from allocator.contiguous.heap_bitmap import span_bytes
from allocator.contiguous.mallocinit import mallocinit
from allocator.contiguous.mark_bits import GcBitsArenas
from allocator.contiguous.mcache import MCache
from allocator.contiguous.mcentral import MCentral
from allocator.contiguous.mem import System
from allocator.contiguous.mheap import MHeap
from allocator.contiguous.mspan import Spans
from allocator.contiguous.mstats import MStats
from allocator.contiguous.persistent import GLOBAL, PersistentAlloc
from allocator.contiguous.plan import Plan, QuickPlan
from allocator.contiguous.specials import Specials
from allocator.contiguous.stack import Stacks
from allocator.contiguous.sweep import DONE, Sweeper
from allocator.contiguous.sweepbuf import SweepSpans
from allocator.contiguous.vocabulary import malloc_flags
from allocator.contiguous.watch import Watch
from allocator.interface import NO_LOT, Attempt, Cannot, Live
from allocator.kernels.counts import Calls
from allocator.kernels.system import ENOMEM, Errno


class Core:
    """The shared state of one simulated process's allocator. `log` is None unless something listens."""

    __slots__ = (
        "arenas", "attempts", "booted", "cache", "cachealloc", "caches", "calls", "central", "class_of",
        "class_to_size", "config", "debug_invalidptr", "debug_sbrk", "gc", "heap", "last_flags", "liveness",
        "log", "log_inputs", "mallocing", "mcaches", "mem_profile_rate", "memory", "nanotime",
        "on_note_stack", "on_signal_stack", "persistent", "plain", "plans", "pointer_type", "printed",
        "profile_depth", "quick_plans", "rand", "spanalloc", "spans", "specialfinalizeralloc",
        "specialprofilealloc", "specials", "stacks", "stats", "sweep_spans", "sweeper", "system", "type_ids",
        "unseen", "watched", "word", "word_shift", "zerobase",
    )  # fmt: skip

    def prepare(
        self,
        config: Config,
        system: System,
        *,
        seed: int = 1,
        mem_profile_rate: int = 0,
        record: bool = False,
        heap_base: int | None = None,
    ) -> None:
        """Sets up everything before mallocinit runs."""
        if heap_base is not None:
            raise Cannot(NO_LOT)
        self.config = config
        self.system = system
        self.printed = system.printed
        self.word = config.uintptr_mask
        self.word_shift = config.ptr_size.bit_length() - 1
        self.log: list[str] | None = [] if record else None
        self.log_inputs = record
        self.calls: Calls | None = None
        self.booted = False
        classes = config.size_classes
        self.class_to_size = classes.class_to_size
        self.class_of = _class_of(classes)
        self.stats = MStats(len(self.class_to_size))
        self.spans = Spans(self.printed)
        self.attempts: list[Attempt] = []
        self.persistent = PersistentAlloc(self)
        self.caches: list[MCache] = []
        self.mcaches = 0  # made so far
        self.plans: dict[tuple[Type, int], Plan] = {}
        # Of single values by their type, which is found faster than what is by type and size.
        self.quick_plans: dict[Type | tuple[Type, int], QuickPlan] = {}
        self.pointer_type = Type(
            config.ptr_size, config.ptr_size, 22 | 1 << 5, config.ptr_size, b"\x01", "unsafe.Pointer"
        )
        self.type_ids: dict[Type, int] = {}
        self.rand = FastRand(seed)
        self.mem_profile_rate = mem_profile_rate
        self.profile_depth = 8  # frames that a sampled allocation's bucket keeps; a real one has 1 to 32
        self.memory = Contents(config.page_shift, config.ptr_size)
        self.nanotime = 1
        self.debug_sbrk = False
        self.debug_invalidptr = True
        self.mallocing = False
        self.on_signal_stack = False
        self.on_note_stack = False
        self.last_flags = ""
        self.plain = False
        self.unseen = False  # nothing but the heap profile looks at objects one by one
        # zerobase is a variable of the program: some address in its data segment.
        self.zerobase = max(config.data_end - config.phys_page_size, config.ptr_size) & -config.ptr_size
        self.liveness: Live | None = True
        self.watched: Watch | None = None

    def start(self, gogc: int = -1, procs: int = 1) -> None:
        """Boots: from a process that has just begun to one that allocates."""
        mallocinit(self)
        self._announce_arena()
        self.new_mcache()
        self.start_world(gogc, procs)
        self.phase_changed()
        self.booted = True

    @property
    def kernel(self) -> Any:
        """What the OS helpers ask; None where nothing is simulated."""
        return self.system.kernel

    @property
    def has_heap(self) -> bool:
        """Whether mallocinit had its arena."""
        return hasattr(self, "heap")

    def install_heap(self, heap: MHeap) -> None:
        """mheap.init: the heap of mallocinit and all that is built on it, still empty."""
        config = self.config
        self.heap = heap
        self.spanalloc = SpanAlloc(self, config.sizeof_mspan, "mspan_sys")
        self.cachealloc = FixAlloc(self, config.sizeof_mcache, "mcache_sys")
        self.specialfinalizeralloc = FixAlloc(self, config.sizeof_specialfinalizer, "other_sys")
        self.specialprofilealloc = FixAlloc(self, config.sizeof_specialprofile, "other_sys")
        # Class 0 has no list; it is here so that classes are indexes.
        self.central = [MCentral(self, i) for i in range(len(self.class_to_size))]
        self.sweep_spans = SweepSpans(self)
        self.sweeper = Sweeper(self)
        self.arenas = GcBitsArenas(self)
        self.specials = Specials(self)

    def _announce_arena(self) -> None:
        if self.log_inputs:
            h = self.heap
            self.emit(
                f"I {h.spans_start:x} {h.bitmap:x} {h.arena_start:x} {h.arena_used:x} {h.arena_end:x} "
                f"{h.arena_reserved:d}"
            )

    def new_mcache(self) -> MCache:
        """Adds an mcache (allocmcache). The first serves as the current one from then on."""
        addr = self.fix_alloc("mcache")
        number = len(self.caches)
        cache = MCache(self, self.mcaches, addr, GLOBAL if number == 0 else f"P{number}")
        self.mcaches += 1
        cache.next_sample = self.next_sample()
        self.caches.append(cache)
        if number == 0:
            self.cache = cache
        return cache

    def start_world(self, gogc: int, procs: int) -> None:
        """procresize and gcenable: from mallocinit to a running program."""
        self.init_collector(gogc)
        self.procresize(procs)
        self.caches[0].slot = "P0"
        self.stats.enablegc = True

    def procresize(self, procs: int) -> None:
        """procresize: so many Ps, each with an mcache. Who runs on one that goes continues on the first."""
        if not 1 <= procs <= self.config.max_gomaxprocs:
            raise BadRequest(f"{procs} Ps: GOMAXPROCS is 1 to {self.config.max_gomaxprocs}")
        if self.gc.phase != OFF:
            raise BadRequest("GOMAXPROCS waits for the end of the collection")
        while len(self.caches) < procs:
            self.new_mcache()
        gone = self.caches[procs:]
        if self.cache in gone:
            self.cache = self.caches[0]
        for cache in gone:
            self.free_mcache(cache)
        del self.caches[procs:]

    def init_collector(self, gogc: int) -> None:
        """stackinit and gcinit."""
        self.stacks = Stacks(self)
        self.gc = Collector(self, gogc)

    def phase_changed(self) -> None:
        """Decides again whether allocations may take the short way."""
        c = self.config
        self.unseen = (
            self.gc.phase == OFF
            and not self.gc.blacken
            and not self.log_inputs
            and self.watched is None
            and not self.memory
            and not self.debug_sbrk
            and not self.mallocing
            and not self.on_signal_stack
            and (c.tiny_size, c.max_small_size) == (16, 32768)
        )
        self.plain = self.unseen and not self.mem_profile_rate

    def next_sample(self) -> int:
        """Bytes to the next heap profile sample (nextSample)."""
        if self.config.goos == "plan9" and self.on_note_stack:
            return next_sample_no_fp(self.mem_profile_rate, self.rand, 8 * self.config.ptr_size)
        return next_sample(self.mem_profile_rate, self.rand)

    # The OS helpers, with their counters and their lines in a recording.

    def emit(self, line: str) -> None:
        """Adds a line to the recording."""
        assert self.log is not None
        self.log.append(line)

    def stat_inc(self, stat: str, n: int) -> None:
        """mSysStatInc: on 32-bit little-endian machines the counter is a word; overflowing it is the end."""
        stats = self.stats
        value = getattr(stats, stat) + n
        if self.config.ptr_size == 4 and not self.config.big_endian and (value & self.word) < n:
            self.printed.append(f"runtime: stat overflow: val {printint(value & self.word)}, n {printint(n)}")
            raise Exit("stat overflow")
        setattr(stats, stat, value)

    def stat_dec(self, stat: str, n: int) -> None:
        """mSysStatDec."""
        stats = self.stats
        value = getattr(stats, stat) - n
        if value < 0 and not self.config.big_endian:
            self.printed.append(
                f"runtime: stat underflow: val {printint(value & self.word)}, n {printint(n)}"
            )
            raise Exit("stat underflow")
        setattr(stats, stat, value)

    def sys_alloc(self, n: int, stat: str) -> int:
        """sysAlloc: 0 where the OS refuses."""
        calls = self.calls
        if calls is not None:
            calls.note("sysAlloc", 0, n)
        p = self.system.sys_alloc(n, stat)
        if p or self.system.counts_failed_alloc:
            self.stat_inc(stat, n)
        if calls is not None:
            calls.answered(p)
        if self.log_inputs:
            self.emit(f"Y {n} {p:x} {stat}")
        return p

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        """sysReserve."""
        calls = self.calls
        if calls is not None:
            calls.note("sysReserve", v, n)
        p, reserved = self.system.sys_reserve(v, n)
        if calls is not None:
            calls.answered(p)
        if self.log_inputs:
            self.emit(f"R {v:x} {n} {p:x} {bool(reserved):d}")
        return p, reserved

    def sys_map(self, v: int, n: int, reserved: bool, stat: str) -> None:
        """sysMap; dies with the system's words where the memory is refused."""
        if self.calls is not None:
            self.calls.note("sysMap", v, n)
        self.stat_inc(stat, n)
        answer = self.system.map_at(v, n, reserved)
        if answer != v:
            self._emit_refusal("sysMap", v, n, answer)
            self.system.judge_map(v, n, reserved, answer)
        if self.log is not None:
            self.log.append(f"M {v:x} {n} {reserved:d} {stat}")

    def sys_used(self, v: int, n: int) -> None:
        """sysUsed."""
        if self.calls is not None:
            self.calls.note("sysUsed", v, n)
        answer = self.system.used_at(v, n)
        if answer != v:
            self._emit_refusal("sysUsed", v, n, answer)
            self.system.judge_used(v, n, answer)
        if self.log is not None:
            self.log.append(f"V {v:x} {n}")

    def sys_unused(self, v: int, n: int) -> None:
        """sysUnused."""
        if self.calls is not None:
            self.calls.note("sysUnused", v, n)
        self.system.sys_unused(v, n)
        if self.watched is not None:
            self.watched.released(v, n)
        if self.log is not None:
            self.log.append(f"U {v:x} {n}")

    def sys_free(self, v: int, n: int, stat: str | None) -> None:
        """sysFree; stat None where the memory was not counted yet."""
        if self.calls is not None:
            self.calls.note("sysFree", v, n)
        if stat is not None:
            self.stat_dec(stat, n)
        self.system.sys_free(v, n)
        if self.log is not None:
            self.log.append(f"O {v:x} {n} {stat or '-'}")

    def _emit_refusal(self, call: str, v: int, n: int, answer: int | Errno) -> None:
        if self.calls is not None:
            self.calls.refuse(call, answer)
        if self.log_inputs:
            if answer == ENOMEM:
                text = "-"
            elif isinstance(answer, Errno):
                text = f"errno={answer.number}"
            else:
                text = f"{answer:#x}"
            self.emit(f"F {call} {v:x} {n} {text}")

    # Off-heap memory.

    def persistent_alloc(self, size: int, align: int, stat: str) -> int:
        """persistentalloc by the allocator itself, from the chunk of the P that is running."""
        slot = self.cache.slot if self.caches else GLOBAL
        addr, slot = self.persistent.alloc(size, align, stat, slot)
        if self.log is not None:
            self.log.append(f"q {size} {align or 8} {stat} {slot} {addr:x}")
        return addr

    def persistent_alloc_outside(self, size: int, align: int, stat: str) -> int:
        """persistentalloc by another part of the runtime."""
        addr, slot = self.persistent.alloc(size, align, stat, self.cache.slot)
        if self.log_inputs:
            self.emit(f"p {size} {align or 8} {stat} {slot} {addr:x}")
        return addr

    def sys_alloc_outside(self, size: int, stat: str) -> int:
        """sysAlloc by another part of the runtime."""
        p = self.sys_alloc(size, stat)
        if not p:
            raise Throw("runtime: cannot allocate memory")
        return p

    def fix_alloc(self, which: str) -> int:
        """A record of `mcache`, `specialfinalizer` or `specialprofile`."""
        addr: int = getattr(self, _FIXALLOCS[which]).alloc()
        if self.log_inputs:
            self.emit(f"f {which} {addr:x}")
        return addr

    def fix_free(self, which: str, addr: int) -> None:
        """Gives such a record back."""
        getattr(self, _FIXALLOCS[which]).free(addr)
        if self.log_inputs:
            self.emit(f"x {which} {addr:x}")

    # Spans.

    def init_span(self, s: int) -> None:
        """heapBitsForSpan(base).initSpan: objects, mark and allocation bits, and an empty heap bitmap."""
        heap = self.heap
        spans = self.spans
        if not heap.arena_start <= spans.base[s] < heap.arena_used:
            raise Throw("heapBitsForSpan: base out of range")
        size = spans.elemsize[s]
        spans.nelems[s] = nelems = (spans.npages[s] << heap.page_shift) // size
        spans.free_index[s] = spans.alloc_bits[s] = spans.mark_bits[s] = 0
        self.arenas.new_span(nelems)
        # Objects of one word on 64-bit can only be pointers, so their bits are set once and for all.
        spans.bits[s] = 0xFF if size == 8 == self.config.ptr_size else 0

    def allocated_mask(self, s: int) -> int:
        """Which objects of a span are allocated, as bits. Cached spans must be synced."""
        spans = self.spans
        mask = spans.alloc_bits[s] | ((1 << spans.free_index[s]) - 1)
        return mask & ((1 << spans.nelems[s]) - 1)

    def bitmap(self, s: int, limit: int | None = None) -> bytes:
        """A span's heap bitmap, a byte for four words, first word first; no more than `limit` bytes."""
        config = self.config
        spans = self.spans
        return span_bytes(spans.bits[s], spans.npages[s], config.page_size, config.ptr_size, limit)

    def sync_caches(self) -> None:
        """Brings every span's own counts up to date with what the caches have handed out.

        The columns of spans end with the last one then.
        """
        self.spans.end()
        for cache in self.caches:
            cache.sync()

    def ensure_swept(self, s: int) -> None:
        """ensureSwept, on behalf of code outside the allocator."""
        if self.sweeper.ensure_swept(s) and self.log_inputs:
            self.emit(f"e {self.spans.base[s]:x}")

    def sweepone(self) -> int:
        """sweepone, asked for from outside the allocator: pages freed, or -1 when all is swept."""
        n = self.sweeper.sweepone()
        if self.log_inputs:
            self.emit(f"w {'done' if n == DONE else n}")
        return n

    # Caches and counters.

    def flush_local_scan(self, cache: MCache) -> None:
        """What every visit to the page heap flushes of the running P's counters."""
        stats = self.stats
        stats.heap_scan += cache.local_scan
        cache.local_scan = 0
        stats.tinyallocs += cache.local_tinyallocs
        cache.local_tinyallocs = 0

    def purge_cached_stats(self, cache: MCache) -> None:
        """purgecachedstats: all of a P's counters into memstats."""
        stats = self.stats
        self.flush_local_scan(cache)
        stats.nlookup += cache.local_nlookup
        stats.largefree += cache.local_largefree
        stats.nlargefree += cache.local_nlargefree
        cache.local_nlookup = cache.local_largefree = cache.local_nlargefree = 0
        for i, n in enumerate(cache.local_nsmallfree):
            if n:
                stats.nsmallfree[i] += n
                cache.local_nsmallfree[i] = 0

    def flush_cache(self, cache: MCache) -> None:
        """flushmcache: its spans to the central lists, its stacks to the pools."""
        self.release_cache(cache)
        self.clear_stack_cache(cache)

    def free_mcache(self, cache: MCache) -> None:
        """freemcache."""
        self.flush_cache(cache)
        self.purge_cached_stats(cache)
        self.fix_free("mcache", cache.addr)

    def release_cache(self, cache: MCache) -> None:
        """mcache.releaseAll."""
        cache.release_all()
        if self.log_inputs:
            self.emit(f"u {cache.id}")

    def clear_stack_cache(self, cache: MCache) -> None:
        """stackcache_clear."""
        self.stacks.clear_cache(cache)
        if self.log_inputs:
            self.emit(f"k {cache.id}")

    def free_stack_spans(self) -> None:
        """freeStackSpans."""
        self.stacks.free_spans()
        if self.log_inputs:
            self.emit("z")

    # Collections.

    def open_sweep_phase(self) -> None:
        """The start of gcSweep: from now on every span needs sweeping."""
        heap = self.heap
        heap.sweepgen += 2
        heap.sweepdone = 0
        if self.sweep_spans.swept:
            raise Throw("non-empty swept list")

    def set_sweep_ratio(self, ratio: float) -> None:
        """Proportional sweep: pages to sweep for each byte allocated."""
        sweeper = self.sweeper
        sweeper.pages_per_byte = ratio
        sweeper.pages_swept = 0
        sweeper.span_bytes_alloc = 0
        if self.log_inputs:
            self.emit(f"r {ratio.hex()}")

    def start_collection(self, mode: int = BACKGROUND) -> None:
        """A cycle that an allocation triggers; `liveness` says what survives it."""
        if self.gc.start(mode, self.liveness, None) and self.gc.phase == MARK:
            self.gc.finish()

    def emit_malloc(self, size: int, typ: Type | None, needzero: bool, cache: MCache, v: int) -> None:
        """The line of an allocation."""
        number = "-" if typ is None else str(self.type_ids.setdefault(typ, len(self.type_ids) + 1))
        flags = malloc_flags(typ is None or typ.noscan, needzero, self.last_flags)
        self.emit(f"m {size} {number} {flags} {cache.id} {v:x}")


_FIXALLOCS = {
    "mcache": "cachealloc",
    "specialfinalizer": "specialfinalizeralloc",
    "specialprofile": "specialprofilealloc",
}


@lru_cache(maxsize=32)
def _class_of(classes: SizeClasses) -> bytes:
    """Every small size's class, as one table: a single look-up where Go has two."""
    return classes.by_size()
