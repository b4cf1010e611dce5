"""Where the heap asks to be: the hints of mallocinit, in the order in which they are tried (malloc.go).

64-bit ports have a list of addresses, which the Config tells, or from 1.26 on one that begins at an
address drawn at random. The later half is for user arenas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, Throw

if TYPE_CHECKING:
    from allocator.sparse.config import Config

HINTS = 0x80  # where they are random
HEAP_HINTS = 0x40  # the others are for user arenas
SEED_BITS = 64


class Hint:
    """An address to grow from, upward, or where `down` says so downward (arenaHint)."""

    __slots__ = ("addr", "down", "record")

    def __init__(self, addr: int, record: int, down: bool = False) -> None:
        self.addr = addr
        self.record = record  # where the runtime keeps it: a record of arenaHintAlloc
        self.down = down


class HeapLot:
    """The random bits that the heap's base is drawn from, highest first (nextHeapRandBits)."""

    __slots__ = ("remaining", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.remaining = SEED_BITS

    def next(self, bits: int) -> int:
        """The next n bits."""
        if bits > self.remaining:
            raise Throw("not enough heapRandSeed bits remaining")
        self.remaining -= bits
        return self.seed >> self.remaining & ((1 << bits) - 1)


def seed_for(config: Config, base: int, start: int, padding: int) -> int:
    """The random number that puts the first arena at `base`, the first mapping at `start` in it, and leaves
    `padding` pages out. Base is a multiple of the arena's size, start of palloc_chunk_bytes.
    """
    top = config.random_address_bits - config.log_heap_arena_bytes
    middle = config.log_heap_arena_bytes - config.log_palloc_chunk_bytes
    seed = base >> config.log_heap_arena_bytes & ((1 << top) - 1)
    seed = seed << middle | (start - base) >> config.log_palloc_chunk_bytes
    low = config.log_palloc_chunk_bytes
    return (seed << low | padding << config.page_shift) << (SEED_BITS - top - middle - low)


def seed_of_base(config: Config, base: int) -> int:
    """The random number that puts the heap's first object at `base` or in its page, if all else is free.

    Raises BadRequest for a base that cannot be drawn.
    """
    end = 1 << config.random_address_bits
    if base & config.page_size - 1 or not config.heap_arena_bytes <= base < end:
        least = config.heap_arena_bytes
        raise BadRequest(
            f"a heap's base of {base:#x}: it must be a multiple of {config.page_size:#x} "
            f"from {least:#x} to {end - config.page_size:#x}"
        )
    start = base & -config.palloc_chunk_bytes
    return seed_for(config, base & -config.heap_arena_bytes, start, base - start >> config.page_shift)


def usual_seed(config: Config) -> int:
    """The random number with which the heap begins where releases without one put it."""
    return seed_for(config, config.usual_base, config.usual_base, 0)


def hint_addresses(config: Config, lot: HeapLot) -> list[tuple[int, bool]]:
    """Every hint as (address, whether it is for user arenas), in the order of trying."""
    if not config.randomized_heap_base:
        return [(p, False) for p in config.hints] + [(p, True) for p in config.user_arena_hints]
    base = _random_base(config, lot)
    return [(_random_hint(config, base, i), config.user_arenas and i >= HEAP_HINTS) for i in range(HINTS)]


def _random_base(config: Config, lot: HeapLot) -> int:
    bits = config.random_address_bits
    top = bits - config.log_heap_arena_bytes
    return lot.next(top) << (bits - top)


def _random_hint(config: Config, base: int, i: int) -> int:
    """The i-th hint: the base's top byte counts up, what lies below it stays."""
    shift = config.random_address_bits - 8
    prefix = (base >> shift) + i & 0xFF
    return prefix << shift | base & ~config.random_prefix
