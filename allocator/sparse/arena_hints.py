"""Where the heap would like to be: the hints of mallocinit, in the order in which they are tried (malloc.go).

64-bit ports have a list of addresses, by architecture and system, or from 1.26 on one that begins at an
address drawn by lot. The later half is for user arenas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, Throw

if TYPE_CHECKING:
    from allocator.sparse.config import Config

HINTS = 0x80
HEAP_HINTS = 0x40  # the others are for user arenas
SEED_BITS = 64
NARROW_RISCV = 39
# The race detector has shadow memory for one range of addresses only, and so asks nowhere else.
RACE_HEAP_HINTS = 0x60
RACE_END = 0xE0 << 32
NARROW_RACE_END = 0x0F << 32


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
        """The next so many bits."""
        if bits > self.remaining:
            raise Throw("not enough heapRandSeed bits remaining")
        self.remaining -= bits
        return self.seed >> self.remaining & ((1 << bits) - 1)


def random_address_bits(config: Config) -> int:
    """randHeapAddrBits: how many bits of the heap's base are drawn."""
    return config.heap_addr_bits - 1 - (config.goarch == "amd64")


def seed_for(config: Config, base: int, start: int, padding: int) -> int:
    """The lot that puts the first arena at `base`, the first mapping at `start` in it, and then leaves
    `padding` pages out. Base is a multiple of the arena's size, start of palloc_chunk_bytes.
    """
    top = random_address_bits(config) - config.log_heap_arena_bytes
    middle = config.log_heap_arena_bytes - config.log_palloc_chunk_bytes
    seed = base >> config.log_heap_arena_bytes & ((1 << top) - 1)
    seed = seed << middle | (start - base) >> config.log_palloc_chunk_bytes
    low = config.log_palloc_chunk_bytes
    return (seed << low | padding << config.page_shift) << (SEED_BITS - top - middle - low)


def seed_of_base(config: Config, base: int) -> int:
    """The lot that has the heap's first object lie at `base` or in its page, if all else is free.

    BadRequest for a base that no lot falls on.
    """
    end = 1 << random_address_bits(config)
    if base & config.page_size - 1 or not config.heap_arena_bytes <= base < end:
        least = config.heap_arena_bytes
        raise BadRequest(
            f"a heap's base of {base:#x}: it is a multiple of {config.page_size:#x} "
            f"from {least:#x} to {end - config.page_size:#x}"
        )
    start = base & -config.palloc_chunk_bytes
    return seed_for(config, base & -config.heap_arena_bytes, start, base - start >> config.page_shift)


def usual_seed(config: Config) -> int:
    """The lot with which the heap begins where releases without one put it."""
    base = next(p for i in range(HINTS) if (p := _hint(config, i)) is not None)
    return seed_for(config, base, base, 0)


def hint_addresses(config: Config, lot: HeapLot) -> list[tuple[int, bool]]:
    """Every hint as (address, whether it is for user arenas), in the order of trying."""
    base = _random_base(config, lot) if config.randomized_heap_base else 0
    hints = []
    heap_hints = RACE_HEAP_HINTS if config.race else HEAP_HINTS
    for i in range(HINTS):
        p = _random_hint(config, base, i) if config.randomized_heap_base else _hint(config, i)
        if p is not None:
            hints.append((p, config.user_arenas and i >= heap_hints))
    return hints


def _random_base(config: Config, lot: HeapLot) -> int:
    bits = random_address_bits(config)
    top = bits - config.log_heap_arena_bytes
    return lot.next(top) << (bits - top)


def _random_hint(config: Config, base: int, i: int) -> int:
    """The i-th hint: the base's top byte counts up, what lies below it stays."""
    shift = random_address_bits(config) - 8
    prefix = (base >> shift) + i & 0xFF
    return prefix << shift | base & ~(0xFF << (config.heap_addr_bits - 8))


def _hint(config: Config, i: int) -> int | None:
    narrow = (
        config.goarch == "riscv64"
        and config.heap_base_by_address_bits
        and config.address_bits == NARROW_RISCV
    )
    if config.race:
        p = i << 28 | 0x0013 << 28 if narrow else i << 32 | 0x00C0 << 32
        return p if p < (NARROW_RACE_END if narrow else RACE_END) else None
    if config.goarch == "arm64":
        return i << 40 | (0x0013 << 28 if config.goos == "ios" else 0x0040 << 32)
    if narrow:
        return i << 32 | 0x0013 << 28
    if config.goos == "aix":
        # Addresses right behind 0x0a00000000000000 are left to others.
        return i << 40 | 0xA0 << 52 if i else None
    return i << 40 | 0x00C0 << 32
