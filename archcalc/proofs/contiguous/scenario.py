"""A counterexample as a scenario file: the answers exactly, what the program does, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import dropwhile, takewhile

from allocator.contiguous.contracts import CONTRACTS, HelpersContract
from allocator.kernels.system import Errno
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import GOOS_OF
from archcalc.machines.options import MachineOptions
from archcalc.proofs.answering import SystemCall
from archcalc.proofs.confirmation import ScenarioDraft, confirmed, described
from archcalc.proofs.judge import Refutation
from archcalc.proofs.properties import FIXED, SPAN

SMALL = 16  # an object for which the heap grows for the first time
OTHER = 64  # one of another class, which needs a span of its own


def contract_of(figures: Figures) -> HelpersContract:
    """The contract of a platform's system; a port of the user's own has that of the memory that it names."""
    goos = figures.profile.goos
    return CONTRACTS[goos if goos in CONTRACTS else GOOS_OF[str(figures.profile.facts["mem"])]]


def draft(figures: Figures, options: MachineOptions, found: Refutation) -> ScenarioDraft:
    """The scenario of a refutation, still without expectations."""
    steps = []
    if found.requests:
        # The heap grows for the first small object by a megabyte; after that, by what large ones need.
        first, *later = found.requests
        sizes = [SMALL if first == int(figures.constants["_HeapAllocChunk"]) else first, *later]
        steps = [f"malloc: {{size: {n}}}" for n in sizes]
    if found.property == SPAN:
        steps.append(f"malloc: {{size: {OTHER}}}")
    machine = dict(described(options))
    contract = contract_of(figures)
    if found.property == FIXED and found.calls:
        last = found.calls[-1]
        machine["taken"] = [*options.taken, (last.address, last.address + last.size)]
    return ScenarioDraft(
        name=f"{found.property}-{figures.profile.name}".replace("/", "-"),
        about=f"What archcalc prove has found against {found.property}: {found.what}.",
        figures=figures,
        machine=machine,
        answers=list(_answers(found.calls, contract, figures)),
        steps=steps,
        calls=[
            (call.call, call.address, call.size)
            for call in found.calls
            if not (call.call == "sysMap" and not contract.map_asks)
            and not (call.call == "sysReserve" and _believed(call, contract, figures))
        ],
        death=found.death,
        overwrites=found.property == FIXED,
    )


def scenario(figures: Figures, options: MachineOptions, found: Refutation) -> str:
    """The text of the scenario; empty where the machine does not do what the proof says."""
    return confirmed(draft(figures, options, found))


def _believed(call: SystemCall, contract: HelpersContract, figures: Figures) -> bool:
    return contract.believes(call.size, int(figures.sys["PtrSize"])) == "believed"


def _answers(calls: tuple[SystemCall, ...], contract: HelpersContract, figures: Figures) -> Iterator[str]:
    """The answers that the system gives, each to its call."""
    reserves = maps = refused_in_a_row = 0
    sizes: Counter[int] = Counter()
    for call in calls:
        refused = isinstance(call.answer, Errno) or not call.answer
        answer = "refused" if refused else f"{call.answer:#x}"
        if call.call == "sysReserve" and not _believed(call, contract, figures):
            reserves += 1
            refused_in_a_row = refused_in_a_row + 1 if refused else 0
            if not refused:
                yield f"call: sysReserve, nth: {reserves}, answer: {answer}"
            elif refused_in_a_row == 1:
                row = takewhile(lambda later: not later.answer, _reserves_from(calls, call))
                yield f"call: sysReserve, nth: {reserves}, times: {len(list(row))}"
        elif call.call == "sysAlloc":
            sizes[call.size] += 1
            yield f"call: sysAlloc, size: {call.size}, nth: {sizes[call.size]}, answer: {answer}"
        elif call.call == "sysMap" and contract.map_asks:
            maps += 1
            if isinstance(call.answer, Errno):
                yield f"call: sysMap, nth: {maps}, answer: errno={call.answer.number}"
            elif call.answer != call.address:
                yield f"call: sysMap, nth: {maps}, answer: {answer}"


def _reserves_from(calls: tuple[SystemCall, ...], first: SystemCall) -> Iterator[SystemCall]:
    """The reservations from one on."""
    later = dropwhile(lambda call: call is not first, calls)
    return (call for call in later if call.call == "sysReserve")
