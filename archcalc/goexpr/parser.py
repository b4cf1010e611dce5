"""From the text of an expression to its tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from archcalc.goexpr.literals import LITERALS
from archcalc.goexpr.nodes import MAX_DEPTH, Binary, CallExpr, Composite, Literal, Name, Node, Paren, Unary
from archcalc.goexpr.values import ExprError


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
        if token.kind in LITERALS:
            if token.kind in ("int", "float") and self.tokens[self.at][:2] == ("name", "i"):
                raise self.fault(token, "complex constants are not supported")
            try:
                value = LITERALS[token.kind](token.text)
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


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The tree of an expression; an ExprError where it is none."""
    return _Parser(text).whole()
