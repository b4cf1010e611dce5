"""What an expression mentions: constants, functions, types."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.goexpr.nodes import CallExpr, Composite, Name, Node
from archcalc.goexpr.parser import parse


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
