"""The computer that a runtime is booted on: a profile's machine and its operating system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from allocator.contiguous.mem import System
from allocator.contiguous.systems import GOOSES, new_system
from allocator.kernels import new_kernel
from allocator.kernels.address_space import Range
from allocator.kernels.kernel import SimulatedKernel
from allocator.kernels.machine import Machine
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles.addresses import of_bits
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

if TYPE_CHECKING:
    from allocator.kernels.maps import MapsLine

# By the mem_*.go that a profile names, the GOOS whose kernel is used for ports of your own.
GOOS_OF = {
    "bsd": "netbsd",
    "darwin": "darwin",
    "linux": "linux",
    "nacl": "nacl",
    "plan9": "plan9",
    "solaris": "solaris",
    "windows": "windows",
}


def machine_of(profile: Profile, options: MachineOptions | None = None) -> Machine:
    """The machine of a profile, with what the options say in place of its own facts."""
    options = options or MachineOptions()
    facts = profile.machine
    addresses: Mapping[str, Any] = facts
    if options.va_bits is not None:
        if not 20 <= options.va_bits <= 64:
            raise UsageFault(Fault(f"{counted(options.va_bits, 'bit')} of address (va_bits)", "20 to 64"))
        addresses = of_bits(facts, options.va_bits)
    high, low = int(addresses["address_high"]), int(facts["address_low"])
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
        "image_data": options.image_data or 0,
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
        top_down=facts["mmap_direction"] == "down",
        mmap_base=int(addresses["mmap_base"]),
        **extra,
    )


def read_maps(path: Path, end: int = 1 << 64) -> list[Range]:
    """The addresses below `end` that a /proc/PID/maps file has taken, a Go program's own heap aside.

    Raises UsageFault, also for a 64-bit process where addresses end at 4 GB.
    """
    from allocator.kernels.maps import ranges
    from archcalc.machines.neighbours import foreign

    mappings = maps_lines(path)
    if end <= 1 << 32:
        for number, one in enumerate(mappings, 1):
            if one.end > 1 << 32:
                found = f"{one.start:#x}: the maps of a 64-bit process"
                raise UsageFault(Fault(found, "those of a 32-bit process", file=str(path), line=number))
    return list(ranges(foreign(mappings), end))


def maps_lines(path: Path) -> tuple[MapsLine, ...]:
    """The mappings in a /proc/PID/maps file, which is read once: it may be a pipe. Raises UsageFault."""
    try:
        found = path.stat()
    except OSError as error:
        raise UsageFault(Fault(f"cannot be read: {error.strerror}", file=str(path))) from None
    written = (found.st_size, found.st_mtime_ns) if S_ISREG(found.st_mode) else (0, 0)
    return _maps_of(path, (found.st_dev, found.st_ino, *written))


@lru_cache(maxsize=16)
def _maps_of(path: Path, file: tuple[int, ...]) -> tuple[MapsLine, ...]:
    """The mappings in a file, cached by the file's identity and state."""
    from allocator.kernels.maps import MapsError, parse_maps

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageFault(Fault(f"cannot be read: {error.strerror}", file=str(path))) from None
    except UnicodeDecodeError:
        raise UsageFault(Fault("is not text", "a /proc/PID/maps file", file=str(path))) from None
    try:
        return parse_maps(text)
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
        system_name(profile),
        machine,
        ptr_size=int(figures.sys["PtrSize"]),
        goarch=profile.goarch,
        phys_page_size=believed or machine.page_size,
        huge_page_size=int(figures.sys["HugePageSize"]),
    )


def system_name(profile: Profile) -> str:
    """The system whose memory a port has: of the user's own port, the one that its profile names."""
    return profile.goos if profile.goos in GOOSES else GOOS_OF.get(str(profile.facts["mem"]), profile.goos)


LIMITS = ("ulimit_v", "rlimit_data", "commit_limit", "max_map_count", "overcommit")


LIMIT_FIELDS = frozenset((*LIMITS, "memlock_limit", "ram_and_swap", "segment_limit"))


def heeded(kernel: SimulatedKernel, unasked: frozenset[str]) -> tuple[object, ...]:
    """The facts of its machine that a kernel reads and is asked about: with equal facts it answers alike."""
    machine = kernel.machine
    known = kernel.limits | ({"overcommit"} if "ram_and_swap" in kernel.limits else set())
    deaf = (LIMIT_FIELDS - known) | kernel.without | unasked
    return tuple(getattr(machine, field.name) for field in fields(machine) if field.name not in deaf)


def without_effect(goos: str, options: MachineOptions, ptr_size: int) -> list[str]:
    """The limits among the options that an operating system does not know, so that they change nothing."""
    known = new_kernel(goos, Machine(), ptr_size=ptr_size).limits
    if "ram_and_swap" in known:
        known |= {"overcommit"}  # how Linux weighs what it is asked for against those two
    return [name for name in LIMITS if getattr(options, name) is not None and name not in known]
