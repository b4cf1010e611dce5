"""Machine words wrap where Go's uintptr wraps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.uintptr import Word, printint, round_up

SIZES = pytest.mark.parametrize("ptr_size", [4, 8])


@SIZES
def test_below_zero_is_near_the_top(ptr_size: int) -> None:
    word = Word(ptr_size)
    assert word.sub(0, 1) == word.mask == 2 ** (8 * ptr_size) - 1
    assert word.add(word.mask, 2) == 1
    assert word.signed(word.mask) == -1


@SIZES
def test_rounding_wraps_like_the_runtimes(ptr_size: int) -> None:
    word = Word(ptr_size)
    assert word.round(8193, 8192) == 16384
    # (n + a - 1) &^ (a - 1) in a word: the last page rounds to nothing.
    assert word.round(word.mask, 8192) == 0


@SIZES
@given(a=st.integers(0, 2**64 - 1), b=st.integers(0, 2**64 - 1))
def test_arithmetic_is_modulo_the_word(ptr_size: int, a: int, b: int) -> None:
    word = Word(ptr_size)
    modulus = 2 ** (8 * ptr_size)
    a, b = a % modulus, b % modulus
    assert word.add(a, b) == (a + b) % modulus
    assert word.sub(a, b) == (a - b) % modulus
    assert word.mul(a, b) == a * b % modulus
    assert word.signed(a) % modulus == a and -modulus // 2 <= word.signed(a) < modulus // 2


@given(n=st.integers(0, 2**60), shift=st.integers(0, 30))
def test_round_up_is_the_least_multiple(n: int, shift: int) -> None:
    a = 1 << shift
    assert round_up(n, a) % a == 0 and n <= round_up(n, a) < n + a


@pytest.mark.parametrize(
    ("n", "shown"),
    [
        (0, "0"),
        (1 << 32, "4294967296"),
        ((1 << 63) - 1, "9223372036854775807"),
        (1 << 63, "-9223372036854775808"),
        ((1 << 64) - 1, "-1"),
        # golang/go#11789: cannot allocate -8410442019078995968-byte block
        ((1 << 64) - 8410442019078995968, "-8410442019078995968"),
    ],
)
def test_print_shows_a_uintptr_as_an_int64(n: int, shown: str) -> None:
    assert str(printint(n)) == shown
