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
from archcalc.proofs.properties import NOTICED, PROGRAM
from archcalc.proofs.sparse.process import KNOWN_WORDS

SHOWN = ("sysReserve", "sysMap", "sysUsed")  # calls that a run must make to confirm a proof


def scenario(figures: Figures, options: MachineOptions, found: Refutation) -> str:
    """The text of the scenario; empty where the machine does not do what the proof says.

    A run can show last words, a call that should not be made, memory that is replaced, and how many
    arenas there are. What shows itself by nothing of that must end with words that nobody expects.
    """
    offence = bool(found.calls) and found.what.startswith(found.calls[-1].call)
    by_last_call = offence or (bool(found.calls) and f"{found.calls[-1].call} maps" in found.what)
    shows, dies_unlike = {}, frozenset[str]()
    if not found.death and not by_last_call:
        dies_unlike = KNOWN_WORDS
        if found.property == NOTICED:
            shows = {"arenas": found.figures["arenas"]}
    return confirmed(
        ScenarioDraft(
            name=f"{found.property}-{figures.profile.name}-{figures.generation.name}".replace("/", "-"),
            about=f"What archcalc prove has found against {found.property}: {found.what}.",
            figures=figures,
            machine=dict(described(options)),
            answers=list(_answers(found.calls)),
            # The first growth is that of the start.
            steps=[f"malloc: {{size: {n}}}" for n in found.requests[1:]],
            calls=[(call.call, call.address, call.size) for call in found.calls if call.call in SHOWN],
            death=found.death,
            dies_unlike=dies_unlike,
            shows=shows,
            overwrites=found.property == PROGRAM,
            go=figures.generation.name,
        )
    )


def _answers(calls: tuple[SystemCall, ...]) -> Iterator[str]:
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
    for size in dict.fromkeys(c.size for c in calls if c.call == "sysReserve" and c.address):
        yield f"call: sysReserve, size: {size}, answer: refused"
