"""The machine of later releases, whole: a process from its first instruction to its last words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from allocator.common.throw import Death, Throw
from allocator.interface import NO_LOT, Allocator, Attempt, BootCheck, Cannot, Region, Unnoticed
from allocator.kernels.counts import Calls
from allocator.kernels.machine import Machine
from allocator.kernels.system import Errno
from allocator.sparse import boot_checks, regions, vocabulary
from allocator.sparse.arena_hints import seed_of_base, usual_seed
from allocator.sparse.config import Config
from allocator.sparse.heap import Heap
from allocator.sparse.startup import BUCKET_FRAMES, StartUp, Surroundings
from allocator.sparse.systems import kernel_of, memory_of

NO_RECORDING = "a machine of today does not record itself; `archcalc record` records a program"
BUCKETS = "profiler hash buckets"
# The helpers that `observe` counts, by their methods.
OBSERVED = {
    "alloc": "sysAlloc",
    "free": "sysFree",
    "unused": "sysUnused",
    "used": "sysUsed",
    "fault": "sysFault",
    "reserve": "sysReserve",
    "map": "sysMap",
}


def debug_settings(config: Config, of_system: frozenset[str]) -> frozenset[str]:
    """The settings of GODEBUG that a machine follows; `of_system` are those that its system looks at."""
    found = {"madvdontneed", "harddecommit"}
    if config.huge_pages_debug:
        found.add("disablethp")
    if config.names_mappings:
        found.add("decoratemappings")
    if not config.bsd_debug and config.goos not in ("linux", "android"):
        found.clear()
    always = {"sbrk", "updatemaxprocs"} if config.updates_procs else {"sbrk"}
    return of_system & found | always


class Runtime(Heap, Allocator):
    """One simulated process's allocator. `kernel` is what it asks for memory."""

    HEAP_FIGURES = vocabulary.HEAP
    EXTENT = vocabulary.EXTENT
    USUAL_PROCS = 2  # computers with one processor are rare
    BOOT_COLUMNS = vocabulary.BOOT_COLUMNS

    def __init__(
        self,
        config: Config,
        system: Any,
        *,
        gogc: int = -1,
        procs: int = 1,
        seed: int = 1,
        mem_profile_rate: int = 0,
        record: bool = False,
    ) -> None:
        """A machine that has booted. See `prepare`; raises Death where the runtime dies."""
        self.prepare(config, system, seed=seed, mem_profile_rate=mem_profile_rate, record=record)
        self.start(gogc, procs)

    def prepare(
        self,
        config: Config,
        system: Any,
        *,
        seed: int = 1,
        mem_profile_rate: int = 0,
        record: bool = False,
        heap_base: int | None = None,
        heap_seed: int | None = None,
    ) -> None:
        """Sets up everything before the first instruction. `system` is a Machine, or a kernel.

        heap_seed is the random number that the heap's base is drawn from, where it is, and heap_base the
        address drawn; without both the heap is where releases without a random base have it.
        """
        if record:
            raise Cannot(NO_RECORDING)
        if heap_base is not None:
            if not config.randomized_heap_base:
                raise Cannot(NO_LOT)
            heap_seed = seed_of_base(config, heap_base)
        self.kernel = kernel_of(config, system) if isinstance(system, Machine) else system
        self.system = self.kernel
        if heap_seed is None:
            heap_seed = usual_seed(config) if config.randomized_heap_base else 0
        Heap.__init__(
            self,
            config,
            memory_of(config, self.kernel),
            seed=heap_seed,
            sample_seed=seed,
            mem_profile_rate=mem_profile_rate,
        )
        self.log: list[str] | None = None
        self.type_ids = {}
        self._booted = False
        self._debug: dict[str, int] = {}
        self.updates_procs = config.updates_procs

    def set_debug(self, settings: Mapping[str, int]) -> None:
        known = debug_settings(self.config, self.mem.os.SETTINGS)
        for name, value in settings.items():
            if name not in known:
                found = f"GODEBUG={name}={value}: on {self.config.platform} this machine follows"
                raise Cannot(f"{found} {', '.join(sorted(known))}; nothing else changes what it has")
        self._debug = dict(settings)

    @property
    def debug_text(self) -> str:
        """GODEBUG as it stands in the environment; empty where it says nothing."""
        settings = ",".join(f"{name}={value}" for name, value in self._debug.items())
        return f"GODEBUG={settings}" if settings else ""

    def read_debug(self) -> None:
        """parsedebugvars: what GODEBUG says counts from now on."""
        known = debug_settings(self.config, self.mem.os.SETTINGS)
        usual = {name: on for name, on in self.mem.os.USUAL.items() if name in known}
        for name, value in {**usual, **self._debug}.items():
            if name == "sbrk":
                self.debug_sbrk = bool(value)
                self.phase_changed()
            elif name == "updatemaxprocs":
                self.updates_procs = bool(value)
            else:
                self.mem.os.set_debug(name, value)

    def start(self, gogc: int = -1, procs: int = 1) -> None:
        self.start_in(Surroundings(procs=procs), gogc)

    def start_in(self, around: Surroundings, gogc: int = -1) -> None:
        """As `start`, in the given surroundings."""
        StartUp(self, around).run(gogc)
        self._booted = True
        self.gc_enabled = True
        self.phase_changed()

    def profile(self, v: int, size: int) -> None:
        if self._booted and not self.stats.bytes["buckhash_sys"]:
            self.first_sample(v, size)
        else:
            Heap.profile(self, v, size)

    def first_sample(self, v: int, size: int) -> None:
        """An object is the first of the heap profile: the table of buckets, a bucket, and its record."""
        if self.debug_sbrk:
            return  # what does not come from the heap is not sampled
        config = self.config
        table = config.buck_hash_size * config.ptr_size
        if not self.mem.sys_alloc(table, "buckhash_sys", BUCKETS):
            raise Throw("runtime: cannot allocate memory")
        bucket = config.sizeof["bucket"] + config.sizeof["memRecord"] + BUCKET_FRAMES * config.ptr_size
        self.persistent.alloc(bucket, 0, "buckhash_sys")
        Heap.profile(self, v, size)

    @property
    def booted(self) -> bool:
        return self._booted

    @property
    def attempts(self) -> list[Attempt]:  # type: ignore[override]
        """The reservations for the heap's arenas."""
        arenas = getattr(self, "arenas", None)
        return [] if arenas is None else [Attempt(p, n, v, bool(v)) for p, n, v in arenas.attempts]

    # Where everything lies.

    def regions(self) -> list[Region]:
        return regions.regions(self)

    def heap_figures(self) -> Mapping[str, int | bool]:
        if not hasattr(self, "pages") or not len(self.pages.in_use):
            return {}
        config, tables, arenas = self.config, self.tables, self.arenas
        in_use = self.pages.in_use
        arena = config.heap_arena_bytes
        start = self.growth.base & -arena if self.growth.base % arena else self.growth.base - arena
        return {
            "heap_start": config.address(in_use.bases[0]),
            "heap_end": config.address(in_use.limits[-1]),
            "arena_start": start,
            "arena_end": self.growth.end,
            "arenas": len(arenas.heap_list),
            "hints": len(arenas.hints),
            "summaries": tables.summary[0],
            "scavenge_index": tables.index,
            "index_unreserved": tables.index_failed,
            "reserved": regions.reserved(self),
            "pages_in_use": self.heap.pages_in_use,
            "sweepgen": self.heap.sweepgen,
        }

    def boot_checks(self) -> Iterable[BootCheck]:
        return boot_checks.boot_checks(self)

    def refused(self) -> list[Attempt]:
        return [
            Attempt(call.address, call.size, 0, False)
            for call in self.kernel.log
            if isinstance(call.answer, Errno) and call.name in ("map", "protect", "VirtualAlloc")
        ]

    def unnoticed(self) -> list[Unnoticed]:
        tables = getattr(self, "tables", None)
        if tables is None or not tables.index_failed:
            return []
        mapped = tuple((v, n) for v, n, what in tables.mapped if what == "scavenge index")
        return [Unnoticed("the scavenge index", tables.index_bytes, mapped)]

    def observe(self) -> Calls:
        calls = Calls()
        os = self.mem.os
        for name, helper in OBSERVED.items():
            setattr(os, name, _counted(getattr(os, name), helper, calls))
        return calls

    def system_calls(self) -> list[list[Any]]:
        return [call.row() for call in self.kernel.log]

    def end_state(self, whole: bool = True) -> Iterator[str]:
        raise Cannot(NO_RECORDING)

    @property
    def has_heap(self) -> bool:
        """Whether mheap.init has begun."""
        return hasattr(self, "cachealloc")


def _counted(act: Callable[..., Any], helper: str, calls: Calls) -> Callable[..., Any]:
    """A helper that is counted: reserve has an address first, alloc has none, all others have both."""

    def counted(*args: Any) -> Any:
        v, n = (0, args[0]) if helper == "sysAlloc" else (args[0], args[1])
        calls.note(helper, v, n)
        try:
            answer = act(*args)
        except Death:
            calls.refuse(helper, Errno(0))
            raise
        if helper in ("sysAlloc", "sysReserve"):
            calls.answered(answer)
        return answer

    return counted
