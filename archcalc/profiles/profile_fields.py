"""What a profile may say: every key with its kind, its range and a line of help.

Reading, the JSON Schema and `archcalc profile new` all follow these
declarations. Sections are partial: what a file leaves out it inherits, and
`profile` reports what is still missing from the whole.
"""

from __future__ import annotations

from archcalc.reading.fields import (
    Address,
    Bool,
    Choice,
    Field,
    FixedKeys,
    Int,
    Limit,
    ListOf,
    MapOf,
    PowerOfTwo,
    Size,
    SizeChoice,
    Text,
)

SCHEMA_VERSION = 1

PLATFORM_PATTERN = "[a-z][a-z0-9]*/[a-z0-9]+"

ARCH = FixedKeys(
    {
        "ptr_size": Field(SizeChoice((4, 8)), "bytes of a pointer and of uintptr (sys.PtrSize)", True),
        "reg_size": Field(
            SizeChoice((4, 8)), "bytes of a register (sys.RegSize); more than ptr_size on amd64p32", True
        ),
        "big_endian": Field(Bool(), "whether the most significant byte comes first (sys.BigEndian)", True),
        "arch_family": Field(
            Text("[A-Z][A-Z0-9]*", "a family's name, such as AMD64 or ARM"),
            "the family that the architecture belongs to, by the name of its constant (sys.ArchFamily)",
            True,
        ),
        "cache_line_size": Field(
            PowerOfTwo(8, 4096), "bytes that structures are padded to (sys.CacheLineSize)", True
        ),
        "default_phys_page_size": Field(
            PowerOfTwo(512, 1 << 30),
            "bytes of a physical page where no system tells (sys.DefaultPhysPageSize)",
            True,
        ),
        "pc_quantum": Field(SizeChoice((1, 2, 4)), "bytes of the smallest instruction (sys.PCQuantum)", True),
        "int64_align": Field(
            SizeChoice((4, 8)), "alignment of a 64-bit integer in bytes (sys.Int64Align)", True
        ),
        "huge_page_size": Field(
            PowerOfTwo(0, 1 << 34),
            "bytes of a huge page, which sysUnused keeps whole, or 0 (sys.HugePageSize)",
            True,
        ),
        "min_frame_size": Field(
            Size(0, 4096),
            "bytes at the bottom of each frame that the callee may use (sys.MinFrameSize)",
            True,
        ),
        "stack_guard_multiplier": Field(
            Int(1, 16),
            "factor of the stack guard: 1, or 2 in a build with -N (sys.StackGuardMultiplier)",
            True,
        ),
        "ctz_in_assembly": Field(
            Bool(),
            "whether counting zeros is written in assembly, so that internal/sys/intrinsics.go is not built",
            True,
        ),
    },
    "arch",
    partial=True,
)

OS = FixedKeys(
    {
        "mem": Field(
            Choice(("linux", "bsd", "darwin", "windows", "plan9", "solaris", "nacl", "aix", "wasm")),
            "how memory is obtained: the system's mem_*.go, and how its kernel behaves",
            True,
        ),
        "netpoll": Field(Bool(), "whether the runtime polls the network, so that netpoll.go is built", True),
    },
    "os",
    partial=True,
)

TAKEN = FixedKeys(
    {
        "from": Field(Address(), "first address that is taken", True),
        "to": Field(Address(), "first address after it", True),
        "what": Field(Text(), "what occupies it"),
    }
)

MACHINE = FixedKeys(
    {
        "user_address_bits": Field(Int(20, 64), "bits of the addresses that a process can have", True),
        "address_low": Field(Address(), "lowest address that can be mapped", True),
        "address_high": Field(Address(), "first address beyond those that can be mapped", True),
        "mmap_base": Field(
            Address(), "where the system starts to look when a request names no address", True
        ),
        "mmap_direction": Field(Choice(("up", "down")), "the direction in which it looks from there", True),
        "hints_honoured": Field(
            Bool(), "whether a request gets the address it asks for when that is free", True
        ),
        "phys_page_size": Field(
            PowerOfTwo(512, 1 << 30), "bytes of a physical page of the usual kernel", True
        ),
        "phys_page_sizes": Field(
            ListOf(PowerOfTwo(512, 1 << 30), 1, 16),
            "bytes of a physical page that the port's kernels can have",
            True,
        ),
        "allocation_granularity": Field(
            PowerOfTwo(512, 1 << 30),
            "bytes that the start of a reservation is aligned to; default: a page",
        ),
        "segment_alignment": Field(
            PowerOfTwo(512, 1 << 30), "bytes that the linker aligns the program's segments to", True
        ),
        "data_end": Field(
            Address(),
            "end of a small program's data segment (firstmoduledata.end); 32-bit hints follow from it",
            True,
        ),
        "image_start": Field(Address(), "where the program begins in memory", True),
        "image_size": Field(
            Size(0, 1 << 48),
            "bytes of address space that the program takes before its heap; default: its extent",
        ),
        "ulimit_v": Field(Limit(), "limit of the address space in bytes (RLIMIT_AS); default: none"),
        "rlimit_data": Field(Limit(), "limit of the data segment in bytes (RLIMIT_DATA); default: none"),
        "overcommit": Field(
            Choice((0, 1, 2)),
            "what linux grants (vm.overcommit_memory): 0 all but obvious excess, 1 all, 2 the commit limit",
        ),
        "ram_and_swap": Field(
            Limit(), "bytes of memory and swap; asking for more is obvious excess; default: plenty"
        ),
        "commit_limit": Field(Limit(), "bytes that can be committed on the whole machine; default: no limit"),
        "max_map_count": Field(Int(1, 1 << 31), "mappings that a process can have (vm.max_map_count)"),
        "page_tables_charged": Field(
            Bool(), "whether reserving commits page tables, as Windows did before 8.1"
        ),
        "phys_huge_page_size": Field(
            PowerOfTwo(0, 1 << 34),
            "bytes of a huge page, as the kernel reports it; 0 or omitted where there is none",
        ),
        "segment_limit": Field(Size(), "bytes that one segment of Plan 9 can grow to"),
        "taken": Field(ListOf(TAKEN), "address ranges that something else already occupies"),
    },
    "machine",
    partial=True,
)

CONSTANTS = MapOf(
    Int(-(1 << 63), (1 << 64) - 1),
    "_[A-Za-z][A-Za-z0-9_]*",
    "a constant's name in package runtime, such as _MAP_ANON",
)

_SECTIONS_OF_FACTS = {
    "arch": Field(ARCH, "the architecture, as Go's runtime/internal/sys has it"),
    "os": Field(OS, "the operating system, as the runtime treats it"),
    "constants": Field(CONSTANTS, "constants of package runtime that come from the system's headers"),
    "machine": Field(MACHINE, "the usual machine: its address space and how it hands out memory"),
}

_RELEASE = Text(r"go1\.[0-9]+", "a release of Go, such as go1.21")

CHANGE = FixedKeys(
    {
        "since": Field(_RELEASE, "the first release that this holds for; default: the very first"),
        "until": Field(_RELEASE, "the first release that this no longer holds for; default: none"),
        **_SECTIONS_OF_FACTS,
    }
)

FILE = FixedKeys(
    {
        "schema": Field(Choice((SCHEMA_VERSION,)), "version of this file format", True),
        "platform": Field(Text(PLATFORM_PATTERN, "goos/goarch, such as linux/amd64"), "GOOS/GOARCH"),
        "name": Field(
            Text("[A-Za-z0-9][A-Za-z0-9._/-]*", "a name of letters, digits and . _ - /", 100),
            "the profile's name among others of its platform; default: the platform",
        ),
        "about": Field(Text(), "a description in one line"),
        "inherit": Field(
            ListOf(
                Text(
                    r"[^\x00-\x1f\x7f]+",
                    "a platform, os/NAME, arch/NAME, or the path of a .yaml file",
                    longest=4096,
                ),
                longest=16,
                alone=True,
            ),
            "where facts come from that are not given here; later ones win",
        ),
        **_SECTIONS_OF_FACTS,
        "changes": Field(
            ListOf(CHANGE, longest=32),
            "facts that hold since or until a release of Go; later ones win, and all win over the rest",
        ),
    },
    "archcalc profile",
)

SECTIONS = {"arch": ARCH, "os": OS, "machine": MACHINE}

FROM_GO = frozenset({
    "arch_family", "cache_line_size", "default_phys_page_size", "pc_quantum", "int64_align", "huge_page_size",
    "min_frame_size", "stack_guard_multiplier", "ctz_in_assembly", "netpoll",
})  # fmt: skip
"""What Go says, not the machine: facts of a generation that has no formulas for them."""
