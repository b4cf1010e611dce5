"""Heap profile sampling: the logarithm's table, the two formulas, their caps, and what a machine samples."""

from __future__ import annotations

import math

import pytest

from allocator.common.sampling import FASTLOG2_TABLE, FastRand, fastlog2, next_sample, next_sample_no_fp
from archcalc.boot import boot

# fastlog2Table of the commit, as fastlog2table.go has it.
GO_TABLE = (
    0, 0.0443941193584535, 0.08746284125033943, 0.12928301694496647, 0.16992500144231248,
    0.2094533656289499, 0.24792751344358555, 0.28540221886224837, 0.3219280948873623,
    0.3575520046180837, 0.39231742277876036, 0.4262647547020979, 0.4594316186372973,
    0.4918530963296748, 0.5235619560570128, 0.5545888516776374, 0.5849625007211563,
    0.6147098441152082, 0.6438561897747247, 0.6724253419714956, 0.7004397181410922,
    0.7279204545631992, 0.7548875021634686, 0.7813597135246596, 0.8073549220576042,
    0.8328900141647417, 0.8579809951275721, 0.8826430493618412, 0.9068905956085185,
    0.9307373375628862, 0.9541963103868752, 0.9772799234999164, 1,
)  # fmt: skip


class Dealt(FastRand):
    """Numbers as they are dealt."""

    def __init__(self, *numbers: int) -> None:
        super().__init__(1)
        self.numbers = list(numbers)

    def next(self) -> int:
        return self.numbers.pop(0)


# The logarithm.


def test_the_table_is_go_s_to_the_last_bit() -> None:
    assert FASTLOG2_TABLE == GO_TABLE


@pytest.mark.parametrize("exponent", [0, 1, 13, 26, 300, -5])
def test_powers_of_two_and_the_table_s_places_come_out_exactly(exponent: int) -> None:
    for i in range(32):
        assert fastlog2(math.ldexp(1 + i / 32, exponent)) == exponent + GO_TABLE[i]


def test_between_them_it_is_a_straight_line() -> None:
    for i in (0, 7, 31):
        middle = 1 + (i + 0.5) / 32
        assert fastlog2(middle) == GO_TABLE[i] + (GO_TABLE[i + 1] - GO_TABLE[i]) * 0.5


def test_it_is_the_logarithm_to_five_digits() -> None:
    """The chord of log2 over 1/32 is off by at most 1/(8 ln 2) / 32², 0.000176."""
    worst = max(abs(fastlog2(x) - math.log2(x)) for x in (1 + i / 9973 * 1023 for i in range(9973)))
    assert 0.0001 < worst < 0.000177


# The random numbers.


def test_fastrand_is_a_shift_register_with_xor_of_its_top_bit() -> None:
    """runtime.fastrand: twice the number; that xor 0x88888eef, unless it has the top bit set then."""

    def model(x: int) -> int:
        twice = x * 2 % 2**32
        other = twice ^ 0x88888EEF
        return twice if other >= 2**31 else other

    rand, x = FastRand(49), 0x49F6428A + 49  # mcommoninit
    for _ in range(1000):
        x = model(x)
        assert rand.next() == x


def test_equal_seeds_give_equal_numbers_and_none_gets_stuck_at_zero() -> None:
    a, b = FastRand(12345), FastRand(12345)
    assert [a.next() for _ in range(100)] == [b.next() for _ in range(100)]
    for seed in (0, 1, 1 << 32, -0x49F6428A, (1 << 32) - 0x49F6428A):
        numbers = FastRand(seed)
        assert len({numbers.next() for _ in range(1000)}) == 1000


# nextSample.


def test_the_distance_is_the_formula_of_the_number_drawn() -> None:
    """x = -ln(q / 2**26) * rate, by the table; one byte more, so that it is never zero."""
    assert next_sample(512 << 10, Dealt((1 << 26) - 1)) == 1  # q = 2**26: ln 1
    assert next_sample(512 << 10, Dealt((1 << 25) - 1)) == int(0.6931471805599453 * (512 << 10)) + 1
    assert next_sample(1000, Dealt(0)) == int(26 * 0.6931471805599453 * 1000) + 1  # q = 1
    assert next_sample(1000, Dealt(1 << 26)) == next_sample(1000, Dealt(0))  # 26 bits only
    # q = 1.5 * 2**20: log2 is 20 + the table's middle.
    expected = int((20 + GO_TABLE[16] - 26) * (-0.6931471805599453 * 4096.0)) + 1
    assert next_sample(4096, Dealt(3 * (1 << 19) - 1)) == expected


def test_a_rate_of_zero_draws_nothing() -> None:
    assert next_sample(0, Dealt()) == 0
    assert next_sample_no_fp(0, Dealt()) == 0


def test_rates_are_capped_so_that_nothing_overflows() -> None:
    for rate in (0x7000000, 0x7000001, 1 << 40):
        assert next_sample(rate, Dealt(0)) == int(-26.0 * (-0.6931471805599453 * float(0x7000000))) + 1
    assert next_sample(1 << 40, Dealt(0)) < 1 << 31
    for rate in (0x3FFFFFFF, 0x40000000, 1 << 40):
        assert next_sample_no_fp(rate, Dealt(0xFFFFFFFF)) == 0xFFFFFFFF % 0x7FFFFFFE


def distances(rate: int, n: int) -> list[int]:
    rand = FastRand(2017)
    return [next_sample(rate, rand) for _ in range(n)]


@pytest.mark.parametrize("rate", [4096, 512 << 10])
def test_distances_are_exponential_with_the_given_mean(rate: int) -> None:
    """Kolmogorov and Smirnov: of n samples the largest difference of the two distribution functions is
    below 1.95 / sqrt(n) but once in a thousand times. The same samples held against another mean fail."""
    n = 20_000
    drawn = sorted(distances(rate, n))

    def difference(mean: float) -> float:
        return max(
            max(abs((i + 1) / n - (1 - math.exp(-x / mean))), abs(i / n - (1 - math.exp(-x / mean))))
            for i, x in enumerate(drawn)
        )

    assert difference(rate) < 1.95 / math.sqrt(n)
    assert difference(rate * 1.1) > 1.95 / math.sqrt(n)
    assert difference(rate * 0.9) > 1.95 / math.sqrt(n)
    # The standard error of the mean is mean / sqrt(n).
    assert abs(sum(drawn) / n - rate) < 4 * rate / math.sqrt(n)


def test_the_variant_without_floating_point_is_uniform_below_twice_the_rate() -> None:
    rate, n = 1000, 20_000
    rand = FastRand(2017)
    drawn = [next_sample_no_fp(rate, rand) for _ in range(n)]
    assert min(drawn) >= 0
    assert max(drawn) < 2 * rate
    ordered = sorted(drawn)
    assert max(abs(i / n - x / (2 * rate)) for i, x in enumerate(ordered)) < 1.95 / math.sqrt(n)
    assert next_sample_no_fp(1000, Dealt(123_456)) == 123_456 % 2000


# Machines.


def samples(rate: int, sizes: list[int], seed: int = 1) -> tuple[int, int]:
    """How many of these allocations were sampled, and their bytes."""
    rt = boot("linux/amd64", mem_profile_rate=rate, seed=seed)
    for size in sizes:
        rt.malloc(size)
    found = rt.specials.buckets.values()
    return sum(b.allocs for b in found), sum(b.alloc_bytes for b in found)


def test_a_rate_of_zero_samples_nothing() -> None:
    assert samples(0, [64] * 1000) == (0, 0)


def test_a_rate_of_one_samples_everything() -> None:
    assert samples(1, [64] * 1000 + [100_000]) == (1001, 64_000 + 13 * 8192)


def test_objects_as_large_as_the_rate_are_always_sampled() -> None:
    count, _ = samples(4096, [4096] * 200)
    assert count == 200


def test_an_object_is_sampled_when_the_distance_has_been_allocated() -> None:
    """next_sample counts down by the block's size; the object that would bring it below zero is sampled."""
    rt = boot("linux/amd64", mem_profile_rate=1 << 20)
    cache = rt.caches[0]
    cache.next_sample = 1000
    for left in (888, 776, 664, 552, 440, 328, 216, 104):
        rt.malloc(100)  # of class 112
        assert cache.next_sample == left
        assert not rt.specials.buckets
    rt.malloc(100)
    assert [b.allocs for b in rt.specials.buckets.values()] == [1]
    assert cache.next_sample > 104


def test_small_objects_in_a_tiny_block_are_counted_with_the_block_only() -> None:
    rt = boot("linux/amd64", mem_profile_rate=1 << 20)
    cache = rt.caches[0]
    cache.next_sample = 1000
    for left in (984, 984, 984, 984, 968):
        rt.malloc(4)
        assert cache.next_sample == left


def test_a_machine_samples_in_proportion_to_the_bytes() -> None:
    """200,000 objects of 64 bytes at a mean of 4096, half an object more for the one that passes it: 3100
    are expected, give or take four times the root."""
    count, total = samples(4096, [64] * 200_000, seed=5)
    assert abs(count - 3100) < 4 * math.sqrt(3100)
    assert total == 64 * count


def test_equal_seeds_sample_the_same() -> None:
    sizes = [48, 200, 1000] * 500
    assert samples(2048, sizes, seed=3) == samples(2048, sizes, seed=3)
    assert len({samples(2048, sizes, seed=seed) for seed in range(6)}) > 1


def test_with_32_bits_half_of_the_numbers_are_negative() -> None:
    """int(fastrand()) % (2 * rate), which has the sign of the number in Go."""
    assert next_sample_no_fp(1000, Dealt(0x7FFFFFFF), 32) == 0x7FFFFFFF % 2000
    assert next_sample_no_fp(1000, Dealt(0x80000000), 32) == -(0x80000000 % 2000)
    assert next_sample_no_fp(1000, Dealt(0xFFFFFFFF), 32) == -1
    assert next_sample_no_fp(1000, Dealt(0xFFFFFFFF), 64) == 0xFFFFFFFF % 2000


@pytest.mark.parametrize(
    ("platform", "bits"), [("plan9/amd64", 64), ("plan9/386", 32), ("linux/amd64", None), ("linux/386", None)]
)
def test_the_note_handler_of_plan9_uses_no_floating_point(platform: str, bits: int | None) -> None:
    rate = 512 << 10
    rt = boot(platform, mem_profile_rate=rate, seed=9)
    rt.on_note_stack = True
    twin = FastRand(1)
    twin.state = rt.rand.state
    drawn = [rt.next_sample() for _ in range(50)]
    if bits is None:
        assert drawn == [next_sample(rate, twin) for _ in range(50)]
    else:
        assert drawn == [next_sample_no_fp(rate, twin, bits) for _ in range(50)]
    rt.on_note_stack = False
    assert rt.next_sample() == next_sample(rate, twin)
