"""What an allocation in debt has to mark, and what others' marking pays of it (gcAssistAlloc)."""

from __future__ import annotations

from typing import NamedTuple

OVER_ASSIST_WORK = 64 << 10  # bytes that an assist scans at least


class AssistShare(NamedTuple):
    """`work` bytes are left to scan; `paid` bytes of the debt are paid by `stolen` bytes of the credit."""

    work: int
    paid: int
    stolen: int


def share(debt: int, credit: int, work_per_byte: float, bytes_per_work: float) -> AssistShare:
    """The share of an allocation that owes `debt` bytes, where others have scanned `credit` bytes ahead."""
    work = int(work_per_byte * float(debt))
    if work < OVER_ASSIST_WORK:
        work = OVER_ASSIST_WORK
        debt = int(bytes_per_work * float(work))
    if credit <= 0:
        return AssistShare(work, 0, 0)
    if credit < work:
        return AssistShare(work - credit, worth(credit, bytes_per_work), credit)
    return AssistShare(0, debt, work)


def worth(work: int, bytes_per_work: float) -> int:
    """The bytes of debt that so much work pays."""
    return 1 + int(bytes_per_work * float(work))
