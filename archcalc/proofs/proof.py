"""What is known of one property on one platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from archcalc.proofs.judge import Refutation


@dataclass(slots=True)
class Proof:
    """A property of a platform: it holds, it does not (`refutation`), or it is not decided (`reason`).

    `paths` are those of the machine's code on which it was asked, `seconds` what that took. `text` is
    the scenario that shows it, which the machine has confirmed, and `scenario` where it was written.
    """

    id: str
    platform: str
    holds: bool | None
    paths: int
    seconds: float
    reason: str = ""
    refutation: Refutation | None = None
    text: str = ""
    scenario: Path | None = None

    def counterexample(self) -> Mapping[str, object] | None:
        """The refutation as JSON has it."""
        found = self.refutation
        if found is None:
            return None
        return {
            "what": found.what,
            "requests": list(found.requests),
            "calls": [call.document() for call in found.calls],
            "figures": dict(found.figures),
            "death": found.death or None,
            **found.computed,
        }


class ProofsOfEra(Protocol):
    """What the proofs of one family of machines offer, each a folder of this room."""

    IDS: Sequence[str]

    def prove(self, figures: Any, options: Any, wanted: frozenset[str]) -> list[Proof]:
        """Every wanted property of one platform."""

    def scenario(self, figures: Any, options: Any, found: Refutation) -> str:
        """A counterexample as the text of a scenario file; empty where the machine does not do so."""


@dataclass(slots=True)
class Tally:
    """The results of explorations: paths and seconds, and what was refuted or given up."""

    paths: int = 0
    seconds: float = 0.0
    asked: dict[str, int] = field(default_factory=dict)
    own: dict[str, float] = field(default_factory=dict)
    given_up: str = ""

    def add(self, explored: Tally) -> None:
        """Takes in another exploration."""
        self.paths += explored.paths
        self.seconds += explored.seconds
        for id, times in explored.asked.items():
            self.asked[id] = self.asked.get(id, 0) + times
        for id, seconds in explored.own.items():
            self.own[id] = self.own.get(id, 0.0) + seconds
        self.given_up = self.given_up or explored.given_up


Refuted = dict[str, Refutation]
