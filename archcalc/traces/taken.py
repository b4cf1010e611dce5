"""The addresses of objects that are handed out in runs, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# Objects side by side: the address of the first, their size, and from which rank to which they are.
Run = tuple[int, int, int, int]
# All that is free in a span: its address, the size of its objects, which are free as bits, how many objects
# there are in all, and from which rank to which they are.
Rest = tuple[int, int, int, int, int, int]
ALL_BITS = (1 << 64) - 1


def runs_of(np: Any, runs: list[Run]) -> Array:
    """The addresses of runs, one after the other."""
    sizes = np.array([size for _, size, _, _ in runs], np.uint64)
    counts = np.array([b - a for _, _, a, b in runs])
    ends = np.cumsum(counts)
    # Numbered through, an object of a run is as far from its first as their numbers are apart.
    origins = np.array([v for v, _, _, _ in runs], np.uint64) - (ends - counts).astype(np.uint64) * sizes
    found: Array = np.arange(int(ends[-1]), dtype=np.uint64)
    found *= np.repeat(sizes, counts)
    found += np.repeat(origins, counts)
    return found


def rests_of(np: Any, rests: list[Rest]) -> Array:
    """The addresses of what is free, span by span."""
    packed = []
    origins = []
    at = 0
    for base, size, free, nelems, _, _ in rests:
        bits = free.to_bytes(nelems + 7 >> 3, "little")
        packed.append(bits)
        origins.append(base - at * size & ALL_BITS)
        at += len(bits) << 3
    counts = np.array([b - a for *_, a, b in rests])
    bits = np.unpackbits(np.frombuffer(b"".join(packed), np.uint8), bitorder="little")
    found: Array = np.flatnonzero(bits).astype(np.uint64)
    found *= np.repeat(np.array([size for _, size, *_ in rests], np.uint64), counts)
    found += np.repeat(np.array(origins, np.uint64), counts)
    return found
