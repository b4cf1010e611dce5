"""A counterexample as a scenario file: the answers that the system gives, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from allocator.kernels.system import Errno
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.proofs.answering import SystemCall
from archcalc.proofs.confirmation import ScenarioDraft, confirmed, described
from archcalc.proofs.judge import Refutation
from archcalc.proofs.properties import FIXED, NOTICED, PROGRAM

SHOWN = ("sysReserve", "sysMap", "sysUsed")  # calls that a run must make to confirm a proof


def scenario(figures: Figures, options: MachineOptions, found: Refutation) -> str:
    """The text of the scenario; empty where the machine does not do what the proof says.

    It confirms last words, memory that is replaced, and a mapping that should not be. Nothing else
    can be seen in a run, so of anything else there is none: a scenario has no lot for the heap's base.
    """
    last = found.calls[-1].call if found.calls else ""
    if not found.death and not (
        found.property in (FIXED, NOTICED, PROGRAM) and last in ("sysMap", "sysUsed")
    ):
        return ""
    arena = int(figures.constants["heapArenaBytes"])
    return confirmed(
        ScenarioDraft(
            name=f"{found.property}-{figures.profile.name}-{figures.generation.name}".replace("/", "-"),
            about=f"What archcalc prove has found against {found.property}: {found.what}.",
            figures=figures,
            machine=dict(described(options)),
            answers=list(_answers(found.calls, arena)),
            steps=[],
            calls=[(call.call, call.address, call.size) for call in found.calls if call.call in SHOWN],
            death=found.death,
            overwrites=found.property == PROGRAM,
            go=figures.generation.name,
        )
    )


def _answers(calls: tuple[SystemCall, ...], arena: int) -> Iterator[str]:
    """The answers that the system gives, each to its call; other hints than those told are refused."""
    times: Counter[tuple[str, int, int]] = Counter()
    for call in calls:
        place = call.call, call.address, call.size
        times[place] += 1
        asked = f"call: {call.call}, address: {call.address:#x}, size: {call.size}, nth: {times[place]}"
        if isinstance(call.answer, Errno):
            yield f"{asked}, answer: errno={call.answer.number}"
        elif call.call == "sysAlloc" or (call.call == "sysReserve" and call.answer):
            yield f"{asked}, answer: {call.answer:#x}"
    if any(call.call == "sysReserve" and call.address for call in calls):
        yield f"call: sysReserve, size: {arena}, answer: refused"
