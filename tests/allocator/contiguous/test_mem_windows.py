"""mem_windows.go: allocations of 64 KB granularity, commit within one, a limit for all."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.contiguous.mem_windows import MemWindows
from allocator.kernels.address_space import MAPPED, Range
from allocator.kernels.fault_plans import NthCall, Request, install
from allocator.kernels.machine import Machine
from allocator.kernels.system import Errno
from allocator.kernels.windows import COMMITMENT_LIMIT, Windows, page_table_commit

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30
HINT = 0xC0_0000_0000
HEAP = 0xC0_4200_0000
ARENA = 35_467_042_816


def windows(ptr_size: int = 8, **fields: object) -> MemWindows:
    return MemWindows(Windows(Machine(**fields), ptr_size=ptr_size))  # type: ignore[arg-type]


def test_reserve_costs_nothing_and_commit_does() -> None:
    system = windows(commit_limit=10 * MB, committed=4 * MB)
    assert system.sys_reserve(HINT, ARENA) == (HINT, True)
    assert system.kernel.commit_charge == 0
    system.sys_map(HEAP, 6 * MB, True)
    system.sys_map(HEAP, 6 * MB, True)
    assert system.kernel.commit_charge == 6 * MB
    with pytest.raises(Throw, match="runtime: cannot map pages in arena address space"):
        system.sys_map(HEAP + 6 * MB, 4096, True)
    assert system.printed == ["runtime: VirtualAlloc of 4096 bytes failed with errno=1455"]
    assert system.sys_alloc(65536, "other_sys") == 0
    system.sys_unused(HEAP, MB)
    assert system.sys_alloc(65536, "other_sys") == 0x1_0000


def test_a_taken_address_leaves_the_choice_to_the_kernel() -> None:
    """mem_windows.go:98-109: first at v, then anywhere."""
    system = windows(4, high=0x7FFF_0000, taken=(Range(0x40_0000, 0x57_0000),))
    assert system.sys_reserve(0x50_0000, 256 * MB) == (0x57_0000, True)
    # The end of that is not a multiple of 64 KB away from the next free address.
    assert system.sys_reserve(0x57_0000 + 256 * MB, MB) == (0x57_0000 + 256 * MB, True)


def test_addresses_are_rounded_down_to_64_kb() -> None:
    system = windows(4, high=0x7FFF_0000)
    assert system.sys_reserve(0x1000_2000, 4096) == (0x1000_0000, True)
    assert next(iter(system.kernel.space))[:2] == (0x1000_0000, 0x1000_3000)
    # 0x10003000 lies in the first 64 KB that are gone, though its page is free.
    assert system.sys_reserve(0x1000_3000, 4096) == (0x1_0000, True)
    assert system.sys_alloc(100, "other_sys") == 0x2_0000
    assert system.sys_alloc(70_000, "other_sys") == 0x3_0000
    assert system.sys_alloc(1, "other_sys") == 0x5_0000


def test_no_room() -> None:
    system = windows(4, high=0x7FFF_0000)
    assert system.sys_reserve(0, 0x7FFE_0000) == (0x1_0000, True)
    assert system.sys_reserve(0x970_0000, 65536) == (0, True)
    assert system.sys_alloc(1, "other_sys") == 0
    assert system.counts_failed_alloc


@pytest.mark.parametrize("v", [0x7FFF_0000, 0xFFFF_0000, 0x8000])
def test_addresses_that_are_not_the_users(v: int) -> None:
    assert windows(4, high=0x7FFF_0000).sys_reserve(v, 65536) == (0x1_0000, True)


def test_nothing_can_be_reserved_with_size_0() -> None:
    assert windows().sys_reserve(HINT, 0) == (0, True)


def test_hints_ignored_means_that_the_first_try_fails() -> None:
    assert windows(hints_honoured=False).sys_reserve(HINT, ARENA) == (0x1_0000, True)


def test_top_down() -> None:
    assert windows(4, high=0x7FFF_0000, top_down=True).sys_alloc(1, "other_sys") == 0x7FFE_0000
    base = windows(4, high=0x7FFF_0000, top_down=True, mmap_base=0x6000_0000)
    assert base.sys_alloc(65537, "other_sys") == 0x5FFE_0000
    assert windows(4, mmap_base=0x100_0000).sys_alloc(1, "other_sys") == 0x100_0000


def two_neighbours() -> Windows:
    system = windows(4, high=0x7FFF_0000)
    assert system.sys_reserve(0x1000_0000, MB) == (0x1000_0000, True)
    assert system.sys_reserve(0x1010_0000, MB) == (0x1010_0000, True)
    return system


def test_commit_ends_with_the_allocation() -> None:
    """golang/go#14638."""
    system = two_neighbours()
    system.sys_map(0x100F_0000, 64 * KB, True)
    system.sys_map(0x1010_0000, 64 * KB, True)
    with pytest.raises(Throw, match="runtime: cannot map pages in arena address space"):
        system.sys_map(0x100F_F000, 8192, True)
    assert system.printed == ["runtime: VirtualAlloc of 8192 bytes failed with errno=487"]


def test_release_and_use_across_allocations_go_piece_by_piece() -> None:
    """mem_windows.go:35-57 and 65-79."""
    system = two_neighbours()
    system.sys_map(0x1000_0000, MB, True)
    system.sys_map(0x1010_0000, MB, True)
    system.sys_unused(0x100A_6000, 0xB_4000)
    assert list(system.kernel.committed) == [
        (0x1000_0000, 0x100A_6000, MAPPED),
        (0x1015_A000, 0x1020_0000, MAPPED),
    ]
    system.sys_used(0x100A_6000, 0xB_4000)
    assert list(system.kernel.committed) == [(0x1000_0000, 0x1020_0000, MAPPED)]
    system.sys_fault(0x1000_0000, 2 * MB)
    assert system.kernel.commit_charge == 0
    assert system.printed == []


def test_use_takes_what_the_limit_leaves_and_then_dies() -> None:
    """golang/go#19514: smaller and smaller pieces are committed, until not even a page is left."""
    system = windows(commit_limit=100 * KB)
    system.sys_reserve(HINT, ARENA)
    with pytest.raises(Throw, match="runtime: failed to commit pages"):
        system.sys_used(HEAP, 256 * KB)
    assert system.printed == ["runtime: VirtualAlloc of 0 bytes failed with errno=1455"]
    assert system.kernel.commit_charge == 100 * KB


def test_decommit_beyond_what_is_allocated() -> None:
    system = two_neighbours()
    with pytest.raises(Throw, match="runtime: failed to decommit pages"):
        system.sys_unused(0x101F_0000, 128 * KB)
    assert system.printed == ["runtime: VirtualFree of 0 bytes failed with errno=487"]


def test_release_takes_the_whole_allocation_by_its_base() -> None:
    """mem_windows.go:84-91: the size is not even handed on."""
    system = two_neighbours()
    system.sys_map(0x1000_0000, 64 * KB, True)
    system.sys_free(0x1000_0000, 4096)
    assert [piece[:2] for piece in system.kernel.space] == [(0x1010_0000, 0x1020_0000)]
    assert system.kernel.commit_charge == 0
    with pytest.raises(Throw, match="runtime: failed to release pages"):
        system.sys_free(0x1000_0000, MB)
    assert system.printed == [f"runtime: VirtualFree of {MB} bytes failed with errno=487"]


def test_foreign_memory_is_nobodys_to_commit_or_release() -> None:
    system = windows(4, taken=(Range(0x1000_0000, 0x1001_0000),))
    assert system.kernel.virtual_alloc(0x1000_0000, 4096, reserve=False, commit=True) == Errno(487)
    assert system.kernel.virtual_free(0x1000_0000, 4096, release=False) == Errno(487)
    assert system.kernel.virtual_free(0x1000_0000, 0, release=True) == Errno(487)


@pytest.mark.parametrize(
    ("bits", "tables"),
    [
        (35, 16384 + 32 + 1),  # 64 MB: what one can bear
        (39, 262144 + 512 + 1),  # 1 GB: what the arena of other systems would cost
    ],
)
def test_page_tables_of_what_is_reserved(bits: int, tables: int) -> None:
    """golang/go#5402: why the arena has 35 bits on windows/amd64 (malloc.go:138)."""
    n = 1 << bits
    assert page_table_commit(0, n, 8) == tables * 4096
    old = windows(page_tables_charged=True, commit_limit=tables * 4096)
    assert old.sys_reserve(1 << 40, n) == (1 << 40, True)
    assert old.kernel.commit_charge == tables * 4096
    assert old.sys_reserve(1 << 41, n) == (0, True)
    old.sys_free(1 << 40, 0)
    assert old.kernel.commit_charge == 0
    assert windows(commit_limit=0).sys_reserve(1 << 40, n) == (1 << 40, True)


@pytest.mark.parametrize(
    ("start", "n", "ptr_size", "tables"),
    [
        (0, 0, 8, 0),
        (0, 1, 8, 3),
        (2 * MB - 4096, 8192, 8, 4),
        (GB - 4096, 8192, 8, 5),
        (512 * GB - 4096, 8192, 8, 6),
        (0, 512 * MB, 4, 256),
        (4096, 2 * MB, 4, 2),
    ],
)
def test_page_tables_by_hand(start: int, n: int, ptr_size: int, tables: int) -> None:
    assert page_table_commit(start, n, ptr_size) == tables * 4096


def test_a_planned_address() -> None:
    system = windows()
    install(system, Request("sysReserve", HINT, None, 0x1_0000_0000))
    assert system.sys_reserve(HINT, MB) == (0x1_0000_0000, True)
    install(system, NthCall("sysReserve", 1, COMMITMENT_LIMIT), NthCall("sysAlloc", 2, 0x2_0000_0000))
    assert system.sys_reserve(HINT, MB) == (0, True)
    assert system.sys_alloc(1, "gc_sys") == 0x1_0000
    assert system.sys_alloc(1, "gc_sys") == 0x2_0000_0000


def test_the_pieces_are_halves_rounded_down_to_pages() -> None:
    """mem_windows.go:44-56: each piece starts from all that is left."""
    tried: list[tuple[int, int]] = []

    def call(v: int, n: int, forced: object) -> int | Errno:
        tried.append((v // KB, n // KB))
        return v if n <= 12 * KB else Errno(487)

    assert MemWindows._piecewise(0, 44 * KB, call, None) == 0
    assert tried == [
        (0, 44),
        (0, 20),
        (0, 8),
        (8, 36),
        (8, 16),
        (8, 8),
        (16, 28),
        (16, 12),
        (28, 16),
        (28, 8),
        (36, 8),
    ]


def test_errors_that_no_printed_line_shows() -> None:
    system = two_neighbours()
    assert system.kernel.virtual_free(0x100F_0000, 128 * KB, release=False) == Errno(87)
    assert system.kernel.virtual_alloc(0, 0, reserve=True, commit=False) == Errno(87)
    assert system.kernel.virtual_alloc(0, 0x7FFF_0000, reserve=True, commit=False) == Errno(8)
