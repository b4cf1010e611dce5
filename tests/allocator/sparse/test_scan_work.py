"""What a collection counts as scanned: up to the last pointer of each object, as scanObject does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.types import Type
from allocator.sparse.heap_bits import plan
from allocator.sparse.scan_work import OBLET, last_pointer, scan_size
from tests.support.sparse import config
from tests.support.sparse_heap import heap

NODE = Type.of_words("node", "pp..", 8)
LATE = Type.of_words("late", ".......p", 8)
WORDS = st.text("p.", min_size=1, max_size=40).filter(lambda words: "p" in words)


def brute_force(words: str, size: int, header: int) -> int:
    """Word by word and oblet by oblet."""
    pointers = [at for at in range(header, size, 8) if words[(at - header) // 8 % len(words)] == "p"]
    oblets = (range(begin, min(begin + OBLET, size)) for begin in range(0, size, OBLET))
    return sum(max((at + 8 - one.start for at in pointers if at in one), default=0) for one in oblets)


@given(WORDS, st.one_of(st.integers(1, 4096), st.integers(1, 6 * OBLET // 8)), st.sampled_from([0, 8]))
def test_a_type_is_repeated_to_the_end_and_oblets_count_by_themselves(
    words: str, n: int, header: int
) -> None:
    header = header if n * 8 < OBLET else 0  # large objects have none
    typ = Type.of_words("any", words, 8)
    assert scan_size(typ, n * 8, header, config()) == brute_force(words, n * 8, header)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 64))
def test_bits_end_where_the_last_one_is(bits: int, words: int) -> None:
    assert last_pointer(bits, words * 8, 0, 8) == (bits & (1 << words) - 1).bit_length() * 8


@pytest.mark.parametrize(
    ("size", "typ", "work"),
    [
        (32, NODE, 16),
        (96, NODE, 80),  # three of them, the last one's two pointers
        (64, LATE, 64),
        (640, NODE, 8 + 21 * 32 + 16),  # behind a header, up to the end of a slot of 704 bytes
        (64, None, 0),
    ],
)
def test_a_collection_scans_up_to_the_last_pointer(size: int, typ: Type | None, work: int) -> None:
    rt = heap(gogc=100)
    v = rt.malloc(size, typ)
    rt.collect([v])
    assert rt.pacer.last_heap_scan == work


def scanned(rt: Any, live: list[int]) -> int:
    rt.collect(live)
    return int(rt.pacer.last_heap_scan)


def test_objects_of_one_span_count_each_by_its_own_type() -> None:
    rt = heap(gogc=100)
    node, late = rt.malloc(64, NODE), rt.malloc(64, LATE)
    assert scanned(rt, [node, late]) == 48 + 64
    assert scanned(rt, [late]) == 64


def test_large_objects_are_scanned_in_oblets() -> None:
    rt = heap(gogc=100)
    typ = Type.of_words("row", "p" + "." * 1023, 8)
    v = rt.malloc(300 << 10, typ)
    # The last of 16 rows of each oblet ends behind its first word, and so does the last of all.
    assert scanned(rt, [v]) == 2 * (15 * 8192 + 8) + 5 * 8192 + 8


def test_who_has_a_finalizer_is_scanned_as_a_root_and_again_if_it_lives() -> None:
    rt = heap(gogc=100)
    v, w = rt.malloc(32, NODE), rt.malloc(32, NODE)
    rt.set_finalizer(v)
    assert scanned(rt, [v, w]) == 3 * 16
    assert rt.pacer.heap_marked == 3 * 32
    rt.clear_finalizer(v)
    assert scanned(rt, [v, w]) == 2 * 16


@pytest.mark.parametrize(("go", "scan"), [("1.19", 80), ("1.21", 80), ("1.22", 8), ("1.26", 8), ("1.27", 80)])
def test_a_small_slice_of_pointers_counted_as_one_for_a_while(go: str, scan: int) -> None:
    """writeHeapBitsSmall of 1.22 to 1.26 leaves scanSize at the first element's, heapBitsSetType did not."""
    pointer = Type.of_words("*T", "p", 8)
    assert plan(config(go=go), pointer, 80).scan == scan


@pytest.mark.parametrize("go", ["1.19", "1.21"])
def test_without_headers_only_what_was_asked_for_has_pointers(go: str) -> None:
    rt = heap(go=go, gogc=100)
    v = rt.malloc(10 * 32, NODE)  # of a slot of 320 bytes
    assert scanned(rt, [v]) == 9 * 32 + 16
    large = rt.malloc(40_000, NODE)
    assert scanned(rt, [large]) == 1249 * 32 + 16
