"""What a system answers, and how it is told to answer otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Errno:
    """A kernel's refusal, by number (ENOMEM is 12, ERROR_COMMITMENT_LIMIT 1455)."""

    number: int


ENOMEM = Errno(12)

Answer = int | Errno

# What is to be answered to one call of an OS helper (its Go name, address, size in bytes), or None
# for what would be answered anyway. Fault plans and scripted answers are such functions.
Plan = Callable[[str, int, int], Answer | None]


class Planned(Protocol):
    """What can be told to answer otherwise; `refusal` is what it says when it has no memory."""

    plan: Plan | None

    @property
    def refusal(self) -> Errno:
        """An errno of its own numbers."""
        ...
