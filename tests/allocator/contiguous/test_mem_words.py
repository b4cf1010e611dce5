"""Every print, throw and exit of the mem_*.go files: the condition that leads there, and the words.

A row is a place in the sources of the modelled commit. Where a machine can be described that leads
there the row does so; a fault plan stands in where only a kernel's whim does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from allocator.common.throw import Death, Exit, Throw
from allocator.contiguous.mem import System
from allocator.contiguous.systems import new_system
from allocator.kernels.address_space import Range
from allocator.kernels.fault_plans import NthCall, install
from allocator.kernels.machine import Machine
from allocator.kernels.system import Errno

HEAP = 0xC4_2000_0000
MB = 1 << 20
LOW = Range(0x1000_0000, 0x4020_0000)  # a 770 MB reservation on 32 bits


class Row(NamedTuple):
    site: str
    system: Callable[[], System]
    call: Callable[[System], object]
    death: type[Death]
    words: str
    printed: list[str]


def sys_map(v: int, n: int, reserved: bool) -> Callable[[System], object]:
    return lambda system: system.sys_map(v, n, reserved)


def planned(goos: str, ptr_size: int, call: str, errno: int) -> Callable[[], System]:
    def make() -> System:
        system = new_system(goos, Machine(), ptr_size=ptr_size)
        install(system, NthCall(call, 1, Errno(errno)))
        return system

    return make


def machine(goos: str, ptr_size: int, **fields: object) -> Callable[[], System]:
    return lambda: new_system(goos, Machine(**fields), ptr_size=ptr_size)  # type: ignore[arg-type]


def reserved_linux_386(**fields: object) -> Callable[[], System]:
    def make() -> System:
        system = new_system(
            "linux",
            Machine(high=0xC000_0000, **fields),  # type: ignore[arg-type]
            ptr_size=4,
            phys_page_size=4096,
        )
        assert system.sys_reserve(LOW.start, LOW.end - LOW.start) == (LOW.start, True)
        return system

    return make


def reserved_freebsd_386() -> System:
    system = new_system("freebsd", Machine(high=0xBFC0_0000, ulimit_v=800 * MB), ptr_size=4)
    v, reserved = system.sys_reserve(0, 770 * MB)
    assert v and reserved
    return system


def two_windows_reservations() -> System:
    system = new_system("windows", Machine(), ptr_size=8)
    assert system.sys_reserve(HEAP, MB) == (HEAP, True)
    assert system.sys_reserve(HEAP + MB, MB) == (HEAP + MB, True)
    return system


def full_windows() -> System:
    system = new_system("windows", Machine(commit_limit=3 * MB, committed=2 * MB), ptr_size=8)
    assert system.sys_reserve(HEAP, 64 * MB) == (HEAP, True)
    system.sys_map(HEAP, MB, True)
    return system


ROWS = [
    Row(
        "mem_linux.go:64",
        planned("linux", 8, "sysAlloc", 13),
        lambda system: system.sys_alloc(65536, "other_sys"),
        Exit,
        "runtime: mmap: access denied",
        ["runtime: mmap: access denied"],
    ),
    Row(
        "mem_linux.go:68",
        machine("linux", 8, memlock_limit=65535),
        lambda system: system.sys_alloc(65536, "other_sys"),
        Exit,
        "runtime: mmap: too much locked memory (check 'ulimit -l').",
        ["runtime: mmap: too much locked memory (check 'ulimit -l')."],
    ),
    Row(
        "mem_linux.go:142",
        machine("linux", 8, page_size=65536),
        lambda system: system.sys_unused(HEAP + 8192, 65536),
        Throw,
        "unaligned sysUnused",
        [],
    ),
    Row(
        "mem_linux.go:216",
        machine("linux", 8, ulimit_v=100 * MB, image_size=100 * MB - 4096),
        sys_map(HEAP, MB, False),
        Throw,
        "runtime: out of memory",
        [],
    ),
    Row(
        "mem_linux.go:219",
        machine("linux", 8, taken=(Range(HEAP + 4096, HEAP + 8192),), mmap_base=0x7F71_4A9F_B000),
        sys_map(HEAP, MB, False),
        Throw,
        "runtime: address space conflict",
        ["runtime: address space conflict: map(0xc420000000) = 0x7f714a8fb000"],
    ),
    Row(
        "mem_linux.go:227",
        reserved_linux_386(overcommit=2, commit_limit=MB, committed=4096),
        sys_map(LOW.start, MB, True),
        Throw,
        "runtime: out of memory",
        [],
    ),
    Row(
        "mem_linux.go:230",
        reserved_linux_386(page_size=65536),
        sys_map(LOW.start + 0x8000, 0x8000, True),
        Throw,
        "runtime: cannot map pages in arena address space",
        [],
    ),
    Row(
        "mem_bsd.go:80",
        machine("netbsd", 8, ulimit_v=MB),
        sys_map(HEAP, 2 * MB, False),
        Throw,
        "runtime: out of memory",
        [],
    ),
    Row(
        "mem_bsd.go:83",
        machine("freebsd", 8, taken=(Range(HEAP + 4096, HEAP + 8192),)),
        sys_map(HEAP, MB, False),
        Throw,
        "runtime: address space conflict",
        ["runtime: address space conflict: map(0xc420000000) = 0xc420002000"],
    ),
    Row(
        "mem_bsd.go:91",
        reserved_freebsd_386,
        # vm_mmap counts the request on top of the reservation that it replaces.
        lambda system: system.sys_map(0x2001_0000, 31 * MB, True),
        Throw,
        "runtime: out of memory",
        [],
    ),
    Row(
        "mem_bsd.go:94",
        planned("openbsd", 4, "sysMap", 22),
        sys_map(LOW.start, MB, True),
        Throw,
        "runtime: cannot map pages in arena address space",
        [],
    ),
    Row(
        "mem_darwin.go:58",
        planned("darwin", 8, "sysMap", 12),
        sys_map(HEAP, MB, True),
        Throw,
        "runtime: out of memory",
        [],
    ),
    Row(
        "mem_darwin.go:61",
        machine("darwin", 8, va_bits=38),
        sys_map((1 << 38) - 4096, MB, True),
        Throw,
        "runtime: cannot map pages in arena address space",
        [],
    ),
    Row(
        "mem_windows.go:51",
        machine("windows", 8),
        lambda system: system.sys_unused(HEAP, 24576),
        Throw,
        "runtime: failed to decommit pages",
        ["runtime: VirtualFree of 0 bytes failed with errno=487"],
    ),
    Row(
        "mem_windows.go:73",
        full_windows,
        lambda system: system.sys_used(HEAP + MB, 24576),
        Throw,
        "runtime: failed to commit pages",
        ["runtime: VirtualAlloc of 0 bytes failed with errno=1455"],
    ),
    Row(
        "mem_windows.go:88",
        two_windows_reservations,
        lambda system: system.sys_free(HEAP + 65536, 65536),
        Throw,
        "runtime: failed to release pages",
        ["runtime: VirtualFree of 65536 bytes failed with errno=487"],
    ),
    Row(
        "mem_windows.go:115",
        two_windows_reservations,
        sys_map(HEAP + MB - 65536, 2 * 65536, True),
        Throw,
        "runtime: cannot map pages in arena address space",
        ["runtime: VirtualAlloc of 131072 bytes failed with errno=487"],
    ),
]

# Where no input leads: mem_plan9.go checks its free list only if memDebug, a false constant.
UNREACHABLE = ["mem_plan9.go:99", "mem_plan9.go:103", "mem_plan9.go:107", "mem_plan9.go:112"]

# All there are, at the modelled commit: the print where one precedes the throw or exit, else the throw.
SITES = {
    "mem_bsd.go": [80, 83, 91, 94],
    "mem_darwin.go": [58, 61],
    "mem_linux.go": [64, 68, 142, 216, 219, 227, 230],
    "mem_plan9.go": [99, 103, 107, 112],
    "mem_windows.go": [51, 73, 88, 115],
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.site)
def test_site(row: Row) -> None:
    system = row.system()
    with pytest.raises(row.death) as death:
        row.call(system)
    assert (death.value.words, system.printed) == (row.words, row.printed)


def test_no_site_is_missing() -> None:
    sites = [f"{file}:{line}" for file, lines in SITES.items() for line in lines]
    assert sorted([row.site for row in ROWS] + UNREACHABLE) == sorted(sites)


@pytest.mark.parametrize(
    ("goos", "goarch", "ptr_size"),
    [
        (goos, "amd64", 8)
        for goos in ("linux", "android", "freebsd", "netbsd", "openbsd", "dragonfly", "darwin")
    ]
    + [("linux", "386", 4)],
)
def test_a_failed_munmap_crashes_on_purpose(goos: str, goarch: str, ptr_size: int) -> None:
    """sys_linux_amd64.s and its like store to 0xf1 when munmap fails."""
    system = new_system(goos, Machine(), ptr_size=ptr_size, goarch=goarch)
    p = system.sys_alloc(65536, "other_sys")
    with pytest.raises(Throw, match="unexpected signal during runtime execution"):
        system.sys_free(p + 1, 65536)
    install(system, NthCall("sysFree", 1, Errno(22)))
    with pytest.raises(Throw, match="unexpected signal during runtime execution"):
        system.sys_free(p, 65536)


@pytest.mark.parametrize("goos", ["solaris", "nacl"])
def test_nobody_looks_at_munmap(goos: str) -> None:
    """os3_solaris.go:418 drops the answer, os_nacl.go:275 does nothing."""
    system = new_system(goos, Machine(page_size=65536), ptr_size=4)
    p = system.sys_alloc(65536, "other_sys")
    system.sys_free(p + 1, 65536)
    assert system.printed == []


@pytest.mark.parametrize(
    ("goos", "goarch", "crashes"),
    [
        ("darwin", "arm", True),
        ("darwin", "arm64", True),
        ("darwin", "386", False),
        ("darwin", "amd64", False),
        ("openbsd", "386", True),
        ("openbsd", "arm", True),
        ("openbsd", "amd64", False),
        ("netbsd", "arm", True),
        ("netbsd", "386", False),
        ("freebsd", "arm", False),
        ("dragonfly", "amd64", False),
        ("solaris", "amd64", False),
        ("linux", "arm", False),
    ],
)
def test_a_failed_madvise(goos: str, goarch: str, crashes: bool) -> None:
    """Only some of the assembly looks at what madvise answers."""
    system = new_system(goos, Machine(), ptr_size=8 if "64" in goarch else 4, goarch=goarch)
    install(system, NthCall("sysUnused", 1, Errno(22)))
    if crashes:
        with pytest.raises(Throw, match="unexpected signal during runtime execution"):
            system.sys_unused(LOW.start, 8192)
    else:
        system.sys_unused(LOW.start, 8192)
