"""From YAML to a frozen `Profile`: the facts about a platform, merged, each with the line that it comes from.

A profile file says what is its own and inherits the rest: `inherit` names
files of ours (`linux/arm64`, `os/linux`, `arch/arm64`) or paths beside it, the
later ones over the earlier, the file's own facts over all. What a file may say
is declared here once; reading, the JSON Schema and `profile new` follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from archcalc import strictyaml
from archcalc.errors import Fault, ProfileFault
from archcalc.fields import (
    Address,
    Bool,
    Choice,
    Field,
    Group,
    Int,
    ListOf,
    MapOf,
    PowerOfTwo,
    Section,
    Size,
    Text,
    read_file,
)
from archcalc.strictyaml import Document

SCHEMA_VERSION = 1

PLATFORM_PATTERN = "[a-z][a-z0-9]*/[a-z0-9]+"

ARCH = Section(
    {
        "ptr_size": Field(Choice((4, 8)), "bytes of a pointer and of uintptr (sys.PtrSize)", True),
        "reg_size": Field(Choice((4, 8)), "bytes of a register (sys.RegSize); more than ptr_size on amd64p32", True),
        "big_endian": Field(Bool(), "whether the most significant byte comes first (sys.BigEndian)", True),
        "arch_family": Field(
            Text("[A-Z][A-Z0-9]*", "a family's name, such as AMD64 or ARM"),
            "the family that the architecture belongs to, by the name of its constant (sys.ArchFamily)",
            True,
        ),
        "cache_line_size": Field(PowerOfTwo(8, 4096), "bytes that structures are padded to (sys.CacheLineSize)", True),
        "default_phys_page_size": Field(
            PowerOfTwo(512, 1 << 30),
            "bytes of a physical page where nothing tells better (sys.DefaultPhysPageSize)",
            True,
        ),
        "pc_quantum": Field(Choice((1, 2, 4)), "bytes of the smallest instruction (sys.PCQuantum)", True),
        "int64_align": Field(Choice((4, 8)), "alignment of a 64-bit integer in bytes (sys.Int64Align)", True),
        "huge_page_size": Field(
            PowerOfTwo(0, 1 << 34), "bytes of a huge page that sysUnused minds, or 0 (sys.HugePageSize)", True
        ),
        "min_frame_size": Field(
            Int(0, 4096), "bytes at the bottom of each frame that the callee may use (sys.MinFrameSize)", True
        ),
        "stack_guard_multiplier": Field(
            Int(1, 16), "factor of the stack guard: 1, or 2 in a build with -N (sys.StackGuardMultiplier)", True
        ),
        "ctz_in_assembly": Field(
            Bool(), "whether counting zeros is assembly, so that internal/sys/intrinsics.go is not built", True
        ),
    },
    partial=True,
)

OS = Section(
    {
        "mem": Field(
            Choice(("linux", "bsd", "darwin", "windows", "plan9", "solaris", "nacl")),
            "how memory is got: the mem_*.go of the system and its kernel's habits",
            True,
        ),
        "netpoll": Field(Bool(), "whether the runtime polls the network, so that netpoll.go is built", True),
    },
    partial=True,
)

TAKEN = Section(
    {
        "from": Field(Address(), "first address that is taken", True),
        "to": Field(Address(), "first address after it", True),
        "what": Field(Text(), "who has it"),
    }
)

MACHINE = Section(
    {
        "user_address_bits": Field(Int(20, 64), "bits of the addresses that a process can have", True),
        "address_low": Field(Address(), "lowest address that can be mapped", True),
        "address_high": Field(Address(), "first address beyond those that can be mapped", True),
        "mmap_base": Field(Address(), "where the system looks first for memory that names no address", True),
        "mmap_direction": Field(Choice(("up", "down")), "which way it looks from there", True),
        "hints_honoured": Field(Bool(), "whether memory comes where it was asked for when that is free", True),
        "phys_page_size": Field(PowerOfTwo(512, 1 << 30), "bytes of a physical page of the usual kernel", True),
        "phys_page_sizes": Field(
            ListOf(PowerOfTwo(512, 1 << 30), 1, 16), "bytes of a physical page that the port's kernels can have", True
        ),
        "allocation_granularity": Field(
            PowerOfTwo(512, 1 << 30), "bytes that the start of a reservation is aligned to; without it, a page"
        ),
        "segment_alignment": Field(
            PowerOfTwo(512, 1 << 30), "bytes that the linker aligns the program's segments to", True
        ),
        "data_end": Field(
            Address(), "end of a small program's data segment (firstmoduledata.end); 32-bit hints follow from it", True
        ),
        "image_start": Field(Address(), "where the program begins in memory", True),
        "image_size": Field(
            Size(0, 1 << 48), "bytes of address space that the program takes before its heap; without it, its extent"
        ),
        "ulimit_v": Field(Size(), "limit of the address space in bytes (RLIMIT_AS); without it, none"),
        "rlimit_data": Field(Size(), "limit of the data segment in bytes (RLIMIT_DATA); without it, none"),
        "overcommit": Field(
            Choice((0, 1, 2)),
            "what linux promises: 0 all but the absurd, 1 anything, 2 no more than the commit limit (vm.overcommit_memory)",
        ),
        "ram_and_swap": Field(Size(), "bytes of memory and swap, which the absurd is measured by; without it, plenty"),
        "commit_limit": Field(Size(), "bytes that can be committed on the whole machine; without it, any"),
        "max_map_count": Field(Int(1, 1 << 31), "mappings that a process can have (vm.max_map_count)"),
        "page_tables_charged": Field(Bool(), "whether reserving commits page tables, as Windows did before 8.1"),
        "segment_limit": Field(Size(), "bytes that Plan 9 lets one segment become"),
        "taken": Field(ListOf(TAKEN), "address ranges that something else has already"),
    },
    partial=True,
)

CONSTANTS = MapOf(
    Int(-(1 << 63), (1 << 64) - 1), "_?[A-Za-z][A-Za-z0-9_]*", "a constant's name in package runtime"
)

FILE = Section(
    {
        "schema": Field(Choice((SCHEMA_VERSION,)), "version of this form of file", True),
        "platform": Field(Text(PLATFORM_PATTERN, "goos/goarch, such as linux/amd64"), "GOOS/GOARCH"),
        "name": Field(
            Text("[A-Za-z0-9][A-Za-z0-9._/-]*", "a name of letters, digits and . _ - /", 100),
            "what the profile is called beside others of its platform; without it, the platform",
        ),
        "about": Field(Text(), "a line for people"),
        "inherit": Field(
            ListOf(Text(what="a platform, os/NAME, arch/NAME, or the path of a .yaml file", longest=4096), alone=True),
            "where facts come from that do not stand here; later ones win",
        ),
        "arch": Field(ARCH, "the architecture, as Go's runtime/internal/sys has it"),
        "os": Field(OS, "the operating system, as the runtime treats it"),
        "constants": Field(CONSTANTS, "constants of package runtime that the system's headers gave"),
        "machine": Field(MACHINE, "the usual machine: its address space and how it hands out memory"),
    }
)

_SECTIONS = {"arch": ARCH, "os": OS, "machine": MACHINE}

# What an architecture of Go's is, whoever runs on it: a profile of a known GOARCH cannot say otherwise.
_ARCH_IDENTITY = ("ptr_size", "reg_size", "big_endian", "arch_family", "pc_quantum", "min_frame_size")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fact stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


Fact = int | bool | str


@dataclass(frozen=True, slots=True)
class Profile:
    """One platform's facts. Sizes are bytes, addresses plain ints.

    `facts` has all scalar facts by name: of the architecture, the system, the
    machine, and the system's constants under Go's own names. `machine` has the
    machine's alone, `taken` and `phys_page_sizes` among them. `origins` tells for
    each key of both which line it comes from.
    """

    platform: str
    goos: str
    goarch: str
    name: str
    file: str
    facts: Mapping[str, Fact]
    machine: Mapping[str, Any]
    constants: Mapping[str, int]
    origins: Mapping[str, Origin] = field(repr=False)


def load_file(path: str | Path) -> Profile:
    """The profile in a file of the user's own. Raises ProfileFault with every fault in it."""
    profile, faults = read(path)
    if profile is None:
        raise ProfileFault(*faults)
    return profile


def validate(path: str | Path) -> list[Fault]:
    """Every fault of a profile's file and of what it inherits; empty when it can be used."""
    return read(path)[1]


def read(path: str | Path) -> tuple[Profile | None, list[Fault]]:
    """The profile in a file, or None and why not."""
    reader = _Reader()
    merged = reader.file(str(path))
    profile = reader.profile(merged) if merged is not None else None
    faults = _in_order(reader.faults)
    return (None if faults else profile), faults


def _in_order(faults: list[Fault]) -> list[Fault]:
    """Each fault once, by file and place; a file inherited twice has the same faults twice."""
    return sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line, fault.column))


@dataclass(slots=True)
class _Merged:
    """What a file and all that it inherits say together; origins stand beside the values."""

    file: str
    place: tuple[int, int] = (1, 1)
    top: dict[str, str] = field(default_factory=dict)
    sections: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"arch": {}, "os": {}, "constants": {}, "machine": {}}
    )
    origins: dict[str, Origin] = field(default_factory=dict)

    def over(self, below: _Merged) -> None:
        """Lays what `below` says over what is here."""
        for name, values in below.sections.items():
            self.sections[name].update(values)
        self.origins.update(below.origins)
        if "platform" in below.top:
            self.top["platform"] = below.top["platform"]


class _Reader:
    """Reads a file and what it inherits; every fault of all of them is in `faults`."""

    # Our own files are read once a process; nobody changes them under a run.
    _ours: dict[str, tuple[_Merged | None, tuple[Fault, ...]]] = {}

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.open_files: list[str] = []

    def file(self, path: str, shown: str = "") -> _Merged | None:
        shown = shown or path
        document = Document(shown, "profile", self.faults, ProfileFault)
        data = strictyaml.read_bytes(path, document)
        if data is None:
            return None
        group = read_file(data, FILE, document)
        if group is None:
            return None
        merged = _Merged(shown, (group.line, group.column))
        self.open_files.append(_identity(path))
        for parent in group.get("inherit", ()):
            below = self.inherited(parent, path, document, group.at["inherit"])
            if below is not None:
                merged.over(below)
        self.open_files.pop()
        self.own(group, merged, shown)
        return merged

    def own(self, group: Group, merged: _Merged, shown: str) -> None:
        for key in ("platform", "name", "about"):
            if key in group:
                merged.top[key] = group[key]
                merged.origins[key] = Origin(shown, *group.at[key])
        for name, values in merged.sections.items():
            section: Group | None = group.get(name)
            if section is not None:
                values.update(section)
                for key, place in section.at.items():
                    merged.origins[key] = Origin(shown, *place)

    def inherited(self, name: str, path: str, document: Document, place: tuple[int, int]) -> _Merged | None:
        from archcalc import platforms

        if name.endswith((".yaml", ".yml")):
            beside = str(Path(path).parent / name)
            if self.loops(beside, name, document, place):
                return None
            return self.file(beside)
        ours = platforms.file_of(name)
        if ours is None:
            document.fault(
                place, "unknown-parent", f"there is no {name} to inherit",
                "a platform of ours, os/NAME, arch/NAME, or the path of a .yaml file",
                platforms.nearest(name),
            )
            return None
        if self.loops(str(ours), name, document, place):
            return None
        return self.ours(name, str(ours))

    def loops(self, path: str, name: str, document: Document, place: tuple[int, int]) -> bool:
        if _identity(path) not in self.open_files:
            return False
        document.fault(place, "inherit-loop", f"{name} inherits from this file, in the end", "no loop")
        return True

    def ours(self, name: str, path: str) -> _Merged | None:
        if name not in self._ours:
            reader = _Reader()
            reader.open_files = self.open_files
            self._ours[name] = (reader.file(path, f"platforms/{_stem(name)}.yaml"), tuple(reader.faults))
        merged, faults = self._ours[name]
        self.faults.extend(faults)
        return merged

    def profile(self, merged: _Merged) -> Profile | None:
        """The whole: what is missing is noted, and what contradicts."""
        document = Document(merged.file, "profile", self.faults, ProfileFault)
        platform = merged.top.get("platform")
        if platform is None:
            document.fault(merged.place, "missing-key", "no platform", "platform: goos/goarch")
            return None
        goos, goarch = platform.split("/")
        for name, section in _SECTIONS.items():
            for key, spec in section.fields.items():
                if spec.required and key not in merged.sections[name]:
                    document.fault(
                        merged.place, "missing-key",
                        f"no {name}.{key}, neither here nor in what is inherited", f"{key}: {spec.kind.words()}",
                    )
        if self.faults:
            return None
        arch, system, machine = merged.sections["arch"], merged.sections["os"], merged.sections["machine"]
        constants = merged.sections["constants"]
        scalars = {key: value for key, value in machine.items() if not isinstance(value, list)}
        return Profile(
            platform, goos, goarch, merged.top.get("name", platform), merged.file,
            MappingProxyType({**arch, **system, **scalars, **constants}),
            MappingProxyType(machine), MappingProxyType(constants), MappingProxyType(merged.origins),
        )


def load_ours(name: str) -> Profile:
    """The profile of one of our platforms. Raises ProfileFault, which would be a fault of ours."""
    reader = _Reader()
    merged = reader.inherited(name, "", Document(name, "profile", reader.faults), (0, 0))
    profile = reader.profile(merged) if merged is not None else None
    if profile is None or reader.faults:
        raise ProfileFault(*_in_order(reader.faults))
    return profile


def _stem(name: str) -> str:
    return name if name.startswith(("os/", "arch/")) else name.replace("/", "-")


def _identity(path: str) -> str:
    """The same for two paths to one file."""
    return str(Path(path).resolve())
