"""Circumstances in which one figure of a machine or another matters, and all that a machine answers there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from allocator.common.throw import Death
from allocator.common.types import Type
from allocator.kernels.fault_plans import NthCall, install
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.reading.errors import UsageFault
from archcalc.workloads import run as running

MB = 1 << 20
GB = 1 << 30
CROWDED = ((1 << 36, 1 << 48),)  # where every hint of a 64-bit port lies


def pointers(rt: Any) -> Type:
    ptr = rt.config.ptr_size
    return Type(ptr, ptr, 22 | 1 << 5, ptr, b"\x01", "*T")


def arrays(rt: Any) -> Iterator[Callable[[], object]]:
    """The longest that there can be, and some that are longer than one piece of a collector's work."""
    words = pointers(rt)
    # A heap in arenas has nothing that ends its arrays short of the address space.
    longest = (1 << 28, 1 << 29, 1 << 31, 1 << 36, 1 << 37) if hasattr(rt, "stat_inc") else (1 << 28, 1 << 60)
    for n in (1 << 17, (1 << 17) // rt.config.ptr_size + 1, 1 << 23, *longest):
        yield lambda n=n: rt.newarray(words, n)  # type: ignore[misc]
        yield lambda: rt.collect(True)


def scavenging(rt: Any) -> Iterator[Callable[[], object]]:
    """A heap of 12 MB that becomes sparse."""
    pages = [rt.malloc(8192, noscan=True) for _ in range(1500)]
    yield from _keeping(rt, [page for at, page in enumerate(pages) if at % 100], pages[1::2])


def loosening(rt: Any) -> Iterator[Callable[[], object]]:
    """A heap that is nearly dense, with runs of 16 pages free."""
    pages = [rt.malloc(8192, noscan=True) for _ in range(1500)]
    yield from _keeping(rt, [page for at, page in enumerate(pages) if at % 500 >= 16])


def breaking_up(rt: Any) -> Iterator[Callable[[], object]]:
    """A free run that ends a little above the begin of a huge page: a scavenge would break it."""
    pages = [rt.malloc(8192, noscan=True) for _ in range(1500)]
    begins = (pages[0] // (4 * MB) + 1) * (4 * MB) + 2 * MB  # in the middle of a chunk
    free = range(begins - 2 * MB, begins + 4 * 8192)
    # Less is given back than a huge page.
    yield from _keeping(rt, [page for page in pages if page not in free], returned=64 << 10)


def _keeping(rt: Any, *lives: list[int], returned: int = 4 * MB) -> Iterator[Callable[[], object]]:
    for live in lives:
        yield lambda live=live: rt.collect(live)  # type: ignore[misc]
        yield lambda live=live: rt.collect(live)  # type: ignore[misc]
        yield lambda: rt.scavenge(0, returned)


def sizes(rt: Any) -> Iterator[Callable[[], object]]:
    """Objects of many sizes, in each of the steps by which classes are looked up, twice each."""
    for size in sorted(2 * [*range(24, 4096, 40)]):
        yield lambda size=size: rt.malloc(size, noscan=True)  # type: ignore[misc]


def finalizing(rt: Any) -> Iterator[Callable[[], object]]:
    """More finalizers than one block of them has, other records, and an arena of the user's own."""
    for _ in range(600):
        rt.set_finalizer(rt.malloc(24, noscan=True))
    for alloc in getattr(rt.specials, "allocs", {}).values():
        yield alloc.alloc
        yield alloc.alloc  # as far behind the first as it is large
    yield lambda: rt.collect([])
    yield lambda: len(rt.run_finalizers())
    if hasattr(rt, "new_user_arena"):
        yield lambda: rt.new_user_arena().new(pointers(rt))


def user_arenas(rt: Any) -> Iterator[Callable[[], object]]:
    """An arena of the user's own, where a release has them."""
    if hasattr(rt, "new_user_arena"):
        yield lambda: rt.new_user_arena().new(pointers(rt))


def filling(rt: Any) -> Iterator[Callable[[], object]]:
    """More than one reservation of 2017 holds, or a half of 32 bits of address."""
    size = 300 * GB if rt.config.ptr_size == 8 and hasattr(rt, "stat_inc") else 1000 * MB
    for _ in range(4):
        yield lambda: rt.malloc(size, noscan=True)


def counting(rt: Any) -> Iterator[Callable[[], object]]:
    """Counters that run over."""
    if hasattr(rt, "stat_inc"):
        yield lambda: rt.stat_inc("other_sys", (1 << 32) - 1)
        yield lambda: rt.stat_dec("other_sys", 1 << 40)


OWN: Mapping[str, Callable[[Any], Iterator[Callable[[], object]]]] = {
    "sizes": sizes,
    "arrays": arrays,
    "scavenging": scavenging,
    "loosening": loosening,
    "breaking_up": breaking_up,
    "finalizing": finalizing,
    "user_arenas": user_arenas,
    "filling": filling,
    "counting": counting,
}


@dataclass(frozen=True)
class World:
    """A computer, made for a port's own figures, and what is done on it."""

    computer: Callable[[Figures], MachineOptions]
    workload: str
    start: Mapping[str, Any] = field(default_factory=dict)
    refused: int = 0  # so many reservations, the first ones
    shows: tuple[str, ...] = ()  # names, without their numbers, that few others do: here they are tried first


def having(**options: Any) -> Callable[[Figures], MachineOptions]:
    return lambda plain: MachineOptions(**options)


def addresses(plain: Figures) -> tuple[int, int]:
    """Where a process of the port has the first and the last of its addresses."""
    facts = plain.profile.machine
    return int(facts["address_low"]), int(facts["address_high"])


def free_at_top(size: int) -> Callable[[Figures], MachineOptions]:
    """Only the last addresses are free."""

    def computer(plain: Figures) -> MachineOptions:
        low, high = addresses(plain)
        return MachineOptions(taken=((low, max(high - size, low + 1)),))

    return computer


def free_at_bottom(size: int) -> Callable[[Figures], MachineOptions]:
    """Only the first addresses are free, behind the program."""

    def computer(plain: Figures) -> MachineOptions:
        _, high = addresses(plain)
        start = int(plain.profile.machine["data_end"])
        return MachineOptions(taken=((min(start + size, high - 1), 1 << 48),))

    return computer


LADDER = ("ladder", "ladder_arena")
MINIMA = (
    *("sweepMinHeapDistance", "minHeapForMetadataHugePages", "defaultHeapMinimum", "heapMinimum"),
    *("goexperiment.HeapMinimum512KiB", "goexperiment.HeapMinimum512KiBInt"),
)
LENGTHS = (
    *("maxAlloc", "maxObletBytes", "_MaxMem", "_64bit", "sys.GoarchMips", "sys.GoarchMipsle"),
    "fact.user_address_bits",
)
SPARSENESS = ("gcBitsHeaderBytes", "scavChunkHiOccPages", "scavChunkHiOccFrac", "scavChunkFlagBits")

WORLDS: tuple[World, ...] = (
    World(having(taken=CROWDED), "tiny"),
    World(having(), "mixed"),
    World(having(), "stacks", shows=("_MHeapMap_Bits", "_FixedStack", "_StackMin", "_StackSystem")),
    World(having(), "procs", shows=("_MaxGomaxprocs",)),
    World(having(), "churn", {"gogc": 50}, shows=MINIMA),
    World(having(), "large"),
    World(having(), "finalizers", shows=("_FinBlockSize",)),
    World(having(), "counting", shows=("sys.BigEndian", "fact.big_endian")),
    World(having(taken=CROWDED), "user_arenas", shows=("userArenaChunkBytes", "userArenaChunkBytesMax")),
    World(having(), "filling", shows=("_MaxArena",)),
    # Rung by rung down the ladder, and where mappings end up at the lowest address.
    World(having(taken=CROWDED, ulimit_v=560 * MB), "tiny", shows=("fact.image_size",)),
    *(World(having(taken=CROWDED, ulimit_v=size * MB), "tiny") for size in (300, 270)),
    World(having(taken=CROWDED, ulimit_v=200 * MB), "tiny", shows=LADDER),
    *(World(free_at_bottom(size * MB), "tiny") for size in (2000, 700, 600, 420)),
    *(World(free_at_bottom(size * MB), "tiny", shows=LADDER) for size in (290, 150)),
    *(World(free_at_top(size * MB), "tiny") for size in (2000, 700, 420, 150)),
    World(having(taken=((0, 1 << 48),)), "tiny"),
    # Where nothing is asked of the system, a plan refuses: on nacl no reservation is one.
    *(World(having(), "tiny", refused=count) for count in (1, 2, 3, 4)),
    World(having(ignore_hints=True, ulimit_v=GB), "exhaust"),
    World(having(commit_limit=MB), "tiny", shows=("fact.overcommit",)),
    World(having(page_size=64 << 10), "stacks", shows=("physPageAlignedStacks",)),
    World(having(page_size=4 << 10), "stacks", shows=("summaryLevelBits",)),
    World(having(), "sizes", shows=("smallSizeMax",)),
    World(having(), "arrays", shows=LENGTHS),
    World(having(), "scavenging", shows=SPARSENESS),
    World(having(), "loosening"),
    World(having(), "breaking_up", shows=("pallocChunkBytes", "maxPhysHugePageSize")),
    World(having(), "finalizing"),
    World(having(page_size=64 << 10), "arrays"),
    World(having(page_size=64 << 10), "scavenging", shows=("maxPagesPerPhysPage",)),
)


def answer(figures: Figures, world: World, plain: Figures) -> object:
    """All that the machine answers in one world: what it asked for, what came of it, how it ended."""
    if world.workload == "exhaust" and figures.generation.era != "contiguous":
        return None  # a heap in arenas takes what it finds, for a long time
    try:
        rt = machines.prepare(figures, world.computer(plain), mem_profile_rate=4096)
        if world.refused:
            refusal = rt.system.refusal
            install(rt.system, NthCall("sysReserve", 1, refusal, world.refused))
        seen: list[object] = []
        if world.workload in OWN:
            rt.start()
            seen += [_tried(call) for call in OWN[world.workload](rt)]
        else:
            run = running.boot_and_run(rt, figures.platform, world.workload, n=120, seed=1, **world.start)
            seen = [run.death, run.violations]
        seen += [rt.attempts, rt.system_calls()]
        if rt.booted:
            seen += [list(rt.runs()), list(rt.regions()), rt.memstats(), rt.heap_figures(), rt.counters()]
            seen += [list(rt.kernel.space.pieces(0, 1 << 64))] if hasattr(rt.kernel, "space") else []
    except Death as death:
        return str(death)
    except UsageFault as fault:
        return fault.faults
    except (ArithmeticError, LookupError, ValueError, NotImplementedError) as fault:
        return repr(fault)  # what the command line calls a machine that cannot go on
    return repr(seen)


def _tried(call: Callable[[], object]) -> object:
    try:
        return call()
    except Death as death:
        return str(death)
