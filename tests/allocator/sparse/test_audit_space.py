"""The audit of the address space: each invariant of arenas and tables is heard when it is broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allocator.sparse.heap import Heap
from tests.support.sparse_heap import busy


def arena_listed_twice(rt: Heap) -> None:
    rt.arenas.user_list.append(rt.arenas.heap_list[0])


def arena_without_a_record(rt: Heap) -> None:
    rt.arenas.heap_list.append(1)


def arena_not_listed(rt: Heap) -> None:
    rt.arenas.heap_list.pop()


def arena_without_a_map(rt: Heap) -> None:
    rt.arenas.l2_maps.clear()


def heap_without_an_arena(rt: Heap) -> None:
    del rt.arenas.by_index[rt.arenas.heap_list[0]]


def growth_backwards(rt: Heap) -> None:
    rt.growth.base = rt.growth.end + 8192


def growth_beyond_its_arena(rt: Heap) -> None:
    rt.growth.end += rt.config.heap_arena_bytes


def growth_into_the_heap(rt: Heap) -> None:
    rt.growth.base -= 8192


def summaries_twice(rt: Heap) -> None:
    rt.tables.mapped.append(rt.tables.mapped[0])


def summaries_uncounted(rt: Heap) -> None:
    rt.tables.mapped_ready -= 4096


def summaries_short(rt: Heap) -> None:
    rt.tables.lengths[2] = 1


def leaf_not_mapped(rt: Heap) -> None:
    level = rt.tables.summary[4]
    rt.tables.mapped[:] = [one for one in rt.tables.mapped if not level <= one[0] < level + (1 << 29)]


def index_not_mapped(rt: Heap) -> None:
    rt.tables.mapped[:] = [one for one in rt.tables.mapped if one[2] != "scavenge index"]


def regions_overlap(rt: Heap) -> None:
    rt.persistent.all_chunks.append(rt.persistent.all_chunks[0] + 4096)


SPACE_BREAKS: list[tuple[str, Callable[[Heap], None]]] = [
    ("arenas", arena_listed_twice),
    ("arenas", arena_without_a_record),
    ("arenas", arena_not_listed),
    ("arenas", arena_without_a_map),
    ("arenas", heap_without_an_arena),
    ("current arena", growth_backwards),
    ("current arena", growth_beyond_its_arena),
    ("current arena", growth_into_the_heap),
    ("summary memory", summaries_twice),
    ("summary memory", summaries_uncounted),
    ("summary memory", summaries_short),
    ("summary memory", leaf_not_mapped),
    ("summary memory", index_not_mapped),
    ("regions", regions_overlap),
]


@pytest.mark.parametrize(
    ("name", "break_it"), SPACE_BREAKS, ids=[break_it.__name__ for _, break_it in SPACE_BREAKS]
)
def test_what_is_broken_is_heard(name: str, break_it: Callable[[Heap], None]) -> None:
    rt = busy()
    break_it(rt)
    assert name in {violation.name for violation in rt.audit()}
