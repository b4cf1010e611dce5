"""From a profile to a booted machine: Profile → Figures → Config → Runtime.

`boot` is the short way for programs; `try_boot` takes a death as a result and
judges what mallocinit left, which is what the command shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from allocator.common.throw import Death
from allocator.contiguous.config import Config
from allocator.contiguous.mallocinit import Attempt
from allocator.contiguous.runtime import Runtime
from allocator.kernels import GOOSES, new_system
from allocator.kernels.address_space import Range
from allocator.kernels.machine import Machine
from allocator.kernels.system import System
from archcalc.calculator import figures as figures_of
from archcalc.calculator.figures import Figures
from archcalc.profiles import platforms
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault

# By the mem_*.go that a profile names, the GOOS whose kernel stands for others with that file.
GOOS_OF = {
    "bsd": "netbsd",
    "darwin": "darwin",
    "linux": "linux",
    "nacl": "nacl",
    "plan9": "plan9",
    "solaris": "solaris",
    "windows": "windows",
}

Sets = Mapping[str, int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """What a command line says of the machine; None leaves it as the profile has it. Bytes and addresses.

    `believed_page_size` is the page size that the runtime is told where that is not the
    machine's own.
    """

    ulimit_v: int | None = None
    image_size: int | None = None
    va_bits: int | None = None
    taken: tuple[tuple[int, int], ...] = ()
    maps: Path | str | None = None
    page_size: int | None = None
    believed_page_size: int | None = None
    data_end: int | None = None
    commit_limit: int | None = None
    max_map_count: int | None = None
    ignore_hints: bool = False
    rlimit_data: int | None = None
    overcommit: int | None = None
    ram_and_swap: int | None = None


def boot(
    platform: str | Path | Profile,
    *,
    sets: Sets | None = None,
    gogc: int = -1,
    procs: int = 1,
    seed: int = 1,
    mem_profile_rate: int = 0,
    record: bool = False,
    system: System | None = None,
    **machine: Any,
) -> Runtime:
    """A booted runtime of a platform: a name such as linux/amd64, a profile, or a profile's file.

    Keywords describe the machine as the options of `archcalc boot` do: ulimit_v, image_size,
    va_bits, taken=[(from, to)], maps=FILE, page_size, data_end, commit_limit, max_map_count,
    ignore_hints. gogc is GOGC, off by default, so that nothing is collected unless asked for.
    Raises allocator.common.throw.Death with the runtime's words where it dies, UsageFault for a mistake.
    """
    profile = profile_of(platform)
    options = machine_options(machine)
    figures = figures_of.compute(profile, sets or {})
    config = config_of(figures, options)
    return Runtime(
        config,
        system or system_of(figures, options),
        gogc=gogc,
        procs=procs,
        seed=seed,
        mem_profile_rate=mem_profile_rate,
        record=record,
    )


def profile_of(platform: str | Path | Profile) -> Profile:
    """The profile that a name, a path or a profile stands for."""
    if isinstance(platform, Profile):
        return platform
    if isinstance(platform, Path) or str(platform).endswith((".yaml", ".yml")):
        return platforms.load_file(platform)
    return platforms.load(platform)


def machine_options(given: Mapping[str, Any]) -> MachineOptions:
    """Keywords as options. Raises UsageFault for one that there is not."""
    known = {field.name for field in fields(MachineOptions)}
    for name in given:
        if name not in known:
            raise UsageFault(Fault(f"{name} describes no machine", f"one of {', '.join(sorted(known))}"))
    options = MachineOptions(**given)
    return replace(options, taken=tuple((int(a), int(b)) for a, b in options.taken))


# Config.


def config_of(figures: Figures, options: MachineOptions | None = None) -> Config:
    """The allocator's Config of computed figures, on a machine of the profile or as the options say."""
    options = options or MachineOptions()
    machine = figures.profile.machine
    page_size = machine["phys_page_size"] if options.page_size is None else options.page_size
    if options.believed_page_size is not None:
        page_size = options.believed_page_size
    data_end = machine["data_end"] if options.data_end is None else options.data_end
    return _config(figures, int(page_size), int(data_end))


@lru_cache(maxsize=256)
def _config(figures: Figures, phys_page_size: int, data_end: int) -> Config:
    constants = figures.constants
    sys = figures.sys
    engine = figures.engine

    def number(name: str) -> int:
        return int(constants[name])

    def size_of(name: str) -> int:
        return engine.struct(name).size

    layout = figures.layout
    is_64bit = int(sys["PtrSize"]) == 8
    return Config(
        platform=figures.profile.platform,
        goos=figures.profile.goos,
        ptr_size=int(sys["PtrSize"]),
        big_endian=bool(sys["BigEndian"]),
        cache_line_size=int(sys["CacheLineSize"]),
        phys_page_size=phys_page_size,
        data_end=data_end,
        page_shift=number("_PageShift"),
        heap_map_total_bits=number("_MHeapMap_TotalBits"),
        heap_map_bits=number("_MHeapMap_Bits"),
        max_mem=number("_MaxMem"),
        max_arena32=number("_MaxArena32"),
        min_phys_page_size=number("minPhysPageSize"),
        fix_alloc_chunk=number("_FixAllocChunk"),
        max_mheap_list=number("_MaxMHeapList"),
        heap_alloc_chunk=number("_HeapAllocChunk"),
        tiny_size=number("_TinySize"),
        tiny_size_class=number("_TinySizeClass"),
        max_small_size=number("_MaxSmallSize"),
        stack_cache_size=number("_StackCacheSize"),
        num_stack_orders=number("_NumStackOrders"),
        fixed_stack=number("_FixedStack"),
        fin_block_size=number("_FinBlockSize"),
        gc_bits_chunk=number("gcBitsChunkBytes"),
        max_oblet_bytes=number("maxObletBytes"),
        sweep_block_entries=number("gcSweepBlockEntries"),
        sweep_buf_init_spine_cap=number("gcSweepBufInitSpineCap"),
        default_heap_minimum=number("defaultHeapMinimum"),
        sweep_min_heap_distance=number("sweepMinHeapDistance"),
        buck_hash_size=number("buckHashSize"),
        hints=tuple(hint.address for hint in layout.hints) if is_64bit else (),
        ladder=tuple(rung.arena_size for rung in layout.rungs),
        sizeof_mspan=size_of("mspan"),
        sizeof_mcache=size_of("mcache"),
        sizeof_specialfinalizer=size_of("specialfinalizer"),
        sizeof_specialprofile=size_of("specialprofile"),
        sizeof_defer=size_of("_defer"),
        sizeof_finalizer=size_of("finalizer"),
        sizeof_bucket=size_of("bucket"),
        sizeof_mem_record=size_of("memRecord"),
        gc_bits_header=number("gcBitsHeaderBytes"),
        min_defer_alloc=number("minDeferAlloc"),
        min_defer_args=number("minDeferArgs"),
        size_classes=figures.size_classes,
    )


# The machine.


def machine_of(profile: Profile, options: MachineOptions | None = None) -> Machine:
    """The machine of a profile, with what the options say in place of its own facts."""
    options = options or MachineOptions()
    facts = profile.machine
    high = int(facts["address_high"])
    low = int(facts["address_low"])
    base = int(facts["mmap_base"])
    top_down = facts["mmap_direction"] == "down"
    if options.va_bits is not None:
        if not 20 <= options.va_bits <= 64:
            raise UsageFault(Fault(f"{options.va_bits} bits of address (va_bits)", "20 to 64"))
        end = (
            min(high, 1 << options.va_bits)
            if options.va_bits <= facts["user_address_bits"]
            else 1 << options.va_bits
        )
        if top_down:
            # The room kept for the stack stays between the mappings and the new end.
            base = max(end - (high - base), low)
        high = end
    page_size = int(options.page_size or facts["phys_page_size"])
    data_end = int(facts["data_end"] if options.data_end is None else options.data_end)
    taken = [Range(start, end) for start, end in options.taken]
    taken += [Range(int(part["from"]), int(part["to"])) for part in facts.get("taken", ())]
    if options.maps is not None:
        taken += read_maps(Path(options.maps), high)

    def given(option: Any, name: str) -> Any:
        return facts.get(name) if option is None else option

    image_start = int(facts.get("image_start", 0))
    if data_end <= image_start:
        image_start = max(low, data_end - (4 << 20)) // page_size * page_size
    extra: dict[str, Any] = {
        "ulimit_v": given(options.ulimit_v, "ulimit_v"),
        "image_size": given(options.image_size, "image_size"),
        "rlimit_data": given(options.rlimit_data, "rlimit_data"),
        "max_map_count": given(options.max_map_count, "max_map_count"),
        "commit_limit": given(options.commit_limit, "commit_limit"),
        "ram_and_swap": given(options.ram_and_swap, "ram_and_swap"),
        "overcommit": given(options.overcommit, "overcommit") or 0,
        "page_tables_charged": bool(facts.get("page_tables_charged", False)),
        "segment_limit": facts.get("segment_limit"),
    }
    return Machine(
        low=low,
        high=high,
        page_size=page_size,
        taken=tuple(taken),
        image_start=image_start,
        data_end=data_end,
        hints_honoured=bool(facts["hints_honoured"]) and not options.ignore_hints,
        top_down=top_down,
        mmap_base=base,
        **extra,
    )


def read_maps(path: Path, end: int = 1 << 64) -> list[Range]:
    """The addresses below `end` that a /proc/PID/maps file has taken. Raises UsageFault."""
    from allocator.kernels.maps import MapsError, parse_maps, ranges

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageFault(Fault(f"cannot be read: {error.strerror}", file=str(path))) from None
    except UnicodeDecodeError:
        raise UsageFault(Fault("is no text", "a /proc/PID/maps file", file=str(path))) from None
    try:
        return list(ranges(parse_maps(text), end))
    except MapsError as error:
        raise UsageFault(
            Fault(error.found, error.expected, file=str(path), line=error.line, column=1)
        ) from None


def system_of(
    figures: Figures, options: MachineOptions | None = None, machine: Machine | None = None
) -> System:
    """The operating system of a platform, on its machine or on the one that is given."""
    profile = figures.profile
    machine = machine or machine_of(profile, options)
    believed = options.believed_page_size if options else None
    return new_system(
        # A port of one's own has the memory of the system that its profile says.
        profile.goos if profile.goos in GOOSES else GOOS_OF[str(profile.facts["mem"])],
        machine,
        ptr_size=int(figures.sys["PtrSize"]),
        goarch=profile.goarch,
        phys_page_size=believed or machine.page_size,
        huge_page_size=int(figures.sys["HugePageSize"]),
    )


LIMITS = ("ulimit_v", "rlimit_data", "commit_limit", "max_map_count", "overcommit")


def without_effect(goos: str, options: MachineOptions, ptr_size: int) -> list[str]:
    """The limits among the options that an operating system does not know, so that they change nothing."""
    known = new_system(goos, Machine(), ptr_size=ptr_size).limits
    if "ram_and_swap" in known:
        known |= {"overcommit"}  # how Linux weighs what it is asked for against those two
    return [name for name in LIMITS if getattr(options, name) is not None and name not in known]


# Boots as results.


@dataclass(frozen=True, slots=True)
class BootCheck:
    """One invariant of mallocinit: its id, whether it held, and what was seen."""

    id: str
    ok: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Boot:
    """What came of booting one platform. `runtime` is None where it died."""

    platform: str
    figures: Figures
    config: Config
    attempts: tuple[Attempt, ...]
    runtime: Runtime | None
    death: dict[str, Any] | None
    checks: tuple[BootCheck, ...]

    @property
    def outcome(self) -> str:
        """booted, or how it ended: throw, exit."""
        return "booted" if self.death is None else str(self.death["kind"])

    @property
    def ok(self) -> bool:
        """Whether it booted and every invariant held."""
        return self.death is None and all(check.ok for check in self.checks)

    @property
    def arena(self) -> dict[str, int | bool] | None:
        """Where everything came to lie; None where it died."""
        if self.runtime is None:
            return None
        heap = self.runtime.heap
        return {
            "spans_start": heap.spans_start,
            "bitmap": heap.bitmap,
            "arena_start": heap.arena_start,
            "arena_used": heap.arena_used,
            "arena_end": heap.arena_end,
            "reserved": heap.arena_reserved,
        }


class _Attempting(Runtime):
    """A runtime that leaves what it tried where it can be seen even if it dies."""

    __slots__ = ()

    def __init__(self, config: Config, system: System) -> None:
        self._prepare(config, system, 0, 1)

    def run(self) -> None:
        """Everything that a Runtime's constructor does."""
        self.start(-1, 1)


def try_boot(figures: Figures, options: MachineOptions | None = None, system: System | None = None) -> Boot:
    """Boots and judges; a death is a result."""
    config = config_of(figures, options)
    rt = _Attempting(config, system or system_of(figures, options))
    try:
        rt.run()
    except Death as death:
        return Boot(figures.platform, figures, config, tuple(rt.attempts), None, rt.last_words(death), ())
    return Boot(
        figures.platform, figures, config, tuple(rt.attempts), rt, None, tuple(invariants(rt, figures))
    )


def invariants(rt: Runtime, figures: Figures) -> Iterable[BootCheck]:
    """What must hold of a machine that mallocinit has just made (malloc.go, mheap.go)."""
    config, heap = rt.config, rt.heap
    page = config.page_size
    word = config.uintptr_mask
    attempt = rt.attempts[-1]
    bitmap_size, spans_size, arena_size = _regions(rt)
    start = heap.bitmap

    def check(id: str, ok: bool, seen: str) -> BootCheck:
        return BootCheck(id, ok, seen)

    yield check(
        "boot-page-rounding",
        all(x % page == 0 for x in (heap.spans_start, start, heap.arena_used)),
        f"spans {heap.spans_start:#x}, bitmap's end {start:#x}, arena_used {heap.arena_used:#x}; "
        f"pages of {page}",
    )
    yield check(
        "boot-region-order",
        heap.spans_start < start - bitmap_size < start <= heap.arena_used <= heap.arena_end,
        f"spans {heap.spans_start:#x}, bitmap {start - bitmap_size:#x} to {start:#x}, "
        f"arena to {heap.arena_end:#x}",
    )
    described = bitmap_size * config.heap_bitmap_scale
    reach = (heap.arena_end - heap.arena_start) & word
    yield check(
        "boot-bitmap-covers-arena",
        described >= min(reach, word + 1) - page,
        f"the bitmap describes {described} bytes from {heap.arena_start:#x}; "
        f"the arena ends {reach} from there",
    )
    covered = heap.spans_cap * page
    yield check(
        "boot-spans-cover-arena",
        covered >= reach - page,
        f"{heap.spans_cap} entries for {covered} bytes; the arena ends {reach} from its start",
    )
    yield check(
        "boot-reservation-holds-parts",
        attempt.size >= bitmap_size + spans_size + arena_size + page,
        f"{attempt.size} reserved for {bitmap_size} + {spans_size} + {arena_size} + {page}",
    )
    yield check(
        "boot-used-within-reserved",
        attempt.answer <= heap.spans_start
        and heap.arena_used <= heap.arena_end == attempt.answer + attempt.size,
        f"arena_used {heap.arena_used:#x}, arena_end {heap.arena_end:#x}, "
        f"reservation {attempt.answer:#x} + {attempt.size}",
    )
    yield check(
        "boot-hint-answered",
        attempt.answer != 0 and (attempt.answer == attempt.hint or not config.hints or attempt.reserved),
        f"asked for {attempt.hint:#x}, got {attempt.answer:#x}",
    )
    yield check(
        "boot-within-address-bits",
        not config.is_64bit
        or len(config.hints) < len(rt.attempts)
        or reach <= (1 << config.heap_map_total_bits) + page,
        f"the arena reaches {reach} bytes; _MHeapMap_TotalBits is {config.heap_map_total_bits}",
    )
    yield check(
        "boot-class-table",
        tuple(rt.stats.size_by_class) == figures.size_classes.class_to_size,
        f"memstats.by_size has {len(rt.stats.size_by_class)} sizes, class_to_size "
        f"{len(figures.size_classes.class_to_size)}",
    )
    yield check(
        "boot-first-mcache",
        len(rt.caches) == 1 and rt.cachealloc.inuse == config.sizeof_mcache,
        f"{rt.cachealloc.inuse} bytes of mcaches in use, one is {config.sizeof_mcache}",
    )


def _regions(rt: Runtime) -> tuple[int, int, int]:
    """Bitmap, spans and arena of the reservation that mallocinit got, in bytes."""
    config = rt.config
    page = config.page_size
    hinted = len(config.hints) if config.is_64bit else 0
    tries = len(rt.attempts)
    if config.is_64bit and tries <= hinted:
        arena = (config.max_mem + page - 1) & -page & config.uintptr_mask
        described = arena
    else:
        arena = config.ladder[tries - hinted - 1]
        described = config.max_arena32 + 1
    bitmap = described // (config.ptr_size * 4)
    spans = (described // page * config.ptr_size + page - 1) & -page
    return bitmap, spans, arena
