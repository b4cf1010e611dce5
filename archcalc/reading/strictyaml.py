"""YAML read strictly: bytes in, a tree in which every node knows its line and column out.

Profiles, scenarios and the configuration share this reader. It works on the
parser's events, so nothing is ever built from a tag, an alias shares the node
that it names, and the limits on depth and size hold before anything recurses.
Scalars stay text: what they mean is for `fields` to say, which knows what is
expected at that place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from archcalc.reading.errors import Fault, UsageFault

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# No file of facts comes near these; beyond them the file is a mistake or an attack.
MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000

# What YAML calls printable, less the line breaks that editors do not count as such
# (next line, line and paragraph separator): they would shift every later line number.
_ASCII = bytes([9, 10, 13, *range(0x20, 0x7F)])
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"


# Plain classes: a file makes hundreds of nodes, and every start of the program imports this file.
class Scalar:
    """Text as it is in the file; quoted text is never anything but text."""

    __slots__ = ("column", "line", "quoted", "text", "weight")

    def __init__(self, line: int, column: int, text: str, quoted: bool = False) -> None:
        self.line = line
        self.column = column
        self.text = text
        self.quoted = quoted
        self.weight = 1


class Sequence:
    """A list of nodes; `weight` is how many there are in all, aliases unfolded."""

    __slots__ = ("column", "items", "line", "weight")

    def __init__(self, line: int, column: int, items: list[Node], weight: int = 1) -> None:
        self.line = line
        self.column = column
        self.items = items
        self.weight = weight


class Mapping:
    """Keys and values in the order of the file; a key is in it once."""

    __slots__ = ("column", "entries", "line", "weight")

    def __init__(self, line: int, column: int, entries: list[tuple[Scalar, Node]], weight: int = 1) -> None:
        self.line = line
        self.column = column
        self.entries = entries
        self.weight = weight


Node = Scalar | Sequence | Mapping


class Document:
    """One file being read: its name, what kind of file it is, and the faults found so far.

    The kind ("profile", "scenario", "config") is the first part of the faults' ids.
    """

    __slots__ = ("fault_type", "faults", "file", "kind")

    def __init__(
        self, file: str, kind: str, faults: list[Fault], fault_type: type[UsageFault] = UsageFault
    ) -> None:
        self.file = file
        self.kind = kind
        self.faults = faults
        self.fault_type = fault_type

    def fault(
        self, at: Node | tuple[int, int], what: str, found: str, expected: str = "", suggestion: str = ""
    ) -> None:
        """Notes a fault at a node or at (line, column), and continues."""
        line, column = at if isinstance(at, tuple) else (at.line, at.column)
        self.faults.append(Fault(found, expected, suggestion, f"{self.kind}-{what}", self.file, line, column))

    def stop(self) -> UsageFault:
        """The exception that carries all faults, each once, by file and place."""
        return self.fault_type(*in_order(self.faults))


def in_order(faults: list[Fault]) -> list[Fault]:
    """Each fault once, by file and place, since what is read twice has its faults twice."""
    return sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line, fault.column))


class _Stop(Exception):
    """Reading cannot go on; the fault is noted."""


def read_bytes(path: str | Path, document: Document) -> bytes | None:
    """The file's bytes, or None with a fault noted. Reads at most one byte more than is allowed."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        document.fault((0, 0), "unreadable", f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a path with a NUL in it
        document.fault((0, 0), "unreadable", f"cannot be read: {error}")
    return None


def parse(data: bytes, document: Document) -> Mapping | None:
    """The tree of a file that holds one mapping; None when a fault leaves nothing to read.

    Faults are noted in the document. Duplicate keys, tags and a second document do
    not keep the rest from being read; encoding, syntax, depth and size do.
    """
    text = _decode(data, document)
    if text is None:
        return None
    loader = _LOADER(text)
    try:
        return _Composer(loader, document).root()
    except _Stop:
        return None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The last two are escapes beyond Unicode, where there is no libyaml to refuse them.
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if not _too_deep(text, mark, document):
            _broken(text, mark, document)
    finally:
        loader.dispose()
    return None


def _too_deep(text: str, mark: Any, document: Document) -> bool:
    """Whether the parser gave up on nesting that is past our own limit; notes the fault then.

    libyaml reads ahead to the end of a line, and has a limit of its own since PyYAML 6.0.4: its error comes
    before the event at which `_Composer` stops. PyYAML's parser in Python has no limit and is asked instead.
    """
    before = text[: mark.index] if mark else text
    opened = before.count("[") + before.count("{") - before.count("]") - before.count("}")
    if opened <= MAX_DEPTH:
        return False
    loader: Any = yaml.SafeLoader(before)
    aside = Document(document.file, document.kind, [], document.fault_type)
    try:
        _Composer(loader, aside).root()
    except (_Stop, yaml.YAMLError, ValueError, OverflowError):
        document.faults.extend(fault for fault in aside.faults if fault.id == f"{document.kind}-too-deep")
    finally:
        loader.dispose()
    return any(fault.id == f"{document.kind}-too-deep" for fault in document.faults)


def _broken(text: str, mark: Any, document: Document) -> None:
    """Notes text that is not YAML, in our own words: a parser's words change with its version."""
    if mark is None:
        document.fault((1, 1), "syntax", "not YAML", "valid YAML")
        return
    place = (mark.line + 1, mark.column + 1)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    here = line[mark.column : mark.column + 1]
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation and mark.column <= len(indentation):
        document.fault(place, "syntax", "a tab in the indentation", "spaces")
    elif not here and not "".join(lines[mark.line + 1 :]).strip():
        document.fault(
            place, "syntax", "the file ends inside a value", "a closing bracket or quote before the end"
        )
    elif here in "@`%|>&*!" and here:
        document.fault(place, "syntax", f"a value begins with {here}", "quotes around the value")
    elif here == ":":
        document.fault(
            place, "syntax", "a second colon in `key: value`", "quotes around a value that contains a colon"
        )
    else:
        document.fault(place, "syntax", "not YAML from here on", "valid YAML")


def _decode(data: bytes, document: Document) -> str | None:
    if len(data) > MAX_BYTES:
        document.fault((1, 1), "too-big", "the file is larger than 1 MB", "a few KB of facts")
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        document.fault((1, 1), "encoding", "the file is UTF-16", "UTF-8")
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        document.fault((1, 1), "encoding", "the file begins with a byte order mark", "UTF-8 without one")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        document.fault(_place(before), "encoding", f"byte 0x{data[error.start]:02x} is not UTF-8", "UTF-8")
        return None
    if not data.translate(None, _ASCII):
        return text
    if (bad := re.search(_UNPRINTABLE, text)) is not None:
        document.fault(
            _place(text[: bad.start()]),
            "encoding",
            f"character U+{ord(bad[0]):04X} is not printable",
            "plain text",
        )
        return None
    return text


def _place(before: str) -> tuple[int, int]:
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


class _Composer:
    """Builds the tree of one document from the parser's events."""

    def __init__(self, loader: Any, document: Document) -> None:
        self.next_event = loader.get_event
        self.document = document
        self.anchors: dict[str | None, Node | None] = {}
        self.nodes = 0

    def root(self) -> Mapping | None:
        """The one mapping of the file, or None with a fault noted."""
        next_event, document = self.next_event, self.document
        next_event()  # the stream's start
        start = next_event()
        if isinstance(start, yaml.StreamEndEvent):
            document.fault((1, 1), "not-mapping", "the file is empty", "a mapping, `key: value`")
            return None
        root = self.node(next_event(), 0)
        next_event()  # the document's end
        more = next_event()
        if not isinstance(more, yaml.StreamEndEvent):
            mark = more.start_mark
            document.fault(
                (mark.line + 1, mark.column + 1),
                "documents",
                "a second document begins here",
                "one document a file",
            )
        if not isinstance(root, Mapping):
            what = "a list" if isinstance(root, Sequence) else "a single value"
            document.fault(root, "not-mapping", f"the document is {what}", "a mapping, `key: value`")
            return None
        return root

    def node(self, event: Any, depth: int) -> Node:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        plain = type(event) is yaml.ScalarEvent and event.tag is event.anchor is None
        if plain and event.value.isascii() and self.nodes < MAX_NODES:  # nearly every node of a file
            self.nodes += 1
            return Scalar(line, column, event.value, bool(event.style))
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor, line, column)
        self.count(1, line, column)
        if event.tag is not None:
            self.document.fault(
                (line, column), "tag", f"the tag {event.tag}", "a plain value: tags are not read"
            )
        anchor = event.anchor
        if anchor is not None:
            # None until the node is whole: an alias to it from within would be a loop.
            self.anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(line, column, event.value, bool(event.style))
            if not event.value.isascii() and re.search("[\ud800-\udfff]", event.value):
                # Half of a character, from an escape; it cannot be printed.
                self.document.fault(node, "encoding", "an escape names a surrogate", "whole characters")
        else:
            if depth >= MAX_DEPTH:
                self.document.fault(
                    (line, column), "too-deep", f"more than {MAX_DEPTH} levels of nesting", "a few levels"
                )
                raise _Stop
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            node = self.mapping(line, column, depth) if is_mapping else self.sequence(line, column, depth)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def sequence(self, line: int, column: int, depth: int) -> Sequence:
        items: list[Node] = []
        weight = 1
        while not isinstance(event := self.next_event(), yaml.SequenceEndEvent):
            item = self.node(event, depth + 1)
            items.append(item)
            weight += item.weight
        return Sequence(line, column, items, weight)

    def mapping(self, line: int, column: int, depth: int) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Scalar] = {}
        weight = 1
        while not isinstance(event := self.next_event(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(self.next_event(), depth + 1)
            weight += key.weight + value.weight
            if not isinstance(key, Scalar):
                what = "a list" if isinstance(key, Sequence) else "a mapping"
                self.document.fault(key, "key", f"{what} as a key", "a name")
            elif (first := seen.get(key.text)) is not None:
                self.document.fault(
                    key,
                    "duplicate-key",
                    f"key {key.text} is given a second time",
                    f"it once; the first is on line {first.line}",
                )
            else:
                seen[key.text] = key
                entries.append((key, value))
        return Mapping(line, column, entries, weight)

    def alias(self, name: str | None, line: int, column: int) -> Node:
        if name not in self.anchors:
            self.document.fault((line, column), "alias", f"the alias *{name}", f"an anchor &{name} before it")
            raise _Stop
        node = self.anchors[name]
        if node is None:
            self.document.fault((line, column), "alias", f"the alias *{name} inside what it names", "no loop")
            raise _Stop
        # A bomb is small on disk; the size that it unfolds to is what counts.
        self.count(node.weight, line, column)
        return node

    def count(self, nodes: int, line: int, column: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self.document.fault(
                (line, column), "too-big", f"more than {MAX_NODES} values, aliases unfolded", "a few hundred"
            )
            raise _Stop
