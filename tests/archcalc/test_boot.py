"""Booting: every platform, the addresses that real programs had, each invariant of mallocinit, and memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from allocator.common.throw import Death, Throw
from allocator.contiguous.runtime import Runtime
from allocator.interface import TOO_EARLY, Attempt, BootCheck
from allocator.sparse.runtime import Runtime as SparseRuntime
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.machines import config_of
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions, machine_options
from archcalc.profiles import platforms
from archcalc.questions.boot import try_boot
from archcalc.reading.errors import UsageFault

PAGE = 8192
MB = 1 << 20
LADDER = (807411712, 538976256, 404758528, 270540800)
# The one reservation of a 64-bit machine with 39 bits: bitmap 16 GB, spans 512 MB, arena 512 GB, a page more.
WHOLE = (16 << 30) + (512 << 20) + (512 << 30) + PAGE
CHECKS = {
    "boot-page-rounding",
    "boot-region-order",
    "boot-bitmap-covers-arena",
    "boot-spans-cover-arena",
    "boot-reservation-holds-parts",
    "boot-used-within-reserved",
    "boot-hint-answered",
    "boot-within-address-bits",
    "boot-class-table",
    "boot-first-mcache",
}


def figures_for(platform: str) -> Figures:
    return figures.compute(platforms.load(platform))


# All of them.


@pytest.mark.parametrize("platform", platforms.names())
def test_every_platform_boots_and_keeps_its_invariants(platform: str) -> None:
    found = try_boot(figures_for(platform))
    assert found.death is None
    assert found.outcome == "booted"
    assert found.ok
    assert {check.id for check in found.checks} == CHECKS
    assert [check for check in found.checks if not check.ok] == []


def test_there_are_38() -> None:
    assert len(platforms.names()) == 38


@pytest.mark.parametrize("platform", platforms.names())
def test_the_parts_lie_as_mallocinit_lays_them(platform: str) -> None:
    """From p rounded up to a page: spans, bitmap, arena. On the ladder the first two describe 4 GB."""
    rt = boot(platform)
    heap, config = rt.heap, rt.config
    last = rt.attempts[-1]
    p1 = (last.answer + PAGE - 1) // PAGE * PAGE
    described = (config.max_mem + PAGE - 1) // PAGE * PAGE
    if len(rt.attempts) > len(config.hints):
        described = 1 << 32
    spans = described // PAGE * config.ptr_size
    bitmap = described // (4 * config.ptr_size)  # a byte for four words
    assert heap.spans_start == p1
    assert heap.bitmap == p1 + spans + bitmap
    assert heap.arena_used == heap.bitmap
    assert heap.arena_start == (heap.bitmap if config.ptr_size == 8 else 0)
    assert heap.arena_end == last.answer + last.size


# What real programs had.


def test_linux_amd64_has_its_heap_where_everybody_knows() -> None:
    """golang/go#19831: first heap address 0xc420000000, first bitmap mapping 32768 bytes at 0xc41fff8000."""
    rt = boot("linux/amd64", record=True)
    assert rt.attempts == [Attempt(0xC000000000, WHOLE, 0xC000000000, False)]
    assert rt.heap.arena_start == 0xC420000000
    assert rt.malloc(1 << 20) == 0xC420000000
    assert rt.log is not None
    mapped = [line for line in rt.log if line.startswith("M ") and line.endswith(" gc_sys")]
    assert mapped[0] == "M c41fff8000 32768 0 gc_sys"


def test_windows_amd64_reaches_35_bits_only() -> None:
    """golang/go#19514: the heap at 0xc042000000, after spans and bitmap of 32 GB."""
    rt = boot("windows/amd64")
    assert rt.heap.arena_start == 0xC042000000
    assert rt.malloc(100_000) == 0xC042000000


def test_linux_arm64_where_the_first_hint_is_taken_uses_the_next() -> None:
    """golang/go#20763: under user emulation, whose own memory is at 0x4000000000."""
    rt = boot("linux/arm64", taken=[(0x4000000000, 0x4000800000)])
    assert [attempt.hint for attempt in rt.attempts] == [0x4000000000, 0x14000000000]
    assert rt.attempts[0].answer == 0
    assert rt.heap.arena_start == 0x14420000000


def test_linux_arm_is_put_elsewhere_than_it_asked_for() -> None:
    """golang/go#19831: asks at 0x200000, the kernel answers 0x64a26000; the first megabyte of heap then maps
    0x74d4000 bytes of bitmap at 0x6d752000: the bitmap describes everything from address 0 on."""
    rt = boot(
        "linux/arm",
        record=True,
        data_end=0x10_0000,
        taken=[(0x20_0000, 0x30_0000), (0x94C2_8000, 0xFFFF_0000)],
    )
    assert rt.attempts == [Attempt(0x200000, LADDER[0], 0x64A26000, True)]
    assert rt.heap.arena_start == 0
    rt.malloc(40_000)
    assert rt.log is not None
    mapped = [line for line in rt.log if line.startswith("M ") and line.endswith(" gc_sys")]
    assert mapped[0] == f"M 6d752000 {0x74D4000} 1 gc_sys"


# Attempts.


@pytest.mark.parametrize(
    "platform", [name for name in platforms.names() if figures_for(name).sys["PtrSize"] == 4]
)
def test_a_32_bit_machine_asks_once_at_the_end_of_its_data(platform: str) -> None:
    """round(firstmoduledata.end + 1<<18, 1<<20), the first rung where there is room."""
    rt = boot(platform)
    hint = (rt.config.data_end + (1 << 18) + MB - 1) // MB * MB
    first = rt.attempts[0]
    assert first.hint == hint
    assert first.size == rt.config.ladder[0] + (1 << 32) // 16 + (1 << 32) // PAGE * 4 + PAGE


@pytest.mark.parametrize(("limit", "rungs"), [(900 * MB, 1), (640 * MB, 2), (450 * MB, 3), (330 * MB, 4)])
def test_a_limit_of_address_space_takes_a_lower_rung(limit: int, rungs: int) -> None:
    rt = boot("linux/386", ulimit_v=limit)
    assert tuple(attempt.size for attempt in rt.attempts) == LADDER[:rungs]
    assert [bool(attempt.answer) for attempt in rt.attempts] == [False] * (rungs - 1) + [True]


def test_below_the_last_rung_it_dies() -> None:
    found = try_boot(figures_for("linux/386"), MachineOptions(ulimit_v=200 * MB))
    assert found.death == {
        "kind": "throw",
        "throw": "runtime: cannot reserve arena virtual address space",
        "printed": [],
        "after": [TOO_EARLY],
    }
    assert found.outcome == "throw"
    assert not found.ok
    assert (found.runtime, found.arena, found.checks) == (None, None, ())
    assert tuple(attempt.size for attempt in found.attempts) == LADDER
    with pytest.raises(Throw, match=r"^runtime: cannot reserve arena virtual address space$"):
        boot("linux/386", ulimit_v=200 * MB)


def test_a_64_bit_machine_without_room_goes_through_all_hints_and_down_the_ladder() -> None:
    """0xc0 in the middle of the address: the high byte of every hint is 0x00 to 0x7f."""
    found = try_boot(figures_for("linux/amd64"), MachineOptions(va_bits=39))
    hints = [attempt.hint for attempt in found.attempts]
    assert hints[:128] == [i << 40 | 0xC0 << 32 for i in range(128)]
    assert len(hints) == 129
    assert found.outcome == "booted"
    assert found.ok
    # The ladder's sizes are those of a machine whose bitmap and spans describe 4 GB with 8-byte words.
    assert found.attempts[-1].size == (512 << 20) + (4 << 30) // 32 + (4 << 30) // PAGE * 8 + PAGE


def test_linux_insists_where_the_kernel_ignores_hints() -> None:
    """mmap_fixed sees that nothing is there and asks again with MAP_FIXED."""
    rt = boot("linux/amd64", ignore_hints=True)
    assert rt.attempts == [Attempt(0xC000000000, WHOLE, 0xC000000000, False)]


def test_darwin_takes_what_it_gets() -> None:
    rt = boot("darwin/amd64", ignore_hints=True)
    (attempt,) = rt.attempts
    assert (attempt.hint, attempt.size, attempt.reserved) == (0xC000000000, WHOLE, True)
    assert attempt.answer not in (0, 0xC000000000)
    assert rt.heap.arena_end == attempt.answer + WHOLE


@pytest.mark.parametrize(
    ("believed", "words", "printed"),
    [
        (0, "failed to get system page size", []),
        (2048, "bad system page size", ["system page size (2048) is smaller than minimum page size (4096)"]),
        (12288, "bad system page size", ["system page size (12288) must be a power of 2"]),
    ],
)
def test_a_page_size_that_cannot_be_ends_it(believed: int, words: str, printed: list[str]) -> None:
    found = try_boot(figures_for("linux/amd64"), MachineOptions(believed_page_size=believed))
    assert found.death == {"kind": "throw", "throw": words, "printed": printed, "after": [TOO_EARLY]}
    assert found.attempts == ()


# Options and keywords.


def test_a_keyword_that_describes_no_machine_is_a_mistake() -> None:
    with pytest.raises(UsageFault, match="ulimit_w describes no machine"):
        boot("linux/amd64", ulimit_w=1)


def test_options_stand_in_place_of_the_profiles_facts() -> None:
    profile = platforms.load("linux/amd64")
    options = machine_options({"page_size": 65536, "data_end": 0x700000, "taken": [(1 << 30, 2 << 30)]})
    machine = machine_of(profile, options)
    assert (machine.page_size, machine.data_end) == (65536, 0x700000)
    assert any((part.start, part.end) == (1 << 30, 2 << 30) for part in machine.taken)
    config = config_of(figures.compute(profile), options)
    assert (config.phys_page_size, config.data_end) == (65536, 0x700000)


def test_fewer_bits_of_address_lower_the_end_and_keep_the_room_for_the_stack() -> None:
    profile = platforms.load("linux/amd64")
    full = machine_of(profile)
    low = machine_of(profile, MachineOptions(va_bits=40))
    assert low.high == 1 << 40
    assert low.high - low.mmap_base == full.high - full.mmap_base
    assert machine_of(profile, MachineOptions(va_bits=57)).high == 1 << 57


def test_a_setting_reaches_the_machine() -> None:
    rt = boot("linux/amd64", sets={"_MHeapMap_TotalBits": 35})
    assert rt.heap.arena_end - rt.heap.arena_start == (32 << 30) + PAGE


def test_procs_and_gogc_are_the_environment_s() -> None:
    rt = boot("linux/amd64", procs=3, gogc=50)
    assert [cache.slot for cache in rt.caches] == ["P0", "P1", "P2"]
    assert rt.gc.gcpercent == 50


# Each invariant, broken.


def break_heap(**fields: int) -> Callable[[Runtime], None]:
    def apply(rt: Runtime) -> None:
        for name, by in fields.items():
            setattr(rt.heap, name, getattr(rt.heap, name) + by)

    return apply


def break_attempt(**fields: Any) -> Callable[[Runtime], None]:
    def apply(rt: Runtime) -> None:
        rt.attempts[-1] = rt.attempts[-1]._replace(**fields)

    return apply


def another_class_size(rt: Runtime) -> None:
    rt.stats.size_by_class[5] += 8


def another_mcache(rt: Runtime) -> None:
    rt.new_mcache()


def less_attempted(rt: Runtime) -> None:
    rt.attempts[-1] = rt.attempts[-1]._replace(size=rt.attempts[-1].size - 2 * PAGE)


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386", "solaris/amd64"])
@pytest.mark.parametrize(
    ("id", "broken"),
    [
        ("boot-page-rounding", break_heap(spans_start=4096)),
        ("boot-page-rounding", break_heap(arena_used=8)),
        ("boot-region-order", break_heap(spans_start=1 << 40)),
        ("boot-region-order", break_heap(arena_used=-PAGE)),
        ("boot-region-order", break_heap(arena_end=-(1 << 41))),
        ("boot-bitmap-covers-arena", break_heap(arena_start=-(1 << 33))),
        ("boot-spans-cover-arena", break_heap(spans_cap=-(60 << 20))),
        ("boot-reservation-holds-parts", less_attempted),
        ("boot-used-within-reserved", break_heap(arena_end=PAGE)),
        ("boot-used-within-reserved", break_attempt(answer=1 << 50)),
        ("boot-hint-answered", break_attempt(answer=0)),
        ("boot-class-table", another_class_size),
        ("boot-first-mcache", another_mcache),
    ],
)
def test_a_broken_machine_fails_the_invariant(
    platform: str, id: str, broken: Callable[[Runtime], None]
) -> None:
    rt = boot(platform)
    if id == "boot-bitmap-covers-arena" and rt.config.ptr_size == 4:
        pytest.skip("counted from address 0, nothing lies outside")
    broken(rt)
    assert id in {check.id for check in rt.boot_checks() if not check.ok}


def test_a_reservation_that_was_only_checked_must_be_where_it_was_asked_for() -> None:
    rt = boot("linux/amd64")
    rt.attempts[-1] = rt.attempts[-1]._replace(hint=rt.attempts[-1].hint + (1 << 40))
    failed = {check.id for check in rt.boot_checks() if not check.ok}
    assert failed == {"boot-hint-answered"}


def test_an_arena_longer_than_the_page_numbers_fails() -> None:
    rt = boot("linux/amd64")
    fewer = replace(rt.config, heap_map_total_bits=38)
    rt.config = fewer
    failed = {check.id for check in rt.boot_checks() if not check.ok}
    assert failed == {"boot-within-address-bits"}


def test_checks_say_what_they_saw() -> None:
    checks = {check.id: check for check in boot("linux/amd64").boot_checks()}
    assert checks["boot-hint-answered"] == BootCheck(
        "boot-hint-answered", True, "asked for 0xc000000000, got 0xc000000000"
    )


# Memory follows what is live.


def test_38_machines_together_stay_below_40_mb() -> None:
    everything = [figures_for(platform) for platform in platforms.names()]
    configs = [(one, config_of(one)) for one in everything]
    tracemalloc.start()
    try:
        machines = [boot(one.profile) for one, _ in configs]
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(machines) == 38
    assert current < 40 << 20
    assert peak < 40 << 20


def test_a_full_arena_of_512_gb_stays_below_200_mb() -> None:
    rt = boot("linux/amd64")
    tracemalloc.start()
    try:
        for i in range(8192):
            assert rt.malloc(64 * MB) == 0xC420000000 + i * 64 * MB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rt.heap.arena_used == rt.heap.arena_start + (512 << 30)
    assert peak < 200 << 20
    assert rt.audit() == []
    with pytest.raises(Throw, match=r"^out of memory$"):
        rt.malloc(64 * MB)


@pytest.mark.parametrize("platform", ["nacl/386", "nacl/arm"])
def test_the_loaders_stack_ends_the_heap_of_native_client(platform: str) -> None:
    # golang.org/issue/10555: the mapping that reaches the top 16 MB of the sandbox falls to 0xc410000.
    rt = boot(platform)
    with pytest.raises(Death) as caught:
        for _ in range(1000):
            rt.malloc(1 << 20, noscan=True)
    words = rt.last_words(caught.value)
    assert words["throw"] == "runtime: address space conflict"
    assert words["printed"] == ["runtime: address space conflict: map(0x3ef00000) = 0xc410000"]
    assert words["after"] == []


# Where a lot decides.


@pytest.mark.parametrize("base", [0x1D7A76000000, 0x3EA911000000, 0x4000000, 0x3FFFFFFFE000])
def test_a_heap_begins_where_it_is_said_to(base: int) -> None:
    """golang/go#80392: the bases of two runs."""
    rt = boot("linux/amd64", go="1.27", heap_base=base)
    assert isinstance(rt, SparseRuntime)
    first = min(s.base for s in rt.heap.allspans if s.npages)
    assert first == base
    assert rt.heap_figures()["heap_start"] == base & -(4 << 20)
    assert rt.audit() == []


@pytest.mark.parametrize(
    ("platform", "go", "base", "words"),
    [
        ("linux/amd64", "1.27", 0xC000000001, "multiple of 0x2000 from 0x4000000 to 0x3fffffffe000"),
        ("linux/amd64", "1.27", 1 << 46, "multiple of 0x2000"),
        ("linux/amd64", "1.27", 0, "multiple of 0x2000"),
        ("linux/amd64", "1.25", 0xC000000000, "does not begin at random"),
        ("linux/386", "1.27", 0x8000000, "does not begin at random"),
        ("linux/amd64", None, 0xC000000000, "does not begin at random"),
    ],
)
def test_a_base_that_no_lot_falls_on(platform: str, go: str | None, base: int, words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        boot(platform, go=go, heap_base=base)
