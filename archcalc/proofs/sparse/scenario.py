"""A counterexample as a scenario file: the answers that the system gives, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from allocator.kernels.system import Errno
from archcalc import machines
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.proofs.answering import SystemCall
from archcalc.proofs.confirmation import ScenarioDraft, confirmed, described
from archcalc.proofs.judge import Refutation
from archcalc.proofs.properties import HINTS, INDEX, NOTICED, PROGRAM
from archcalc.proofs.sparse.process import KNOWN_WORDS
from archcalc.proofs.sparse.start import ASKED

HINTS_AT_MOST = 128
# Calls that a run must make to confirm a proof.
SHOWN = ("sysAlloc", "sysReserve", "sysMap", "sysUsed")


def scenario(figures: Figures, options: MachineOptions, found: Refutation) -> str:
    """The text of the scenario; empty where the machine does not do what the proof says.

    A run can show last words, a call that should not be made, memory that is replaced, and how many
    arenas there are. What shows in none of these ways must come with calls of the request in which it
    is, all as the proof says; or end with unexpected words.
    """
    offence = bool(found.calls) and found.what.startswith(found.calls[-1].call)
    by_last_call = offence or (bool(found.calls) and f"{found.calls[-1].call} maps" in found.what)
    shows, dies_unlike = {}, frozenset[str]()
    if found.property == NOTICED and not by_last_call and "arenas" in found.figures:
        shows, dies_unlike = {"arenas": found.figures["arenas"]}, KNOWN_WORDS
    elif found.property == INDEX and not found.figures.get("scavenge_index"):
        shows, dies_unlike = {"index_unreserved": True}, KNOWN_WORDS
    elif (
        not found.death
        and not by_last_call
        and not any(call.call in SHOWN for call in found.calls[found.calls_before :])
    ):
        dies_unlike = KNOWN_WORDS
    if found.property == HINTS:
        return confirmed(_at_a_hint(figures, options, found))
    config = machines.config_of(figures, options)
    return confirmed(
        ScenarioDraft(
            name=f"{found.property}-{figures.profile.name}-{figures.generation.name}".replace("/", "-"),
            about=f"What archcalc prove has found against {found.property}: {found.what}.",
            figures=figures,
            machine=dict(described(options)) | _limit(figures, options, found.calls),
            answers=list(_answers(found.calls)),
            steps=list(_steps(found, config)),
            calls=[(call.call, call.address, call.size) for call in found.calls if call.call in SHOWN],
            death=found.death,
            dies_unlike=dies_unlike,
            shows=shows,
            overwrites=found.property == PROGRAM,
            go=figures.generation.name,
        )
    )


def _steps(found: Refutation, config: Any) -> Iterator[str]:
    """What the program allocates: spans of one object each, and objects that the heap grows for."""
    if "spans" in found.figures:
        size = config.page_size * found.figures["pages_each"]
        yield f"malloc: {{size: {size}, count: {found.figures['spans']}}}"
    # What a page more would wrap is refused by malloc itself.
    most = config.uintptr_mask - config.page_size
    # The first growth is that of the start.
    for n in found.requests[1:]:
        yield f"malloc: {{size: {min(n, most)}}}"


def _at_a_hint(figures: Figures, options: MachineOptions, found: Refutation) -> ScenarioDraft:
    """Every hint is refused, so that the one that is meant is asked for, too; or none is asked for."""
    arena = int(figures.constants["heapArenaBytes"])
    # Tables of the same size come first.
    tables = sum(call.call == "sysReserve" and call.size == arena for call in found.calls)
    asked = found.what == ASKED
    return ScenarioDraft(
        name=f"{found.property}-{figures.profile.name}-{figures.generation.name}".replace("/", "-"),
        about=f"What archcalc prove has found against {found.property}: {found.what}.",
        figures=figures,
        machine=dict(described(replace(options, heap_base=found.figures["heap_base"] or None))),
        answers=[
            f"call: sysReserve, size: {arena}, nth: {tables + 1}, times: {HINTS_AT_MOST}, answer: refused"
        ],
        steps=["arena: {as: first}"] if found.figures["for_user_arenas"] else [],
        calls=[*[("sysReserve", 0, arena)] * tables, ("sysReserve", found.figures["hint"], arena)][
            : None if asked else tables
        ],
        dies_unlike=frozenset() if asked else KNOWN_WORDS,
        # Those that the heap's first arena leaves, which lies anywhere.
        shows={} if asked else {"hints": 2},
        go=figures.generation.name,
    )


def _limit(figures: Figures, options: MachineOptions, calls: tuple[SystemCall, ...]) -> dict[str, int]:
    """A limit that lets the break rise as far as it did, where it was refused more. No script can do that.

    It leaves what room there is for all else that a process asks for.
    """
    moves = [call for call in calls if call.call == "brk"]
    refused = [call.address for call in moves if isinstance(call.answer, Errno)]
    if not refused:
        return {}
    machine = machine_of(figures.profile, options)
    page = machine.page_size
    start = -(-machine.data_end // page) * page
    risen = max((call.address for call in moves if call.address == call.answer), default=start)
    above = [address for address in refused if address > risen]
    return {"commit_limit": machine.committed + min(above, default=risen + page) - page - start}


def _answers(calls: tuple[SystemCall, ...]) -> Iterator[str]:
    """The answers that the system gives, each to its call; other hints than those told are refused."""
    times: Counter[tuple[str, int, int]] = Counter()
    for call in calls:
        place = call.call, call.address, call.size
        times[place] += 1
        asked = f"call: {call.call}, address: {call.address:#x}, size: {call.size}, nth: {times[place]}"
        if call.call != "brk" and isinstance(call.answer, Errno):
            yield f"{asked}, answer: errno={call.answer.number}"
        elif call.call == "sysAlloc" or (call.call == "sysReserve" and call.answer):
            yield f"{asked}, answer: {call.answer:#x}"
    for size in dict.fromkeys(c.size for c in calls if c.call == "sysReserve" and c.address):
        yield f"call: sysReserve, size: {size}, answer: refused"
