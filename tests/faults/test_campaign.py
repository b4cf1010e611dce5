"""Every call of an OS helper is failed at least once on every system.

After each fault either the runtime has died with words of its own, or it carried on
and the audit is clean. A first run of a tour notes which places in the allocator call which helper and when;
each place is then failed in a run of its own. That no place is left out is compared with the
allocator's source.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

import allocator
from allocator.common.throw import Death
from allocator.common.types import Type
from allocator.contiguous.runtime import Runtime
from allocator.kernels.fault_plans import Chance, Exhaustion, NthCall, Plans
from allocator.kernels.system import ENOMEM, Answer, Plan
from archcalc import machines
from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.computer import system_of
from archcalc.profiles import platforms
from archcalc.questions import throws
from archcalc.workloads import run as running

MB = 1 << 20
ALLOCATOR = Path(allocator.__file__).parent / "contiguous"
HELPERS = {
    "sys_alloc": "sysAlloc",
    "sys_reserve": "sysReserve",
    "sys_map": "sysMap",
    "sys_used": "sysUsed",
    "sys_unused": "sysUnused",
    "sys_free": "sysFree",
}
# One platform of each system and word size.
PLATFORMS = (
    "android/arm", "android/arm64", "darwin/386", "darwin/amd64", "dragonfly/amd64", "freebsd/386",
    "freebsd/amd64", "linux/386", "linux/amd64", "linux/ppc64", "nacl/386", "nacl/amd64p32",
    "netbsd/amd64", "netbsd/arm", "openbsd/386", "openbsd/amd64", "plan9/386", "plan9/amd64",
    "solaris/amd64", "windows/386", "windows/amd64",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Site:
    """A place in the allocator that calls a helper."""

    module: str
    first: int
    last: int
    helper: str

    def __str__(self) -> str:
        return f"{self.module}:{self.first} {self.helper}"


@cache
def sites() -> tuple[Site, ...]:
    """All of them, from the source. Those that only forward a call are not places of their own."""
    found = []
    for path in sorted(ALLOCATOR.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or (
                path.name == "core.py" and function.name in HELPERS
            ):
                continue
            for call in ast.walk(function):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and call.func.attr in HELPERS
                    # The heap's own sysAlloc has the name of the helper.
                    and ast.unparse(call.func.value)
                    in ("rt", "self.rt", "self" if path.name == "core.py" else "rt")
                ):
                    last = call.end_lineno or call.lineno
                    found.append(Site(path.stem, call.lineno, last, HELPERS[call.func.attr]))
    return tuple(found)


def caller() -> tuple[str, int]:
    """The module and the line in the allocator that called the helper which is asking the plan now."""
    frame = sys._getframe(2)
    while True:
        path = Path(frame.f_code.co_filename)
        # The counters of core.py, and mem_*.go's own helpers.
        forwarding = path.name == "core.py" and frame.f_code.co_name in HELPERS
        forwarding = forwarding or path.stem == "mem" or path.stem.startswith("mem_")
        if path.parent == ALLOCATOR and not forwarding:
            return path.stem, frame.f_lineno
        assert frame.f_back is not None
        frame = frame.f_back


@dataclass
class Witness:
    """A plan without answers: notes by site which of the calls of its helper were made from there."""

    seen: dict[str, int] = field(default_factory=dict)
    calls: dict[Site, list[int]] = field(default_factory=dict)

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        number = self.seen[call] = self.seen.get(call, 0) + 1
        module, line = caller()
        for site in sites():
            if site.module == module and site.first <= line <= site.last and site.helper == call:
                self.calls.setdefault(site, []).append(number)
        return None


class Unborn(Runtime):
    """A machine that is booted within the trial."""

    __slots__ = ()

    def __init__(self, platform: str, plan: Plan, rate: int) -> None:
        computed = figures.compute(platforms.load(platform))
        system = system_of(computed)
        system.plan = plan
        self.prepare(config_of(computed), system, mem_profile_rate=rate)


Tour = Callable[[Runtime], None]


def sampler(rt: Runtime) -> None:
    """Objects of all kinds with a heap profile, finalizers, stacks, large objects, and pages given back."""
    typ = Type.of_words("pair", "p.", rt.config.ptr_size)
    live = [rt.malloc(size, typ if i % 2 else None) for i in range(6) for size in (16, 64, 2048, 30000)]
    rt.malloc(3)
    rt.set_finalizer(live[0])
    stacks = [rt.stack_alloc(size) for size in (2048, 4096, 32768, 65536)]
    large = [rt.malloc(300_000) for _ in range(4)]
    for v, size in zip(stacks, (2048, 4096, 32768, 65536), strict=True):
        rt.stack_free(v, size)
    rt.collect([*live[::2], large[0], large[2]])
    rt.scavenge()
    rt.collect(live[::2])
    rt.scavenge()
    live += [rt.malloc(400_000) for _ in range(3)]
    for _ in range(6):
        rt.persistent_alloc_outside(60_000, 8, "other_sys")
    rt.persistent_alloc_outside(70_000, 8, "other_sys")
    rt.collect([])
    rt.run_finalizers()


def many_spans(rt: Runtime) -> None:
    """More spans than the first list of all of them holds."""
    for _ in range(8300 if rt.config.ptr_size == 8 else 16500):
        rt.malloc(8192)


def grown(rt: Runtime) -> None:
    """A heap beyond its first reservation."""
    for _ in range(60):
        rt.malloc(16 * MB)
    rt.malloc(100)


def trip(tour: Tour, platform: str, plans: list[Plan]) -> tuple[str, Runtime]:
    """Boots and takes the tour; how it ended."""
    rt = Unborn(platform, Plans(plans), 1 << 16 if tour is sampler else 0)
    try:
        rt.start(-1, 1)
        tour(rt)
    except Death as death:
        return judged(rt, death), rt
    violations = rt.audit()
    assert violations == []
    return "alive", rt


def judged(rt: Runtime, death: Death) -> str:
    """The words, which must be the runtime's own."""
    words = rt.last_words(death)["throw"]
    assert any(row.fits(words) for row in throws.table()), words
    return str(words)


class NoHints:
    """Sends a 64-bit machine to the ladder."""

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        return ENOMEM if call == "sysReserve" and n > 1 << 32 else None


class Elsewhere:
    """Further reservations, and memory beside the arena, come where the heap's bitmap does not reach."""

    def __init__(self) -> None:
        self.next = 0x7000000000

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        if (call, n) != ("sysReserve", 256 * MB) and not (call == "sysAlloc" and n > MB):
            return None
        self.next += 1 << 30
        return self.next


Answers = Callable[[], list[Plan]]


def tours(platform: str) -> Iterator[tuple[Tour, Answers]]:
    """What is done on a platform, and what its system answers otherwise meanwhile."""
    yield sampler, list
    yield many_spans, list
    if figures.compute(platforms.load(platform)).layout.contiguous:
        yield grown, lambda: [NoHints()]
        yield grown, lambda: [NoHints(), Elsewhere()]
    else:
        yield grown, list


# What a system has no answer for, since its mem_*.go asks the kernel nothing there.
ASKS_NOTHING = {
    **{goos: {"sysUsed"} for goos in ("darwin", "dragonfly", "freebsd", "netbsd", "openbsd", "solaris")},
    "nacl": {"sysUsed", "sysReserve"},
    "plan9": {"sysMap", "sysUsed", "sysUnused", "sysFree"},
}
# Where every sysReserve of the arena is granted without a question there is no ladder, and so no way behind
# it: the heap is full at 512 GB (or, on nacl, at the end of its sandbox).
NO_LADDER = {"dragonfly", "solaris", "nacl"}
# These have a ladder on 32-bit only. There no address is out of the bitmap's reach, and the user's addresses
# end more than 256 MB below 4 GB, so that there is always a next reservation to ask for.
ALL_IN_REACH = {"freebsd", "netbsd", "openbsd"}


def expected(goos: str) -> set[Site]:
    """The sites that a system can be made to fail at."""
    left = {site for site in sites() if site.helper not in ASKS_NOTHING.get(goos, ())}
    if goos in NO_LADDER:
        behind = {"sysReserve", "sysFree", "sysAlloc"}
        left -= {site for site in left if site.module == "mheap" and site.helper in behind}
        left -= {site for site in left if site.module == "mallocinit"}
    if goos in ALL_IN_REACH:
        left -= {site for site in left if site.module == "mheap" and site.helper in ("sysFree", "sysAlloc")}
    return left


@cache
def failures(platform: str) -> dict[Site, set[str]]:
    """Every site that a platform's tours come by, failed at its first, second and last call, and the end."""
    refusal = system_of(figures.compute(platforms.load(platform))).refusal
    found: dict[Site, set[str]] = {}
    for tour, answers in tours(platform):
        witness = Witness()
        trip(tour, platform, [witness, *answers()])
        for site, numbers in witness.calls.items():
            if site in found and tour is not sampler:
                continue  # failed already, in a shorter tour
            for number in sorted({numbers[0], numbers[min(1, len(numbers) - 1)], numbers[-1]}):
                end, _ = trip(tour, platform, [NthCall(site.helper, number, refusal), *answers()])
                found.setdefault(site, set()).add(end)
    return found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_fault_is_survived_or_ends_in_the_runtimes_own_words(platform: str) -> None:
    found = failures(platform)
    assert len(found) >= 5
    # A refused map is the end everywhere but where the system is not asked.
    for site, ends in found.items():
        if site.helper == "sysMap":
            assert "alive" not in ends, site


@pytest.mark.parametrize("goos", sorted({platform.partition("/")[0] for platform in PLATFORMS}))
def test_no_place_that_asks_the_system_is_left_out(goos: str) -> None:
    of_goos = [platform for platform in PLATFORMS if platform.startswith(f"{goos}/")]
    failed = {site for platform in of_goos for site in failures(platform)}
    assert {str(site) for site in expected(goos) - failed} == set()
    assert {str(site) for site in failed - expected(goos)} == set()


def test_the_places_are_those_of_the_source() -> None:
    assert {(site.module, site.helper) for site in sites()} == {
        ("core", "sysAlloc"),
        ("fixalloc", "sysAlloc"),
        ("fixalloc", "sysFree"),
        ("mallocinit", "sysReserve"),
        ("mark_bits", "sysAlloc"),
        ("mheap", "sysAlloc"),
        ("mheap", "sysFree"),
        ("mheap", "sysMap"),
        ("mheap", "sysReserve"),
        ("mheap", "sysUsed"),
        ("persistent", "sysAlloc"),
        ("scavenge", "sysUnused"),
    }


WORKLOADS = ("mixed", "large", "stacks", "finalizers", "procs", "churn")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_faults_by_chance_and_memory_that_runs_out(platform: str, workload: str) -> None:
    computed = figures.compute(platforms.load(platform))
    refusal = system_of(computed).refusal
    seed = PLATFORMS.index(platform) * len(WORKLOADS) + WORKLOADS.index(workload)
    for plan in (Chance(0.02, seed, refusal), Exhaustion((1 + seed % 7) * MB, refusal)):
        system = system_of(computed)
        system.plan = plan
        run = running.boot_and_run(
            machines.prepare(computed, system=system, seed=seed), platform, workload, n=150, seed=seed
        )
        assert run.violations == []
        if run.death is not None:
            words = run.death["throw"]
            assert any(row.fits(words) for row in throws.table()), words
