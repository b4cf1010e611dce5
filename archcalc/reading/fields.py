"""What a file may say: declarations of fields, from which reading, JSON Schema and the docs all come.

A `FixedKeys` lists its fields; each has a kind (a range of integers, a size, a
choice …) and a line of help. `FixedKeys.read` turns a tree of `strictyaml` into
plain values and notes every fault at its place. Scalars mean what YAML 1.2
says; what YAML 1.1 read otherwise (`yes`, `010`, `1:30`, `1_000`) is refused
with what to write instead, so that no editor and no reader can differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from archcalc.reading import quantities, strictyaml
from archcalc.reading.strictyaml import Document, Node, Scalar, Sequence
from archcalc.reading.words import counted

INVALID: Any = type("Invalid", (), {"__repr__": lambda self: "INVALID"})()
"""The result of reading where there is a fault, which is noted in the document."""

# More digits than any address has; Python itself refuses to read enormous numbers.
_LONGEST_NUMBER = 40

_INT = re.compile(r"-?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
# Rarely needed, so compiled on demand.
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_NO_NUMBER = ("+.inf", "-.inf", ".inf", ".nan")
_OLD_INT = r"[-+]?(?:0b_*[01][01_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)"
_SEXAGESIMAL = r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
_OLD_BOOL = {"yes": "true", "no": "false", "on": "true", "off": "false", "true": "true", "false": "false"}
_NULL = ("~", "null", "Null", "NULL")
# Only these can begin anything but text.
_NOT_TEXT = frozenset("0123456789-+.~ynotfYNOTF")


class Meaning(NamedTuple):
    """What a scalar means: its type, its value, its words in a message, and a suggestion."""

    type: str  # "int", "float", "bool", "null", "text", or "unsure": YAML readers differ
    value: Any
    words: str
    suggestion: str = ""


def meaning(scalar: Scalar) -> Meaning:
    """A scalar by YAML 1.2's core schema; "unsure" where YAML 1.1 read it as something else."""
    text = scalar.text
    if scalar.quoted or (text and text[0] not in _NOT_TEXT):
        return Meaning("text", text, f"the text {_shown(text)}")
    if not text or text in _NULL:
        return Meaning("null", None, "nothing")
    if text in ("true", "false"):
        return Meaning("bool", text == "true", text)
    if text.lower() in _OLD_BOOL:
        return Meaning(
            "unsure", text, f"{text}, a boolean to some YAML readers only", _OLD_BOOL[text.lower()]
        )
    if text[0].isalpha():  # only text, which no number's pattern need be made for
        return Meaning("text", text, f"the text {_shown(text)}")
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return Meaning("int", int(text, 0), f"the number {text}")
        if re.fullmatch(_OLD_INT, text):
            return Meaning(
                "unsure", text, f"{text}, a number that YAML readers read differently", _plain_number(text)
            )
        if re.fullmatch(_SEXAGESIMAL, text):
            return Meaning("unsure", text, f"{text}, a number in base 60 to some YAML readers", f'"{text}"')
        if re.fullmatch(_FLOAT, text):
            return Meaning("float", float(text), f"the number {text}")
        if text.lower() in _NO_NUMBER:
            return Meaning("float", float(text.lower().replace(".", "")), text)
    elif text.lstrip("+-").isdigit():
        return Meaning("unsure", text, f"a number of {counted(len(text), 'digit')}")
    return Meaning("text", text, f"the text {_shown(text)}")


def _shown(text: str) -> str:
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}…"'


def _plain_number(text: str) -> str:
    """The number as every reader reads it; leading zeros are ignored."""
    sign, digits = ("-" if text[0] == "-" else ""), text.lstrip("+-").replace("_", "")
    if digits[:2] in ("0x", "0b"):
        value = int(digits, 0)
        return f"-{value}" if sign else hex(value)
    return f"{sign}{digits.lstrip('0') or '0'}"


def describe(node: Node) -> str:
    """What a node is, in a message's words."""
    if isinstance(node, Scalar):
        return meaning(node).words
    return "a list" if isinstance(node, Sequence) else "a mapping"


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that was probably meant, or ""."""
    import difflib  # only mistakes pay for it

    known = list(words)
    swapped = [other for other in known if sorted(other) == sorted(word)]
    found = swapped or difflib.get_close_matches(word, known, 1, 0.6)
    return found[0] if found else ""


class Kind:
    """A kind of value: how to read it, how to describe it, and its JSON Schema."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        """The value, or INVALID with a fault noted at the node."""
        raise NotImplementedError

    def words(self) -> str:
        """What is expected, for a message."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """The kind as JSON Schema (draft 2020-12)."""
        raise NotImplementedError

    def wrong(self, node: Node, document: Document, path: str, suggestion: str = "") -> Any:
        """Notes a value of the wrong kind."""
        if isinstance(node, Scalar) and not suggestion and (hint := meaning(node)).type == "unsure":
            suggestion = hint.suggestion
        document.fault(node, "wrong-type", f"{path} is {describe(node)}", self.words(), suggestion)
        return INVALID


class Int(Kind):
    """An integer from low to high, both included; decimal, 0x… or 0o…."""

    what = "an integer"
    highest = (1 << 64) - 1

    def __init__(self, low: int = 0, high: int | None = None) -> None:
        self.low = low
        self.high = self.highest if high is None else high

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Scalar) or (found := meaning(node)).type != "int":
            return self.wrong(node, document, path, self._unquoted(node))
        if not self.low <= found.value <= self.high:
            document.fault(node, "out-of-range", f"{path} is {found.value}", self.words())
            return INVALID
        return self.checked(found.value, node, document, path)

    def checked(self, value: int, node: Node, document: Document, path: str) -> Any:
        return value

    def allow(self, value: object) -> bool:
        """Whether a value that did not come from a document may be there; what is not a number may."""
        return not isinstance(value, int) or self.low <= value <= self.high

    def _unquoted(self, node: Node) -> str:
        quoted_number = isinstance(node, Scalar) and node.quoted and _INT.fullmatch(node.text)
        return f"{node.text} without quotes" if quoted_number and isinstance(node, Scalar) else ""

    def words(self) -> str:
        return f"{self.what} from {_number(self.low)} to {_number(self.high)}"

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def _number(value: int) -> str:
    return hex(value) if value > 0xFFFFFF else str(value)


class Size(Int):
    """Bytes, as an integer or as text such as 64k or 1.5g."""

    what = "a size such as 64k, 1.5g or plain bytes,"

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar) and meaning(node).type == "text":
            try:
                value = quantities.parse_size(node.text)
            except ValueError:
                return self.wrong(node, document, path)
            if not self.low <= value <= self.high:
                document.fault(node, "out-of-range", f"{path} is {node.text}", self.words())
                return INVALID
            return self.checked(value, node, document, path)
        return Int.read(self, node, document, path)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                Int.schema(self),
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*[kmgtpKMGTP]?([iI]?[bB])?$"},
            ]
        }


class Limit(Size):
    """A resource limit in bytes: a size, or unlimited, as the shell shows it."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar) and node.text.strip().lower() == quantities.UNLIMITED:
            return quantities.RLIM_INFINITY
        return Size.read(self, node, document, path)

    def words(self) -> str:
        return f"{Size.words(self)}, or {quantities.UNLIMITED}"

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [*Size.schema(self)["anyOf"], {"const": quantities.UNLIMITED}]}


class PowerOfTwo(Size):
    """Bytes, a power of two; 0 where low is 0."""

    what = "a power of two"

    def checked(self, value: int, node: Node, document: Document, path: str) -> Any:
        if value & (value - 1):
            below = 1 << (value.bit_length() - 1)
            near = below if value - below <= 2 * below - value else 2 * below
            document.fault(node, "not-power-of-two", f"{path} is {value}", self.words(), str(near))
            return INVALID
        return value

    def allow(self, value: object) -> bool:
        return super().allow(value) and not (isinstance(value, int) and value & (value - 1))

    def schema(self) -> dict[str, Any]:
        powers = [1 << bit for bit in range(64) if self.low <= 1 << bit <= self.high]
        numbers = {"type": "integer", "enum": [0, *powers] if self.low == 0 else powers}
        # A size in text is a power of two where its number is one; editors learn no more than that.
        spelt = "|".join(str(1 << bit) for bit in range(21))
        pattern = rf"^({spelt})\s*[kmgtpKMGTP]?([iI]?[bB])?$"
        return {"anyOf": [numbers, {"type": "string", "pattern": pattern}]}


class Address(Int):
    """An address in a 64-bit space; the end of the whole space, 2^64, is one too."""

    what = "an address"
    highest = 1 << 64


class Bool(Kind):
    """true or false, spelt so."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Scalar) or (found := meaning(node)).type != "bool":
            return self.wrong(node, document, path)
        return found.value

    def words(self) -> str:
        return "true or false"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Text(Kind):
    """Text that a pattern matches whole; a number or a bool needs quotes to be text."""

    def __init__(self, pattern: str = "", what: str = "text", longest: int = 10_000) -> None:
        self.pattern = pattern
        self.what = what
        self.longest = longest

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Scalar):
            return self.wrong(node, document, path)
        found = meaning(node)
        if found.type != "text":
            return self.wrong(node, document, path, f'"{node.text}"' if found.type != "null" else "")
        if len(node.text) > self.longest or (self.pattern and not re.fullmatch(self.pattern, node.text)):
            document.fault(node, "out-of-range", f"{path} is {found.words}", self.words())
            return INVALID
        return node.text

    def words(self) -> str:
        return self.what

    def schema(self) -> dict[str, Any]:
        return {"type": "string"} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


class Choice(Kind):
    """One of a few words, or of a few numbers."""

    def __init__(self, options: tuple[str | int, ...]) -> None:
        self.options = options

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar):
            found = meaning(node)
            if found.type in ("text", "int"):
                if any(
                    found.value == option and type(found.value) is type(option) for option in self.options
                ):
                    return found.value
                document.fault(
                    node,
                    "out-of-range",
                    f"{path} is {found.words}",
                    self.words(),
                    nearest(node.text, map(str, self.options)),
                )
                return INVALID
        return self.wrong(node, document, path)

    def words(self) -> str:
        *most, last = map(str, self.options)
        return f"{', '.join(most)} or {last}" if most else last

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.options)}


class SizeChoice(Choice):
    """Bytes, one of a few numbers of them; as an integer, or with a unit: 8b."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar) and meaning(node).type == "text":
            try:
                value = quantities.parse_size(node.text)
            except ValueError:
                value = -1
            if value in self.options:
                return value
        return Choice.read(self, node, document, path)

    def schema(self) -> dict[str, Any]:
        spelt = "|".join(map(str, self.options))
        return {"anyOf": [Choice.schema(self), {"type": "string", "pattern": rf"^({spelt})\s*[bB]$"}]}


class Null(Kind):
    """Nothing: `~`, `null`, or an empty place."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        return (
            None
            if isinstance(node, Scalar) and meaning(node).type == "null"
            else self.wrong(node, document, path)
        )

    def words(self) -> str:
        return "nothing"

    def schema(self) -> dict[str, Any]:
        return {"type": "null"}


class Number(Kind):
    """A number, whole or not, from low to high."""

    def __init__(self, low: float = 0.0, high: float = 1e300) -> None:
        self.low = low
        self.high = high

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Scalar) or (found := meaning(node)).type not in ("int", "float"):
            return self.wrong(node, document, path)
        if not self.low <= found.value <= self.high:  # not a number is in no range
            document.fault(node, "out-of-range", f"{path} is {found.words}", self.words())
            return INVALID
        return found.value

    def words(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.low, "maximum": self.high}


class Anything(Kind):
    """Any scalar, list or mapping, by YAML 1.2's meaning; ambiguous scalars are refused."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar):
            found = meaning(node)
            return self.wrong(node, document, path) if found.type == "unsure" else found.value
        if isinstance(node, Sequence):
            items = [self.read(item, document, f"{path}[{i}]") for i, item in enumerate(node.items)]
            return INVALID if INVALID in items else items
        values = {key.text: self.read(value, document, f"{path}.{key.text}") for key, value in node.entries}
        return INVALID if any(value is INVALID for value in values.values()) else values

    def words(self) -> str:
        return "a value that every YAML reader reads the same way"

    def schema(self) -> dict[str, Any]:
        return {}


class ListOf(Kind):
    """A list of one kind. With `alone`, a single value is read as a list of one."""

    def __init__(self, item: Kind, shortest: int = 0, longest: int = 10_000, alone: bool = False) -> None:
        self.item = item
        self.shortest = shortest
        self.longest = longest
        self.alone = alone

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Sequence):
            if self.alone:
                value = self.item.read(node, document, path)
                return INVALID if value is INVALID else [value]
            return self.wrong(node, document, path)
        if not self.shortest <= len(node.items) <= self.longest:
            found = f"{path} has {counted(len(node.items), 'item')}"
            document.fault(node, "out-of-range", found, self.words())
            return INVALID
        values = [self.item.read(item, document, f"{path}[{i}]") for i, item in enumerate(node.items)]
        return INVALID if any(value is INVALID for value in values) else values

    def words(self) -> str:
        least = f" of at least {self.shortest}" if self.shortest else ""
        return f"a list{least}, each {self.item.words()}" + (", or a single one" if self.alone else "")

    def schema(self) -> dict[str, Any]:
        items = {
            "type": "array",
            "items": self.item.schema(),
            "minItems": self.shortest,
            "maxItems": self.longest,
        }
        return {"anyOf": [self.item.schema(), items]} if self.alone else items


class Group(dict[str, Any]):
    """The values of a section, and where each stands: `at[key]` is (line, column) of its value."""

    __slots__ = ("at", "column", "line")

    def __init__(self, line: int, column: int) -> None:
        super().__init__()
        self.line = line
        self.column = column
        self.at: dict[str, tuple[int, int]] = {}


class MapOf(Kind):
    """A mapping with keys of the file's own, all values of one kind."""

    def __init__(self, value: Kind, key_pattern: str = "", key_words: str = "a name") -> None:
        self.value = value
        self.key_pattern = key_pattern
        self.key_words = key_words

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, strictyaml.Mapping):
            return self.wrong(node, document, path)
        group = Group(node.line, node.column)
        for key, value_node in node.entries:
            if self.key_pattern and not re.fullmatch(self.key_pattern, key.text):
                document.fault(key, "unknown-key", f"key {_shown(key.text)} in {path}", self.key_words)
                continue
            value = self.value.read(value_node, document, f"{path}.{key.text}")
            if value is not INVALID:
                group[key.text] = value
                group.at[key.text] = (value_node.line, value_node.column)
        return group

    def words(self) -> str:
        return f"a mapping from {self.key_words} to {self.value.words()}"

    def schema(self) -> dict[str, Any]:
        if not self.key_pattern:
            return {"type": "object", "additionalProperties": self.value.schema()}
        return {
            "type": "object",
            "patternProperties": {f"^(?:{self.key_pattern})$": self.value.schema()},
            "additionalProperties": False,
        }


class Either(Kind):
    """A scalar of one kind, a list of another, a mapping of a third: distinguished by their shape."""

    def __init__(
        self, scalar: Kind | None = None, sequence: Kind | None = None, mapping: Kind | None = None
    ) -> None:
        self.scalar = scalar
        self.sequence = sequence
        self.mapping = mapping

    def read(self, node: Node, document: Document, path: str) -> Any:
        shape = (
            self.scalar
            if isinstance(node, Scalar)
            else self.sequence
            if isinstance(node, Sequence)
            else self.mapping
        )
        return self.wrong(node, document, path) if shape is None else shape.read(node, document, path)

    def words(self) -> str:
        return ", or ".join(kind.words() for kind in (self.scalar, self.sequence, self.mapping) if kind)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [kind.schema() for kind in (self.scalar, self.sequence, self.mapping) if kind]}


class Checked(Kind):
    """A kind with a condition of its own: `why` says what is wrong with a value, or ""."""

    def __init__(self, kind: Kind, why: Callable[[Any], str]) -> None:
        self.kind = kind
        self.why = why

    def read(self, node: Node, document: Document, path: str) -> Any:
        value = self.kind.read(node, document, path)
        if value is not INVALID and (words := self.why(value)):
            document.fault(node, "out-of-range", f"{path} is {describe(node)}", words)
            return INVALID
        return value

    def words(self) -> str:
        return self.kind.words()

    def schema(self) -> dict[str, Any]:
        return self.kind.schema()


class Field:
    """One key of a section: its kind, a line of help with the unit, whether it must be there."""

    __slots__ = ("help", "kind", "required")

    def __init__(self, kind: Kind, help: str, required: bool = False) -> None:
        self.kind = kind
        self.help = help
        self.required = required


class FixedKeys(Kind):
    """A mapping with a fixed set of keys.

    Of a `partial` section only a part need be in the file, since the rest can
    come from another one: whoever combines them checks what is required.
    """

    def __init__(self, fields: Mapping[str, Field], name: str = "", partial: bool = False) -> None:
        self.fields = fields
        self.name = name
        self.partial = partial

    def read(self, node: Node, document: Document, path: str = "") -> Any:
        """A Group of the valid keys; notes a fault for each of the others, and for each missing one."""
        if not isinstance(node, strictyaml.Mapping):
            return self.wrong(node, document, path)
        prefix = f"{path}." if path else ""
        where = f" in {path}" if path else ""
        group = Group(node.line, node.column)
        seen: set[str] = set()
        for key, value_node in node.entries:
            field = self.fields.get(key.text)
            if field is None:
                document.fault(
                    key,
                    "unknown-key",
                    f"unknown key {_shown(key.text)}{where}",
                    f"one of {', '.join(self.fields)}",
                    nearest(key.text, self.fields),
                )
                continue
            seen.add(key.text)
            value = field.kind.read(value_node, document, f"{prefix}{key.text}")
            if value is not INVALID:
                group[key.text] = value
                group.at[key.text] = (value_node.line, value_node.column)
        if self.partial:
            return group
        for name, field in self.fields.items():
            if field.required and name not in seen:
                document.fault(node, "missing-key", f"no {name}{where}", f"{name}: {field.kind.words()}")
        return group

    def words(self) -> str:
        return f"a mapping with {', '.join(self.fields)}"

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"title": self.name} if self.name else {}
        schema |= {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"description": field.help, **field.kind.schema()}
                for name, field in self.fields.items()
            },
        }
        required = [name for name, field in self.fields.items() if field.required]
        if required and not self.partial:
            schema["required"] = required
        return schema


def read_file(
    data: bytes,
    section: FixedKeys,
    document: Document,
    check: Callable[[Group, Document], None] | None = None,
) -> Group | None:
    """A whole file by its section; None where nothing can be read. Faults are noted in the document."""
    tree = strictyaml.parse(data, document)
    if tree is None:
        return None
    group: Group = section.read(tree, document)
    if check is not None:
        check(group, document)
    return group
