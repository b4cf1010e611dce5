"""A what-if is followed by the machine, or refused with the reason: each name that --set takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from allocator.common.throw import Death
from allocator.common.types import Type
from archcalc import generations, machines
from archcalc.calculator.figures import Figures, Scalar, compute
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.workloads import run as running

MB = 1 << 20
CROWDED = ((1 << 36, 1 << 48),)  # where every hint of a 64-bit port lies

World = tuple[MachineOptions, str, dict[str, Any]]

# Circumstances in which one figure or another matters: a computer, a workload on it, and how it is started.
EVERYDAY = MachineOptions()
WORLDS: tuple[World, ...] = (
    (MachineOptions(taken=CROWDED), "tiny", {}),
    (EVERYDAY, "mixed", {}),
    (EVERYDAY, "stacks", {}),
    (EVERYDAY, "procs", {}),
    (EVERYDAY, "churn", {"gogc": 50}),
    (EVERYDAY, "large", {}),
    (EVERYDAY, "edges", {}),
    (EVERYDAY, "finalizers", {}),
    # Rung by rung down the ladder, and where mappings end up at the lowest address.
    (MachineOptions(taken=CROWDED, ulimit_v=560 * MB), "tiny", {}),
    (MachineOptions(taken=CROWDED, ulimit_v=300 * MB), "tiny", {}),
    (MachineOptions(taken=CROWDED, ulimit_v=270 * MB), "tiny", {}),
    (MachineOptions(taken=CROWDED, ulimit_v=200 * MB), "tiny", {}),
    (MachineOptions(ignore_hints=True, ulimit_v=1 << 30), "exhaust", {}),
    (MachineOptions(commit_limit=MB), "tiny", {}),
    (MachineOptions(taken=((600 * MB, 1 << 48),)), "tiny", {}),
    (MachineOptions(taken=((700 * MB, 1 << 48),)), "tiny", {}),
    (MachineOptions(taken=((420 * MB, 1 << 48),)), "tiny", {}),
    (MachineOptions(taken=((2 << 30, 1 << 48),)), "tiny", {}),
    (MachineOptions(taken=((290 * MB, 1 << 48),)), "tiny", {}),
    (MachineOptions(page_size=64 << 10), "stacks", {}),
    (MachineOptions(page_size=64 << 10), "edges", {}),
)


def edges(rt: Any) -> list[object]:
    """What ordinary workloads do not reach: the longest arrays, much to finalize, counters that run over."""
    seen: list[object] = []

    def tried(call: Callable[..., object], *arguments: object) -> None:
        try:
            seen.append(call(*arguments))
        except Death as death:
            seen.append(str(death))

    ptr = rt.config.ptr_size
    words = Type(ptr, ptr, 22 | 1 << 5, ptr, b"\x01", "*T")
    # A heap in arenas has nothing that ends its arrays short of the address space.
    longest = (1 << 28, 1 << 29, 1 << 31, 1 << 36, 1 << 37) if hasattr(rt, "stat_inc") else (1 << 60,)
    for n in (1 << 17, (1 << 17) // ptr + 1, 1 << 23, *longest):
        tried(rt.newarray, words, n)
        tried(rt.collect, True)
    pages = [rt.malloc(8192, noscan=True) for _ in range(1500)]
    for live in ([page for at, page in enumerate(pages) if at % 100], pages[1::2]):
        tried(rt.collect, live)
        tried(rt.collect, live)
        tried(rt.scavenge, 0, 4 * MB)
    for _ in range(600):
        rt.set_finalizer(rt.malloc(24, noscan=True))
    tried(rt.collect, [])
    tried(lambda: len(rt.run_finalizers()))
    if hasattr(rt, "new_user_arena"):
        tried(rt.new_user_arena().new, words)
    if hasattr(rt, "stat_inc"):
        tried(rt.stat_inc, "other_sys", (1 << 32) - 1)
        tried(rt.stat_dec, "other_sys", 1 << 40)
    return seen


def figures_of(go: str, platform: str, sets: dict[str, Scalar] | None = None) -> Figures:
    release = generations.named(go)
    return compute(platforms.of(platform, release), sets or {}, release)


def answer(figures: Figures, world: World) -> object:
    """All that the machine answers in one world: what it asked for, the outcome, how it ended."""
    options, workload, start = world
    try:
        rt = machines.prepare(figures, options, mem_profile_rate=4096)
        if workload == "edges":
            rt.start()
            seen: list[object] = edges(rt)
        else:
            run = running.boot_and_run(rt, figures.platform, workload, n=120, seed=1, **start)
            seen = [run.death, run.violations]
        seen += [rt.attempts, rt.system_calls()]
        if rt.booted:
            seen += [list(rt.runs()), list(rt.regions()), rt.memstats(), rt.heap_figures(), rt.counters()]
            seen += [list(rt.kernel.space.pieces(0, 1 << 64))] if hasattr(rt.kernel, "space") else []
    except Death as death:
        return str(death)
    except (ArithmeticError, LookupError, ValueError, NotImplementedError) as fault:
        return repr(fault)  # what the command line calls a machine that cannot go on
    return repr(seen)


def others(value: Scalar) -> Iterator[Scalar]:
    """Values that a figure does not have, some of which should matter."""
    if isinstance(value, str):
        yield from (other for other in ("windows", "linux", "arm", "down", "up") if other != value)
    elif isinstance(value, bool):
        yield not value
    else:
        for other in (2 * value, value // 2, value + 1, value + 60000, 2, value << 12):
            if other != value:
                yield other


def silent(go: str, platform: str) -> list[str]:
    """The names that the machine takes silently and without effect."""
    plain = figures_of(go, platform)
    usual: dict[int, object] = {}
    found = []
    for name in plain.names():
        value = plain.current(name)
        if value is None:
            continue
        accepted: list[Figures] = []
        for at, other in enumerate(others(value)):
            if at > 2 and not accepted:
                break  # a refusal has nothing to do with the value
            try:
                figures = figures_of(go, platform, {name: other})
                machines.refuse_unread(figures)
                machines.basis(figures)  # where there is no machine with it alone, that is a refusal, too
            except UsageFault as fault:
                assert fault.faults[0].expected or fault.faults[0].found
                continue
            except (ArithmeticError, LookupError, ValueError):
                accepted = []
                break  # no machine can be made of it, which is an answer too
            accepted.append(figures)
        if accepted and not _moves(accepted, usual, plain):
            found.append(name)
    return found


def _moves(accepted: list[Figures], usual: dict[int, object], plain: Figures) -> bool:
    worlds = WORLDS if plain.generation.era == "contiguous" else [w for w in WORLDS if w[1] != "exhaust"]
    for at, world in enumerate(worlds):
        if at not in usual:
            usual[at] = answer(plain, world)
        for figures in accepted:
            try:
                if answer(figures, world) != usual[at]:
                    return True
            except UsageFault:
                continue
    return False


@pytest.mark.parametrize(
    ("go", "platform"),
    [
        ("7aefdfded", "linux/amd64"),
        ("7aefdfded", "linux/mips"),
        ("7aefdfded", "windows/386"),
        ("1.27", "linux/386"),
        ("1.27", "linux/amd64"),
    ],
)
def test_each_name_moves_the_machine_or_is_refused(go: str, platform: str) -> None:
    # The size of a goroutine's record follows from it, by less than the size class that it is allocated of.
    hidden = ["fact.reg_size"] if go == "1.27" else []
    if go == "1.27" and platform == "linux/386":
        # An index over the same bits: two levels take as many pages as four, other numbers are refused.
        hidden.insert(0, "summaryLevels")
    assert silent(go, platform) == hidden


def test_what_overflows_a_word_is_refused() -> None:
    with pytest.raises(UsageFault, match="overflows a uintptr of 4 bytes"):
        machines.prepare(figures_of("1.27", "linux/386", {"goarch.IsAmd64": 1}))
