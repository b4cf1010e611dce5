"""A whole heap of today on a simulated linux, for tests: as it starts, and with something of everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from allocator.common.types import Type
from allocator.kernels import new_kernel
from allocator.sparse.heap import Heap
from allocator.sparse.mem_linux import Debug, MemLinux
from allocator.sparse.mspan import MSpan
from archcalc.calculator.figures import compute
from archcalc.machines import sparse
from archcalc.machines.computer import machine_of
from archcalc.profiles import platforms

SEED = 0x123456789ABCDEF0


def heap(platform: str = "linux/amd64", go: str = "1.27", **start: Any) -> Heap:
    """A heap that has started, without anything that a program allocates before main."""
    figures = compute(platforms.load(platform, go=go), go=go)
    profile = figures.profile
    machine = profile.machine
    config = sparse.config(figures, int(machine["phys_page_size"]), int(machine["data_end"]))
    computer = replace(machine_of(profile), rlimit_data=start.pop("rlimit_data", None))
    kernel: Any = new_kernel(profile.goos, computer, ptr_size=config.ptr_size)
    mem_profile_rate = start.pop("mem_profile_rate", 0)
    debug = Debug(decoratemappings=start.pop("names", False))
    rt = Heap(config, MemLinux(config, kernel, debug), seed=SEED, mem_profile_rate=mem_profile_rate)
    rt.start_heap(**start)
    return rt


PAIR = Type.of_words("pair", "p.", 8)
WIDE = Type.of_words("wide", "p" * 90, 8)


def busy() -> Heap:
    """A machine with something of everything."""
    rt = heap(procs=2)
    rt.watch()
    live = [rt.malloc(size) for size in range(1, 600, 3)]
    live += [rt.malloc(8, rt.pointer_type), *(rt.malloc(16, PAIR) for _ in range(300))]
    live += [rt.malloc(720, WIDE) for _ in range(30)]
    live += [rt.malloc(1 << 20) for _ in range(3)]
    rt.collect(live[::2])
    for size in range(1, 600, 7):
        live.append(rt.malloc(size, p=1))
    rt.stack_alloc(2048)
    rt.set_finalizer(live[-1])
    rt.set_finalizer(live[-2])
    for freed in (True, False):
        arena = rt.new_user_arena()
        for _ in range(20):
            arena.slice(PAIR, 50_000)
        if freed:
            arena.free()
    rt.scavenge()
    return rt


def small(rt: Heap) -> MSpan:
    """A span of small objects that no cache has."""
    cached = {id(c.span) for p in rt.ps for c in p.mcache.alloc}
    return next(s for s in rt.in_use() if s.spanclass > 1 and id(s) not in cached and s.alloc_count > 2)
