"""One Go file, read by tree-sitter into its top-level declarations.

Constants keep their expressions as text for the calculator's own engine; types keep their text
for `structs`. A file that is not complete Go keeps what could be read, and says where it could not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from archcalc.host.extras import needed
from archcalc.reading.words import counted

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

LONGEST = 4 << 20
"""Bytes of a file beyond which none of Go's is; what is longer is not read."""


class Const(NamedTuple):
    """One name of a const declaration, with the expression that it has or repeats."""

    name: str
    type: str
    formula: str
    iota: int
    file: str
    line: int


class Var(NamedTuple):
    """One variable of a package, its type and its value as they are written; `node` is the value."""

    name: str
    type: str
    node: Node | None
    file: str
    line: int


class TypeText(NamedTuple):
    """A type declaration, without the word type."""

    name: str
    text: str
    file: str
    line: int


class Func(NamedTuple):
    """A function; methods are left out."""

    name: str
    parameters: tuple[str, ...]
    node: Node
    file: str
    line: int


class Broken(NamedTuple):
    """A place that could not be read, and why."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}" if self.line else f"{self.file}: {self.why}"


@dataclass
class GoFile:
    """The declarations of a file by name; `imports` has the paths by the names they are used under."""

    file: str
    package: str = ""
    imports: dict[str, str] = field(default_factory=dict)
    consts: dict[str, Const] = field(default_factory=dict)
    vars: dict[str, Var] = field(default_factory=dict)
    types: dict[str, TypeText] = field(default_factory=dict)
    funcs: dict[str, Func] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    tree: Tree | None = field(default=None, repr=False)


_UNENDED = re.compile(rb"^((?:const|var|type|import) \(.*[^;(\s])(\)[ \t]*(?://.*)?)$", re.MULTILINE)


@cache
def _parser() -> Any:
    tree_sitter, go = needed("tree_sitter", "verify"), needed("tree_sitter_go", "verify")
    return tree_sitter.Parser(tree_sitter.Language(go.language()))


def read(data: bytes, file: str) -> GoFile:
    """The declarations of a Go text; `file` is the path that they will be said to be in."""
    found = GoFile(file)
    if len(data) > LONGEST:
        found.broken.append(
            Broken(file, 0, f"{counted(len(data), 'byte')} are too many for a Go source file")
        )
        return found
    # The nodes of functions are walked later and live no longer than their tree.
    found.tree = _parser().parse(data)
    if found.tree.root_node.has_error:
        # The grammar needs an end of a group's last line, as gofmt writes it and the language does not ask.
        ended = _parser().parse(_UNENDED.sub(rb"\1;\2", data))
        if not ended.root_node.has_error:
            found.tree = ended
    root = found.tree.root_node
    if root.has_error:
        found.broken.append(Broken(file, line(_broken(root)), "a syntax error"))
    for node in root.children:
        reader = _READERS.get(node.type)
        if reader is not None:
            reader(found, node)
    return found


def text(node: Node | None) -> str:
    """The source text of a node."""
    return node.text.decode("utf-8", "replace") if node is not None and node.text is not None else ""


def line(node: Node) -> int:
    """The line, from 1, in which a node starts."""
    return node.start_point[0] + 1


def named(node: Node) -> list[Node]:
    """A node's children that mean something, comments aside."""
    return [child for child in node.named_children if child.type != "comment"]


def _broken(root: Node) -> Node:
    """The innermost node around the first place that is not Go."""
    node: Node | None = root
    while node is not None:
        root, node = node, next((child for child in node.children if child.has_error), None)
    return root


def _package(found: GoFile, node: Node) -> None:
    found.package = text(named(node)[0]) if named(node) else ""


def _imports(found: GoFile, node: Node) -> None:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type == "import_spec":
            path = text(one.child_by_field_name("path")).strip('"`')
            own = text(one.child_by_field_name("name"))
            found.imports[own or path.rpartition("/")[2]] = path
        else:
            waiting += one.named_children


def _consts(found: GoFile, node: Node) -> None:
    kind, formulas, iota = "", [""], 0
    for spec in node.named_children:
        if spec.type != "const_spec":
            continue
        value = spec.child_by_field_name("value")
        if value is not None:
            kind = text(spec.child_by_field_name("type"))
            formulas = [text(one) for one in named(value)]
        names = [one for one in spec.children_by_field_name("name") if one.type == "identifier"]
        for name, formula in zip(names, formulas, strict=False):
            if text(name) != "_":
                one = Const(text(name), kind, formula, iota, found.file, line(name))
                found.consts[one.name] = one
        iota += 1


def _vars(found: GoFile, node: Node) -> None:
    specs = [one for child in node.named_children for one in _specs(child, "var_spec")]
    for spec in specs:
        value = spec.child_by_field_name("value")
        values = named(value) if value is not None else []
        names = spec.children_by_field_name("name")
        for at, name in enumerate(one for one in names if one.type == "identifier"):
            own = values[at] if at < len(values) else None
            kind = text(spec.child_by_field_name("type"))
            found.vars[text(name)] = Var(text(name), kind, own, found.file, line(name))


def _types(found: GoFile, node: Node) -> None:
    for spec in node.named_children:
        name = spec.child_by_field_name("name")
        if spec.type in ("type_spec", "type_alias") and name is not None:
            found.types[text(name)] = TypeText(text(name), text(spec), found.file, line(spec))


def _func(found: GoFile, node: Node) -> None:
    name, parameters = node.child_by_field_name("name"), node.child_by_field_name("parameters")
    own = []
    for parameter in named(parameters) if parameters is not None else ():
        own += [text(one) for one in parameter.children_by_field_name("name")]
    if name is not None:
        found.funcs.setdefault(text(name), Func(text(name), tuple(own), node, found.file, line(node)))


def _specs(node: Node, kind: str) -> list[Node]:
    return [node] if node.type == kind else [one for one in node.named_children if one.type == kind]


_READERS = {
    "package_clause": _package,
    "import_declaration": _imports,
    "const_declaration": _consts,
    "var_declaration": _vars,
    "type_declaration": _types,
    "function_declaration": _func,
}
