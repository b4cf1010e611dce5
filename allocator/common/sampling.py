"""When the heap profile takes its next sample (nextSample, malloc.go; fastlog2.go; fastrand).

Samples are a Poisson process over allocated bytes: the distance to the next
one is exponential with mean MemProfileRate. The logarithm is Go's table with
linear interpolation, so that the distances come out to the last byte.
"""

from __future__ import annotations

import math
import struct

FASTLOG_BITS = 5
_SCALE_BITS = 20
RANDOM_BITS = 26
_MINUS_LN2 = -0.6931471805599453


def _go_log2(x: float) -> float:
    """log2 by way of the natural logarithm, as the generator of Go's table took it (math.Log2)."""
    fraction, exponent = math.frexp(x)
    if fraction == 0.5:
        return float(exponent - 1)
    return math.log(fraction) * (1 / math.log(2)) + float(exponent)


FASTLOG2_TABLE = tuple(_go_log2(1.0 + i / (1 << FASTLOG_BITS)) for i in range((1 << FASTLOG_BITS) + 1))


def fastlog2(x: float) -> float:
    """log2(x) for a positive x, to about five digits (fastlog2)."""
    bits: int
    (bits,) = struct.unpack("<Q", struct.pack("<d", x))
    exponent = ((bits >> 52) & 0x7FF) - 1023
    index = (bits >> (52 - FASTLOG_BITS)) % (1 << FASTLOG_BITS)
    scale = (bits >> (52 - FASTLOG_BITS - _SCALE_BITS)) % (1 << _SCALE_BITS)
    low, high = FASTLOG2_TABLE[index], FASTLOG2_TABLE[index + 1]
    return float(exponent) + low + (high - low) * float(scale) * (1.0 / (1 << _SCALE_BITS))


class FastRand:
    """m.fastrand: a 32-bit shift register. Equal seeds give equal numbers.

    The seed takes the place of the clock's ticks in mcommoninit. What that adds to them matters:
    from a small number the register would give small ones for two dozen draws.
    """

    __slots__ = ("state",)

    START = 0x49F6428A

    def __init__(self, seed: int) -> None:
        self.state = (self.START + seed & 0xFFFFFFFF) or self.START

    def next(self) -> int:
        """The next number, 32 bits (runtime.fastrand)."""
        doubled = (self.state << 1) & 0xFFFFFFFF
        mixed = doubled ^ 0x88888EEF
        self.state = doubled if mixed & 0x80000000 else mixed
        return self.state


def next_sample(rate: int, rand: FastRand) -> int:
    """Bytes until the next sample, for a mean of `rate` bytes (nextSample)."""
    if rate == 0:
        return 0
    period = min(rate, 0x7000000)
    q = rand.next() % (1 << RANDOM_BITS) + 1
    qlog = min(fastlog2(float(q)) - RANDOM_BITS, 0.0)
    return int(qlog * (_MINUS_LN2 * float(period))) + 1


def next_sample_no_fp(rate: int, rand: FastRand, int_bits: int = 64) -> int:
    """The same without floating point, for plan9's note handler: uniform below twice the rate.

    Where int has 32 bits half of the random numbers are negative, and so are their remainders:
    the next allocation is sampled then (nextSampleNoFP).
    """
    rate = min(rate, 0x3FFFFFFF)
    if not rate:
        return 0
    number = rand.next()
    if number >> (int_bits - 1):
        return -(((1 << int_bits) - number) % (2 * rate))
    return number % (2 * rate)
