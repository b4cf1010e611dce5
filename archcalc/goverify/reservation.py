"""What a tree of the contiguous era reserves for its heap, by its mallocinit, beside the figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from archcalc import goexpr
from archcalc.goexpr import ExprError
from archcalc.goverify import mallocinit
from archcalc.goverify.comparison import Change
from archcalc.goverify.given import Given
from archcalc.goverify.gofile import Func
from archcalc.goverify.mallocinit import ReserveCall
from archcalc.goverify.port import ComparedPort, number, words_of
from archcalc.goverify.tree import Missing

MALLOC = "runtime/malloc.go"


@lru_cache(maxsize=16)
def _statements(func: Func) -> tuple[mallocinit.Statement, ...]:
    """A function's statements, read once for all ports. Raises ExprError."""
    return mallocinit.statements(func)


def compare(port: ComparedPort) -> None:
    """The figures of the layout beside what a system that refuses everything is asked for."""
    engine = port.figures.engine
    ours = {
        name.partition(".")[2]: int(value.value)
        for name, value in engine.package("layout").items()
        if not isinstance(value.value, str)
    }
    hints = [
        int(value.value) for value in engine.family_values("layout.hint") if not isinstance(value.value, str)
    ]
    hint = {"hint0": hints[0]}
    func = port.runtime.funcs.get("mallocinit")
    if func is None:
        for name, computed in {**ours, **hint}.items():
            port.unreadable(name, computed, MALLOC, "mallocinit is missing")
        return
    place = f"{func.file}:{func.line}"
    try:
        given = {"firstmoduledata.end": number(engine.value("fact.data_end").value)}
        body = _statements(func)
        attempts = _Attempts(mallocinit.Follower(port.runtime, given).follow(body), port.port.words.ptr_size)
    except ExprError as error:
        for name, computed in {**ours, **hint}.items():
            port.unreadable(name, computed, MALLOC, f"{place}: mallocinit cannot be followed: {error}")
        return
    theirs = dict(attempts.values())
    _usable(port, theirs)
    for name, computed in ours.items():
        if name not in theirs:
            port.unreadable(name, computed, MALLOC, f"{place}: mallocinit reserves nothing of the kind")
            continue
        found, at, formula = theirs[name]
        where = at if ":" in at else f"{func.file}:{at}"
        if port.found.value(name, computed, found, where, formula):
            _layout_formula(port, name, formula, where)
    found_hints = attempts.hints
    wheres = [f"{func.file}:{at}" for _, at, _ in found_hints]
    if not found_hints:
        port.unreadable("hint0", hints[0], MALLOC, f"{place}: mallocinit reserves nothing of the kind")
        return
    addresses = [address for address, _, _ in found_hints]
    if port.found.values("hint{}", hints, addresses, wheres, found_hints[0][2]):
        _layout_formula(port, "hint0", found_hints[0][2], wheres[0])


def _usable(port: ComparedPort, theirs: dict[str, tuple[int, str, str]]) -> None:
    """The usable part of the tables: computed by the calculator's formulas from the tree's constants."""
    engine = port.figures.engine
    for name in ("bitmap_usable", "spans_usable"):
        row = engine.row(f"layout.{name}")
        if row is None:
            continue
        given = {layout: value for layout, (value, _, _) in theirs.items()}
        given |= {f"fact.{fact}": v for fact, v in engine.facts.items() if isinstance(v, int)}
        try:
            value = goexpr.evaluate(row.formula, Given(port.runtime, given)).value
        except (ExprError, Missing):
            continue
        mentioned = [port.runtime.consts[n] for n in goexpr.names(row.formula) if n in port.runtime.consts]
        where = (
            f"{mentioned[0].file}:{mentioned[0].line}"
            if mentioned
            else theirs[name.replace("usable", "size")][1]
        )
        theirs[name] = (number(value), where, "")


def _layout_formula(port: ComparedPort, name: str, formula: str, where: str) -> None:
    row = port.figures.engine.row(f"layout.{name}")
    if row is None or not formula or name in port.figures.sets:
        return
    ours, theirs = _reservation_words(row.formula), _reservation_words(formula)
    # A variable that only passes on another figure has no formula of its own.
    if len(ours) > 1 and ours != theirs:
        port.found.changes.append(Change(port.found.platform, name, row.formula, formula, where))


class _Attempts:
    """The attempts of mallocinit as the figures of the layout.

    The calls of sysReserve are distinguished by their line: on 64-bit ports the first is the
    reservation of everything, and the last, anywhere, is the ladder.
    """

    def __init__(self, attempts: list[ReserveCall], ptr_size: int) -> None:
        calls = list(dict.fromkeys(attempt.call for attempt in attempts))
        first = calls[0] if calls and ptr_size == 8 else None
        self.contiguous = [one for one in attempts if one.call == first]
        self.ladder = [one for one in attempts if calls and one.call == calls[-1] and one.call != first]

    @property
    def hints(self) -> list[tuple[int, int, str]]:
        """Addresses in the order of asking, with line and formula."""
        asked = self.contiguous or self.ladder[:1]
        return [(one.address, one.lines["address"], one.formulas["address"]) for one in asked]

    def values(self) -> Iterator[tuple[str, tuple[int, str, str]]]:
        """The figures by name: value, line, formula."""
        start = self.contiguous or self.ladder
        if start:
            yield from self._sizes("", start[0])
        if self.ladder:
            yield from self._sizes("ladder_", self.ladder[0])
            yield "ladder_hint", self._one(self.ladder[0], "address")
        for at, rung in enumerate(self.ladder):
            yield f"ladder_arena{at}", self._one(rung, "arenaSize")
            yield f"ladder{at}", self._one(rung, "size")

    def _sizes(self, prefix: str, attempt: ReserveCall) -> Iterator[tuple[str, tuple[int, str, str]]]:
        for name, variable in (("bitmap_size", "bitmapSize"), ("spans_size", "spansSize")):
            if variable in attempt.variables:
                yield prefix + name, self._one(attempt, variable)
        if not prefix:
            yield "reservation_size", self._one(attempt, "size")
            if "arenaSize" in attempt.variables:
                yield "arena_size", self._one(attempt, "arenaSize")

    def _one(self, attempt: ReserveCall, name: str) -> tuple[int, str, str]:
        value = {"address": attempt.address, "size": attempt.size}.get(name, attempt.variables.get(name, 0))
        return value, str(attempt.lines.get(name, attempt.call)), attempt.formulas.get(name, "")


_SAME = {"arenaSize": "arena_size", "bitmapSize": "bitmap_size", "spansSize": "spans_size"}
_RUNG = re.compile(r"\bladder_(arena|bitmap_size|spans_size)\d*")


def _reservation_words(formula: str) -> list[str]:
    """A formula of the layout in the same words whichever side it is from.

    The calculator's table has figures where mallocinit has variables, and conversions where
    an assignment to a uintptr converts; parentheses come and go with both.
    """
    text = formula.replace("fact.data_end", "end").replace("firstmoduledata.end", "end")
    text = _RUNG.sub(lambda match: match[1].removesuffix("_size") + "_size", text)
    return [_SAME.get(word, word) for word in words_of(text) if word not in ("(", ")", "uintptr")]
