"""Pointer bits: of values side by side, and of GC programs, which releases up to 1.23 unroll into a span."""

from __future__ import annotations

import pytest

from allocator.common.types import KIND_GC_PROG, Type
from allocator.sparse.heap_bits import repeated, unrolled_pages
from allocator.sparse.mspan import DEAD, MANUAL
from archcalc.boot import boot

WORDS = 20_000
# One pointer, then the same again for all other words: 1 bit `1`, repeat 1 bit n - 1 times, end.
PROGRAM = bytes((1, 1, 0x81, (WORDS - 1) & 127 | 128, (WORDS - 1) >> 7 & 127 | 128, WORDS - 1 >> 14, 0))


def large(ptr_size: int) -> Type:
    size = WORDS * ptr_size
    return Type(size, size, KIND_GC_PROG, ptr_size, PROGRAM, "big")


@pytest.mark.parametrize(
    ("go", "platform", "pages"),
    [("1.22", "linux/amd64", 1), ("1.23", "linux/386", 1), ("1.24", "linux/amd64", 0)],
)
def test_an_object_has_a_span_for_its_bits_as_long_as_it_lives(go: str, platform: str, pages: int) -> None:
    rt = boot(platform, go=go)
    typ = large(rt.config.ptr_size)
    # 48 or 32 bytes of a type, and 2500 of bits.
    assert unrolled_pages(rt.config, typ) == pages
    before = rt.heap_stats.in_work_bufs
    kept, lost = rt.malloc(typ.size, typ=typ), rt.malloc(typ.size, typ=typ)
    assert rt.heap_stats.in_work_bufs - before == 2 * pages * 8192
    bits = [rt.heap.span_of(v).unrolled for v in (kept, lost)]
    assert [s is not None for s in bits] == [bool(pages)] * 2 and rt.audit() == []
    rt.collect(live=[kept])
    assert [s.state for s in bits if s is not None] == [MANUAL, DEAD][: 2 * pages]
    assert rt.audit() == []


@pytest.mark.parametrize("words", ["p", "p.", ".p", "pp..p", "....p."])
@pytest.mark.parametrize("ptr_size", [4, 8])
def test_values_side_by_side_have_the_bits_of_each(words: str, ptr_size: int) -> None:
    typ = Type.of_words("value", words, ptr_size)
    for count in (0, 1, 2, 3, 4, 7, 8, 33, 100):
        bits = f"{repeated(typ, count, ptr_size):b}".zfill(len(words) * count)[::-1] if count else ""
        assert bits == (words * count).replace("p", "1").replace(".", "0")
