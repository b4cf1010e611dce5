"""The proofs of one platform so far: what those of every family have in common."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.proofs.proof import Proof, Refuted, Tally


class PlatformProofs:
    """What is refuted, what is undecided and why, and what that took. `bits` are a machine word's."""

    def __init__(self, figures: Figures, wanted: frozenset[str], bits: int) -> None:
        self.figures = figures
        self.wanted = wanted
        self.bits = bits
        self.tally = Tally()
        self.refuted: Refuted = {}
        self.undecided: dict[str, str] = {}

    def take(self, tally: Tally, wanted: frozenset[str]) -> None:
        """Adds what an exploration of these properties took; what it gave up is undecided."""
        self.tally.add(tally)
        if tally.given_up:
            for id in wanted:
                self.undecided.setdefault(id, tally.given_up)

    def proof(self, id: str, otherwise: str = "") -> Proof:
        """What is known of a property; `otherwise` is why it is undecided where nothing else says so."""
        refutation = self.refuted.get(id)
        reason = "" if refutation else self.undecided.get(id, otherwise)
        holds = False if refutation else None if reason else True
        shared = (self.tally.seconds - sum(self.tally.own.values())) / max(len(self.wanted), 1)
        seconds = shared + self.tally.own.get(id, 0.0)
        return Proof(id, self.figures.platform, holds, self.tally.paths, seconds, reason, refutation)
