"""What is known of a port as it is, proved once for all tests that ask for it."""

from __future__ import annotations

from functools import cache

from archcalc import proofs
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.proofs.proof import Proof


def proved_now(platform: str, go: str, ids: frozenset[str] = frozenset()) -> dict[str, Proof]:
    """The proofs of some properties, of all where none is named."""
    computed = figures.compute(platforms.load(platform, go))
    wanted = ids or frozenset(proofs.era_of(computed).IDS)
    return {one.id: one for one in proofs.prove(computed, MachineOptions(), wanted)}


@cache
def proved(platform: str, go: str, ids: frozenset[str] = frozenset()) -> dict[str, Proof]:
    """The same, once: not for a machine whose code a test has changed."""
    return proved_now(platform, go, ids)
