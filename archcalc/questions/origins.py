"""Which lines of a profile a figure comes from, and by which steps: the places that findings point at.

A figure follows from other figures by Go's formulas, and in the end from facts of the profile. The place
to look at is a fact's line: one that the profile itself gives before one that it inherits, and of those the
one with the fewest formulas between. A figure that follows from no fact is the platform's own; its place
is the beginning of the profile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from archcalc.calculator.figures import Figures
from archcalc.host.repository import within_repository
from archcalc.reading.words import counted
from archcalc.results.findings import SourceLine

FACT = "fact."
# Facts that a profile may leave out, and the one that they follow from then.
IMPLIED = {"address_high": "user_address_bits"}
STEPS = 8  # of a derivation that are shown: more would not be read


def places(figures: Figures, subjects: Sequence[str], read: Sequence[str] = ()) -> tuple[SourceLine, ...]:
    """The line to look at first, then the derivation, then the other lines.

    `subjects` are names to try in turn; the first that means something is what the finding is about.
    `read` are facts that the judgement itself looked at: they come before those behind the figure.
    """
    name = next(filter(None, (_qualified(figures, subject) for subject in subjects)), None)
    came_from = _behind(figures, name) if name is not None else {}
    read_first = [FACT + one for one in (*read, *(IMPLIED[one] for one in read if one in IMPLIED))]
    candidates = dict.fromkeys((*read_first, *(one for one in came_from if one.startswith(FACT))))
    found = [fact for fact in candidates if fact.removeprefix(FACT) in figures.profile.origins]
    if not found:
        return (SourceLine(within_repository(figures.profile.file), 1, 1, "the profile begins here"),)
    own = [fact for fact in found if _origin_file(figures, fact) == figures.profile.file]
    chosen, *others = dict.fromkeys((*own, *found))
    way: list[str] = []
    at = came_from.get(chosen)
    while at is not None:
        way.append(at)
        at = came_from[at]
    derivation = [_step(figures, step) for step in way[:STEPS]]
    return (_fact(figures, chosen), *derivation, *(_fact(figures, fact) for fact in others[:STEPS]))


def of_machine(figures: Figures) -> tuple[SourceLine, ...]:
    """The lines of the profile that the machine's addresses come from: where a death or a proof points."""
    return places(figures, (), ("user_address_bits", "address_high"))


def _behind(figures: Figures, name: str) -> dict[str, str | None]:
    """All that a figure follows from, the nearest first, each with what it was reached from."""
    came_from: dict[str, str | None] = {name: None}
    waiting = deque([name])
    while waiting:
        one = waiting.popleft()
        for needed in () if one.startswith(FACT) else figures.engine.follows_from(one):
            if needed not in came_from and (needed.startswith("struct.") or figures.engine.has(needed)):
                came_from[needed] = one
                waiting.append(needed)
    return came_from


def _qualified(figures: Figures, subject: str) -> str | None:
    """What the engine calls a subject: a figure, a fact, a type (of a field the type)."""
    engine = figures.engine
    struct = subject.removeprefix("runtime.").partition(".")[0]
    names = [subject, *(f"{package}.{subject}" for package in (*figures.generation.packages, "layout"))]
    names.append(FACT + subject)
    for name in names:
        if "." in name and engine.has(name):
            return name
    if struct in engine.declarations and engine.is_struct(struct):
        return f"struct.{struct}"
    return FACT + subject if subject in figures.profile.origins else None


def _origin_file(figures: Figures, fact: str) -> str:
    return figures.profile.origins[fact.removeprefix(FACT)].file


def _fact(figures: Figures, fact: str) -> SourceLine:
    own = fact.removeprefix(FACT)
    file, line, column = figures.profile.origins[own]
    return SourceLine(within_repository(file), line, column, f"{own} is here")


def _step(figures: Figures, name: str) -> SourceLine:
    """A formula on the way; Go's source is not a file of the user's, so that it is named only."""
    short = name.partition(".")[2]
    if name.startswith("struct."):
        return SourceLine("", message=f"{short} has {counted(figures.engine.struct(short).size, 'byte')}")
    return SourceLine("", message=f"{short} = {figures.engine.value(name)} ({figures.origin(name)})")
