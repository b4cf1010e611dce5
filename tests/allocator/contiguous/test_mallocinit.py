"""mallocinit: its checks in order, the hints and the ladder, and the heap it leaves (malloc.go)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import Scripted

from allocator.common.throw import Throw
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.profiles import platforms

GB = 1 << 30
PLATFORMS_64 = [name for name in platforms.names() if platforms.load(name).facts["ptr_size"] == 8]
PLATFORMS_32 = [name for name in platforms.names() if name not in PLATFORMS_64]


def dies(
    scripting, platform: str, system: Scripted | None = None, **changes: object
) -> tuple[str, list[str]]:
    """Words and printed lines of a machine whose Config differs in these fields."""
    system = system or Scripted()
    config = replace(scripting.config(platform), **changes)
    with pytest.raises(Throw) as death:
        Runtime(config, system)
    return death.value.words, system.printed


def test_the_tiny_class_must_have_the_tiny_size(scripting) -> None:
    assert dies(scripting, "linux/amd64", tiny_size=8) == ("bad TinySizeClass", [])


def test_defer_sizes_of_one_class_must_round_alike(scripting) -> None:
    words, printed = dies(scripting, "linux/amd64", min_defer_args=8)
    assert words == "bad defer size class"
    assert printed == ["bad defer size class: i=17 siz=80 defersc=1"]


@pytest.mark.parametrize(
    ("size", "words", "printed"),
    [
        (0, "failed to get system page size", []),
        (2048, "bad system page size", ["system page size (2048) is smaller than minimum page size (4096)"]),
        (12288, "bad system page size", ["system page size (12288) must be a power of 2"]),
    ],
)
def test_physical_pages_that_cannot_be(scripting, size: int, words: str, printed: list[str]) -> None:
    assert dies(scripting, "linux/amd64", phys_page_size=size) == (words, printed)


@pytest.mark.parametrize("platform", PLATFORMS_64)
def test_each_hint_is_asked_for_then_the_ladder(scripting, platform: str) -> None:
    system = Scripted()
    system.reserve = lambda v, n: 0
    words, printed = dies(scripting, platform, system)
    assert (words, printed) == ("runtime: cannot reserve arena virtual address space", [])
    asked = system.asked("R")
    first = 0x4000000000 if platform.endswith("arm64") else 0xC000000000
    if platform == "darwin/arm64":
        first = 0x130000000
    assert [call[1] for call in asked[:128]] == [i << 40 | first for i in range(128)]
    # Bitmap of 1 in 32 and spans of 8 bytes a page for 4 GB, a page to round, and less arena each time.
    assert [call[2] for call in asked[128:]] == [
        4 * GB // 32 + 4 * GB // 8192 * 8 + 8192 + arena for arena in (512 << 20, 256 << 20, 128 << 20, 0)
    ]


@pytest.mark.parametrize("platform", PLATFORMS_32)
def test_32_bit_begins_with_the_ladder(scripting, platform: str) -> None:
    system = Scripted()
    system.reserve = lambda v, n: 0
    dies(scripting, platform, system)
    asked = system.asked("R")
    assert [call[2] for call in asked] == [807411712, 538976256, 404758528, 270540800]
    end = int(scripting.config(platform).data_end)
    assert {call[1] for call in asked} == {(end + (256 << 10) + (1 << 20) - 1) // (1 << 20) * (1 << 20)}


def test_an_answer_that_is_not_page_aligned_is_rounded_up(scripting) -> None:
    system = Scripted()
    system.reserve = lambda v, n: 0x20001000
    rt, _ = scripting("linux/386", system)
    assert rt.heap.spans_start == 0x20002000
    assert rt.heap.arena_end == 0x20001000 + 807411712
    assert rt.heap.arena_used == 0x20002000 + (4 * GB // 8192 * 4) + 4 * GB // 16
    assert rt.heap.arena_start == 0


def test_64_bit_on_the_ladder_has_an_arena_of_its_own(scripting) -> None:
    """The fallback keeps arena_start, so memory below it will be out of range later."""
    system = Scripted()
    system.reserve = lambda v, n: 0 if n > GB else 0x10000000
    rt, _ = scripting("linux/amd64", system)
    assert rt.heap.arena_start == rt.heap.arena_used == 0x10000000 + 4 * GB // 8192 * 8 + 4 * GB // 32
    assert len(rt.attempts) == 129


def test_the_class_table_goes_into_memstats(rt: Runtime) -> None:
    assert tuple(rt.stats.size_by_class) == rt.config.size_classes.class_to_size


def test_the_first_mcache_caches_nothing() -> None:
    rt = boot("linux/arm")
    (cache,) = rt.caches
    assert all(place.span == -1 for place in cache.alloc)
    assert rt.cachealloc.inuse == rt.config.sizeof_mcache
