"""The options by which the simulated system answers otherwise than it would, as `os` in a scenario does.

A command says `answers: Answered = AS_USUAL` and installs them on each system that it makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from allocator.kernels.fault_plans import CALLS, Chance, Exhaustion, NthCall, install
from allocator.kernels.system import Errno, Plan, Planned
from archcalc.cli.command import ONE, Together
from archcalc.reading import words
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.reading.quantities import parse_address, parse_count, parse_share, parse_size

PANEL = "What the OS answers"
REFUSED = "refused"
EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class NthScript:
    """What calls of one helper get, from the first-th to the last-th: an address, an errno, or REFUSED."""

    call: str
    first: int
    last: int
    answer: int | Errno | str

    def __str__(self) -> str:
        some = "" if self.last == EVER else f":{self.first}"
        return f"{self.call}{some}" + (f"-{self.last}" if self.first != self.last < EVER else "")


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """All that is to be answered otherwise; `after` is bytes, `chance` a probability."""

    scripted: tuple[NthScript, ...] = ()
    after: int | None = None
    chance: float | None = None

    def install_on(self, system: Any, seed: int, helpers: bool) -> list[tuple[NthScript, NthCall]]:
        """As `install`, where the machine asks a system by helpers; UsageFault where it does not."""
        if helpers:
            return self.install(system, seed)
        if self != AS_USUAL:
            found = "answers to OS helpers, for a machine that calls its kernel itself"
            raise UsageFault(Fault(found, "limits, or a file of --calls"))
        return []

    def install(self, system: Planned, seed: int) -> list[tuple[NthScript, NthCall]]:
        """Has a system answer so. Returns the scripted answers with their counts of calls."""
        counted = [
            (
                said,
                NthCall(
                    said.call,
                    said.first,
                    system.refusal if isinstance(said.answer, str) else said.answer,
                    said.last - said.first + 1,
                ),
            )
            for said in self.scripted
        ]
        plans: list[Plan] = [plan for _, plan in counted]
        if self.after is not None:
            plans.append(Exhaustion(self.after, system.refusal))
        if self.chance is not None:
            plans.append(Chance(self.chance, seed, system.refusal))
        if plans:
            install(system, *plans)
        return counted


def without_effect(counted: list[tuple[NthScript, NthCall]]) -> Iterator[str]:
    """Of answers to calls that never came, how many came."""
    for said, plan in counted:
        if plan.seen < said.first:
            came = "was" if plan.seen == 1 else "were"
            calls = words.counted(plan.seen, "call")
            yield f"--answer {said} changed nothing: there {came} {calls} of {said.call}"


def parse_answer(text: str) -> NthScript:
    """`CALL[:NTH[-LAST]][=ANSWER]`: all calls where none is named, refused where no answer is."""
    what, _, answer = text.partition("=")
    call, colon, which = what.partition(":")
    if call not in CALLS:
        raise UsageFault(
            Fault(f"{call!r} is not an OS helper", f"one of {', '.join(CALLS)}", closest(call, CALLS))
        )
    first, last = 1, EVER
    if colon:
        low, minus, high = which.partition("-")
        first = parse_count(low)
        last = parse_count(high) if minus else first
        if not 1 <= first <= last:
            raise UsageFault(Fault(f"{which!r} names no calls of {call}", "one from 1 on, or FIRST-LAST"))
    return NthScript(call, first, last, _parse_what(answer))


def _parse_what(answer: str) -> int | Errno | str:
    if answer in ("", REFUSED):
        return REFUSED
    word, _, number = answer.partition("=")
    if word == "errno":
        return Errno(parse_count(number))
    if answer[:1].isdigit():
        return parse_address(answer)
    raise UsageFault(Fault(f"{answer!r} is not an answer", f"{REFUSED}, errno=N, or an address"))


Answer = Annotated[
    list[Any] | None,
    typer.Option(
        "--answer",
        metavar="CALL[:NTH[-LAST]][=ANSWER]",
        help="How the OS answers calls of a helper: sysMap:3 refuses the third, sysReserve:1=0x7f0000000000 "
        "gives that address, sysUsed=errno=12 always fails (repeatable).",
        parser=parse_answer,
        rich_help_panel=PANEL,
    ),
]
RefuseAfter = Annotated[
    Any,
    typer.Option(
        "--refuse-after",
        metavar="SIZE",
        help="Refuse memory once this much was given.",
        parser=parse_size,
        rich_help_panel=PANEL,
    ),
]
RefuseChance = Annotated[
    Any,
    typer.Option(
        "--refuse-chance",
        metavar="SHARE",
        help="Refuse each call with this probability, such as 1%; the same calls for the same --seed.",
        parser=parse_share,
        rich_help_panel=PANEL,
    ),
]


def said(
    answer: Answer = None, refuse_after: RefuseAfter = None, refuse_chance: RefuseChance = None
) -> AnswerOptions:
    """What these options have the OS answer."""
    return AnswerOptions(tuple(answer or ()), refuse_after, refuse_chance)


Answered = Annotated[AnswerOptions, Together(said), ONE]
AS_USUAL = AnswerOptions()
