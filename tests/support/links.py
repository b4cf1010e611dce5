"""Heaps of objects that point to each other, for tests of tracing on either machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Link = tuple[int, int, int]
"""The number of the object that points, which of its two pointers does, and the object pointed to."""

SHAPES: Mapping[str, Callable[[int], Iterator[Link]]] = {
    "tree": lambda n: ((i // 2, i % 2, i) for i in range(1, n, 3)),
    "list": lambda n: ((i, 0, i + 1) for i in range(n // 2)),
    "both ways": lambda n: ((i, k, i + 2 * k - 1) for i in range(1, n // 2) for k in (0, 1)),
    "rings": lambda n: ((i, 0, (i + 1) % 100 + i // 100 * 100) for i in range(n)),
}
"""Links among n objects."""


def contents(rt: Any) -> list[tuple[int, int]]:
    """Every word that is stored in a heap, with its address."""
    memory = rt.memory
    return [
        (addr, memory.load(addr))
        for page in sorted(memory.pages)
        for addr in memory.written(page << memory.shift, page + 1 << memory.shift)
    ]
