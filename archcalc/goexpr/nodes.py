"""An expression as a tree: each node knows its place in the text, and evaluates itself exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from archcalc.goexpr.arithmetic import (
    COMPARISONS,
    FLOAT_OPERATIONS,
    INTEGER_OPERATIONS,
    convert,
    fit,
    represent,
    shift,
    shift_count,
)
from archcalc.goexpr.scope import Function, Scope
from archcalc.goexpr.values import (
    DEFAULT_TYPES,
    RANK,
    UNTYPED_BOOL,
    UNTYPED_INT,
    ConstantType,
    ExprError,
    Value,
    basic_types,
)

MAX_DEPTH = 100
"""Nesting beyond this is nobody's constant; it keeps the recursion within Python's."""


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

    def evaluate(self, env: Env) -> Value:
        raise NotImplementedError

    def source(self) -> str:
        """The text this node was parsed from."""
        return self.text[self.start : self.end]

    def error(self, message: str) -> ExprError:
        return ExprError(self.text, self.start + 1, message)


class Env:
    """What an evaluation goes by: the names, iota in a declaration, and what parses a function's body."""

    __slots__ = ("iota", "parse", "scope")

    def __init__(self, scope: Scope, iota: int | None, parse: Callable[[str], Node]) -> None:
        self.scope = scope
        self.iota = iota
        self.parse = parse


class Literal(Node):
    """A number, a rune, a string."""

    __slots__ = ("value",)

    def __init__(self, text: str, start: int, end: int, value: Value) -> None:
        super().__init__(text, start, end, ())
        self.value = value

    def evaluate(self, env: Env) -> Value:
        return self.value


class Name(Node):
    """A name, qualified or not."""

    __slots__ = ("name",)

    def __init__(self, text: str, start: int, end: int, name: str) -> None:
        super().__init__(text, start, end, ())
        self.name = name

    def evaluate(self, env: Env) -> Value:
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

    def evaluate(self, env: Env) -> Value:
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

    def evaluate(self, env: Env) -> Value:
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

    def evaluate(self, env: Env) -> Value:
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
            return fit(self, -value, kind, x.variable)
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

    def evaluate(self, env: Env) -> Value:
        x, y = self.left.evaluate(env), self.right.evaluate(env)
        operator = self.operator
        if operator in ("<<", ">>"):
            count = shift_count(self.right, y, env.scope.signed_shift_counts)
            return shift(self, operator, x, count, y.variable)
        (a, x_type, variable), (b, y_type, b_variable) = x, y  # quicker than by name
        kind = self._common_type(x_type, y_type)
        variable = variable or b_variable
        if x_type != kind:
            a = represent(self.left, a, kind)
        if y_type != kind:
            b = represent(self.right, b, kind)
        compare = COMPARISONS.get(operator)
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
            result: int | Fraction = INTEGER_OPERATIONS[operator](int(a), int(b))
        else:
            result = FLOAT_OPERATIONS[operator](Fraction(a), Fraction(b))
        return fit(self, result, kind, variable)

    def _common_type(self, x: ConstantType, y: ConstantType) -> ConstantType:
        """The type that both operands have or take."""
        if x == y:
            return x
        if x.untyped and y.untyped and x.numeric and y.numeric:
            return x if RANK[x.kind] > RANK[y.kind] else y
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

    def evaluate(self, env: Env) -> Value:
        name, scope = self.function.name, env.scope
        kind = scope.type(name)
        if kind is not None:
            argument = self._only()
            return convert(argument, argument.evaluate(env), kind)
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
        return self._apply(function, values, env)

    def _extreme(self, name: str, env: Env) -> Value:
        """The builtins min and max, of constants and variables of one type (Go 1.21 and later)."""
        values = [a.evaluate(env) for a in self.arguments]
        kind = values[0].type
        for value in values[1:]:
            kind = Binary(self.text, "<", self.start, self, self)._common_type(kind, value.type)
        pairs = zip(self.arguments, values, strict=True)
        plain = [represent(a, v.value, kind) if v.type != kind else v.value for a, v in pairs]
        if any(isinstance(one, bool) for one in plain):
            raise self.error(f"invalid argument of {name}: bool is not ordered")
        best = min(plain) if name == "min" else max(plain)
        return Value(best, kind, any(value.variable for value in values))

    def _apply(self, function: Function, values: list[Value], env: Env) -> Value:
        # The parameters of runtime's helpers are uintptr, and what is passed is a variable.
        scope = env.scope
        uintptr = basic_types(scope.ptr_size)["uintptr"]
        arguments = {
            parameter: Value(represent(node, value.value, uintptr), uintptr, True)
            for parameter, node, value in zip(function.parameters, self.arguments, values, strict=True)
        }
        return env.parse(function.body).evaluate(Env(Scope(scope.ptr_size, arguments), None, env.parse))

    def _only(self) -> Node:
        if len(self.arguments) != 1:
            raise self.error(f"{self.function.name} takes one argument, not {len(self.arguments)}")
        return self.arguments[0]

    def _unsafe(self, what: str, env: Env) -> Value:
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
            kind = basic_types(env.scope.ptr_size)[DEFAULT_TYPES[kind.kind]]
        if not kind.bits:
            raise argument.error(f"unsafe.{what} of a {kind.name} is not supported")
        size = kind.bits // 8
        # Only a struct can say how 8-byte values align; words and what is smaller do so naturally.
        if what == "Alignof" and size > env.scope.ptr_size:
            raise argument.error(f"unsafe.Alignof of a {kind.name} is not supported")
        return Value(size, uintptr)

    def _length(self, env: Env) -> Value:
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
