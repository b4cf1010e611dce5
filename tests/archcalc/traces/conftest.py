"""Recordings of simulated machines in which, together, every record of the allocator's own occurs."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocator.common.types import Type
from archcalc.boot import boot
from archcalc.traces.writer import Recorder

PAGE = 8192


@pytest.fixture(scope="session")
def full_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """linux/386: objects, stacks, finalizers and profile records over several collections.

    A finalizer is set on an object of a span that is not yet swept (e).
    """
    rt = boot("linux/386", procs=2, record=True, mem_profile_rate=64 << 20)
    recorder = Recorder(rt)
    pair = Type.of_words("pair", "pp", 4)
    record = Type.of_words("record", ".p..pp.", 4)
    kept = [rt.malloc(size, typ, p=p) for p in (0, 1) for size, typ in ((8, pair), (28, record), (100, None))]
    kept += [rt.malloc(n * 56, record) for n in range(1, 40)]
    dying = [rt.malloc(24, None) for _ in range(600)]
    stacks = [rt.stack_alloc(2048 << i % 4) for i in range(30)] + [rt.stack_alloc(1 << 17)]
    large = rt.malloc(200_000)
    rt.set_finalizer(dying[3])
    rt.malloc(0)
    rt.malloc(65 << 20)
    for i, v in enumerate(stacks):
        rt.stack_free(v, 2048 << i % 4 if i < 30 else 1 << 17)
    rt.collect([*kept, large], mode="force")
    rt.set_finalizer(kept[0])
    rt.sweepone()
    rt.sweepone()
    rt.clear_finalizer(kept[0])
    rt.malloc(3 * PAGE)
    rt.collect(kept, mode="block")
    rt.scavenge()
    rt.malloc(1 << 20)
    rt.gc.set_percent(100)
    rt.collect(kept, mode="background")
    rt.malloc(100_000)
    while rt.sweepone() >= 0:
        pass
    rt.specials.run_finalizers()
    path = tmp_path_factory.mktemp("recordings") / "full.trace.gz"
    recorder.save(path, False, workload="full", gc="stw", gomaxprocs=2)
    return path


@pytest.fixture(scope="session")
def grown_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """linux/amd64: more spans than allspans has room for at first, whose memory is given back then (O)."""
    rt = boot("linux/amd64", record=True)
    recorder = Recorder(rt)
    while len(rt.spans) <= 64 * 1024 // 8:
        rt.stack_alloc(32768)
    path = tmp_path_factory.mktemp("recordings") / "grown.trace.gz"
    recorder.save(path, False, workload="grown", gc="off", gomaxprocs=1)
    return path
