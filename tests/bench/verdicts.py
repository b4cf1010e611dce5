"""What benchmarks print: a row for each thing measured, with its floor, what is wanted, and a verdict.

A limit is what must hold on any machine, with other work beside: past it something has become slower. What
is wanted is what the project reaches for. A floor is what cannot be avoided, measured in the same run; at
twice the floor there is little left to gain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AS_WANTED, NEAR_FLOOR, HOLDS, TOO_SLOW = "as wanted", "near its floor", "holds", "TOO SLOW"
HEAD = f"{'measured':>11} {'floor':>9} {'wanted':>9} {'limit':>9}  verdict"


def verdict(measured: float, limit: float, wanted: float | None = None, floor: float | None = None) -> str:
    """What there is to say of a figure of which less is better; all four in the same unit."""
    if measured > limit:
        return TOO_SLOW
    if wanted is not None and measured <= wanted:
        return AS_WANTED
    if floor is not None and measured <= 2 * floor:
        return NEAR_FLOOR
    return HOLDS


@dataclass(slots=True)
class Verdicts:
    """The rows of a benchmark. `held`: none of them was too slow."""

    held: bool = True
    begun: bool = field(default=False)

    def row(
        self,
        what: str,
        measured: float,
        limit: float,
        wanted: float | None = None,
        floor: float | None = None,
        unit: str = "x",
    ) -> str:
        """Prints a row; its verdict."""
        if not self.begun:
            print(HEAD, flush=True)
            self.begun = True
        said = verdict(measured, limit, wanted, floor)
        self.held = self.held and said != TOO_SLOW
        figures = " ".join(f"{shown(value, unit):>9}" for value in (floor, wanted, limit))
        print(f"{shown(measured, unit):>11} {figures}  {said:<14}  {what}", flush=True)
        return said

    @property
    def exit_code(self) -> int:
        """1 where something was too slow."""
        return 0 if self.held else 1


def shown(value: float | None, unit: str) -> str:
    """A figure with its unit, to three places or so; nothing for None."""
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} {unit}" if unit != "x" else f"{value:.{digits}f}x"
