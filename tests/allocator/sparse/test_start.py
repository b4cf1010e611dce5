"""From nothing to main on every port; the helpers of each family of systems; hints and lots."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.throw import Exit, Throw
from allocator.kernels.address_space import AddressSpace
from allocator.kernels.brk import Break
from allocator.kernels.calls import FREE, HUGEPAGE, NOHUGEPAGE, Call
from allocator.kernels.machine import Machine
from allocator.kernels.posix import Posix
from allocator.kernels.system import Errno
from allocator.kernels.windows import Windows
from allocator.sparse.arena_hints import HeapLot, hint_addresses, seed_for
from allocator.sparse.config import Config
from allocator.sparse.mem_linux import Debug, MemLinux
from allocator.sparse.mem_sbrk import MemSbrk
from allocator.sparse.mem_windows import MemWindows
from allocator.sparse.runtime import Runtime
from allocator.sparse.summary_memory import subtract
from allocator.sparse.systems import kernel_of, memory_of
from archcalc import generations, machines
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.boot import try_boot


def config_of(platform: str, go: str = "1.27") -> Config:
    config = machines.config_of(figures.compute(platforms.of(platform, go), {}, go))
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize("platform", generations.ports("1.27"))
def test_every_port_comes_to_main_and_is_sound(platform: str) -> None:
    booted = try_boot(figures.compute(platforms.of(platform, "1.27"), {}, "1.27"))
    assert booted.death is None
    assert booted.ok, booted.checks
    assert booted.runtime is not None
    assert booted.runtime.audit() == []
    regions = booted.runtime.regions()
    assert all(one.end <= other.base for one, other in pairwise(regions)), regions
    assert booted.calls


@pytest.mark.parametrize("go", ["1.19", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26"])
def test_linux_comes_to_main_in_every_release(go: str) -> None:
    for platform in ("linux/amd64", "linux/386", "linux/mips", "linux/arm64"):
        booted = try_boot(figures.compute(platforms.of(platform, go), {}, go))
        assert booted.ok, (platform, booted.death)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (0, "failed to get system page size"),
        (2048, "bad system page size"),
        (12288, "bad system page size"),
        (1 << 20, "bad system page size"),
    ],
)
def test_page_sizes_that_nobody_has(page: int, words: str) -> None:
    config = replace(config_of("linux/amd64"), phys_page_size=page)
    rt = machines.machine_class(generations.load("1.27")).prepared(config, Machine())
    with pytest.raises(Throw, match=words):
        rt.start()


# Hints.


def test_hints_by_architecture() -> None:
    first = {
        "linux/amd64": 0xC000000000,
        "linux/arm64": 0x4000000000,
        "aix/ppc64": 0x0A00_0100_0000_0000,
        "ios/arm64": 0x130000000,
    }
    for platform, address in first.items():
        hints = hint_addresses(config_of(platform, "1.24"), HeapLot(0))
        assert hints[0] == (address, False)
        assert sum(user for _, user in hints) == 64


def asked(platform: str, go: str, race: bool, bits: int) -> list[int]:
    """Where mallocinit asks for the heap's arenas, as its loop over i has it."""
    narrow = platform.endswith("riscv64") and go >= "1.26" and bits == 38
    if race:
        places = [i << 28 | 0x13 << 28 if narrow else i << 32 | 0xC0 << 32 for i in range(0x80)]
        return [p for p in places[:0x60] if p < (0xF << 32 if narrow else 0xE0 << 32)]
    if platform.startswith("aix"):
        return [i << 40 | 0xA0 << 52 for i in range(1, 0x40)]
    if narrow:
        return [i << 32 | 0x13 << 28 for i in range(0x40)]
    base = {"ios/arm64": 0x13 << 28, "linux/arm64": 0x40 << 32}.get(platform, 0xC0 << 32)
    return [i << 40 | base for i in range(0x40)]


@pytest.mark.parametrize("go", ["1.19", "1.22", "1.24", "1.25", "1.27"])
@pytest.mark.parametrize("race", [False, True])
@pytest.mark.parametrize(
    "platform", ["linux/amd64", "linux/arm64", "ios/arm64", "aix/ppc64", "linux/riscv64", "openbsd/riscv64"]
)
def test_the_machine_s_hints_are_the_report_s_and_mallocinit_s(platform: str, race: bool, go: str) -> None:
    if platform not in generations.ports(go):
        pytest.skip("no port of that release")
    sets: dict[str, int | str] = {"raceenabled": race}
    if go == "1.27":
        sets["RandomizedHeapBase64"] = False
    computed = figures.compute(platforms.of(platform, go), sets, go)
    config = machines.config_of(computed)
    hints = hint_addresses(config, HeapLot(0))
    told = [int(address) for address in computed.family("hint")]
    assert [address for address, user in hints if not user] == told
    if go != "1.19":  # which had no user arenas
        assert told == asked(platform, go, race, int(computed.profile.machine["user_address_bits"]))
    assert len(told) >= 0x3F


def test_the_race_detector_s_heap_has_no_address_but_its_own() -> None:
    sets = {"raceenabled": True}
    computed = figures.compute(platforms.of("linux/amd64", "1.24"), sets, "1.24")
    rt = machines.prepare(computed, MachineOptions(taken=((0xC000000000, 0xE000000000),)))
    with pytest.raises(Throw, match="too many address space collisions for -race mode"):
        rt.start()
    assert len(rt.attempts) == 64
    rt = machines.boot(computed, MachineOptions(taken=((0xC000000000, 0xC100000000),)))
    assert isinstance(rt, Runtime)
    arena = rt.new_user_arena()
    assert arena.active is not None and 0xC100000000 <= arena.active.base < 0xC200000000


@given(st.integers(0, (1 << 20) - 1), st.integers(0, 15), st.integers(0, 511))
def test_a_lot_puts_the_heap_where_it_says(arena: int, chunk: int, padding: int) -> None:
    config = config_of("linux/amd64")
    base = arena << config.log_heap_arena_bytes
    lot = HeapLot(seed_for(config, base, base + (chunk << config.log_palloc_chunk_bytes), padding))
    assert hint_addresses(config, lot)[0] == (base, False)
    assert lot.next(config.log_heap_arena_bytes - config.log_palloc_chunk_bytes) == chunk
    assert lot.next(config.log_palloc_chunk_bytes) >> config.page_shift == padding


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_what_is_needed_less_what_is_had(a: int, b: int, c: int, d: int) -> None:
    need, have = (min(a, b), max(a, b)), (min(c, d), max(c, d))
    if need[0] < have[0] and have[1] < need[1]:
        with pytest.raises(Throw, match="bad prune"):
            subtract(need, have)
        return
    left = subtract(need, have)
    assert set(range(*left)) == set(range(*need)) - set(range(*have))


# Linux.


class Scripted:
    """A kernel that answers from a list, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.log: list[Call] = []

    def _next(self, *asked: Any) -> Any:
        self.log.append(Call(*asked, 0))
        return self.answers.pop(0)

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> Any:
        return self._next("map", v, n, "rw" if access else "-", fixed)

    def munmap(self, v: int, n: int) -> Any:
        return self._next("unmap", v, n, "", False)

    def madvise(self, v: int, n: int, advice: str) -> Any:
        return self._next("advise", v, n, advice, False)

    def mprotect(self, v: int, n: int, access: bool) -> Any:
        return self._next("protect", v, n, "rw" if access else "-", False)

    def brk(self) -> int:
        return 0


def linux(kernel: Scripted, go: str = "1.27", **debug: bool) -> MemLinux:
    return MemLinux(
        replace(config_of("linux/amd64", go), phys_huge_page_size=2 << 20), kernel, Debug(**debug)
    )


def test_unused_falls_back_from_advice_to_advice_to_a_new_mapping() -> None:
    kernel = Scripted(Errno(22), Errno(22), 0x10000, 0x10000)
    mem = linux(kernel, madvdontneed=False)
    mem.unused(0x10000, 0x1000)
    mem.unused(0x10000, 0x1000)
    assert [(call.name, call.access) for call in kernel.log] == [
        ("advise", FREE),
        ("advise", "MADV_DONTNEED"),
        ("map", "rw"),
        ("map", "rw"),
    ]


def test_older_releases_do_not_fall_back_to_a_mapping() -> None:
    kernel = Scripted(Errno(22))
    linux(kernel, "1.19").unused(0x200000, 0x200000)
    assert len(kernel.log) == 1


def test_older_releases_keep_broken_huge_pages_broken() -> None:
    kernel = Scripted(0, 0, 0)
    linux(kernel, "1.19").unused(0x201000, 0x3FE000)
    assert [call.access for call in kernel.log] == [NOHUGEPAGE, "MADV_DONTNEED"]
    assert kernel.log[0][1:3] == (0x200000, 0x400000)


def test_huge_pages_are_rounded_inward() -> None:
    kernel = Scripted(0)
    linux(kernel).huge_page(0x201000, 0x600000)
    assert kernel.log == [Call("advise", 0x400000, 0x400000, HUGEPAGE, False, 0)]


@pytest.mark.parametrize(
    ("errno", "line"),
    [
        (13, "runtime: mmap: access denied"),
        (11, "runtime: mmap: too much locked memory (check 'ulimit -l')."),
    ],
)
def test_some_refusals_are_the_end(errno: int, line: str) -> None:
    mem = linux(Scripted(Errno(errno)))
    with pytest.raises(Exit):
        mem.alloc(4096, "")
    assert mem.printed == [line]


def test_a_mapping_elsewhere_is_reported_before_the_end() -> None:
    mem = linux(Scripted(0x20000))
    with pytest.raises(Throw, match="cannot map pages in arena address space"):
        mem.map(0x10000, 4096, "")
    assert mem.printed == ["runtime: mmap(0x10000, 4096) returned 0x20000, 0"]


# Windows, and systems with a break only.


def windows(**machine: Any) -> tuple[MemWindows, Windows]:
    config = config_of("windows/amd64")
    kernel = kernel_of(config, Machine(**machine))
    mem = memory_of(config, kernel)
    assert isinstance(mem, MemWindows)
    return mem, kernel


def test_windows_takes_any_place_where_the_hint_is_not_free() -> None:
    mem, _ = windows()
    first = mem.reserve(0x1000000, 1 << 20, "")
    assert first == 0x1000000
    assert mem.reserve(0x1000000, 1 << 20, "") not in (0, first)


def test_windows_commits_piece_by_piece_across_allocations() -> None:
    mem, kernel = windows()
    mem.reserve(0x1000000, 0x10000, "")
    mem.reserve(0x1010000, 0x10000, "")
    mem.used(0x1008000, 0x10000)
    assert kernel.committed.total(2) == 0x10000


def test_windows_says_that_no_memory_is_left() -> None:
    mem, _ = windows(commit_limit=1 << 20)
    v = mem.reserve(0, 4 << 20, "")
    with pytest.raises(Throw, match="out of memory"):
        mem.used(v, 2 << 20)
    assert mem.printed == ["runtime: VirtualAlloc of 2097152 bytes failed with errno=1455"]


def test_aligned_memory_below_the_break_leaves_nothing_behind() -> None:
    config = config_of("js/wasm")
    kernel = Break(Machine(low=0), 0x20000)
    mem = MemSbrk(replace(config, data_end=0x20000), kernel)
    at, size = mem.reserve_aligned_sbrk(1 << 19, 1 << 19)
    assert (at, size) == (1 << 19, 1 << 19)
    assert mem.freed.blocks == [(0x20000, (1 << 19) - 0x20000)]
    assert mem.alloc(0x10000, "") == (1 << 19) - 0x10000


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=40))
def test_the_free_list_never_overlaps_and_loses_nothing(steps: list[tuple[bool, int]]) -> None:
    config = replace(config_of("plan9/amd64"), data_end=0x1000)
    mem = MemSbrk(config, Break(Machine(low=0), 0x1000))
    held: list[tuple[int, int]] = []
    for give_back, pages in steps:
        if give_back and held:
            mem.free(*held.pop(pages % len(held)))
        else:
            held.append((mem.alloc(pages << 12, ""), pages << 12))
    space = AddressSpace()
    for at, size in [*held, *mem.freed.blocks]:
        assert space.is_free(at, at + size)
        space.place(at, at + size, 1)
    assert space.total(1) == mem.bloc - 0x1000


def test_a_kernel_s_answers_are_kept_in_order() -> None:
    kernel = kernel_of(config_of("linux/amd64"), Machine(ulimit_v=1 << 20))
    assert isinstance(kernel, Posix)
    at = kernel.mmap(0, 4096, True)
    assert kernel.mmap(0, 2 << 20, False) == Errno(12)
    assert isinstance(at, int)
    assert kernel.munmap(at, 4096) == 0
    assert [call.row()[-1] for call in kernel.log] == [hex(at), "ENOMEM", "0"]
