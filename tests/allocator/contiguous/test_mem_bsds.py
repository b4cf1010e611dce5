"""mem_darwin.go and mem_bsd.go: darwin, the three BSDs, dragonfly, solaris and nacl."""

from __future__ import annotations

import pytest

from allocator.common.throw import Throw
from allocator.contiguous.mem_bsd import MemBsd
from allocator.contiguous.systems import new_system
from allocator.kernels.address_space import MAPPED, RESERVED, Range
from allocator.kernels.machine import Machine

MB = 1 << 20
HINT = 0xC0_0000_0000
HEAP = 0xC4_2000_0000
ARENA = 567_472_562_176
LADDER64 = [675_291_136, 406_855_680, 272_637_952, 138_420_224]


def posix(goos: str, ptr_size: int = 8, **fields: object) -> MemBsd:
    system = new_system(goos, Machine(**fields), ptr_size=ptr_size)  # type: ignore[arg-type]
    assert isinstance(system, MemBsd)
    return system


def test_darwin_reserves_all() -> None:
    system = posix("darwin")
    assert system.sys_reserve(HINT, ARENA) == (HINT, True)
    assert list(system.kernel.space) == [(HINT, HINT + ARENA, RESERVED)]
    system.sys_map(HEAP, MB, True)
    assert system.kernel.space.total(MAPPED) == MB
    assert system.kernel.space.total(RESERVED) == ARENA - MB


def test_darwin_under_a_limit_falls_to_the_ladder() -> None:
    """golang/go#2302: every one of the 128 hints is refused."""
    system = posix("darwin", ulimit_v=500 * MB, image_size=10 * MB)
    for i in range(128):
        assert system.sys_reserve(i << 40 | HINT, ARENA) == (0, True)
    assert [bool(system.sys_reserve(0x170_0000, n)[0]) for n in LADDER64[:2]] == [False, True]


def test_darwin_goes_upward_from_a_taken_hint_and_then_starts_below() -> None:
    system = posix("darwin", taken=(Range(HINT, HINT + MB),), low=0x1_0000_0000)
    assert system.sys_reserve(HINT, ARENA) == (HINT + MB, True)
    assert system.sys_alloc(4096, "other_sys") == 0x1_0000_0000
    crowded = posix("darwin", taken=(Range(HINT, 0x7FFF_FFFF_F000),), low=0x1_0000_0000)
    assert crowded.sys_reserve(HINT + MB, MB) == (0x1_0000_0000, True)


@pytest.mark.parametrize("goos", ["freebsd", "netbsd", "openbsd", "dragonfly", "solaris"])
def test_a_64_bit_arena_is_not_even_probed(goos: str) -> None:
    """mem_bsd.go:49: whatever is there, and however little is allowed."""
    system = posix(goos, ulimit_v=1, taken=(Range(HINT, HINT + ARENA),))
    assert system.sys_reserve(HINT, ARENA) == (HINT, False)


@pytest.mark.parametrize(
    ("goos", "elsewhere"),
    [
        ("freebsd", HEAP + 2 * MB),
        ("netbsd", HEAP - MB),
        ("openbsd", 0x7FFF_FFFF_F000 - MB),
        ("solaris", 0x7FFF_FFFF_F000 - MB),
    ],
)
def test_a_conflict_shows_in_sys_map(goos: str, elsewhere: int) -> None:
    system = posix(goos, taken=(Range(HEAP, HEAP + 2 * MB),))
    with pytest.raises(Throw, match="runtime: address space conflict"):
        system.sys_map(HEAP, MB, False)
    assert system.printed == [f"runtime: address space conflict: map(0xc420000000) = {elsewhere:#x}"]


def test_dragonfly_overwrites_silently() -> None:
    """mem_bsd.go:70-77."""
    system = posix("dragonfly", taken=(Range(HEAP + 4096, HEAP + 8192), Range(HEAP + 2 * MB, HEAP + 3 * MB)))
    system.sys_map(HEAP, MB, False)
    assert system.printed == []
    assert system.kernel.overwritten == [Range(HEAP + 4096, HEAP + 8192)]
    assert system.kernel.space.at(HEAP) == (HEAP, HEAP + MB, MAPPED)


def test_dragonfly_maps_where_hints_are_ignored() -> None:
    posix("dragonfly", hints_honoured=False).sys_map(HEAP, MB, False)
    with pytest.raises(Throw, match="conflict"):
        posix("freebsd", hints_honoured=False).sys_map(HEAP, MB, False)


@pytest.mark.parametrize("goos", ["freebsd", "dragonfly"])
def test_the_heap_area_is_kept_free(goos: str) -> None:
    """kern_mmap: a 32-bit arena lands above the data segment's limit, not after the image."""
    system = posix(goos, 4, high=0xBFC0_0000, image_start=0x804_8000, data_end=0x83F_1234)
    base = 0x83F_2000 + 512 * MB
    assert system.sys_reserve(0x850_0000, 807_411_712) == (base, True)
    assert system.sys_alloc(4096, "other_sys") == base + 807_411_712
    low = posix(goos, 4, high=0xBFC0_0000, data_end=0x83F_1234, rlimit_data=64 * MB)
    assert low.sys_reserve(0x850_0000, 807_411_712) == (0x83F_2000 + 64 * MB, True)
    below = posix(goos, 4, high=0xBFC0_0000, image_start=0x804_8000, data_end=0x83F_1234)
    assert below.sys_reserve(0x700_0000, 4096) == (0x700_0000, True)
    downward = posix(goos, 4, high=0xBFC0_0000, data_end=0x83F_1234, top_down=True)
    assert downward.sys_reserve(0x850_0000, MB) == (0x850_0000, True)
    assert downward.sys_alloc(MB, "other_sys") == 0xBFC0_0000 - MB


def test_a_bsd_counts_a_reservation_and_what_replaces_it() -> None:
    system = posix("freebsd", 4, high=0xBFC0_0000, ulimit_v=100 * MB)
    v, _ = system.sys_reserve(0x3000_0000, 60 * MB)
    system.sys_map(v, 40 * MB, True)
    with pytest.raises(Throw, match="runtime: out of memory"):
        system.sys_map(v, 40 * MB + 4096, True)


def test_openbsd_counts_memory_as_data() -> None:
    """The class default of 512 MB leaves the third rung of the 32-bit ladder."""
    system = posix("openbsd", 4, high=0xCFBF_E000, rlimit_data=512 * MB)
    ladder = [807_411_712, 538_976_256, 404_758_528, 270_540_800]
    assert [bool(system.sys_reserve(0x2000_0000, n)[0]) for n in ladder[:3]] == [False, False, True]
    v = 0x2000_0000
    system.sys_map(v, 300 * MB, True)
    with pytest.raises(Throw, match="out of memory"):
        system.sys_map(v + 300 * MB, 300 * MB, True)


def test_solaris_without_swap_says_eagain_which_reads_as_a_conflict() -> None:
    system = posix("solaris", commit_limit=10 * MB, committed=MB)
    system.sys_map(HEAP, 9 * MB, False)
    assert system.sys_alloc(4096, "other_sys") == 0
    with pytest.raises(Throw, match="runtime: address space conflict"):
        system.sys_map(HEAP + 9 * MB, MB, False)
    assert system.printed == ["runtime: address space conflict: map(0xc420900000) = 0xb"]
    system.sys_free(HEAP, MB)
    assert system.sys_alloc(4096, "other_sys")


def test_nacl_reserves_nothing_at_all() -> None:
    system = posix("nacl", 4, high=1 << 30, page_size=65536)
    assert system.sys_reserve(0x20_0000, 807_411_712) == (0x20_0000, False)
    assert system.sys_reserve(0x20_0000, 0xFFFF_0000) == (0x20_0000, False)
    system.sys_map(0x1080_0000, MB, False)
    assert system.sys_alloc(4096, "other_sys") == (1 << 30) - 65536
    system.sys_free((1 << 30) - 65536, 65536)
    assert system.sys_alloc(4096, "other_sys") == (1 << 30) - 2 * 65536


def test_nacl_looks_above_a_taken_hint() -> None:
    system = posix("nacl", 4, high=1 << 30, page_size=65536, taken=(Range(0x1080_0000, 0x1084_0000),))
    with pytest.raises(Throw, match="conflict"):
        system.sys_map(0x1080_0000, MB, False)
    assert system.printed == ["runtime: address space conflict: map(0x10800000) = 0x10840000"]


def test_a_32_bit_bsd_reserves() -> None:
    for goos in ("netbsd", "openbsd"):
        system = posix(goos, 4, high=0xBFC0_0000)
        assert system.sys_reserve(0x970_0000, 807_411_712) == (0x970_0000, True)
        system.sys_map(0x970_0000, MB, True)
        assert posix(goos, 4, ulimit_v=MB).sys_reserve(0x970_0000, 807_411_712) == (0, None)


def test_fixed_beyond_the_end_is_invalid() -> None:
    """All but linux say EINVAL, which is no `out of memory`."""
    system = posix("dragonfly", high=1 << 39)
    with pytest.raises(Throw, match="runtime: address space conflict"):
        system.sys_map(1 << 39, MB, False)
    assert system.printed == ["runtime: address space conflict: map(0x8000000000) = 0x16"]
