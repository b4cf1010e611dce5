"""Go's constant expressions: parse, evaluate exactly, show the steps.

An expression is parsed once into a tree of nodes that know where they stand in
the text. Evaluation is exact and follows the language: untyped constants have
no size, typed constants must fit theirs, mixed types are an error, integer
division truncates toward zero. What the compiler refuses is an ExprError with
the column and words close to the compiler's own.

Names come from a Scope, which also knows the word size and may know structs
for `unsafe.Sizeof(T{})`. A scope may hand out variables as well as constants:
arithmetic that a variable takes part in wraps at its type's size, as it does
in a running program. That is how the layout formulas of mallocinit are
written in the same notation as the constants.

    >>> evaluate("1<<(8*4) - 1", Scope(ptr_size=4)).value
    4294967295
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple, Protocol

from archcalc.reading.words import counted

Scalar = int | bool | str | Fraction

MAX_BITS = 512
"""Bits the compiler keeps of an untyped integer constant (Mpprec of the gc compiler)."""
MAX_SHIFT = 1023 - 1 + 52
"""The largest shift count go/types accepts: it can express the smallest float64."""
MAX_EXPONENT = 5000
MAX_FRACTION_BITS = 1 << 15
MAX_DEPTH = 100
"""Nesting beyond this is nobody's constant; it keeps the recursion within Python's."""


class ExprError(Exception):
    """An expression that is no Go, or that the compiler would refuse.

    `column` counts characters from 1 in `text`; `message` stands without them.
    """

    def __init__(self, text: str, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.text = text
        self.column = column
        self.message = message

    def pointed(self) -> str:
        """The expression with a caret under the place, in two lines."""
        line = self.text.replace("\n", " ").replace("\t", " ")
        return f"{line}\n{' ' * (self.column - 1)}^ {self.message}"


class ConstantType(NamedTuple):
    """A type of constants. `kind` is int, uint, float, bool or string; `bits` 0 where it has no size."""

    name: str
    kind: str
    bits: int = 0
    untyped: bool = False

    @property
    def integer(self) -> bool:
        return self.kind in ("int", "uint", "rune")

    @property
    def numeric(self) -> bool:
        return self.kind in ("int", "uint", "rune", "float")

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and largest value of an integer type."""
        if self.kind == "uint":
            return 0, (1 << self.bits) - 1
        return -(1 << self.bits - 1), (1 << self.bits - 1) - 1


UNTYPED_INT = ConstantType("untyped int", "int", untyped=True)
UNTYPED_RUNE = ConstantType("untyped rune", "rune", untyped=True)
UNTYPED_FLOAT = ConstantType("untyped float", "float", untyped=True)
UNTYPED_BOOL = ConstantType("untyped bool", "bool", untyped=True)
UNTYPED_STRING = ConstantType("untyped string", "string", untyped=True)
_RANK = {"int": 0, "rune": 1, "float": 2}


@cache
def basic_types(ptr_size: int) -> Mapping[str, ConstantType]:
    """Go's basic types on a machine whose pointers, and so int and uint, have `ptr_size` bytes."""
    word = 8 * ptr_size
    types = [
        ConstantType(f"{kind}{bits}", kind, bits) for kind in ("int", "uint") for bits in (8, 16, 32, 64)
    ]
    types += [
        ConstantType("int", "int", word),
        ConstantType("uint", "uint", word),
        ConstantType("uintptr", "uint", word),
    ]
    types += [ConstantType("float32", "float", 32), ConstantType("float64", "float", 64)]
    types += [ConstantType("bool", "bool"), ConstantType("string", "string")]
    named = {t.name: t for t in types}
    return named | {"byte": named["uint8"], "rune": named["int32"]}


class Value(NamedTuple):
    """A constant, or a variable whose arithmetic wraps, with its type."""

    value: Scalar
    type: ConstantType
    variable: bool = False

    def __str__(self) -> str:
        """As Go would write it."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, str):
            return quote(self.value)
        if isinstance(self.value, Fraction) and self.value.denominator != 1:
            return repr(float(self.value))
        return str(int(self.value))


def untyped(value: Scalar) -> Value:
    """A Python value as an untyped constant."""
    if isinstance(value, bool):
        return Value(value, UNTYPED_BOOL)
    if isinstance(value, int):
        return Value(value, UNTYPED_INT)
    if isinstance(value, str):
        return Value(value, UNTYPED_STRING)
    return Value(value, UNTYPED_FLOAT)


def quote(text: str) -> str:
    """A string as a Go literal in double quotes."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in text) + '"'


class Sized(Protocol):
    """What unsafe.Sizeof, Alignof and Offsetof ask of a struct."""

    @property
    def size(self) -> int: ...
    @property
    def align(self) -> int: ...
    def offset_of(self, path: str) -> int: ...
    def size_of(self, path: str) -> int: ...


class Function(NamedTuple):
    """A function of one expression, such as runtime.round: its parameters and its result."""

    parameters: tuple[str, ...]
    body: str


class Scope:
    """Where an expression finds its names. Subclasses answer more; this one knows the basic types.

    ptr_size is in bytes. Go takes signed shift counts from 1.13 on; `signed_shift_counts`
    says whether this is such a Go.
    """

    def __init__(
        self,
        ptr_size: int = 8,
        names: Mapping[str, Scalar | Value] | None = None,
        signed_shift_counts: bool = False,
    ) -> None:
        self.ptr_size = ptr_size
        self.names = names or {}
        self.signed_shift_counts = signed_shift_counts

    def lookup(self, name: str) -> Value | None:
        """The constant or variable of that name, which may be qualified, as in sys.PtrSize."""
        value = self.names.get(name)
        return value if value is None or isinstance(value, Value) else untyped(value)

    def type(self, name: str) -> ConstantType | None:
        """The type of that name."""
        return basic_types(self.ptr_size).get(name)

    def struct(self, name: str) -> Sized | None:
        """The layout of a struct type, or of the struct that the variable `name` is."""
        return None

    def length(self, name: str) -> int | None:
        """The length of an array of that name."""
        return None

    def function(self, name: str) -> Function | Callable[[list[Value]], Value] | None:
        """The function of that name: an expression over uintptr variables, or what computes it."""
        return None


class Within(Scope):
    """A scope in another: what a subclass does not answer is the outer one's to say.

    Shift counts may be signed: what asks about a scope in another is a person or a later Go.
    """

    def __init__(self, outer: Scope) -> None:
        self.outer = outer
        self.names = {}
        self.signed_shift_counts = True

    @property
    def ptr_size(self) -> int:  # type: ignore[override]
        return self.outer.ptr_size

    def lookup(self, name: str) -> Value | None:
        return self.outer.lookup(name)

    def type(self, name: str) -> ConstantType | None:
        return self.outer.type(name)

    def struct(self, name: str) -> Sized | None:
        return self.outer.struct(name)

    def length(self, name: str) -> int | None:
        return self.outer.length(name)

    def function(self, name: str) -> Function | Callable[[list[Value]], Value] | None:
        return self.outer.function(name)


# ---- the tree -------------------------------------------------------------------------------


class Node:
    """A part of an expression. `start` and `end` are its place in `text`; `height` counts operations."""

    __slots__ = ("end", "height", "start", "text")

    def __init__(self, text: str, start: int, end: int, children: tuple[Node, ...]) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.height: int = 1 + max((c.height for c in children), default=-1)
        if self.height > MAX_DEPTH:
            raise ExprError(text, start + 1, "expression nested too deeply")

    def children(self) -> tuple[Node, ...]:
        return ()

    def evaluate(self, env: _Env) -> Value:
        raise NotImplementedError

    def source(self) -> str:
        """The text this node was parsed from."""
        return self.text[self.start : self.end]

    def error(self, message: str) -> ExprError:
        return ExprError(self.text, self.start + 1, message)


class _Env(NamedTuple):
    scope: Scope
    iota: int | None


class Literal(Node):
    """A number, a rune, a string."""

    __slots__ = ("value",)

    def __init__(self, text: str, start: int, end: int, value: Value) -> None:
        super().__init__(text, start, end, ())
        self.value = value

    def evaluate(self, env: _Env) -> Value:
        return self.value


class Name(Node):
    """A name, qualified or not."""

    __slots__ = ("name",)

    def __init__(self, text: str, start: int, end: int, name: str) -> None:
        super().__init__(text, start, end, ())
        self.name = name

    def evaluate(self, env: _Env) -> Value:
        value = env.scope.lookup(self.name)
        if value is not None:
            return value
        if self.name in ("true", "false"):
            return Value(self.name == "true", UNTYPED_BOOL)
        if self.name == "iota":
            if env.iota is None:
                raise self.error("iota outside a constant declaration")
            return Value(env.iota, UNTYPED_INT)
        if env.scope.type(self.name) is not None:
            raise self.error(f"type {self.name} is not an expression")
        raise self.error(f"undefined: {self.name}")


class Composite(Node):
    """`T{}`, which stands only where unsafe looks at it; `path` names a field of it."""

    __slots__ = ("path", "type_name")

    def __init__(self, text: str, start: int, end: int, type_name: str, path: str) -> None:
        super().__init__(text, start, end, ())
        self.type_name = type_name
        self.path = path

    def evaluate(self, env: _Env) -> Value:
        raise self.error(f"{self.source()} is not a constant")


class Paren(Node):
    """An expression in parentheses."""

    __slots__ = ("inner",)

    def __init__(self, text: str, start: int, end: int, inner: Node) -> None:
        super().__init__(text, start, end, ())
        self.height = inner.height
        self.inner = inner

    def children(self) -> tuple[Node, ...]:
        return (self.inner,)

    def evaluate(self, env: _Env) -> Value:
        return self.inner.evaluate(env)


class Unary(Node):
    """`+x`, `-x`, `!x`, `^x`."""

    __slots__ = ("operand", "operator")

    def __init__(self, text: str, start: int, operator: str, operand: Node) -> None:
        super().__init__(text, start, operand.end, (operand,))
        self.operator = operator
        self.operand = operand

    def children(self) -> tuple[Node, ...]:
        return (self.operand,)

    def evaluate(self, env: _Env) -> Value:
        x = self.operand.evaluate(env)
        operator, value, kind = self.operator, x.value, x.type
        fits = {"!": kind.kind == "bool", "^": kind.integer}.get(operator, kind.numeric)
        if not fits:
            raise self.error(f"operator {operator} not defined on {self.operand.source()} ({kind.name})")
        if operator == "!":
            return Value(not value, kind, x.variable)
        assert not isinstance(value, str)
        if operator == "+":
            return x
        if operator == "-":
            return _fit(self, -value, kind, x.variable)
        if kind.kind == "uint":
            return Value(int(value) ^ kind.bounds[1], kind, x.variable)
        return Value(~int(value), kind, x.variable)


class Binary(Node):
    """An operation of two operands."""

    __slots__ = ("left", "operator", "place", "right")

    def __init__(self, text: str, operator: str, place: int, left: Node, right: Node) -> None:
        super().__init__(text, left.start, right.end, (left, right))
        self.operator = operator
        self.place = place
        self.left = left
        self.right = right

    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def error(self, message: str) -> ExprError:
        return ExprError(self.text, self.place + 1, message)

    def evaluate(self, env: _Env) -> Value:
        x, y = self.left.evaluate(env), self.right.evaluate(env)
        operator = self.operator
        if operator in ("<<", ">>"):
            return _shift(self, x, y, env.scope)
        kind = self._common_type(x.type, y.type)
        variable = x.variable or y.variable
        a = _represent(self.left, x.value, kind) if x.type != kind else x.value
        b = _represent(self.right, y.value, kind) if y.type != kind else y.value
        compare = _COMPARISONS.get(operator)
        if compare is not None:
            if kind.kind == "bool" and operator not in ("==", "!="):
                raise self._undefined(kind)
            return Value(compare(a, b), UNTYPED_BOOL, variable)
        if operator in ("&&", "||"):
            if kind.kind != "bool":
                raise self._undefined(kind)
            return Value((a and b) if operator == "&&" else (a or b), kind, variable)
        if kind.kind == "string" and operator == "+":
            assert isinstance(a, str) and isinstance(b, str)
            return Value(a + b, kind, variable)
        if not kind.numeric or (operator not in ("+", "-", "*", "/") and not kind.integer):
            raise self._undefined(kind)
        assert not isinstance(a, str) and not isinstance(b, str)
        if operator in ("/", "%") and b == 0:
            raise self.right.error("division by zero")
        if kind.integer:
            result: int | Fraction = _INTEGER_OPERATIONS[operator](int(a), int(b))
        else:
            result = _FLOAT_OPERATIONS[operator](Fraction(a), Fraction(b))
        return _fit(self, result, kind, variable)

    def _common_type(self, x: ConstantType, y: ConstantType) -> ConstantType:
        """The type that both operands have or take."""
        if x == y:
            return x
        if x.untyped and y.untyped and x.numeric and y.numeric:
            return x if _RANK[x.kind] > _RANK[y.kind] else y
        if x.untyped != y.untyped:
            given, other = (y, x) if x.untyped else (x, y)
            if given.kind == other.kind or (given.numeric and other.numeric):
                return given
        raise self.error(f"invalid operation: {self.source()} (mismatched types {x.name} and {y.name})")

    def _undefined(self, kind: ConstantType) -> ExprError:
        return self.error(f"invalid operation: operator {self.operator} not defined on {kind.name}")


class CallExpr(Node):
    """A conversion, a builtin, a function of the scope."""

    __slots__ = ("arguments", "function")

    def __init__(self, text: str, end: int, function: Name, arguments: tuple[Node, ...], start: int) -> None:
        super().__init__(text, start, end, arguments)
        self.height = 1 + max((a.height for a in arguments), default=0)
        self.function = function
        self.arguments = arguments

    def children(self) -> tuple[Node, ...]:
        return self.arguments

    def evaluate(self, env: _Env) -> Value:
        name, scope = self.function.name, env.scope
        kind = scope.type(name)
        if kind is not None:
            return _convert(self, self._only().evaluate(env), kind)
        if name in ("unsafe.Sizeof", "unsafe.Alignof", "unsafe.Offsetof"):
            return self._unsafe(name.removeprefix("unsafe."), env)
        if name == "len":
            return self._length(env)
        function = scope.function(name)
        if function is None:
            if name in ("min", "max") and self.arguments:
                return self._extreme(name, env)
            raise self.function.error(f"undefined: {name}")
        if not isinstance(function, Function):
            return function([self._only().evaluate(env)])
        if len(self.arguments) != len(function.parameters):
            raise self.error(f"{name} takes {len(function.parameters)} arguments, not {len(self.arguments)}")
        values = [a.evaluate(env) for a in self.arguments]
        return self._apply(function, values, scope)

    def _extreme(self, name: str, env: _Env) -> Value:
        """The builtins min and max, of constants and variables of one type (Go 1.21 and later)."""
        values = [a.evaluate(env) for a in self.arguments]
        kind = values[0].type
        for value in values[1:]:
            kind = Binary(self.text, "<", self.start, self, self)._common_type(kind, value.type)
        pairs = zip(self.arguments, values, strict=True)
        plain = [_represent(a, v.value, kind) if v.type != kind else v.value for a, v in pairs]
        if any(isinstance(one, bool) for one in plain):
            raise self.error(f"invalid argument of {name}: bool is not ordered")
        best = min(plain) if name == "min" else max(plain)
        return Value(best, kind, any(value.variable for value in values))

    def _apply(self, function: Function, values: list[Value], scope: Scope) -> Value:
        # The parameters of runtime's helpers are uintptr, and what is passed is a variable.
        uintptr = basic_types(scope.ptr_size)["uintptr"]
        arguments = {
            parameter: Value(_represent(node, value.value, uintptr), uintptr, True)
            for parameter, node, value in zip(function.parameters, self.arguments, values, strict=True)
        }
        return parse(function.body).evaluate(_Env(Scope(scope.ptr_size, arguments), None))

    def _only(self) -> Node:
        if len(self.arguments) != 1:
            raise self.error(f"{self.function.name} takes one argument, not {len(self.arguments)}")
        return self.arguments[0]

    def _unsafe(self, what: str, env: _Env) -> Value:
        """unsafe.Sizeof, Alignof, Offsetof: uintptr constants."""
        argument = self._only()
        while isinstance(argument, Paren):
            argument = argument.inner
        uintptr = basic_types(env.scope.ptr_size)["uintptr"]
        if isinstance(argument, Composite):
            struct, path = env.scope.struct(argument.type_name), argument.path
            if struct is None:
                raise argument.error(f"undefined: {argument.type_name}")
        elif isinstance(argument, Name) and "." in argument.name:
            variable, _, path = argument.name.partition(".")
            struct = env.scope.struct(variable)
            if struct is None and "." in path:
                # A variable of another package, whose type the scope knows under the variable's name.
                package, own, path = argument.name.split(".", 2)
                struct = env.scope.struct(f"{package}.{own}")
        else:
            struct, path = None, ""
        if struct is not None and what == "Offsetof":
            if not path:
                raise self.error("unsafe.Offsetof takes a field")
            try:
                return Value(struct.offset_of(path), uintptr)
            except KeyError as missing:
                raise argument.error(f"no field {missing.args[0]}") from None
        if struct is not None and not path:
            return Value(struct.size if what == "Sizeof" else struct.align, uintptr)
        if struct is not None and what == "Sizeof" and isinstance(argument, Composite):
            try:
                return Value(struct.size_of(path), uintptr)
            except KeyError as missing:
                raise argument.error(f"no field {missing.args[0]}") from None
        if struct is not None or what == "Offsetof":
            raise argument.error(f"unsafe.{what} of {argument.source()} is not supported")
        kind = argument.evaluate(env).type
        if kind.untyped:
            kind = basic_types(env.scope.ptr_size)[_DEFAULT_TYPES[kind.kind]]
        if not kind.bits:
            raise argument.error(f"unsafe.{what} of a {kind.name} is not supported")
        size = kind.bits // 8
        # Only a struct can say how 8-byte values align; words and what is smaller do so naturally.
        if what == "Alignof" and size > env.scope.ptr_size:
            raise argument.error(f"unsafe.Alignof of a {kind.name} is not supported")
        return Value(size, uintptr)

    def _length(self, env: _Env) -> Value:
        argument = self._only()
        word = basic_types(env.scope.ptr_size)["int"]
        if isinstance(argument, Name):
            length = env.scope.length(argument.name)
            if length is not None:
                return Value(length, word)
        value = argument.evaluate(env).value
        if not isinstance(value, str):
            raise argument.error(f"invalid argument {argument.source()} for len")
        return Value(len(value.encode()), word)


_DEFAULT_TYPES = {"int": "int", "rune": "rune", "float": "float64", "bool": "bool", "string": "string"}


def _quotient(a: int, b: int) -> int:
    """Integer division toward zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


_INTEGER_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "%": lambda a, b: a - b * _quotient(a, b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&^": lambda a, b: a & ~b,
}
_FLOAT_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
_COMPARISONS: dict[str, Callable[..., bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _fit(node: Node, value: int | Fraction, kind: ConstantType, variable: bool) -> Value:
    """The result of an operation in its type: an overflow, or wrapped if a variable took part."""
    if kind.integer and not kind.untyped and variable:
        value = _wrap(int(value), kind)
    elif kind.integer and kind.untyped:
        if int(value).bit_length() > MAX_BITS:
            raise node.error(f"constant overflow: {node.source()} needs more than {counted(MAX_BITS, 'bit')}")
    elif kind.integer:
        least, most = kind.bounds
        if not least <= value <= most:
            raise node.error(f"constant {value} overflows {kind.name}")
    else:
        value = _round(node, Fraction(value), kind)
    return Value(value, kind, variable)


def _wrap(value: int, kind: ConstantType) -> int:
    value &= (1 << kind.bits) - 1
    if kind.kind == "int" and value >> (kind.bits - 1):
        value -= 1 << kind.bits
    return value


def _round(node: Node, value: Fraction, kind: ConstantType) -> Fraction:
    """A floating-point constant as its type can hold it; exact where it is untyped."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_FRACTION_BITS:
        raise node.error("constant overflow: excessively large or small floating-point constant")
    if kind.untyped:
        return value
    try:
        rounded = float(value) if kind.bits == 64 else _float32(value)
    except OverflowError:
        raise node.error(f"constant overflows {kind.name}") from None
    return Fraction(rounded)


def _float32(value: Fraction) -> Fraction:
    """The nearest float32, ties to even."""
    if value == 0:
        return Fraction(0)
    exponent = max(_floor_log2(abs(value)) - 23, -149)
    rounded = round(value / Fraction(2) ** exponent) * Fraction(2) ** exponent
    if abs(rounded) >= 1 << 128:
        raise OverflowError
    return rounded


def _floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if Fraction(2) ** guess <= value else guess - 1


def _represent(node: Node, value: Scalar, kind: ConstantType) -> Scalar:
    """A constant as a value of a type it is used as: it must be one (Representability, Go spec)."""
    if isinstance(value, str | bool):
        if kind.kind != ("string" if isinstance(value, str) else "bool"):
            raise node.error(f"cannot use {node.source()} as {kind.name} value")
        return value
    if kind.kind == "float":
        return _round(node, Fraction(value), kind)
    if not kind.integer:
        raise node.error(f"cannot use {node.source()} as {kind.name} value")
    if isinstance(value, Fraction):
        if value.denominator != 1:
            raise node.error(f"constant {float(value)!r} truncated to integer")
        value = int(value)
    if not kind.untyped:
        least, most = kind.bounds
        if not least <= value <= most:
            raise node.error(f"constant {value} overflows {kind.name}")
    return value


def _convert(node: CallExpr, x: Value, kind: ConstantType) -> Value:
    """`T(x)`."""
    argument, value = node.arguments[0], x.value
    if x.variable and x.type.integer and kind.integer:
        assert isinstance(value, int)
        return Value(_wrap(value, kind), kind, True)
    if kind.kind == "string" and x.type.integer:
        assert isinstance(value, int)
        valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
        return Value(chr(value) if valid else "\ufffd", kind, x.variable)
    same = x.type.kind == kind.kind or (x.type.numeric and kind.numeric)
    if not same:
        raise argument.error(f"cannot convert {argument.source()} ({x.type.name}) to type {kind.name}")
    return Value(_represent(argument, value, kind), kind, x.variable)


def _shift(node: Binary, x: Value, y: Value, scope: Scope) -> Value:
    """`x << y`, `x >> y`: the type is the left operand's."""
    count = _shift_count(node, y, scope)
    value = x.value
    if not x.type.numeric or (x.type.kind == "float" and not x.type.untyped):
        raise node.error(f"invalid operation: shift of type {x.type.name}")
    if isinstance(value, Fraction) and value.denominator != 1:
        raise node.error(f"invalid operation: shift of {float(value)!r}, which is not an integer")
    if y.variable and x.type.untyped:
        raise node.error("invalid operation: shift of an untyped constant by a variable")
    # An untyped rune or float that is an integer is shifted as an integer.
    kind = UNTYPED_INT if x.type.kind == "float" else x.type
    variable = x.variable or y.variable
    if node.operator == ">>":
        return Value(int(value) >> count, kind, variable)
    if variable:
        return Value(_wrap(int(value) << min(count, kind.bits), kind), kind, True)
    return _fit(node, int(value) << count, kind, False)


def _shift_count(node: Binary, y: Value, scope: Scope) -> int:
    kind, count = y.type, y.value
    if not kind.numeric or (kind.kind == "float" and not kind.untyped):
        raise node.right.error(f"shift count type {kind.name}, must be unsigned integer")
    if isinstance(count, Fraction) and count.denominator != 1:
        raise node.right.error(f"constant {float(count)!r} truncated to integer")
    if kind.kind == "int" and not kind.untyped and not scope.signed_shift_counts:
        raise node.right.error(f"shift count type {kind.name}, must be unsigned integer")
    count = int(count)
    if count < 0:
        raise node.right.error(f"invalid negative shift count {count}")
    if count > MAX_SHIFT:
        if y.variable:
            return MAX_SHIFT
        raise node.right.error(f"shift count {count} too large")
    return count


# ---- the parser -----------------------------------------------------------------------------


class Token(NamedTuple):
    """A word of the text: its kind (int, float, rune, string, name, op, bad, end), itself, its place."""

    kind: str
    text: str
    start: int


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<name>[^\W\d]\w*)
    |(?P<float>(?:\d[\d_]*\.[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?|(?!0[xX])\d[\d_]*[eE][+-]?\d+)
    |(?P<int>0[xX][0-9a-fA-F_]+|0[bBoO][0-9_]+|\d[\d_]*)
    |(?P<rune>'(?:\\.|[^'\\\n])+')
    |(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<op><<|>>|&\^|&&|\|\||==|!=|<=|>=|[-+*/%&|^!<>(){}\[\].,;])
    |(?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The words of an expression or a type from `start` on, without spaces and comments."""
    for match in _TOKEN.finditer(text, start):
        if match.lastgroup != "space":
            yield Token(match.lastgroup or "bad", match.group(), match.start())


_PRECEDENCE = {
    operator: level
    for level, operators in enumerate(
        (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-", "|", "^"),
         ("*", "/", "%", "<<", ">>", "&", "&^")), start=1
    )
    for operator in operators
}  # fmt: skip


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [*tokens(text), Token("end", "", len(text.rstrip()))]
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def fault(self, token: Token, message: str) -> ExprError:
        return ExprError(self.text, token.start + 1, message)

    def expect(self, operator: str) -> Token:
        token = self.token
        if token.kind != "op" or token.text != operator:
            found = f"found {token.text}" if token.text else "the expression ends"
            raise self.fault(token, f"{found}; expected {operator}")
        return self.take()

    def whole(self) -> Node:
        node = self.binary(1)
        if self.token.kind != "end":
            raise self.fault(self.token, f"found {self.token.text}; expected an operator or the end")
        return node

    def binary(self, level: int) -> Node:
        left = self.unary()
        while True:
            token = self.token
            own = _PRECEDENCE.get(token.text, 0) if token.kind == "op" else 0
            if own < level:
                return left
            self.take()
            left = Binary(self.text, token.text, token.start, left, self.binary(own + 1))

    def unary(self) -> Node:
        token = self.token
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fault(token, "expression nested too deeply")
        try:
            if token.kind == "op" and token.text in ("+", "-", "!", "^"):
                self.take()
                return Unary(self.text, token.start, token.text, self.unary())
            return self.primary()
        finally:
            self.depth -= 1

    def primary(self) -> Node:
        token = self.take()
        if token.kind == "name":
            return self.named(token)
        if token.kind == "op" and token.text == "(":
            inner = self.binary(1)
            end = self.expect(")").start + 1
            if isinstance(inner, Name) and self.token.text == "(":
                return self.call(inner, token.start)
            return Paren(self.text, token.start, end, inner)
        if token.kind in _LITERALS:
            if token.kind in ("int", "float") and self.tokens[self.at][:2] == ("name", "i"):
                raise self.fault(token, "complex constants are not supported")
            try:
                value = _LITERALS[token.kind](token.text)
            except ValueError as fault:
                raise self.fault(token, str(fault)) from None
            return Literal(self.text, token.start, token.start + len(token.text), value)
        self.at -= 1
        found = f"found {token.text}" if token.text else "the expression ends"
        raise self.fault(token, f"{found}; expected a constant, a name or (")

    def named(self, token: Token) -> Node:
        parts, last = [token.text], token
        while self.token.text == "." and self.tokens[self.at + 1].kind == "name":
            self.take()
            last = self.take()
            parts.append(last.text)
        name, end = ".".join(parts), last.start + len(last.text)
        if self.token.text == "(":
            return self.call(Name(self.text, token.start, end, name), token.start)
        if self.token.text == "{":
            self.take()
            end = self.expect("}").start + 1
            path: list[str] = []
            while self.token.text == "." and self.tokens[self.at + 1].kind == "name":
                self.take()
                last = self.take()
                path.append(last.text)
                end = last.start + len(last.text)
            return Composite(self.text, token.start, end, name, ".".join(path))
        return Name(self.text, token.start, end, name)

    def call(self, function: Name, start: int) -> Node:
        self.expect("(")
        arguments: list[Node] = []
        while self.token.text != ")":
            arguments.append(self.binary(1))
            if self.token.text != ",":
                break
            self.take()
        end = self.expect(")").start + 1
        return CallExpr(self.text, end, function, tuple(arguments), start)


def _int_literal(text: str) -> Value:
    digits = text.replace("_", "")
    base = {"x": 16, "b": 2, "o": 8}.get(digits[1:2].lower())
    if base is None:
        base = 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        value = int(digits[2:] if digits[1:2].isalpha() else digits, base)
    except ValueError:
        raise ValueError(f"malformed constant: {text}") from None
    if value.bit_length() > MAX_BITS:
        raise ValueError(f"constant needs more than {counted(MAX_BITS, 'bit')}")
    return Value(value, UNTYPED_INT)


def _float_literal(text: str) -> Value:
    digits = text.replace("_", "")
    mantissa, _, exponent = digits.lower().partition("e")
    if abs(int(exponent or 0)) > MAX_EXPONENT or len(mantissa) > MAX_EXPONENT:
        raise ValueError(f"malformed constant: exponent of {text[:40]} out of range")
    return Value(Fraction(digits), UNTYPED_FLOAT)


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)


def _unescape(text: str, delimiter: str) -> str:
    def one(match: re.Match[str]) -> str:
        octal, *hexes, single = match.groups()
        if single is not None:
            if single != delimiter and single not in _ESCAPES:
                raise ValueError(f"unknown escape \\{single}")
            return _ESCAPES.get(single, single)
        code = int(octal, 8) if octal else int(next(h for h in hexes if h), 16)
        if code > 0x10FFFF or (octal and code > 0xFF):
            raise ValueError(f"escape {match.group()} is out of range")
        if (octal or hexes[0]) and code > 0x7F and delimiter == '"':
            raise ValueError(f"escape {match.group()} makes a string that is not UTF-8")
        return chr(code)

    return _ESCAPE.sub(one, text)


def _rune_literal(text: str) -> Value:
    rune = _unescape(text[1:-1], "'")
    if len(rune) != 1:
        raise ValueError(f"more than one character in rune literal {text}")
    return Value(ord(rune), UNTYPED_RUNE)


def _string_literal(text: str) -> Value:
    raw = text[0] == "`"
    return Value(text[1:-1].replace("\r", "") if raw else _unescape(text[1:-1], '"'), UNTYPED_STRING)


_LITERALS: dict[str, Callable[[str], Value]] = {
    "int": _int_literal,
    "float": _float_literal,
    "rune": _rune_literal,
    "string": _string_literal,
}


# ---- what others call -----------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The tree of an expression; an ExprError where it is none."""
    return _Parser(text).whole()


def evaluate(expression: str | Node, scope: Scope, iota: int | None = None) -> Value:
    """The value of an expression, exactly; an ExprError where the compiler would refuse it."""
    node = parse(expression) if isinstance(expression, str) else expression
    return node.evaluate(_Env(scope, iota))


def assign(value: Value, kind: ConstantType, text: str) -> Value:
    """A constant as the value of `const name kind = text`."""
    node = parse(text)
    if value.type == kind:
        return value
    if not value.type.untyped:
        raise node.error(f"cannot use {node.source()} ({value.type.name}) as {kind.name} value")
    return Value(_represent(node, value.value, kind), kind, value.variable)


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, from left to right."""
    yield node
    for child in node.children():
        yield from walk(child)


def names(expression: str | Node) -> tuple[str, ...]:
    """The constants and variables an expression mentions, each once, in order of appearance."""
    node = parse(expression) if isinstance(expression, str) else expression
    return tuple(dict.fromkeys(n.name for n in walk(node) if isinstance(n, Name)))


def functions(expression: str | Node) -> tuple[str, ...]:
    """What an expression calls: types it converts to, builtins, functions."""
    node = parse(expression) if isinstance(expression, str) else expression
    return tuple(dict.fromkeys(n.function.name for n in walk(node) if isinstance(n, CallExpr)))


def composites(expression: str | Node) -> tuple[str, ...]:
    """The types whose `T{}` an expression shows to unsafe."""
    node = parse(expression) if isinstance(expression, str) else expression
    return tuple(dict.fromkeys(n.type_name for n in walk(node) if isinstance(n, Composite)))


def steps(expression: str | Node, scope: Scope, iota: int | None = None) -> tuple[str, ...]:
    """The expression on its way to its value: names replaced, then operations, innermost first.

    The first step has every name replaced by its value, the last is the value; two
    steps never read the same. An expression that is one literal has no steps.
    """
    node = parse(expression) if isinstance(expression, str) else expression
    env = _Env(scope, iota)
    texts = [node.source()]
    for height in range(node.height + 1):
        text = _reduced(node, height, env, top=True)
        if text != texts[-1]:
            texts.append(text)
    return tuple(texts[1:])


def _reduced(node: Node, height: int, env: _Env, top: bool = False) -> str:
    """The text of a node with everything up to a height replaced by its value."""
    if isinstance(node, Composite) or (isinstance(node, Literal) and not top):
        return node.source()
    if isinstance(node, CallExpr) and not top and isinstance(node.arguments[0], Literal):
        # uintptr(0) stays as it is until something happens to it: a bare 0 would have no size.
        return node.source()
    if node.height <= height:
        value = str(node.evaluate(env))
        # -1 beside an operator wants its parentheses; alone it does not.
        return f"({value})" if value.startswith("-") and not top else value
    if isinstance(node, CallExpr) and node.function.name in ("unsafe.Offsetof", "len"):
        return node.source()
    text, at = "", node.start
    for child in node.children():
        alone = top and isinstance(node, Paren)
        text += node.text[at : child.start] + _reduced(
            child, height, env, alone or isinstance(node, CallExpr)
        )
        at = child.end
    return text + node.text[at : node.end]
