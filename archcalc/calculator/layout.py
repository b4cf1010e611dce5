"""The heap's place in the address space, as mallocinit computes it before it asks the system.

64-bit ports reserve bitmap, spans table and arena in one piece and try 128
addresses for it, the hints. 32-bit ports climb down a ladder of smaller and smaller
arenas behind tables for all 4 GB, and ask for each rung just above the data segment. 64-bit
ports that are refused at every hint take the same ladder, with figures of their own.

All sizes are bytes. The formulas are in the generation's layout table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from archcalc.calculator.constants import Constants
from archcalc.goexpr import Value

Fits = Literal["wholly", "partly", "no"]


class HintFigure(NamedTuple):
    """An address that mallocinit asks for, and whether a process can have the whole reservation there."""

    address: int
    fits: Fits


class Rung(NamedTuple):
    """One try of the ladder: the arena that it reserves, and the whole reservation."""

    arena_size: int
    bitmap_size: int
    spans_size: int
    reservation_size: int
    hint: HintFigure


class StackOrder(NamedTuple):
    """One order of small stacks: its size, and whether stackalloc ever takes one from a free list."""

    order: int
    size: int
    cached: bool

    @property
    def dead(self) -> bool:
        """Whether the order has lists that stay empty forever, because stackalloc never uses them."""
        return not self.cached


class Layout(NamedTuple):
    """The figures of mallocinit. Plain sizes are those of the way that the port tries first.

    `contiguous` tells whether that is the single reservation of 64-bit ports; else it is
    the ladder's first rung. `usable` sizes are the part of the tables that describes addresses that the
    heap can have at all.
    """

    contiguous: bool
    arena_size: int
    bitmap_size: int
    spans_size: int
    reservation_size: int
    bitmap_usable: int
    spans_usable: int
    hints: tuple[HintFigure, ...]
    rungs: tuple[Rung, ...]
    stack_orders: tuple[StackOrder, ...]

    @property
    def ladder(self) -> tuple[int, ...]:
        """The reservations that the ladder asks for, in order."""
        return tuple(rung.reservation_size for rung in self.rungs)


def compute(constants: Constants) -> Layout:
    """The layout of one platform (mallocinit, malloc.go; stackalloc, stack.go)."""

    def figure(name: str) -> int:
        return int(constants.value(f"layout.{name}").value)

    low, high = (int(constants.value(f"fact.address_{end}").value) for end in ("low", "high"))

    def stack_order(order: int) -> StackOrder:
        cached = constants.value(f"layout.stack_order_cached{order}").value is True
        return StackOrder(order, figure(f"stack_order{order}"), cached)

    reservation = figure("reservation_size")
    rungs = tuple(
        Rung(
            figure(f"ladder_arena{i}"),
            figure("ladder_bitmap_size"),
            figure("ladder_spans_size"),
            figure(f"ladder{i}"),
            _hint(figure("ladder_hint"), figure(f"ladder{i}"), low, high),
        )
        for i in range(4)
    )
    return Layout(
        contiguous=constants.value("sys.PtrSize").value == 8,
        arena_size=figure("arena_size"),
        bitmap_size=figure("bitmap_size"),
        spans_size=figure("spans_size"),
        reservation_size=reservation,
        bitmap_usable=figure("bitmap_usable"),
        spans_usable=figure("spans_usable"),
        hints=_hints(constants.family_values("layout.hint"), reservation, low, high),
        rungs=rungs,
        stack_orders=tuple(map(stack_order, range(constants.members("layout.stack_order")))),
    )


@lru_cache(maxsize=64)
def _hints(addresses: tuple[Value, ...], size: int, low: int, high: int) -> tuple[HintFigure, ...]:
    return tuple(_hint(int(address.value), size, low, high) for address in addresses)


def _hint(start: int, size: int, low: int, high: int) -> HintFigure:
    end = start + size
    if low <= start and end <= high:
        return HintFigure(start, "wholly")
    return HintFigure(start, "partly" if start < high and end > low else "no")
