"""The machine of later releases, whose heap lies in arenas: its Config from the calculator's figures.

What constants tell is taken from them (goexperiment's among them). What only the code of a release
tells is listed in SINCE and UNTIL: the release from which on it goes that way, or no longer does.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from itertools import product
from typing import Any

from allocator.kernels.machine import Machine
from allocator.sparse.arena_hints import HeapLot, hint_addresses, usual_seed
from allocator.sparse.config import Config
from allocator.sparse.runtime import Runtime
from allocator.sparse.systems import kernel_of
from archcalc.calculator.constants import Absent
from archcalc.calculator.figures import Figures, compute
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

MACHINE = Runtime
PACKAGES = ("runtime", "gc", "goarch", "goexperiment")  # where the constants stand
HELPERS = False

# A switch of Config, and the release that made it true.
SINCE: dict[str, tuple[int, int]] = {
    "user_arenas": (1, 20),
    "crash_stack": (1, 22),
    "timers_lock": (1, 23),
    "timers_draw": (1, 25),
    "traceable_sudogs": (1, 26),
    "headers": (1, 22),
    "profile_stacks": (1, 23),
    "lists_user_arenas": (1, 25),
    "padded_m": (1, 25),
    "pack_checks": (1, 25),
    "weak_m": (1, 26),
    "span_queue_mask": (1, 26),
    "metadata_without_huge_pages": (1, 21),
    "unused_falls_back": (1, 21),
    "fault_by_mprotect": (1, 23),
    "one_word_is_pointer": (1, 24),
    "limit_by_nelems": (1, 24),
    "counts_slices_of_pointers": (1, 27),
    "huge_pages_debug": (1, 21),
    "names_mappings": (1, 25),
    "updates_procs": (1, 25),
    "bsd_debug": (1, 21),
    "zeroed_when_scavenged": (1, 26),
    "samples_below_zero": (1, 24),
    "traces_all_spans": (1, 24),
    "traces_tiny": (1, 24),
}
# A switch of Config, and the release that made it false.
UNTIL: dict[str, tuple[int, int]] = {
    "scans_modules": (1, 20),
    "unrolls_gc_programs": (1, 24),
    "scav_index_of_bits": (1, 21),
    "scav_index_from_zero": (1, 21),
    "scav_index_zero_is_unset": (1, 22),
    "used_advises_huge_pages": (1, 21),
}
# How many options internal/cpu lists for GODEBUG on x86 before it adds those of levels, by the first release.
X86_OPTIONS = {(1, 19): 5, (1, 21): 6, (1, 24): 7, (1, 26): 8}
# tagptr wrote it out, before releases had a constant that differs from a port to another.
FIXED_TAG_ALIGN_BITS = 3
# Systems where the runtime finds GODEBUG in its arguments, before it has an environment; and since when.
EARLY_DEBUG = frozenset(
    ("aix", "darwin", "ios", "dragonfly", "freebsd", "netbsd", "openbsd", "illumos", "solaris", "linux")
)
EARLY_DEBUG_SINCE = (1, 25)
# Types whose size the machine needs; a release has not all of them.
SIZED = (
    "arenaHint", "bucket", "g", "heapArena", "hchan", "m", "mcache", "memRecord", "mspan", "p",
    "pallocData", "spanInlineMarkBits", "spanSetBlock", "special", "specialBubble",
    "specialCheckFinalizer", "specialCleanup", "specialPinCounter", "specialReachable", "specialSecret",
    "specialTinyBlock", "specialWeakHandle", "specialfinalizer", "specialprofile",
)  # fmt: skip

# Those of them that lie in the heap themselves.
OBJECTS = frozenset(("g", "m", "p"))


def system(figures: Figures, options: MachineOptions | None, machine: Machine | None = None) -> Machine:
    """The computer that a machine is prepared on."""
    return machine or machine_of(figures.profile, options)


@lru_cache(maxsize=256)
def config(figures: Figures, phys_page_size: int, data_end: int) -> Config:
    """The Config of a platform's figures. Sizes and addresses in bytes."""
    generation = figures.generation
    at = (int(generation.name.split(".")[0]), int(generation.name.split(".")[1]))
    engine = figures.engine
    goos, goarch = figures.profile.goos, figures.profile.goarch
    machine = figures.profile.machine
    sizeof = {name: engine.struct(name).size for name in SIZED if engine.is_struct(name)}
    reported = {name for package in PACKAGES for name in generation.names(package)}

    def number(*names: str, default: int | None = None) -> int:
        """The first of these that the release has on this port."""
        for name, package in product(names, PACKAGES):
            if (qualified := f"{package}.{name}") in reported:
                try:
                    return int(engine.value(qualified).value)
                except Absent:
                    continue
        if default is None:
            raise KeyError(names[0])
        return default

    switches: dict[str, Any] = {name: at >= since for name, since in SINCE.items()}
    switches |= {name: at < until for name, until in UNTIL.items()}
    if switches["padded_m"]:
        sizeof.pop("m", None)  # allocm asks for as much as the padded one has, whatever is in it
    ptr_size = number("PtrSize")
    is_32bit = ptr_size == 4
    heap_addr_bits = number("heapAddrBits")
    addr_bits = 0 if is_32bit else number("addrBits")
    tag_bits = number("taggedPointerBits", "tagBits", default=32 if is_32bit else 64 - addr_bits + 3)
    huge = int(machine.get("phys_huge_page_size") or 0)
    sbrk = bool(number("isSbrkPlatform", default=goos in ("plan9", "js", "wasip1")))
    offset = number("arenaBaseOffset")
    if offset >> 8 * ptr_size:
        found = f"arenaBaseOffset is {offset:#x}, which overflows a uintptr of {counted(ptr_size, 'byte')}"
        raise UsageFault(Fault(found, "what Go can compile"))
    made = Config(
        platform=figures.platform,
        goos=goos,
        goarch=goarch,
        ptr_size=ptr_size,
        phys_page_size=phys_page_size,
        phys_huge_page_size=huge,
        data_end=data_end,
        min_phys_page_size=number("minPhysPageSize"),
        max_phys_page_size=number("maxPhysPageSize"),
        max_phys_huge_page_size=number("maxPhysHugePageSize"),
        heap_addr_bits=heap_addr_bits,
        log_heap_arena_bytes=number("logHeapArenaBytes"),
        arena_l1_bits=number("arenaL1Bits"),
        arena_l2_bits=number("arenaL2Bits"),
        arena_base_offset=offset,
        max_alloc=number("maxAlloc"),
        pages_per_span_root=number("pagesPerSpanRoot"),
        pages_per_reclaimer_chunk=number("pagesPerReclaimerChunk"),
        user_arena_chunk_bytes=number("userArenaChunkBytes", default=0),
        persistent_chunk_size=number("persistentChunkSize"),
        fix_alloc_chunk=number("_FixAllocChunk"),
        **_room(figures, sbrk),
        min_heap_for_metadata_huge_pages=number("minHeapForMetadataHugePages", default=0),
        tag_bits=tag_bits,
        min_tag_bits=number("minTagBits", default=0),
        tag_align_bits=number("tagAlignBits", default=0 if is_32bit else FIXED_TAG_ALIGN_BITS),
        page_shift=number("_PageShift", "PageShift"),
        log_palloc_chunk_pages=number("logPallocChunkPages"),
        palloc_chunks_l1_bits=number("pallocChunksL1Bits"),
        summary_levels=number("summaryLevels"),
        summary_level_bits=number("summaryLevelBits"),
        max_pages_per_phys_page=number("maxPagesPerPhysPage"),
        scav_chunk_hi_occ_pages=number("scavChunkHiOccPages", default=0),
        size_classes=figures.size_classes,
        tiny_size=number("_TinySize"),
        tiny_size_class=number("_TinySizeClass"),
        max_small_size=number("maxSmallSize"),
        min_size_for_malloc_header=number("minSizeForMallocHeader", "MinSizeForMallocHeader", default=0),
        malloc_header_size=number("mallocHeaderSize", "MallocHeaderSize", default=0),
        cache_line_size=int(figures.current("cpu.CacheLinePadSize") or 0),
        span_set_block_entries=number("spanSetBlockEntries"),
        span_set_init_spine_cap=number("spanSetInitSpineCap"),
        gc_bits_chunk_bytes=number("gcBitsChunkBytes"),
        gc_bits_header_bytes=number("gcBitsHeaderBytes"),
        default_heap_minimum=number("defaultHeapMinimum"),
        sweep_min_heap_distance=number("sweepMinHeapDistance"),
        buck_hash_size=number("buckHashSize"),
        stack_cache_size=number("_StackCacheSize"),
        num_stack_orders=number("_NumStackOrders"),
        fixed_stack=number("fixedStack", "_FixedStack"),
        stack_min=number("stackMin", "_StackMin"),
        stack_system=number("stackSystem", "_StackSystem"),
        sizeof=sizeof,
        cpu_options=next(n for since, n in reversed(X86_OPTIONS.items()) if at >= since),
        race=not is_32bit and bool(figures.current("raceenabled")),
        sbrk_platform=sbrk,
        phys_page_aligned_stacks=bool(number("physPageAlignedStacks")),
        inline_mark_bits=bool(number("GreenTeaGC", default=0)) and "spanInlineMarkBits" in sizeof,
        early_debug=at >= EARLY_DEBUG_SINCE and goos in EARLY_DEBUG,
        **switches,
    )
    _check_address_bits(made)
    return made


def _room(figures: Figures, sbrk: bool) -> dict[str, Any]:
    """Where the heap asks for room, as fields of Config; what a port does not ask for is left empty.

    A heap that only grows at the break (`sbrk`) asks nowhere.
    """
    engine = figures.engine
    drawn = not sbrk and engine.has("layout.random_address_bits")
    hinted = not sbrk and engine.value("fact.ptr_size").value == 8
    room: dict[str, Any] = {"randomized_heap_base": drawn, "ladder": ()}
    for field, family in (("hints", "hint"), ("user_arena_hints", "user_arena_hint")):
        room[field] = tuple(int(p) for p in figures.family(family)) if hinted else ()
    while engine.has(f"layout.ladder{len(room['ladder'])}"):
        room["ladder"] += (int(figures.value(f"ladder{len(room['ladder'])}")),)
    room |= dict.fromkeys(("random_address_bits", "random_prefix", "usual_base"), 0)
    if drawn:
        fixed = compute(figures.base, {**figures.sets, "randomizeHeapBase": False}, figures.generation)
        room["random_address_bits"] = int(figures.value("random_address_bits"))
        room["random_prefix"] = int(figures.value("randHeapBasePrefixMask")) ^ (1 << 64) - 1
        room["usual_base"] = int(fixed.value("hint0"))
    return room


def _check_address_bits(made: Config) -> None:
    """Raises UsageFault where what-ifs leave nothing of an address for one of its parts."""
    for name, bits in (
        ("summaryL0Bits", made.summary_l0_bits),
        ("pallocChunksL2Bits", made.palloc_chunks_l2_bits),
        ("arenaL2Bits", made.arena_l2_bits),
    ):
        if bits < 0:
            have = counted(made.heap_addr_bits, "bit")
            found = f"{name} would be {bits}: a heap address of {made.platform} has {have}"
            raise UsageFault(Fault(found, "0 or more bits, as Go cannot compile anything less"))


def as_read(config: Config, system: Machine) -> tuple[object, ...]:
    """All of it, with the records that a start takes from the heap as large as their objects are."""
    header = config.malloc_header_size if config.headers else 0

    def as_object(size: int) -> int:
        with_header = size + header if size > config.min_size_for_malloc_header else size
        return config.size_classes.round_up_size(with_header)

    sizes = {name: as_object(n) if name in OBJECTS else n for name, n in config.sizeof.items()}
    read = replace(config, sizeof=sizes)
    if unasked(config):  # no hint is of use, wherever a lot has them fall
        read = replace(read, hints=(), random_address_bits=0, random_prefix=0, usual_base=0)
    if not config.phys_huge_page_size:
        read = replace(read, max_phys_huge_page_size=0)
    return tuple(getattr(read, one.name) for one in fields(read))


def unasked(config: Config) -> frozenset[str]:
    """Where no hint can be used, no mapping is asked for at an address that it might not get."""
    if config.ptr_size == 4 or config.goos == "windows" or config.sbrk_platform:
        return frozenset()
    lot = HeapLot(usual_seed(config) if config.randomized_heap_base else 0)
    last = (1 << config.arena_bits) - 1
    usable = any(config.arena_index(p) <= last for p, _ in hint_addresses(config, lot))
    return frozenset() if usable else frozenset({"hints_honoured"})


def kernel_name(profile: Profile) -> str:
    """Each system has its own."""
    return profile.goos


def kernel(config: Config, machine: Machine) -> Any:
    """The kernel that a machine of that Config asks; it is prepared on it as well as on the computer."""
    return kernel_of(config, machine)


def hints(figures: Figures) -> list[tuple[int, int]]:
    """The hints of arenas; none where the heap's base is drawn, which no figure can tell."""
    size = int(figures.constants["heapArenaBytes"])
    return [(int(address), size) for address in figures.family("hint")]
