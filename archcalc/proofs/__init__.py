"""Proofs: what holds of a machine for every answer that a system can give.

The machine's own code runs on symbolic words (`words`), on every path (`paths`), over a system that
may answer whatever its contract allows (`answering`). Each family of machines has a folder that says
where it is started, what must hold there, and how a counterexample becomes a scenario.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from archcalc import machines
from archcalc.reading.errors import Fault, UsageFault

if TYPE_CHECKING:
    from archcalc.calculator.figures import Figures
    from archcalc.machines.options import MachineOptions
    from archcalc.proofs.proof import Proof, ProofsOfEra

WHAT = "proving"


def era_of(figures: Figures) -> ProofsOfEra:
    """The proofs of a generation's machines. Raises UsageFault where it has none, or without a solver."""
    from archcalc.host.extras import needed

    needed("z3", WHAT)
    name = f"{__name__}.{machines.era_of(figures.generation)}"
    if find_spec(name) is None:
        raise UsageFault(
            Fault(f"nothing can be proved of {figures.generation.name}", "a generation with `prove`")
        )
    return cast("ProofsOfEra", import_module(name))


def prove(figures: Figures, options: MachineOptions, wanted: frozenset[str]) -> list[Proof]:
    """What is known of each wanted property on one platform; counterexamples are confirmed by the machine."""
    era = era_of(figures)
    from archcalc.proofs.confirmation import BrokenDown

    proofs = era.prove(figures, options, wanted)
    for proof in proofs:
        if proof.refutation is not None:
            try:
                proof.text = era.scenario(figures, options, proof.refutation)
            except BrokenDown as broken:
                proof.reason = f"{proof.refutation.what}, and there the machine breaks down: {broken}"
                continue
            if not proof.text:
                proof.holds = None
                proof.reason = (
                    f"no run of the machine has shown what the solver found: {proof.refutation.what}"
                )
    return proofs
