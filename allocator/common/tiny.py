"""Where in a block of the tiny allocator an object goes (malloc.go, mallocgc)."""

from __future__ import annotations

BLOCK = 16  # bytes

# By the low three bits of a size, what is added to an offset and then masked off: objects whose size is a
# multiple of 8, of 4 or of 2 are aligned to that.
GRAINS = (7, 0, 1, 0, 3, 0, 1, 0)


def place(off: int, size: int) -> int:
    """The offset of an object of that many bytes in a block that is used up to `off`."""
    grain = GRAINS[size & 7]
    return (off + grain) & ~grain
