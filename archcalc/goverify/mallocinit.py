"""What a tree's mallocinit asks the system for, found by following it with a system that refuses everything.

The function's statements are read once; then, for each port, they are followed with the
calculator's own engine for the expressions. Every call of sysReserve is kept, and so is each
place that is noted as a hint; calls are answered with 0, so that the loops try all of their
addresses and all rungs of the ladder. Whatever has no value here (other functions' results,
memory) is unknown, and a branch on it is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from archcalc import goexpr
from archcalc.goexpr import ExprError, Scope, Value, Within
from archcalc.goverify.gofile import Func, line, named, text

if TYPE_CHECKING:
    from tree_sitter import Node


MAX_STEPS = 200_000
"""Statements after which a loop is assumed not to end."""
MAX_NESTING = 40


class ReserveCall(NamedTuple):
    """One call of sysReserve: what it asks for, and the variables of that moment.

    `lines` and `formulas` tell for each variable where and to what it was last set.
    """

    address: int
    size: int
    call: int
    variables: Mapping[str, int]
    lines: Mapping[str, int]
    formulas: Mapping[str, str]


# ---- statements, read once ------------------------------------------------------------------


class Items(NamedTuple):
    """`[]T{…}`: the element type, and the elements with their lines."""

    kind: str
    elements: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Assign:
    """`names op values`; a value that is a call of sysReserve has its arguments in `reserves`."""

    names: tuple[str, ...]
    operator: str
    values: tuple[str, ...]
    lists: tuple[Items | None, ...]
    reserves: tuple[str, str] | None
    kind: str
    line: int


@dataclass(frozen=True, slots=True)
class Branch:
    """The first of `arms` whose condition holds; an empty condition always does. `switch` catches break."""

    arms: tuple[tuple[tuple[str, ...], tuple[Statement, ...]], ...]
    switch: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """A for statement; one over a list has it in `over`, with the name of its elements."""

    start: tuple[Statement, ...]
    condition: str
    step: tuple[Statement, ...]
    body: tuple[Statement, ...]
    over: str = ""
    element: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Leave:
    """break, continue or return."""

    word: str


Statement = Assign | Branch | Loop | Leave


def statements(func: Func) -> tuple[Statement, ...]:
    """A function's statements, those left out that can set no variable."""
    return _block(func.node.child_by_field_name("body"), 0)


def _block(node: Node | None, depth: int) -> tuple[Statement, ...]:
    if depth > MAX_NESTING:
        raise ExprError("", 1, "statements nested too deeply")
    found: list[Statement] = []
    for child in named(node) if node is not None else ():
        if child.type == "statement_list":
            found += _block(child, depth)
        else:
            found += _statement(child, depth)
    return tuple(found)


def _statement(node: Node, depth: int) -> list[Statement]:
    kind = node.type
    if kind in ("short_var_declaration", "assignment_statement"):
        return [_assign(node)]
    if kind in ("inc_statement", "dec_statement"):
        operator = "+=" if kind == "inc_statement" else "-="
        return [Assign((text(named(node)[0]),), operator, ("1",), (None,), None, "", line(node))]
    if kind in ("var_declaration", "const_declaration"):
        return [_declare(spec) for spec in _specs(node)]
    if kind == "if_statement":
        arms: list[tuple[tuple[str, ...], tuple[Statement, ...]]] = [
            ((text(node.child_by_field_name("condition")),), _block(_field(node, "consequence"), depth + 1))
        ]
        alternative = node.child_by_field_name("alternative")
        if alternative is not None:
            inner = _statement(alternative, depth + 1) if alternative.type == "if_statement" else None
            arms.append(((), tuple(inner) if inner is not None else _block(alternative, depth + 1)))
        initial = node.child_by_field_name("initializer")
        return [*(_statement(initial, depth + 1) if initial is not None else []), Branch(tuple(arms), False)]
    if kind == "expression_switch_statement":
        return [_switch(node, depth)]
    if kind == "for_statement":
        return [_loop(node, depth)]
    if kind == "block":
        return list(_block(node, depth + 1))
    if kind in ("break_statement", "continue_statement", "return_statement"):
        return [Leave(kind.removesuffix("_statement"))]
    return []


def _field(node: Node, name: str) -> Node | None:
    return node.child_by_field_name(name)


def _specs(node: Node) -> list[Node]:
    found, waiting = [], [node]
    while waiting:
        one = waiting.pop(0)
        if one.type in ("var_spec", "const_spec"):
            found.append(one)
        else:
            waiting += one.named_children
    return found


def _assign(node: Node) -> Assign:
    left, right = _field(node, "left"), _field(node, "right")
    operator = text(_field(node, "operator")) or "="
    names = tuple(text(one) for one in named(left)) if left is not None else ()
    return _of_values(names, operator, named(right) if right is not None else [], "", line(node))


def _declare(spec: Node) -> Assign:
    names = tuple(text(one) for one in spec.children_by_field_name("name"))
    value, kind = _field(spec, "value"), text(_field(spec, "type"))
    return _of_values(names, "var", named(value) if value is not None else [], kind, line(spec))


def _of_values(names: tuple[str, ...], operator: str, values: list[Node], kind: str, at: int) -> Assign:
    reserves = next((found for value in values if (found := _reserve(value)) is not None), None)
    lists = tuple(_list(value) for value in values)
    return Assign(names, operator, tuple(text(value) for value in values), lists, reserves, kind, at)


_RESERVES = ("sysReserve", "sysReserveAligned")
_NOWHERE = "nil"


def _reserve(node: Node) -> tuple[str, str] | None:
    """The address and the size that a call of sysReserve inside an expression is given."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type == "call_expression" and text(_field(one, "function")) in _RESERVES:
            arguments = _field(one, "arguments")
            given = named(arguments) if arguments is not None else []
            if len(given) >= 2:
                return _without_pointer(given[0]), text(given[1])
        waiting += one.named_children
    return None


def _without_pointer(node: Node) -> str:
    """`p` of `unsafe.Pointer(p)`."""
    if node.type == "call_expression" and text(_field(node, "function")) == "unsafe.Pointer":
        arguments = _field(node, "arguments")
        if arguments is not None and len(named(arguments)) == 1:
            return text(named(arguments)[0])
    return text(node)


def _list(node: Node) -> Items | None:
    if node.type != "composite_literal":
        return None
    kind, body = _field(node, "type"), _field(node, "body")
    if kind is None or body is None or kind.type not in ("slice_type", "array_type"):
        return None
    elements = tuple((text(one), line(one)) for one in named(body) if one.type == "literal_element")
    return Items(text(_field(kind, "element")), elements)


def _switch(node: Node, depth: int) -> Branch:
    subject = text(_field(node, "value"))
    arms: list[tuple[tuple[str, ...], tuple[Statement, ...]]] = []
    last: tuple[tuple[str, ...], tuple[Statement, ...]] | None = None
    for case in named(node):
        if case.type not in ("expression_case", "default_case"):
            continue
        value = _field(case, "value")
        body = tuple(s for one in named(case) if one != value for s in _statement_or_list(one, depth + 1))
        if case.type == "default_case":
            last = ((), body)
            continue
        wanted = tuple(text(one) for one in named(value)) if value is not None else ()
        arms.append((tuple(f"({subject}) == ({one})" if subject else one for one in wanted), body))
    return Branch((*arms, *([last] if last else [])), True)


def _statement_or_list(node: Node, depth: int) -> Sequence[Statement]:
    return _block(node, depth) if node.type == "statement_list" else _statement(node, depth)


def _loop(node: Node, depth: int) -> Loop:
    body = _block(_field(node, "body"), depth + 1)
    clause = next((one for one in named(node) if one.type in ("for_clause", "range_clause")), None)
    if clause is None:
        condition = next((text(one) for one in named(node) if one.type != "block"), "")
        return Loop((), condition, (), body, line=line(node))
    if clause.type == "range_clause":
        left = _field(clause, "left")
        names = [text(one) for one in named(left)] if left is not None else []
        return Loop((), "", (), body, text(_field(clause, "right")), [*names, "_", "_"][1], line(node))
    start, step = _field(clause, "initializer"), _field(clause, "update")
    return Loop(
        tuple(_statement(start, depth)) if start is not None else (),
        text(_field(clause, "condition")),
        tuple(_statement(step, depth)) if step is not None else (),
        body,
        line=line(node),
    )


# ---- following them -------------------------------------------------------------------------


class _Locals(Within):
    """The variables of the function before the package's own names."""

    def __init__(self, package: Scope, given: Mapping[str, int]) -> None:
        super().__init__(package)
        uintptr = goexpr.basic_types(package.ptr_size)["uintptr"]
        self.values: dict[str, Value | None] = {n: Value(v, uintptr, True) for n, v in given.items()}
        self.lists: dict[str, list[tuple[Value, str, int]]] = {}

    def lookup(self, name: str) -> Value | None:
        return self.values[name] if name in self.values else super().lookup(name)


@dataclass
class Follower:
    """Follows statements on one port; `given` are variables of the running program, as uintptr.

    Values of the field `watched` are noted as they are set, like attempts of no size. Variables in `fixed`
    keep their values, whatever is assigned to them.
    """

    package: Scope
    given: Mapping[str, int]
    watched: str = ""
    fixed: Mapping[str, int] = field(default_factory=dict)
    attempts: list[ReserveCall] = field(default_factory=list)
    noted: list[ReserveCall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._scope = _Locals(self.package, {**self.given, **self.fixed})
        self._lines: dict[str, int] = {}
        self._formulas: dict[str, str] = {}
        self._steps = 0

    def follow(self, body: Sequence[Statement]) -> list[ReserveCall]:
        """All attempts, in order. Raises ExprError where they cannot be followed."""
        self._run(body)
        return self.attempts

    def _run(self, body: Sequence[Statement]) -> str:
        """Runs statements; the word that left them, or nothing."""
        for one in body:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise ExprError("", 1, "mallocinit does not terminate")
            if isinstance(one, Assign):
                self._assign(one)
            elif isinstance(one, Leave):
                return one.word
            else:
                left = self._branch(one) if isinstance(one, Branch) else self._loop(one)
                if left:
                    return left
        return ""

    def _branch(self, branch: Branch) -> str:
        for conditions, body in branch.arms:
            held = [self._value(condition) for condition in conditions]
            if not conditions or any(value is not None and value.value is True for value in held):
                left = self._run(body)
                return "" if left == "break" and branch.switch else left
            if any(value is None for value in held):
                # Nothing decides between the two ways, and both only check what is unknown here.
                return ""
        return ""

    def _loop(self, loop: Loop) -> str:
        if loop.over:
            elements = self._scope.lists.get(loop.over, [])
            for value, formula, at in elements:
                self._set(loop.element, value, at, formula)
                left = self._run(loop.body)
                if left in ("break", "return"):
                    return "" if left == "break" else left
            return ""
        self._run(loop.start)
        while True:
            condition = self._value(loop.condition) if loop.condition else None
            if condition is None or condition.value is not True:
                return ""
            left = self._run(loop.body)
            if left in ("break", "return"):
                return "" if left == "break" else left
            self._run(loop.step)

    def _value(self, expression: str) -> Value | None:
        """The value of an expression; None where it has none here."""
        try:
            return goexpr.evaluate(expression, self._scope)
        except (ExprError, LookupError):
            return None

    def _assign(self, one: Assign) -> None:
        if one.reserves is not None:
            self._reserve(one)
            return
        if one.operator == "var" and not one.values:
            kind = self._scope.type(one.kind)
            zero = goexpr.untyped(False if kind is not None and kind.kind == "bool" else 0)
            for name in one.names:
                self._scope.values[name] = zero._replace(type=kind, variable=True) if kind else None
            return
        if len(one.names) != len(one.values):
            self._scope.values |= dict.fromkeys(one.names)
            return
        for name, value, items in zip(one.names, one.values, one.lists, strict=True):
            if items is not None:
                self._scope.lists[name] = self._items(items)
            elif one.operator in ("=", ":=", "var"):
                self._set(name, self._value(value), one.line, value)
            elif name in self._scope.values:
                own = f"{name} {one.operator[:-1]} ({value})"
                self._scope.values[name] = self._value(own)

    def _items(self, items: Items) -> list[tuple[Value, str, int]]:
        type = self._scope.type(items.kind)
        values = [(self._value(formula), formula, at) for formula, at in items.elements]
        if type is None:
            return []
        return [
            (v._replace(type=type, variable=True), formula, at) for v, formula, at in values if v is not None
        ]

    def _set(self, name: str, value: Value | None, at: int, formula: str) -> None:
        if name == self.watched and value is not None and not isinstance(value.value, str):
            self.noted.append(self._attempt(int(value.value), 0, at, (formula, "")))
        if "." in name or name == "_" or name in self.fixed:
            return
        before = self._scope.values.get(name)
        if value is not None and value.type.untyped:
            kind = before.type if before is not None else goexpr.basic_types(self._scope.ptr_size).get(
                {"int": "int", "bool": "bool"}.get(value.type.kind, "")
            )  # fmt: skip
            value = value._replace(type=kind) if kind is not None else None
        if name in self._formulas and name in _names(formula):
            formula = _replaced(formula, name, self._formulas[name])
        self._scope.values[name] = value._replace(variable=True) if value is not None else None
        self._lines[name] = at
        self._formulas[name] = formula

    def _reserve(self, one: Assign) -> None:
        assert one.reserves is not None
        where = "0" if one.reserves[0] == _NOWHERE else one.reserves[0]
        address, size = (goexpr.evaluate(argument, self._scope) for argument in (where, one.reserves[1]))
        self.attempts.append(self._attempt(int(address.value), int(size.value), one.line, one.reserves))
        uintptr = goexpr.basic_types(self._scope.ptr_size)["uintptr"]
        for name in one.names:
            # The refusal is not a formula of the variable: what it asked for is still shown.
            self._scope.values[name] = Value(0, uintptr, True)

    def _attempt(self, address: int, size: int, line: int, asked: tuple[str, str]) -> ReserveCall:
        """What is asked for, or noted, with all variables at that moment."""
        known = {name: value for name, value in self._scope.values.items() if value is not None}
        numbers = {name: int(v.value) for name, v in known.items() if not isinstance(v.value, str)}
        names = dict(zip(("address", "size"), asked, strict=True))
        lines = {**self._lines, **{k: self._lines.get(n, line) for k, n in names.items()}}
        formulas = {**self._formulas, **{k: self._formulas.get(n, n) for k, n in names.items()}}
        return ReserveCall(address, size, line, numbers, lines, formulas)


def _names(formula: str) -> tuple[str, ...]:
    try:
        return goexpr.names(formula)
    except ExprError:
        return ()


def _replaced(formula: str, name: str, by: str) -> str:
    """A formula with a name in it replaced by what the name stood for."""
    tokens = [(t.start, t.text) for t in goexpr.tokens(formula) if t.kind == "name" and t.text == name]
    for start, word in reversed(tokens):
        formula = f"{formula[:start]}{by}{formula[start + len(word) :]}"
    return formula
