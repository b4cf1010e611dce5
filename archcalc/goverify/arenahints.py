"""Where a tree of the sparse era asks for its heap, by its mallocinit, beside the figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archcalc.goexpr import ExprError
from archcalc.goverify import mallocinit
from archcalc.goverify.comparison import Change
from archcalc.goverify.mallocinit import Follower, ReserveCall
from archcalc.goverify.port import ComparedPort, number, words_of

MALLOC = "runtime/malloc.go"
FAMILIES = ("hint", "user_arena_hint")


class TreeFigure(NamedTuple):
    """An address or a size that the tree computes: the value, its place, and the formula there."""

    value: int
    where: str
    formula: str


def compare(port: ComparedPort) -> None:
    """Hints of 64-bit ports, one by one; on 32-bit ports the reservations that come before them."""
    func = port.runtime.funcs.get("mallocinit")
    engine = port.figures.engine
    ours = {
        family: [number(value.value) for value in engine.family_values(f"layout.{family}")]
        for family in FAMILIES
        if f"layout.{family}" in port.figures.generation.families
    }
    if func is None:
        port.unreadable("hint0", next(iter(ours.get("hint", ())), None), MALLOC, "mallocinit is missing")
        return
    vma = number(engine.value("fact.user_address_bits").value) + 1
    data_end = number(engine.value("fact.data_end").value)
    follower = Follower(
        port.runtime, {"firstmoduledata.end": data_end}, watched="hint.addr", fixed={"vmaSize": vma}
    )
    try:
        follower.follow(mallocinit.statements(func))
    except ExprError as error:
        why = f"{func.file}:{func.line}: mallocinit cannot be followed: {error}"
        port.unreadable("hint0", next(iter(ours.get("hint", ())), None), MALLOC, why)
        return
    if port.port.words.ptr_size == 4:
        _reservations(port, follower.attempts, func.file)
        return
    for family, theirs in zip(FAMILIES, _hints(follower.noted, func.file), strict=True):
        if family in ours and (ours[family] or theirs):
            _family(port, family, ours[family], theirs)


def _hints(noted: list[ReserveCall], file: str) -> tuple[list[TreeFigure], list[TreeFigure]]:
    """The heap's own hints and those of user arenas, each in the order of use: the last noted comes first."""
    found: tuple[list[TreeFigure], list[TreeFigure]] = ([], [])
    for one in reversed(noted):
        users = "userArena" in one.formulas.get("hintList", "")
        where = f"{file}:{one.lines['address']}"
        found[users].append(TreeFigure(one.address, where, one.formulas["address"]))
    return found


def _family(port: ComparedPort, family: str, ours: list[int], theirs: list[TreeFigure]) -> None:
    if not ours and port.era.current and not theirs:
        return
    values = [one.value for one in theirs]
    port.found.values(family + "{}", ours, values, [one.where for one in theirs] or [MALLOC])


def _reservations(port: ComparedPort, attempts: list[ReserveCall], file: str) -> None:
    """What a 32-bit port asks for: the records of all arenas, then the rungs of the ladder."""
    engine = port.figures.engine
    theirs = dict(_named(attempts, file))
    for name, place in theirs.items():
        if not engine.has(f"layout.{name}"):
            continue
        same = port.found.value(
            name, number(engine.value(f"layout.{name}").value), place.value, place.where, place.formula
        )
        row = engine.row(f"layout.{name}")
        if same and row is not None and name == "metadata_reservation":
            ours, theirs_words = words_of(row.formula), words_of(place.formula)
            if len(theirs_words) > 1 and ours != theirs_words:
                port.found.changes.append(
                    Change(port.platform, name, row.formula, place.formula, place.where)
                )


def _named(attempts: list[ReserveCall], file: str) -> Iterator[tuple[str, TreeFigure]]:
    rung = 0
    for one in attempts:
        if one.address == 0 and rung == 0:
            yield "metadata_reservation", TreeFigure(one.size, f"{file}:{one.call}", one.formulas["size"])
            continue
        if rung == 0:
            where = f"{file}:{one.lines['address']}"
            yield "ladder_hint", TreeFigure(one.address, where, one.formulas["address"])
        where = f"{file}:{one.lines['size']}"
        yield f"ladder{rung}", TreeFigure(one.size, where, one.formulas["size"])
        rung += 1
