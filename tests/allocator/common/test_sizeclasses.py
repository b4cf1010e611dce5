"""The size class table: Go's own numbers, the division magic, and what-ifs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.sizeclasses import DivMagic, SizeClassError, SizeClasses, compute, div_magic
from allocator.common.throw import Throw

# sizeclasses.go at 7aefdfded: class_to_size and class_to_allocnpages.
GO_SIZES = (
    0, 8, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416,
    448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200,
    3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336,
    16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
)  # fmt: skip
GO_PAGES = (
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2,
    1, 2, 1, 2, 1, 3, 2, 3, 1, 3, 2, 3, 4, 5, 6, 1, 7, 6, 5, 4, 3, 5, 7, 2, 9, 7, 5, 8, 3, 10, 7, 4,
)  # fmt: skip
# shift, shift2, mul, baseMask of a few classes of class_to_divmagic.
GO_MAGIC = {
    0: (0, 0, 0, 0),
    1: (3, 0, 1, 65528),
    4: (4, 9, 171, 0),
    14: (4, 13, 631, 0),
    43: (12, 0, 1, 61440),
    54: (7, 14, 193, 0),
    62: (8, 14, 193, 0),
    66: (15, 0, 1, 32768),
}


@pytest.fixture(scope="module")
def go() -> SizeClasses:
    return compute()


def test_sizes_and_pages_are_go_s(go: SizeClasses) -> None:
    assert go.class_to_size == GO_SIZES
    assert go.class_to_allocnpages == GO_PAGES
    assert len(go) == 67


def test_magic_is_go_s(go: SizeClasses) -> None:
    assert {c: tuple(go.class_to_divmagic[c]) for c in GO_MAGIC} == GO_MAGIC


def test_lookup_tables_have_go_s_shape(go: SizeClasses) -> None:
    assert len(go.size_to_class8) == 1024 // 8 + 1
    assert len(go.size_to_class128) == (32768 - 1024) // 128 + 1
    assert go.size_to_class8[:8] == (0, 1, 2, 3, 3, 4, 4, 5)
    assert go.size_to_class128[:8] == (31, 32, 33, 34, 35, 36, 36, 37)
    assert go.size_to_class128[-1] == 66


@pytest.mark.parametrize("page_size", [1024, 4096, 8192, 16384, 65536])
def test_magic_divides_every_offset_of_every_span(page_size: int) -> None:
    table = compute(page_size)
    for c in range(1, len(table)):
        size, magic = table.class_to_size[c], table.class_to_divmagic[c]
        shift, shift2, mul, base_mask = magic
        shifted = size >> shift
        # Offsets that differ only in the bits shifted out share a quotient.
        for n in range(table.span_bytes(c) >> shift):
            assert n * mul >> shift2 == n // shifted
            assert n * mul < 1 << 32
        if base_mask:
            assert all(n & base_mask == n - n % size for n in range(0, table.span_bytes(c), 7))


def brute_force_magic(size: int, span: int) -> tuple[int, int, int]:
    """computeDivMagic word for word: try every offset for every shift."""
    shift, d, last = 0, size, span - 1
    while d % 2 == 0:
        shift, d, last = shift + 1, d // 2, last // 2
    k = 0
    while True:
        mul = ((1 << k) + d - 1) // d
        if all(n * mul >> k == n // d for n in range(last + 1)):
            return shift, k, mul
        k += 1


@given(st.integers(1, 600), st.integers(1, 4000))
def test_magic_is_the_smallest_that_works(size: int, span: int) -> None:
    assert tuple(div_magic(size, span))[:3] == brute_force_magic(size, span)


def test_every_small_size_gets_the_smallest_class_that_holds_it(go: SizeClasses) -> None:
    for size in range(1, 32768 + 1):
        c = go.size_to_class(size)
        assert go.class_to_size[c - 1] < size <= go.class_to_size[c]


def test_rounding_of_small_sizes_wastes_at_most_an_eighth(go: SizeClasses) -> None:
    # The generator's promise holds from 128 on, where steps are an eighth of the size; merged
    # classes stretch it to a fifth.
    worst = max((go.round_up_size(n) - n) / go.round_up_size(n) for n in range(129, 32769))
    assert 0.125 < worst < 0.2
    assert all(go.tail_waste(c) <= go.span_bytes(c) / 8 for c in range(1, 67))


@given(st.integers(32768, 1 << 40))
def test_large_sizes_round_to_pages(size: int) -> None:
    rounded = compute().round_up_size(size)
    assert rounded % 8192 == 0
    assert 0 <= rounded - size < 8192


def test_a_size_that_would_wrap_is_left_alone(go: SizeClasses) -> None:
    assert go.round_up_size((1 << 32) - 1, uintptr_mask=(1 << 32) - 1) == (1 << 32) - 1
    assert go.round_up_size((1 << 32) - 1) == 1 << 32


def test_an_invalid_size_throws(go: SizeClasses) -> None:
    with pytest.raises(Throw, match=r"^invalid size$"):
        go.size_to_class(32769)


def test_class_zero_is_empty(go: SizeClasses) -> None:
    assert (go.size_to_class(0), go.objects(0), go.tail_waste(0), go.span_bytes(0)) == (0, 0, 0, 0)
    assert go.class_to_divmagic[0] == DivMagic(0, 0, 0, 0)


def test_objects_and_tail(go: SizeClasses) -> None:
    assert (go.objects(1), go.tail_waste(1)) == (1024, 0)
    assert (go.objects(51), go.tail_waste(51)) == (6, 512)  # 9472 bytes in 7 pages
    assert all(
        go.objects(c) * go.class_to_size[c] + go.tail_waste(c) == go.span_bytes(c) for c in range(len(go))
    )


@given(
    st.sampled_from([1 << k for k in range(10, 17)]),
    st.sampled_from([1024, 2048, 4096]),
    st.integers(0, 240),
)
def test_what_ifs_keep_the_lookup_exact(page_size: int, small_max: int, steps: int) -> None:
    largest = small_max + 128 * steps
    try:
        table = compute(page_size, largest, 8, small_max)
    except SizeClassError:
        return
    for size in {1, 7, 8, small_max - 7, small_max, small_max + 1, largest - 1, largest}:
        if 0 < size <= largest:
            c = table.size_to_class(size)
            assert table.class_to_size[c - 1] < size <= table.class_to_size[c]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"page_size": 5000}, "page size 5000 is not a power of two"),
        ({"page_size": 1 << 17}, "too big for power of two size 8"),
        ({"page_size": 1 << 31}, "above 1 GB"),
        ({"max_small_size": 1 << 17}, "does not fit uint16"),
        ({"max_small_size": 1 << 16}, "65536 bytes does not fit uint16"),
        ({"max_small_size": 32768 + 128}, "no class holds 32896 bytes"),
        ({"small_size_max": 1 << 16}, "outside 8 to 32768"),
        ({"small_size_max": 1028}, "not whole steps"),
        ({"large_size_div": 4}, "large size divisor 4"),
    ],
)
def test_what_the_generator_or_the_compiler_would_refuse(parameters: dict[str, int], words: str) -> None:
    with pytest.raises(SizeClassError, match=words):
        compute(**parameters)
