"""The invariants of a machine by name: what an audit goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from allocator.common.audit import Seen

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

Check = Callable[["HeapCore"], Iterator[Seen]]
INVARIANTS: dict[str, Check] = {}


def invariant(name: str) -> Callable[[Check], Check]:
    """Registers a check under a name that never changes."""

    def enter(check: Check) -> Check:
        INVARIANTS[name] = check
        return check

    return enter
