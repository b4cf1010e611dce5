"""Trigger and goal after a forced collection, held against all that were recorded of the real runtime."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from archcalc.boot import boot

TRACES = sorted((Path(__file__).parents[2] / "data" / "traces").glob("*.stw.trace.gz"))


def sweep_phases(path: Path) -> list[tuple[int, int, int]]:
    """heap_live, gc_trigger and next_gc of a recording's g records."""
    with gzip.open(path, "rt") as lines:
        rows = [line.split() for line in lines if line.startswith("g ")]
    return [(int(live), int(trigger), int(goal)) for _, _, live, trigger, goal, _ in rows]


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_trigger_and_goal_follow_from_what_was_marked(path: Path) -> None:
    platform = path.name.partition(".")[0].replace("-", "/")
    for live, trigger, goal in sweep_phases(path):
        rt = boot(platform, gogc=100)
        rt.gc.bytes_marked = live
        rt.gc._account()
        assert (rt.stats.heap_live, rt.stats.gc_trigger, rt.stats.next_gc) == (live, trigger, goal)


def test_forced_collections_add_up_scan_work() -> None:
    """gcController.scanWork is reset by concurrent cycles only; the recordings' heap_scan shows it."""
    rt = boot("linux/amd64", gogc=100)
    objects = [rt.malloc(8, rt.pointer_type) for _ in range(100)]
    scans = []
    for _ in range(3):
        rt.collect(objects)
        scans.append(rt.stats.heap_scan)
    assert scans == [800, 1600, 2400]
