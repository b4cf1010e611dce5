"""Which generation of the allocator a tree or a program has.

Generations are recognised by what their runtime declares, since a fork's version says little.
The calculator's figures are for one of them; of the others, what both have is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Era:
    """A generation: what it is called, the Go releases that have it, and why it is taken to be this one."""

    name: str
    go: str
    why: str
    current: bool = False

    @property
    def sparse(self) -> bool:
        """Whether the heap lies in arenas wherever they fall, with a page allocator over them."""
        return self.name == PAGE_ALLOCATOR

    @property
    def tables(self) -> str:
        """The era that generations with such a heap say they are of; empty where there is none."""
        return "sparse" if self.sparse else "contiguous" if self.name.startswith(ONE_ARENA) else ""

    @property
    def known(self) -> bool:
        """Whether it is a generation that has a name."""
        return self.go != "unknown"

    def __str__(self) -> str:
        return f"{self.name} ({self.go}): {self.why}"


PAGE_ALLOCATOR = "sparse arenas with a page allocator"
ONE_ARENA = "one arena"

# From the latest to the first; a tree is of the first one all of whose marks it has.
_MARKS: tuple[tuple[str, str, bool, tuple[str, ...], tuple[str, ...]], ...] = (
    (PAGE_ALLOCATOR, "Go 1.14 or later", False, ("heapArena", "pageAlloc"), ()),
    ("sparse arenas", "Go 1.11 to 1.13", False, ("heapArena",), ()),
    (f"{ONE_ARENA}, span classes", "Go 1.9 and 1.10", False, ("spanClass", "_MHeapMap_TotalBits"), ()),
    (
        f"{ONE_ARENA}, mark bits, sweep buffers", "Go 1.8", True,
        ("_MHeapMap_TotalBits", "gcSweepBuf", "class_to_divmagic"), ("spanClass",),
    ),
    (f"{ONE_ARENA}, mark bits", "Go 1.7", False, ("_MHeapMap_TotalBits", "gcBits"), ("gcSweepBuf",)),
    (f"{ONE_ARENA}, free lists", "Go 1.5 and 1.6", False, ("_MHeapMap_TotalBits", "gcWork"), ()),
)  # fmt: skip


def of(has: Callable[[str], bool]) -> Era:
    """The generation of a runtime, by whether it declares a name."""
    for name, go, current, marks, lacks in _MARKS:
        if all(map(has, marks)) and not any(map(has, lacks)):
            lacking = [*lacks, *([] if has("_MHeapMap_TotalBits") else ["_MHeapMap_TotalBits"])]
            why = f"it has {_listed(marks)}" + (f" and lacks {_listed(lacking)}" if lacking else "")
            return Era(name, go, why, current)
    known = sorted({mark for _, _, _, marks, _ in _MARKS for mark in marks})
    if not any(map(has, known)):
        return Era("no generation that is known", "unknown", f"it has none of {_listed(known)}")
    lacking = [mark for mark in known if not has(mark)]
    return Era("no generation that is known", "unknown", f"it lacks {_listed(lacking)}")


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
