"""The scavenger: which runs go back to the OS, how much of them, and what happens when used again."""

from __future__ import annotations

import pytest

from allocator.contiguous.mspan import FREE, IN_USE
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot

PAGE = 8192
BIG = 64 << 10


def free_runs(rt: Runtime) -> dict[int, tuple[int, int]]:
    """Pages and released pages of every free run, by its address."""
    spans = rt.spans
    return {
        spans.base[s]: (spans.npages[s], spans.npreleased[s])
        for s in range(len(spans))
        if spans.state[s] == FREE
    }


def told(rt: Runtime, kind: str) -> list[tuple[int, int]]:
    """What the OS was told since the log was cleared: U unused, V used."""
    assert rt.log is not None
    found = [line.split() for line in rt.log if line.startswith(f"{kind} ")]
    return [(int(v, 16), int(n)) for _, v, n in found]


def holes(rt: Runtime, *pages: int) -> list[int]:
    """Large objects of so many pages, freed again, each between two that stay."""
    kept, freed = [], []
    for n in pages:
        freed.append(rt.malloc(n * PAGE))
        kept.append(rt.malloc(5 * PAGE))
    rt.collect(kept)
    if rt.log is not None:
        rt.log.clear()
    return freed


def test_everything_goes_back() -> None:
    rt = boot("linux/amd64", record=True)
    a, b = holes(rt, 6, 200)
    idle = rt.stats.heap_idle
    assert rt.scavenge() == idle
    assert rt.stats.heap_released == idle
    runs = free_runs(rt)
    assert runs[a] == (6, 6)
    assert runs[b] == (200, 200)
    assert all(npages == released for npages, released in runs.values())
    # Short runs first, a list a length, the long ones last.
    lengths = [n // PAGE for _, n in told(rt, "U")]
    assert sum(lengths) * PAGE == idle
    assert [n for n in lengths if n < 128] == sorted(n for n in lengths if n < 128)
    assert (a, 6 * PAGE) in told(rt, "U")
    assert rt.audit() == []


def test_what_is_released_is_not_released_again() -> None:
    rt = boot("linux/amd64", record=True)
    holes(rt, 6)
    rt.scavenge()
    assert rt.log is not None
    rt.log.clear()
    assert rt.scavenge() == 0
    assert told(rt, "U") == []


def test_only_runs_idle_for_longer_than_the_limit_go() -> None:
    """now - unusedsince > limit; a run is unused since the time of its free."""
    rt = boot("linux/amd64")
    rt.nanotime = 1000
    a, keep, b = rt.malloc(6 * PAGE), rt.malloc(5 * PAGE), rt.malloc(7 * PAGE)
    last = rt.malloc(5 * PAGE)
    rt.collect([keep, b, last])
    rt.nanotime = 3000
    rt.collect([keep, last])
    assert rt.scavenge(3500, 2500) == 0
    assert rt.scavenge(3501, 2500) == 6 * PAGE + free_tail(rt)
    assert free_runs(rt)[a] == (6, 6)
    assert free_runs(rt)[b] == (7, 0)
    assert rt.scavenge(3501, 500) == 7 * PAGE


def free_tail(rt: Runtime) -> int:
    """Bytes of the run that the heap's growth left over; it has been idle since then."""
    return max(npages for npages, _ in free_runs(rt).values()) * PAGE


def test_time_that_runs_backward_counts_as_very_long() -> None:
    """now - unusedsince is unsigned."""
    rt = boot("linux/amd64")
    rt.nanotime = 1000
    holes(rt, 6)
    assert rt.scavenge(999, 1 << 63) > 0


def test_splitting_a_free_run_leaves_the_rest_its_age() -> None:
    rt = boot("linux/amd64")
    rt.nanotime = 1000
    (a,) = holes(rt, 20)
    rt.nanotime = 9000
    assert rt.malloc(8 * PAGE) == a
    assert free_runs(rt)[a + 8 * PAGE] == (12, 0)
    assert rt.scavenge(9000, 7999) >= 12 * PAGE
    assert free_runs(rt)[a + 8 * PAGE] == (12, 12)


def test_joining_adds_what_was_released() -> None:
    rt = boot("linux/amd64")
    objects = [rt.malloc(6 * PAGE) for _ in range(5)]
    rt.collect([objects[0], objects[2], objects[4]])
    rt.scavenge()
    released = rt.stats.heap_released
    assert free_runs(rt)[objects[1]] == (6, 6)
    rt.collect([objects[0], objects[4]])  # the middle one joins both
    assert free_runs(rt)[objects[1]] == (18, 12)
    assert rt.stats.heap_released == released
    # Only what is not released yet is counted then, though the whole run is told again.
    assert rt.scavenge() == 6 * PAGE
    assert free_runs(rt)[objects[1]] == (18, 18)
    assert rt.audit() == []


def test_use_takes_the_whole_run_back() -> None:
    """allocSpanLocked: sysUsed over the run before it is cut, and nothing of the rest counts as released."""
    rt = boot("linux/amd64", record=True)
    (a,) = holes(rt, 20)
    rt.scavenge()
    released = rt.stats.heap_released
    assert rt.log is not None
    rt.log.clear()
    assert rt.malloc(8 * PAGE) == a
    assert told(rt, "V") == [(a, 20 * PAGE)]
    assert rt.stats.heap_released == released - 20 * PAGE
    assert free_runs(rt)[a + 8 * PAGE] == (12, 0)
    rt.log.clear()
    rt.malloc(7 * PAGE)
    assert told(rt, "V") == []


def test_a_run_that_is_partly_released_is_taken_back_as_a_whole() -> None:
    rt = boot("linux/amd64", record=True)
    objects = [rt.malloc(6 * PAGE) for _ in range(4)]
    rt.collect([objects[0], objects[2], objects[3]])
    rt.scavenge()
    rt.collect([objects[0], objects[3]])
    assert free_runs(rt)[objects[1]] == (12, 6)
    before = rt.stats.heap_released
    assert rt.log is not None
    rt.log.clear()
    assert rt.malloc(12 * PAGE) == objects[1]
    assert told(rt, "V") == [(objects[1], 12 * PAGE)]
    assert rt.stats.heap_released == before - 6 * PAGE


# Physical pages larger than the allocator's.


@pytest.mark.parametrize(
    ("platform", "arguments"), [("linux/ppc64le", {}), ("linux/arm64", {"page_size": BIG})]
)
def test_only_whole_physical_pages_go_back(platform: str, arguments: dict[str, int]) -> None:
    """64 KB pages: start is rounded up and end down; a run without a whole one is left alone."""
    rt = boot(platform, record=True, **arguments)
    assert rt.config.phys_page_size == BIG
    lengths = (7, 8, 9, 15, 16, 23, 40)
    freed = dict(zip(holes(rt, *lengths), lengths, strict=True))
    total = rt.scavenge()
    expected: dict[int, tuple[int, int]] = {}
    told_of = []
    for v, (npages, _) in free_runs(rt).items():
        first = -(-v // BIG) * BIG
        last = (v + npages * PAGE) // BIG * BIG
        expected[v] = npages, max(last - first, 0) // PAGE
        if last > first:
            told_of.append((first, last - first))
    assert set(freed) <= set(expected)
    assert free_runs(rt) == expected
    assert any(released == 0 for _, released in expected.values())
    assert any(0 < released < npages for npages, released in expected.values())
    assert sorted(told(rt, "U")) == sorted(told_of)
    assert total == rt.stats.heap_released == sum(n for _, n in told_of)
    assert rt.log is not None
    rt.log.clear()
    assert rt.scavenge() == 0
    assert told(rt, "U") == []
    assert rt.audit() == []


def test_two_partial_physical_pages_join_to_a_whole_one() -> None:
    rt = boot("linux/ppc64le")
    # From the first 64 KB boundary on: two objects of 4 pages, each half a physical page.
    first = rt.malloc(5 * PAGE)
    padding = [first]
    while (rt.spans.base[rt.heap.lookup(padding[-1])] + 5 * PAGE) % BIG:
        padding.append(rt.malloc(5 * PAGE))
    a, b = rt.malloc(5 * PAGE), rt.malloc(5 * PAGE)
    assert a % BIG == 0
    last = rt.malloc(5 * PAGE)
    rt.collect([*padding, b, last])
    rt.scavenge()
    assert free_runs(rt)[a] == (5, 0)
    rt.collect([*padding, last])
    assert free_runs(rt)[a] == (10, 0)
    assert rt.scavenge() == BIG
    assert free_runs(rt)[a] == (10, 8)


def test_free_os_memory_collects_first() -> None:
    rt = boot("linux/amd64")
    kept, dead = rt.malloc(100_000), rt.malloc(100_000)
    released = rt.free_os_memory([kept])
    assert released == rt.stats.heap_idle == rt.stats.heap_released
    s = rt.heap.lookup(dead)
    assert rt.spans.state[s] == FREE
    assert rt.spans.state[rt.heap.lookup(kept)] == IN_USE
