"""The value of an expression, at once or step by step."""

from __future__ import annotations

from archcalc.goexpr.arithmetic import represent
from archcalc.goexpr.nodes import CallExpr, Composite, Env, Literal, Node, Paren
from archcalc.goexpr.parser import parse
from archcalc.goexpr.scope import Scope
from archcalc.goexpr.values import ConstantType, Value


def evaluate(expression: str | Node, scope: Scope, iota: int | None = None) -> Value:
    """The value of an expression, exactly; an ExprError where the compiler would refuse it."""
    node = parse(expression) if isinstance(expression, str) else expression
    return node.evaluate(Env(scope, iota, parse))


def assign(value: Value, kind: ConstantType, text: str) -> Value:
    """A constant as the value of `const name kind = text`."""
    node = parse(text)
    if value.type == kind:
        return value
    if not value.type.untyped:
        raise node.error(f"cannot use {node.source()} ({value.type.name}) as {kind.name} value")
    return Value(represent(node, value.value, kind), kind, value.variable)


def steps(expression: str | Node, scope: Scope, iota: int | None = None) -> tuple[str, ...]:
    """The expression on its way to its value: names replaced, then operations, innermost first.

    The first step has every name replaced by its value, the last is the value; two
    steps never read the same. An expression that is one literal has no steps.
    """
    node = parse(expression) if isinstance(expression, str) else expression
    env = Env(scope, iota, parse)
    texts = [node.source()]
    for height in range(node.height + 1):
        text = _reduced(node, height, env, top=True)
        if text != texts[-1]:
            texts.append(text)
    return tuple(texts[1:])


def _reduced(node: Node, height: int, env: Env, top: bool = False) -> str:
    """The text of a node with everything up to a height replaced by its value."""
    if isinstance(node, Composite) or (isinstance(node, Literal) and not top):
        return node.source()
    if isinstance(node, CallExpr) and not top and isinstance(node.arguments[0], Literal):
        # uintptr(0) stays as it is until something happens to it: a bare 0 would have no size.
        return node.source()
    if node.height <= height:
        value = str(node.evaluate(env))
        # -1 beside an operator needs its parentheses; alone it does not.
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
