"""mem_linux.go on machines of every kind: probe, limits, overcommit, huge pages, page sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.throw import Throw
from allocator.contiguous.mem_linux import MemLinux
from allocator.contiguous.systems import new_system
from allocator.kernels.address_space import MAPPED, RESERVED, Range
from allocator.kernels.linux import HUGE_PAGES, NO_HUGE_PAGES, Linux
from allocator.kernels.machine import Machine

MB = 1 << 20
HUGE = 2 * MB
HINT = 0xC0_0000_0000
HEAP = 0xC4_2000_0000
ARENA = 567_472_562_176  # what a 64-bit runtime asks for (malloc.go:295)
LADDER = [807_411_712, 538_976_256, 404_758_528, 270_540_800]


def linux(machine: Machine, ptr_size: int = 8, **believed: int) -> MemLinux:
    return MemLinux(Linux(machine, ptr_size=ptr_size), "linux", **believed)


def linux64(**fields: object) -> MemLinux:
    return linux(Machine(**fields), huge_page_size=HUGE)  # type: ignore[arg-type]


def linux32(**fields: object) -> MemLinux:
    return linux(Machine(high=0xFFFF_E000, **fields), 4)  # type: ignore[arg-type]


def test_a_64_bit_arena_is_probed_and_not_reserved() -> None:
    """mem_linux.go:188-199: 64 KB are mapped at the hint and unmapped at once."""
    system = linux64(ulimit_v=MB)
    assert system.sys_reserve(HINT, ARENA) == (HINT, False)
    assert len(system.kernel.space) == 0


LIMITS = st.sampled_from(
    [{}, {}, {"max_map_count": 3}, {"max_map_count": 40}, {"ulimit_v": 20 * MB}, {"hints_honoured": False}]
)


@given(
    limits=LIMITS,
    calls=st.lists(
        st.tuples(st.sampled_from([-3, -2, -1, 0, 1, 2, 3]), st.integers(1, 3), st.booleans()), max_size=30
    ),
    high=st.sampled_from([HEAP + 12 * MB, 0x7FFF_FFFF_F000]),
)
def test_what_lengthens_a_mapping_is_answered_like_any_other(
    limits: dict[str, int], calls: list[tuple[int, int, bool]], high: int
) -> None:
    """sysMap beside what is mapped already takes a shorter way to the same answers and mappings."""
    short, long = linux64(**limits, high=high), linux64(**limits, high=high)
    long.kernel.boundless = False
    low = top = HEAP + 8 * MB
    for where, size, reserved in calls:
        v, n = (top if where >= 0 else low - size * MB) + where // 3 * MB, size * MB
        answer = short.map_at(v, n, reserved)
        assert answer == long.map_at(v, n, reserved)
        assert list(short.kernel.space) == list(long.kernel.space)
        assert (
            short.kernel.space.totals() == long.kernel.space.totals()
            and short.kernel.space.held == long.kernel.space.held
        )
        if answer == v:
            low, top = min(low, v), max(top, v + n)


def test_32_bit_arena_is_reserved() -> None:
    system = linux32()
    assert system.sys_reserve(0x970_0000, LADDER[0]) == (0x970_0000, True)
    assert list(system.kernel.space) == [(0x970_0000, 0x970_0000 + LADDER[0], RESERVED)]


def test_4_gb_exactly_are_still_reserved() -> None:
    """mem_linux.go:188 compares with more than 1<<32."""
    assert linux64().sys_reserve(HINT, 1 << 32) == (HINT, True)
    assert linux64().sys_reserve(HINT, (1 << 32) + 4096) == (HINT, False)


@pytest.mark.parametrize("limit", [899, 600, 500, 300])
def test_ladder_under_a_limit(limit: int) -> None:
    """golang/go#5049: each rung fits or does not, the image counted."""
    system = linux32(ulimit_v=limit * MB, image_size=20 * MB)
    fits = [
        n for n in LADDER if system.sys_reserve(0x970_0000, n)[0] and not system.kernel.munmap(0x970_0000, n)
    ]
    assert fits == [n for n in LADDER if n + 20 * MB <= limit * MB]


def test_limit_is_met_to_the_page() -> None:
    limit = LADDER[3] + 1_000_000 // 4096 * 4096
    assert linux32(ulimit_v=limit, image_size=limit - LADDER[3]).sys_reserve(0x970_0000, LADDER[3])[0]
    assert linux32(ulimit_v=limit - 1, image_size=limit - LADDER[3]).sys_reserve(0x970_0000, LADDER[3]) == (
        0,
        None,
    )


# The first OS calls of a 64-bit program: persistentalloc's chunk, the heap's first megabyte with its
# bitmap and span table, gc_sys and other_sys chunks; in KB, and whether by sysMap.
START = [(256, False), (1024, True), (32, True), (4, True), (64, False), (64, False), (256, False)]


@pytest.mark.parametrize(
    ("image", "borders"),
    [
        # Measured with a real program of 1,292 KB (text and data 1,128, stack 132, vdso and its data 32)
        # under ever larger `ulimit -v`, in steps of 8 KB: the first limit of each outcome.
        (
            1292,
            {
                "no reservation": 1264,
                "cannot allocate": 1360,
                "cannot map": 1552,
                "later": 2608,
                "runs": 2992,
            },
        )
    ],
)
def test_borders_between_outcomes_are_where_they_were_measured(image: int, borders: dict[str, int]) -> None:
    def outcome(limit: int) -> str:
        system = linux64(ulimit_v=limit << 10, image_size=image << 10)
        if not system.sys_reserve(HINT, ARENA)[0]:
            return "no reservation"
        at = HEAP
        for i, (kb, mapped) in enumerate(START):
            if not mapped:
                if not system.sys_alloc(kb << 10, "other_sys"):
                    return "later" if i else "cannot allocate"
                continue
            try:
                system.sys_map(at, kb << 10, False)
            except Throw as death:
                assert death.words == "runtime: out of memory"
                return "cannot map"
            at += kb << 10
        return "runs"

    found: dict[str, int] = {}
    for limit in range(borders["no reservation"], 3200, 8):
        found.setdefault(outcome(limit), limit)
    assert found == borders


def test_image_counts_by_its_extent_unless_its_size_is_given() -> None:
    machine = Machine(image_start=0x40_0000, data_end=0x52_0C48)
    assert machine.image == Range(0x40_0000, 0x52_1000)
    assert machine.image_bytes == 0x12_1000
    assert Machine(image_size=5, data_end=0x52_0C48).image_bytes == 5
    assert not linux64(data_end=0x52_0C48).kernel.space.is_free(0x52_0C48, 0x52_0C49)


def test_what_was_reserved_is_not_counted_again() -> None:
    system = linux32(ulimit_v=LADDER[0] + MB)
    v, _ = system.sys_reserve(0x970_0000, LADDER[0])
    system.sys_map(v, 700 * MB, True)
    assert system.sys_alloc(MB, "other_sys")
    assert system.sys_alloc(4096, "other_sys") == 0


def test_39_bits() -> None:
    """go.arm64#104: the first hint is the middle of the address space, all others lie beyond it."""
    system = linux64(high=1 << 48, va_bits=39)
    assert system.sys_reserve(0x40_0000_0000, ARENA) == (0x40_0000_0000, False)
    for i in range(1, 128):
        assert system.sys_reserve(i << 40 | 0x40_0000_0000, ARENA) == (0, None)
    assert len(system.kernel.space) == 0
    system.sys_map((1 << 39) - MB, MB, False)
    with pytest.raises(Throw, match="runtime: out of memory"):
        system.sys_map(1 << 39, MB, False)


@pytest.mark.parametrize("bits", [39, 42, 47, 48])
def test_the_last_hint_within_so_many_bits(bits: int) -> None:
    system = linux64(high=1 << 48, va_bits=bits)
    good = [i for i in range(256) if system.sys_reserve(i << 40 | HINT, ARENA)[0]]
    assert good == [i for i in range(256) if (i << 40 | HINT) + (64 << 10) <= 1 << bits]


def test_a_taken_hint() -> None:
    """golang/go#20763: 0x4000000000 is taken, so the runtime's next hint is used."""
    system = linux64(high=1 << 48, taken=(Range(0x40_0000_0000, 0x40_0080_0000),))
    assert system.sys_reserve(0x40_0000_0000, ARENA) == (0, None)
    assert system.sys_reserve(0x140_0000_0000, ARENA) == (0x140_0000_0000, False)
    assert len(system.kernel.space) == 1


def test_hints_ignored_are_insisted_on() -> None:
    """mem_linux.go:44: where nothing is mapped, MAP_FIXED follows."""
    system = linux64(hints_honoured=False)
    assert system.sys_reserve(HINT, ARENA) == (HINT, False)
    system.sys_map(HEAP, MB, False)
    assert list(system.kernel.space) == [(HEAP, HEAP + MB, MAPPED)]


def test_64_kb_pages() -> None:
    """golang/go#11886: with the page that the kernel has, and with a belief in 4 KB."""
    system = linux(Machine(page_size=65536, high=1 << 48), ptr_size=8)
    system.sys_map(0x4_4202_0000 - 0x1_0000, 0x1_0000, False)
    wrong = linux(Machine(page_size=65536, high=1 << 48), ptr_size=8, phys_page_size=4096)
    # No page that the runtime asks about is one of the kernel's, so all count as unmapped (22 is EINVAL).
    with pytest.raises(Throw, match="runtime: address space conflict"):
        wrong.sys_map(0x44_1FFF_8000, 32768, False)
    assert wrong.printed == ["runtime: address space conflict: map(0x441fff8000) = 0x16"]
    assert len(wrong.kernel.space) == 0


@pytest.mark.parametrize(
    ("believed", "v", "mapped_at", "unmapped"),
    [
        (4096, HEAP, HEAP + 0x1000, False),
        (4096, HEAP, HEAP + 0x3F000, False),
        (4096, HEAP, HEAP + 0x40000, True),
        (65536, HEAP, HEAP + 0x20000, False),
        (65536, HEAP, HEAP + 0x21000, True),  # only each sixteenth page is asked about
        (65536, HEAP + 0x800, HEAP + 0x20000, True),  # never a multiple of the kernel's page
        (2048, HEAP + 0x800, HEAP + 0x20000, False),
        (2048, HEAP + 0x400, HEAP + 0x20000, True),
    ],
)
def test_what_mincore_is_asked_about(believed: int, v: int, mapped_at: int, unmapped: bool) -> None:
    """mem_linux.go:24-42, each physPageSize from v."""
    system = linux(Machine(), ptr_size=8, phys_page_size=believed)
    system.kernel.space.place(mapped_at, mapped_at + 4096, RESERVED)
    asked = range(v, v + 0x40000, believed)
    assert unmapped == all(at % 4096 or system.kernel.space.at(at) is None for at in asked)
    assert system.all_unmapped(v, 0x40000) == unmapped


def test_probing_terabytes_takes_no_time() -> None:
    system = linux64(hints_honoured=False)
    system.sys_map(HINT, 1 << 45, False)
    assert system.kernel.space.total(MAPPED) == 1 << 45


def test_overcommit() -> None:
    heuristic = linux64(ram_and_swap=100 * MB)
    heuristic.sys_map(HEAP, 100 * MB, False)
    heuristic.sys_map(HEAP + 100 * MB, 100 * MB, False)
    with pytest.raises(Throw, match="out of memory"):
        heuristic.sys_map(HEAP + 200 * MB, 100 * MB + 4096, False)
    always = linux64(overcommit=1, ram_and_swap=MB, commit_limit=MB)
    always.sys_map(HEAP, 200 * MB, False)
    never = linux64(overcommit=2, commit_limit=100 * MB, committed=50 * MB)
    assert never.sys_reserve(HINT, ARENA)[0]
    never.sys_map(HEAP, 49 * MB, False)
    assert never.sys_alloc(MB, "other_sys")
    assert never.sys_alloc(4096, "other_sys") == 0
    never.sys_free(HEAP, MB)
    assert never.sys_alloc(4096, "other_sys")


def test_a_mapping_given_up_is_not_committed_twice() -> None:
    system = linux64(overcommit=2, commit_limit=10 * MB)
    system.sys_map(HEAP, 10 * MB, False)
    system.sys_map(HEAP, 10 * MB, True)
    assert system.kernel.space.total(MAPPED) == 10 * MB


def test_data_limit_lets_reserved_room_through_until_it_is_passed() -> None:
    """may_expand_vm takes off what MAP_FIXED replaces, though none of it was data."""
    system = linux32(rlimit_data=10 * MB)
    v, _ = system.sys_reserve(0x970_0000, LADDER[0])
    system.sys_map(v, 500 * MB, True)
    with pytest.raises(Throw, match="out of memory"):
        system.sys_map(v + 500 * MB, MB, True)
    direct = linux64(rlimit_data=10 * MB, image_data=MB)
    direct.sys_map(HEAP, 9 * MB, False)
    with pytest.raises(Throw, match="out of memory"):
        direct.sys_map(HEAP + 9 * MB, 4096, False)


def test_where_memory_without_a_hint_goes() -> None:
    assert linux64().sys_alloc(65536, "other_sys") == 0x7FFF_F7FF_F000 - 65536
    assert linux32().sys_alloc(65536, "other_sys") == 0xF7FF_E000 - 65536
    assert linux32(top_down=False).sys_alloc(65536, "other_sys") == 0x5555_5000
    full = linux(
        Machine(high=0xC000_0000, taken=(Range(0x1_0000, 0xB800_0000),), mmap_base=0xB800_0000), ptr_size=4
    )
    assert full.sys_alloc(65536, "other_sys") == 0xB800_0000


def test_32_bit_sums_do_not_leave_the_address_space() -> None:
    system = linux32()
    assert system.sys_reserve(0x970_0000, 0xFFFF_FFFF) == (0, None)
    assert system.sys_reserve(0xFFFF_0000, MB)[0] < 0xF800_0000


def released(pieces: list[tuple[int, int]]) -> MemLinux:
    system = linux64()
    system.sys_map(HEAP, 64 * MB, False)
    for v, n in pieces:
        system.sys_unused(v, n)
    return system


def advice(system: MemLinux) -> list[tuple[int, int, int]]:
    return [
        (start - HEAP, end - HEAP, kind & (HUGE_PAGES | NO_HUGE_PAGES))
        for start, end, kind in system.kernel.space
    ]


@pytest.mark.parametrize(
    ("v", "n", "marked"),
    [
        (HEAP, HUGE, None),
        (HEAP + HUGE, 4 * HUGE, None),
        (HEAP + 8192, 8192, (0, HUGE)),
        (HEAP + 8192, HUGE, (0, 2 * HUGE)),
        (HEAP, HUGE + 8192, (HUGE, 2 * HUGE)),
        (HEAP + HUGE + 8192, HUGE - 8192, (HUGE, 2 * HUGE)),
    ],
)
def test_huge_pages_at_the_ends_of_what_is_released(v: int, n: int, marked: tuple[int, int] | None) -> None:
    """mem_linux.go:103-136."""
    system = released([(v, n)])
    expected = [(0, 64 * MB, 0)]
    if marked is not None:
        start, end = marked
        expected = [(0, start, 0), (start, end, NO_HUGE_PAGES), (end, 64 * MB, 0)]
        expected = [piece for piece in expected if piece[0] < piece[1]]
    assert advice(system) == expected


def test_head_and_tail_apart_leave_the_middle() -> None:
    system = released([(HEAP + 8192, 3 * HUGE)])
    assert advice(system) == [
        (0, HUGE, NO_HUGE_PAGES),
        (HUGE, 3 * HUGE, 0),
        (3 * HUGE, 4 * HUGE, NO_HUGE_PAGES),
        (4 * HUGE, 64 * MB, 0),
    ]


def test_use_undoes_it_for_whole_huge_pages() -> None:
    """mem_linux.go:148-169."""
    system = released([(HEAP + 8192, 8192), (HEAP + 3 * HUGE + 8192, 8192)])
    system.sys_used(HEAP + 8192, 5 * HUGE)
    assert advice(system) == [(0, HUGE, NO_HUGE_PAGES), (HUGE, 5 * HUGE, HUGE_PAGES), (5 * HUGE, 64 * MB, 0)]
    system.sys_used(HEAP + 8192, HUGE)
    assert advice(system)[0] == (0, HUGE, NO_HUGE_PAGES)


def test_no_advice_where_the_architecture_has_no_huge_pages() -> None:
    system = linux(Machine(), ptr_size=8)
    system.sys_map(HEAP, 64 * MB, False)
    system.sys_unused(HEAP + 8192, 8192)
    assert advice(system) == [(0, 64 * MB, 0)]


def test_scavenging_splits_mappings_until_there_are_too_many() -> None:
    """golang/go#12233: memory is free, yet mapping fails."""
    system = linux64(max_map_count=100)
    system.sys_map(HEAP, 1024 * MB, False)
    for i in range(0, 256, 2):
        system.sys_unused(HEAP + i * HUGE + 8192, 8192)
    assert system.kernel.map_count == 100
    assert system.sys_alloc(65536, "other_sys")
    assert system.kernel.map_count == 101
    assert system.sys_alloc(65536, "other_sys") == 0
    with pytest.raises(Throw, match="out of memory"):
        system.sys_map(HEAP + 1024 * MB, MB, False)
    system.sys_used(HEAP, 1024 * MB)
    assert system.kernel.map_count == 2
    system.sys_map(HEAP + 1024 * MB, MB, False)


def test_advice_that_only_moves_a_border_is_always_possible() -> None:
    system = linux64(max_map_count=2)
    system.sys_map(HEAP, 64 * MB, False)
    system.sys_unused(HEAP + 8192, 8192)
    system.sys_unused(HEAP + HUGE + 8192, 8192)
    assert advice(system)[0] == (0, 2 * HUGE, NO_HUGE_PAGES)
    system.sys_unused(HEAP + 8 * HUGE + 8192, 8192)
    assert system.kernel.map_count == 2


def test_fault_takes_the_memory_away() -> None:
    system = linux64()
    system.sys_map(HEAP, MB, False)
    system.sys_fault(HEAP, 8192)
    assert list(system.kernel.space) == [(HEAP, HEAP + 8192, RESERVED), (HEAP + 8192, HEAP + MB, MAPPED)]


def test_locked_memory_beyond_its_limit_is_not_an_exit_in_sys_map() -> None:
    """Only sysAlloc knows EAGAIN (mem_linux.go:67); to sysMap it is a conflict with address 0xb."""
    system = linux64(memlock_limit=MB)
    with pytest.raises(Throw, match="runtime: address space conflict"):
        system.sys_map(HEAP, 2 * MB, False)
    assert system.printed == ["runtime: address space conflict: map(0xc420000000) = 0xb"]


def test_android_is_linux_in_a_crowd() -> None:
    """golang/go#9311: ART took most of the address space, and a lower rung of the ladder fits."""
    taken = (Range(0x1_0000, 0x8000_0000), Range(0xA000_0000, 0xC000_0000))
    system = new_system("android", Machine(high=0xC000_0000, taken=taken, mmap_base=0xB800_0000), ptr_size=4)
    assert isinstance(system, MemLinux) and system.name == "android"
    answers = [system.sys_reserve(0x170_0000, n)[0] for n in LADDER[:3]]
    assert answers == [0, 0, 0xA000_0000 - 404_758_528]
    assert system.name == "android"
