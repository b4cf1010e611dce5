"""How much heap fits under a limit, as the machine itself finds it."""

from __future__ import annotations

from typing import Any

import pytest

from allocator.common.throw import Death
from allocator.interface import Allocator
from archcalc import generations, machines
from archcalc.calculator.figures import compute
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.room import FINEST, HeapRoom, room

MB = 1 << 20


def booted(go: str, platform: str, **limit: Any) -> Allocator:
    """With as many Ps as a program usually has: each takes some memory."""
    release = generations.named(go)
    figures = compute(platforms.of(platform, release), {}, release)
    procs = machines.machine_class(figures.generation).USUAL_PROCS
    return machines.boot(figures, MachineOptions(**limit), procs=procs)


def found(go: str, platform: str, **limit: Any) -> HeapRoom:
    release = generations.named(go)
    return room(compute(platforms.of(platform, release), {}, release), MachineOptions(**limit))


LIMITED = [
    ("7aefdfded", "linux/amd64", {"ulimit_v": 400 * MB}),
    ("7aefdfded", "linux/386", {"ulimit_v": 900 * MB}),
    ("7aefdfded", "linux/amd64", {"rlimit_data": 64 * MB}),
    ("1.27", "linux/amd64", {"ulimit_v": 1400 * MB}),
    ("1.27", "linux/386", {"ulimit_v": 300 * MB}),
    ("1.27", "windows/amd64", {"commit_limit": 200 * MB}),
]


@pytest.mark.parametrize(("go", "platform", "limit"), LIMITED)
def test_a_page_more_in_one_object_is_the_end(go: str, platform: str, limit: dict[str, int]) -> None:
    most = found(go, platform, **limit).largest
    assert 0 < most.size < next(iter(limit.values()))
    booted(go, platform, **limit).malloc(most.size, noscan=True)
    with pytest.raises(Death) as caught:
        booted(go, platform, **limit).malloc(most.size + 8192, noscan=True)
    assert caught.value.words == most.death


@pytest.mark.parametrize(("go", "platform", "limit"), LIMITED)
def test_no_heap_of_objects_of_one_size_is_larger(go: str, platform: str, limit: dict[str, int]) -> None:
    """Filled with one size alone, a machine dies at the heap that was found or before."""
    heap = found(go, platform, **limit).heap
    assert heap.death and heap.size > next(iter(limit.values())) // 8
    held = []
    for size in (FINEST, 4 * MB):
        rt = booted(go, platform, **limit)
        count = 0
        with pytest.raises(Death):
            while True:
                rt.malloc(size, noscan=True)
                count += 1
        held.append(count * size)
    assert max(held) <= heap.size
    assert heap.size - max(held) < 4 * MB


@pytest.mark.parametrize("go", ["7aefdfded", "1.27"])
def test_what_has_no_limit_is_tried_to_an_end(go: str) -> None:
    """A 64-bit machine without a limit: as much as is tried fits, and nothing is said to end it."""
    assert found(go, "linux/amd64").heap.death == ""


def test_a_machine_may_boot_and_have_no_room_for_a_heap() -> None:
    """The last rung reserves no arena, and mallocgc's first wish of 256 MB more is beyond the limit."""
    none = found("7aefdfded", "linux/386", ulimit_v=300 * MB)
    assert (none.heap.size, none.largest.size) == (0, 0)
    assert str(none) == "no heap fits: the first object ends with: out of memory"


@pytest.mark.parametrize("go", ["7aefdfded", "1.27"])
def test_32_bits_end_a_heap_without_a_limit(go: str) -> None:
    heap = found(go, "linux/386").heap
    assert heap.death == "out of memory" and 1 << 31 < heap.size < 1 << 32
