"""Whether it pays to work on so much at once, with NumPy, rather than one by one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec

# Fewer spans than these are quicker one by one: with NumPy loaded, and when it has yet to be.
MANY, VERY_MANY = 256, 50_000


def pays(spans: int) -> bool:
    """Whether it pays to work on so many spans, or pages, at once; NumPy may be missing."""
    if spans < MANY:
        return False
    return "numpy" in sys.modules or (spans >= VERY_MANY and find_spec("numpy") is not None)


class Trial:
    """Scans what is grey one by one, but no more than pays.

    `roots` were grey before, `scanned` are no longer. `enough`: the rest is to be scanned at once.
    Pointers are stored in so many pages; how much of that is reached shows only on the way.
    """

    __slots__ = ("enough", "roots", "scanned")

    def __init__(self, grey: list[int], scan: Callable[[int], None], pages: int) -> None:
        self.roots = grey.copy()
        self.scanned: list[int] = []
        for _ in range((MANY >> 2) + pages // 32):
            if not grey:
                break
            self.scanned.append(grey.pop())
            scan(self.scanned[-1])
        self.enough = bool(grey) and pays(pages)
