"""Fault plans on every system: what is planned happens, and the system's own words follow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allocator.common.throw import Death
from allocator.contiguous.mem import System
from allocator.contiguous.systems import GOOSES, new_system
from allocator.kernels.fault_plans import CALLS, Chance, Exhaustion, NthCall, Request, install
from allocator.kernels.machine import Machine
from allocator.kernels.system import ENOMEM, Answer, Errno

MB = 1 << 20
HINT = 0xC0_0000_0000


def booted(goos: str) -> tuple[System, int]:
    """A 64-bit system and the start of 64 MB that it reserved."""
    system = new_system(goos, Machine(page_size=65536), ptr_size=8)
    v, _ = system.sys_reserve(HINT, 64 * MB)
    assert v
    return system, v


def call(system: System, name: str, v: int) -> Answer | None:
    """One call of the helper by its Go name; an address where it has one to give."""
    calls: dict[str, Callable[[], Answer | None]] = {
        "sysAlloc": lambda: system.sys_alloc(MB, "other_sys"),
        "sysReserve": lambda: system.sys_reserve(HINT + (1 << 40), MB)[0],
        "sysMap": lambda: system.sys_map(v, MB, system.name not in ("nacl",)),
        "sysUsed": lambda: system.sys_used(v, MB),
        "sysUnused": lambda: system.sys_unused(v, MB),
        "sysFree": lambda: system.sys_free(v, 64 * MB),
        "sysFault": lambda: system.sys_fault(v, MB),
    }
    return calls[name]()


# What a refusal of each call comes to: the last words, "refused" (nil) or "unnoticed".
CRASH = "unexpected signal during runtime execution"
CANNOT_MAP = "runtime: cannot map pages in arena address space"
UNIX = {
    "sysAlloc": "refused",
    "sysReserve": "refused",
    "sysMap": "runtime: out of memory",
    "sysUsed": "unnoticed",
    "sysUnused": "unnoticed",
    "sysFree": CRASH,
    "sysFault": "unnoticed",
}
OUTCOMES = dict.fromkeys(GOOSES, UNIX) | {
    "solaris": UNIX | {"sysFree": "unnoticed"},
    "nacl": UNIX | {"sysFree": "unnoticed", "sysReserve": "unnoticed"},
    "plan9": dict.fromkeys(CALLS, "unnoticed") | {"sysAlloc": "refused", "sysReserve": "refused"},
    "windows": {
        "sysAlloc": "refused",
        "sysReserve": "refused",
        "sysMap": CANNOT_MAP,
        "sysUsed": "runtime: failed to commit pages",
        "sysUnused": "runtime: failed to decommit pages",
        "sysFree": "runtime: failed to release pages",
        "sysFault": "runtime: failed to decommit pages",
    },
}


@pytest.mark.parametrize("goos", GOOSES)
@pytest.mark.parametrize("name", CALLS)
def test_every_helper_fails_on_every_system(goos: str, name: str) -> None:
    system, v = booted(goos)
    install(system, NthCall(name, 1, system.refusal))
    outcome = OUTCOMES[goos][name]
    if outcome == "refused":
        assert call(system, name, v) == 0
        assert call(system, name, v) != 0
    elif outcome == "unnoticed":
        assert call(system, name, v) != 0
        assert system.printed == []
    else:
        with pytest.raises(Death) as death:
            call(system, name, v)
        assert death.value.words == outcome
        errno = f"errno={system.refusal.number}"
        assert all(errno in line for line in system.printed)
        assert bool(system.printed) == (goos == "windows")


@pytest.mark.parametrize("goos", GOOSES)
def test_without_a_plan_nothing_fails(goos: str) -> None:
    system, v = booted(goos)
    install(system, NthCall("sysAlloc", 1, ENOMEM))
    install(system)
    for name in ("sysAlloc", "sysReserve", "sysMap", "sysUnused", "sysUsed", "sysFault", "sysFree"):
        assert call(system, name, v) != 0
    assert system.printed == []


@pytest.mark.parametrize("goos", ["linux", "darwin", "netbsd", "windows"])
def test_a_planned_address_is_where_the_memory_is(goos: str) -> None:
    system = new_system(goos, Machine(), ptr_size=4)
    install(system, Request("sysReserve", 0x20_0000, 807_411_712, 0x64A2_0000))
    assert system.sys_reserve(0x20_0000, 807_411_712) == (0x64A2_0000, True)
    install(system)
    system.sys_map(0x64A2_0000, MB, True)
    assert system.sys_reserve(0x64A2_0000, 65536)[0] not in (0, 0x64A2_0000)


def test_linux_insists_where_an_answer_elsewhere_was_needless() -> None:
    """mem_linux.go:48: a kernel that ignores the hint is asked again with MAP_FIXED."""
    system = new_system("linux", Machine(), ptr_size=8)
    install(system, NthCall("sysMap", 1, 0x7F00_0000_0000))
    system.sys_map(HINT, MB, False)
    assert system.sys_alloc(4096, "other_sys") > 0x7F00_0000_0000


def test_nth_and_times() -> None:
    plan = NthCall("sysMap", 3, ENOMEM, times=2)
    answers = [plan("sysMap", 0, 1) for _ in range(6)]
    assert answers == [None, None, ENOMEM, ENOMEM, None, None]
    assert plan("sysAlloc", 0, 1) is None
    assert plan.seen == 6


def test_request() -> None:
    plan = Request("sysMap", 0x1000, None, 5)
    assert [plan("sysMap", 0x1000, 1), plan("sysMap", 0x2000, 1), plan("sysUsed", 0x1000, 1)] == [
        5,
        None,
        None,
    ]
    sized = Request("sysAlloc", None, 65536, 5)
    assert [sized("sysAlloc", 0, 65536), sized("sysAlloc", 0, 65537)] == [5, None]


def test_chance_is_the_same_for_the_same_seed() -> None:
    def failures(seed: int, probability: float) -> list[bool]:
        plan = Chance(probability, seed, ENOMEM, ["sysAlloc"])
        assert plan("sysMap", 0, 1) is None
        return [plan("sysAlloc", 0, 1) is not None for _ in range(1000)]

    assert failures(1, 0.25) == failures(1, 0.25) != failures(2, 0.25)
    assert 200 < sum(failures(1, 0.25)) < 300
    assert not any(failures(1, 0.0))
    assert all(failures(1, 1.0))


def test_exhaustion() -> None:
    plan = Exhaustion(3 * MB, Errno(1455))
    asked = [2 * MB, 2 * MB, MB, 1]
    assert [plan("sysMap", 0, n) for n in asked] == [None, Errno(1455), None, Errno(1455)]
    assert plan("sysReserve", 0, 1 << 40) is None
    assert plan.granted == 3 * MB


def test_the_first_plan_with_an_answer_wins_and_all_see_the_call() -> None:
    system, _ = booted("linux")
    first, second = NthCall("sysAlloc", 2, ENOMEM), NthCall("sysAlloc", 2, 0x7000_0000_0000)
    install(system, first, second)
    assert system.sys_alloc(MB, "other_sys")
    assert system.sys_alloc(MB, "other_sys") == 0
    assert (first.seen, second.seen) == (2, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NthCall("mmap", 1, ENOMEM),
        lambda: NthCall("sysMap", 0, ENOMEM),
        lambda: NthCall("sysMap", 1, ENOMEM, times=0),
        lambda: Request("sysmap", None, None, ENOMEM),
        lambda: Chance(1.5, 0, ENOMEM),
        lambda: Chance(0.5, 0, ENOMEM, ["map"]),
        lambda: Exhaustion(1, ENOMEM, ["map"]),
    ],
)
def test_plans_that_mean_nothing(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_limits_are_named() -> None:
    known = {goos: new_system(goos, Machine(), ptr_size=8).kernel.limits for goos in GOOSES}
    assert "ulimit_v" in known["linux"] and "ulimit_v" not in known["windows"] | known["nacl"]
    assert all(limit in Machine.__slots__ for limits in known.values() for limit in limits)
