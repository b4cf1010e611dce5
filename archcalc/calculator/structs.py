"""Struct layouts by the rules of the gc compiler (widstruct and dowidth, cmd/compile/internal/gc/align.go).

A field is at the next multiple of its type's alignment; a struct is aligned
as its strictest field and its size is a multiple of that. A scalar is aligned to
its size, but 8-byte ones to the size of a register: 4 on 386, 8 on amd64p32
although pointers have 4 bytes there. Words, and what is made of words, are aligned
to a pointer. A struct whose last field has no size gets a byte of padding, so that the
field's address is inside.

Types are parsed from Go's own declarations; array lengths are constant
expressions and may ask for the size of other types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from archcalc import goexpr
from archcalc.goexpr import ExprError, Scope, Token
from archcalc.reading.words import counted

MAX_DEPTH = 50
ALIGN64 = "atomic.align64"
"""The type that aligns 64-bit atomics on 32-bit ports (CalcStructSize, cmd/compile/internal/types)."""
MAX_WIDTH = 1 << 50
"""Bytes that no type may reach on 64-bit machines (MAXWIDTH, cmd/compile/internal/amd64/galign.go)."""


class StructError(Exception):
    """A type that cannot be laid out: unknown, recursive, too large, or not Go at all."""


# ---- types ----------------------------------------------------------------------------------


class Named(NamedTuple):
    """A type by its name, basic or declared."""

    name: str


class PointerWords(NamedTuple):
    """Something that is a fixed number of pointers: a pointer, a func, a map, a slice, a string."""

    number: int


class Array(NamedTuple):
    """`[length]element`; the length is a constant expression."""

    length: str
    element: Type


class Member(NamedTuple):
    """A field of a declaration. An embedded field is named like its type."""

    name: str
    type: Type
    text: str
    line: int


class Struct(NamedTuple):
    """`struct { … }`."""

    members: tuple[Member, ...]


Type = Named | PointerWords | Array | Struct


class Declaration(NamedTuple):
    """`type name …`, with the file and the line it is in and the text of the type."""

    name: str
    type: Type
    text: str
    file: str
    line: int
    when: str = ""
    """The condition under which this is the declaration, where files of different ports have their own."""


# ---- layouts --------------------------------------------------------------------------------


class StructField(NamedTuple):
    """A field in its place: offset, size and alignment in bytes, its Go type, the line it is declared in."""

    name: str
    offset: int
    size: int
    align: int
    type: str
    line: int
    struct: StructLayout | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StructLayout:
    """A struct laid out: size and alignment in bytes, fields in order."""

    name: str
    size: int
    align: int
    fields: tuple[StructField, ...]
    file: str = ""
    line: int = 0

    def field(self, name: str) -> StructField:
        """The field of that name; KeyError where there is none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def offset_of(self, path: str) -> int:
        """Bytes from the start to a field, or to a field of a field, as in `workbufhdr.node`."""
        name, _, rest = path.partition(".")
        own = self.field(name)
        if not rest:
            return own.offset
        if own.struct is None:
            raise KeyError(path)
        return own.offset + own.struct.offset_of(rest)

    def size_of(self, path: str) -> int:
        """Bytes of a field, or of a field of a field."""
        name, _, rest = path.partition(".")
        own = self.field(name)
        if not rest:
            return own.size
        if own.struct is None:
            raise KeyError(path)
        return own.struct.size_of(rest)


class Measure(NamedTuple):
    """Size and alignment of any type, and its layout where it is a struct."""

    size: int
    align: int
    struct: StructLayout | None = None


_SIZES = {
    "bool": 1, "int8": 1, "uint8": 1, "byte": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4,
    "rune": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip
_WORDS = {"int": 1, "uint": 1, "uintptr": 1, "unsafe.Pointer": 1, "string": 2, "error": 2, "any": 2}


class Layouts:
    """Lays out the declared types on one platform.

    `scope` evaluates array lengths. `structs` answers for the layout of a declared
    struct, so that each is laid out only once.
    """

    def __init__(
        self,
        declarations: Mapping[str, Declaration],
        scope: Scope,
        ptr_size: int,
        reg_size: int,
        structs: Callable[[str], StructLayout] | None = None,
    ) -> None:
        self.declarations = declarations
        self.scope = scope
        self.ptr_size = ptr_size
        self.reg_size = reg_size
        self.structs = structs or self.layout
        self._open: list[str] = []

    def layout(self, name: str) -> StructLayout:
        """The layout of a declared struct. Raises StructError, or ExprError for an array length."""
        declaration = self.declarations.get(name)
        if declaration is None:
            raise StructError(f"undefined: {name}")
        kind = underlying(name, self.declarations)
        if kind is None:
            raise StructError(f"{name} is not a struct")
        if name in self._open:
            raise StructError(f"invalid recursive type {name}")
        self._open.append(name)
        try:
            return self._lay_out(name, kind, declaration.file, declaration.line)
        finally:
            self._open.pop()

    def measure(self, kind: Type) -> Measure:
        """Size and alignment of a type (dowidth)."""
        if isinstance(kind, PointerWords):
            return Measure(kind.number * self.ptr_size, self.ptr_size)
        if isinstance(kind, Struct):
            struct = self._lay_out("struct", kind, "", 0)
            return Measure(struct.size, struct.align, struct)
        if isinstance(kind, Array):
            return self._measure_array(kind)
        return self._measure_named(kind.name)

    def _measure_named(self, name: str) -> Measure:
        declaration = self.declarations.get(name)
        if declaration is not None:
            if not isinstance(declaration.type, Struct):
                if name in self._open:
                    raise StructError(f"invalid recursive type {name}")
                self._open.append(name)
                measure = self.measure(declaration.type)
                self._open.pop()
                return measure
            if name in self._open:
                raise StructError(f"invalid recursive type {name}")
            struct = self.structs(name)
            return Measure(struct.size, struct.align, struct)
        if name in _SIZES:
            size = _SIZES[name]
            return Measure(size, self.reg_size if size == 8 else size)
        if name in _WORDS:
            return Measure(_WORDS[name] * self.ptr_size, self.ptr_size)
        if name == "complex64":
            return Measure(8, 4)
        if name == "complex128":
            return Measure(16, self.reg_size)
        raise StructError(f"undefined: {name}")

    def _measure_array(self, kind: Array) -> Measure:
        length = goexpr.evaluate(kind.length, self.scope).value
        if isinstance(length, (bool, str)) or length != int(length):
            raise StructError(f"array bound {kind.length} is not an integer")
        if length < 0:
            raise StructError(f"array bound {kind.length} is negative: {length}")
        element = self.measure(kind.element)
        return Measure(self._checked(int(length) * element.size, "array"), element.align)

    def _lay_out(self, name: str, kind: Struct, file: str, line: int) -> StructLayout:
        # The compiler knows this empty type by its name: what holds a 64-bit atomic is aligned to 8.
        is_align64 = name == ALIGN64 or (name == "align64" and "/atomic/" in file)
        offset, align, last_zero = 0, 8 if is_align64 else 1, -1
        fields = []
        for member in kind.members:
            size, own_align, struct = self.measure(member.type)
            align = max(align, own_align)
            offset = _round(offset, own_align)
            fields.append(StructField(member.name, offset, size, own_align, member.text, member.line, struct))
            if size == 0:
                last_zero = offset
            offset += size
        if 0 < offset == last_zero:
            # An address of the last field must not be that of the next object (issue 9401).
            offset += 1
        size = self._checked(_round(offset, align), name)
        return StructLayout(name, size, align, tuple(fields), file, line)

    def _checked(self, size: int, name: str) -> int:
        if size >= (1 << 31 if self.ptr_size == 4 else MAX_WIDTH):
            raise StructError(f"type {name} too large: {counted(size, 'byte')}")
        return size


def _round(offset: int, align: int) -> int:
    return -(-offset // align) * align


class Needs(NamedTuple):
    """What a type's layout follows from: the constants of its array lengths, and other declared types."""

    names: tuple[str, ...]
    types: tuple[str, ...]


def needs(declaration: Declaration, declared: Mapping[str, Declaration], fields: int | None = None) -> Needs:
    """The names and the types that a declaration, or its first fields, mentions by value, each once."""
    names: dict[str, None] = {}
    types: dict[str, None] = {}

    def visit(kind: Type) -> None:
        if isinstance(kind, Named) and kind.name in declared:
            types[kind.name] = None
        elif isinstance(kind, Array):
            names.update(dict.fromkeys(goexpr.names(kind.length)))
            types.update(dict.fromkeys(goexpr.composites(kind.length)))
            visit(kind.element)
        elif isinstance(kind, Struct):
            for member in kind.members:
                visit(member.type)

    kind = declaration.type
    visit(Struct(kind.members[:fields]) if isinstance(kind, Struct) else kind)
    return Needs(tuple(names), tuple(types))


def underlying(name: str, declared: Mapping[str, Declaration]) -> Struct | None:
    """The struct that a declared type is, itself or by way of the types it is declared as; else None."""
    for _ in range(MAX_DEPTH):
        declaration = declared.get(name)
        if declaration is None:
            return None
        if isinstance(declaration.type, Struct):
            return declaration.type
        if not isinstance(declaration.type, Named):
            return None
        name = declaration.type.name
    return None


def needs_of(
    declaration: Declaration, declared: Mapping[str, Declaration], fields: int | None = None
) -> Needs:
    """As `needs`, but by way of the declared types that are not structs: constants and structs remain."""
    names: dict[str, None] = {}
    types: dict[str, None] = {}
    seen: set[str] = set()
    struct = underlying(declaration.name, declared)
    waiting = [
        needs(declaration._replace(type=struct) if struct is not None else declaration, declared, fields)
    ]
    while waiting:
        found = waiting.pop()
        names.update(dict.fromkeys(found.names))
        for name in found.types:
            if isinstance(declared[name].type, Struct) or underlying(name, declared) is not None:
                types[name] = None
            elif name not in seen:
                seen.add(name)
                waiting.append(needs(declared[name], declared))
    return Needs(tuple(names), tuple(types))


# ---- the parser -----------------------------------------------------------------------------


def noted_line(text: str, at: int) -> int:
    """The line number that a table notes after // at the end of the line in which `at` stands."""
    end = text.find("\n", at)
    match = re.search(r"//\s*(\d+)\s*$", text[at : end if end >= 0 else len(text)])
    return int(match[1]) if match else 0


def source_line(text: str, at: int) -> int:
    """The line, from 1, in which `at` stands."""
    return text.count("\n", 0, at) + 1


def parse_declarations(
    text: str, file: str = "", line_of: Callable[[str, int], int] = source_line
) -> dict[str, Declaration]:
    """All `type NAME …` declarations at the start of a line of a Go text, by name.

    Raises StructError for a type that is not Go. Type parameters and groups, `type (…)`,
    are not read.
    """
    found = {}
    for match in re.finditer(r"^type ([\w.]+) (?:= )?(?!\()", text, re.MULTILINE):
        parser = _TypeParser(text, match.end(), line_of)
        kind = parser.type()
        found[match[1]] = Declaration(
            match[1], kind, parser.text_since(match.end()), file, line_of(text, match.start())
        )
    return found


class _TypeParser:
    def __init__(self, text: str, at: int, line_of: Callable[[str, int], int]) -> None:
        self.text = text
        self.line_of = line_of
        self.tokens: Iterator[Token] = goexpr.tokens(text, at)
        self.end = at
        self.depth = 0
        self.token = next(self.tokens, Token("end", "", len(text)))

    def take(self) -> Token:
        token = self.token
        self.end = token.start + len(token.text)
        self.token = next(self.tokens, Token("end", "", len(self.text)))
        return token

    def expect(self, text: str) -> None:
        if self.token.text != text:
            line = source_line(self.text, self.token.start)
            raise StructError(f"line {line}: found {self.token.text or 'the end'}; expected {text}")
        self.take()

    def text_since(self, start: int) -> str:
        return self.text[start : self.end]

    def same_line(self) -> bool:
        """Whether the next word is in the line of the last one."""
        return "\n" not in self.text[self.end : self.token.start]

    def type(self) -> Type:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise StructError("type nested too deeply")
        try:
            return self._type()
        finally:
            self.depth -= 1

    def _type(self) -> Type:
        token = self.take()
        if token.text == "*":
            self.type()
            return PointerWords(1)
        if token.text == "(":
            kind = self.type()
            self.expect(")")
            return kind
        if token.text == "[":
            return self.array()
        if token.text == "<":
            self.expect("-")
            self.expect("chan")
            self.type()
            return PointerWords(1)
        if token.kind != "name":
            line = source_line(self.text, token.start)
            raise StructError(f"line {line}: found {token.text or 'the end'}; expected a type")
        if token.text == "struct":
            return self.struct()
        if token.text == "func":
            self.signature()
            return PointerWords(1)
        if token.text == "map":
            self.expect("[")
            self.type()
            self.expect("]")
            self.type()
            return PointerWords(1)
        if token.text == "chan":
            if self.token.text == "<":
                self.take()
                self.expect("-")
            self.type()
            return PointerWords(1)
        if token.text == "interface":
            self.braces("{", "}")
            return PointerWords(2)
        name = token.text
        if self.token.text == "." and self.same_line():
            self.take()
            name += "." + self.take().text
        if self.token.text == "[" and self.same_line():
            # What a generic type is made for does not change the layout of those that the runtime has.
            self.braces("[", "]")
        return Named(name) if name != "unsafe.Pointer" else PointerWords(1)

    def array(self) -> Type:
        if self.token.text == "]":
            self.take()
            self.type()
            return PointerWords(3)
        start, depth = self.token.start, 0
        while depth or self.token.text != "]":
            if self.token.kind == "end":
                raise StructError("an array length without its ]")
            depth += {"[": 1, "]": -1}.get(self.token.text, 0)
            self.take()
        length = self.text_since(start)
        self.expect("]")
        return Array(length, self.type())

    def signature(self) -> None:
        """The rest of a func type; a result without parentheses is in the same line."""
        self.braces("(", ")")
        if not self.same_line():
            return
        if self.token.text == "(":
            self.braces("(", ")")
        elif self.token.kind == "name" or self.token.text in ("*", "["):
            self.type()

    def braces(self, left: str, right: str) -> None:
        self.expect(left)
        depth = 1
        while depth:
            if self.token.kind == "end":
                raise StructError(f"a {left} without its {right}")
            depth += {left: 1, right: -1}.get(self.token.text, 0)
            self.take()

    def struct(self) -> Struct:
        self.expect("{")
        members: list[Member] = []
        while self.token.text != "}":
            if self.token.text == ";":
                self.take()
                continue
            members += self.members()
            if self.token.kind == "string":
                self.take()
        self.take()
        return Struct(tuple(members))

    def members(self) -> list[Member]:
        """One line of a struct: names and their type, or an embedded type."""
        start = self.token.start
        line = self.line_of(self.text, start)
        if self.token.text == "*":
            self.take()
            return [self.embedded(start, line, pointer=True)]
        names = [self.name()]
        while self.token.text == ",":
            self.take()
            names.append(self.name())
        alone = not self.same_line() or self.token.text in ("}", ";", ".") or self.token.kind == "string"
        if len(names) == 1 and alone:
            return [self.embedded(start, line, names[0])]
        at = self.token.start
        kind = self.type()
        return [Member(name, kind, " ".join(self.text_since(at).split()), line) for name in names]

    def embedded(self, start: int, line: int, name: str = "", pointer: bool = False) -> Member:
        name = own = name or self.name()
        if self.token.text == "." and self.same_line():
            self.take()
            own = self.name()
            name = f"{name}.{own}"
        return Member(own, PointerWords(1) if pointer else Named(name), self.text_since(start), line)

    def name(self) -> str:
        if self.token.kind != "name":
            line = source_line(self.text, self.token.start)
            raise StructError(f"line {line}: found {self.token.text or 'the end'}; expected a field")
        return self.take().text


__all__ = [
    "Declaration",
    "ExprError",
    "Layouts",
    "Measure",
    "Needs",
    "StructError",
    "StructField",
    "StructLayout",
    "needs",
    "noted_line",
    "parse_declarations",
    "source_line",
]
