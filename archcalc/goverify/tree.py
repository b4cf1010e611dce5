"""A Go source tree as each port sees it: constants evaluated by the calculator's engine, types laid out.

A tree is read once and shared by all ports; a file is read when the first port needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from archcalc import generations, goexpr
from archcalc.calculator import structs
from archcalc.calculator.structs import Declaration, StructError, StructLayout
from archcalc.goexpr import ExprError, Function, Scope, Value
from archcalc.goverify import buildtags, gofile
from archcalc.goverify.gofile import Broken, Const, GoFile, TypeText, Var
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_FILES = 5000
"""Files of one folder beyond which it is not a package of Go."""
MAX_CHAIN = 60
"""Constants that follow from each other, one by one, beyond which none of Go's do; keeps within the stack."""


class WordSizes(NamedTuple):
    """Bytes of a pointer, of a register and of the smallest instruction (cmd/internal/sys/arch.go)."""

    ptr_size: int
    reg_size: int
    min_lc: int
    line: int = 0


@dataclass
class _Entry:
    path: Path
    file: str
    constraint: buildtags.Constraint
    data: bytes
    read: GoFile | None = None


class SourceTree:
    """A GOROOT, or its src folder. Raises UsageFault where it is neither."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.src = next((p for p in (root / "src", root) if (p / "runtime").is_dir()), None) or _no_tree(root)
        self.broken: dict[Broken, None] = {}
        self._packages: dict[str, list[_Entry]] = {}

    @cached_property
    def version(self) -> str:
        """What the tree's VERSION file says; empty without one."""
        for folder in (self.root, self.src.parent):
            try:
                return (folder / "VERSION").read_text("utf-8", "replace").strip().partition("\n")[0][:80]
            except OSError:
                continue
        return ""

    @property
    def generation(self) -> str:
        """The generation that has figures of the release that the tree says it is; else the default."""
        match = re.match(r"go(\d+\.\d+)", self.version)
        return match[1] if match and match[1] in generations.known() else generations.CURRENT

    def has(self, package: str) -> bool:
        """Whether there are Go files of a package."""
        return bool(self._entries(package))

    def files(
        self, package: str, goos: str, goarch: str, experiments: frozenset[str] = frozenset()
    ) -> Iterator[GoFile]:
        """The files of a package that belong to a port, with the tags of those experiments."""
        holds = buildtags.holds(goos, goarch, experiments)
        for entry in self._entries(package):
            if entry.constraint(holds):
                if entry.read is None:
                    entry.read = gofile.read(entry.data, entry.file)
                    self.broken |= dict.fromkeys(entry.read.broken)
                yield entry.read

    def exists(self, file: str) -> bool:
        """Whether the tree has a file, by its path under src."""
        return (self.src / file).is_file()

    def _entries(self, package: str) -> list[_Entry]:
        if package not in self._packages:
            self._packages[package] = list(self._list(package))
        return self._packages[package]

    def _list(self, package: str) -> Iterator[_Entry]:
        folder = self.src / package
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".go")
        except OSError:
            return
        if len(paths) > MAX_FILES:
            raise UsageFault(Fault(f"{folder} has {counted(len(paths), 'Go file')}", "a package of Go"))
        for path in paths:
            if path.name.endswith("_test.go") or path.name.startswith(("_", ".")):
                continue
            file = f"{package}/{path.name}"
            try:
                if path.stat().st_size > gofile.LONGEST or not path.is_file():
                    raise OSError("is not a Go file")
                data = path.read_bytes()
                constraint = _both(buildtags.of_name(path.name), buildtags.of_text(data))
            except (OSError, ValueError) as error:
                why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
                self.broken[Broken(file, 0, why)] = None
                continue
            yield _Entry(path, file, constraint, data)

    @cached_property
    def baseline(self) -> Mapping[str, str]:
        """The experiments that a port has without asking, each with its condition (ParseGOEXPERIMENT)."""
        from archcalc.goverify.release import baseline

        path = self.src / "internal/buildcfg/exp.go"
        try:
            return baseline(path.read_text("utf-8")) if path.is_file() else {}
        except (OSError, ValueError) as error:
            self.broken[Broken("internal/buildcfg/exp.go", 0, str(error))] = None
            return {}

    @cached_property
    def generated(self) -> tuple[Const, ...]:
        """Constants of sys that cmd/dist writes into zversion.go when it builds: StackGuardMultiplier."""
        for file in self.files("cmd/dist", "", ""):
            func = file.funcs.get("stackGuardMultiplier")
            if func is not None:
                # What it returns last is what it returns without compiler flags.
                returned = [one for one in _descendants(func.node) if one.type == "return_statement"]
                values = gofile.named(returned[-1]) if returned else []
                if len(values) == 1:
                    formula, at = gofile.text(values[0]), gofile.line(values[0])
                    return (Const("StackGuardMultiplier", "", formula, 0, func.file, at),)
        return ()

    @cached_property
    def words(self) -> Mapping[str, WordSizes]:
        """The words of each architecture that the toolchain knows, by GOARCH; empty where it does not say."""
        found = {}
        for file in self.files("cmd/internal/sys", "", ""):
            for var in file.vars.values():
                fields = dict(_keyed(var))
                if {"Name", "PtrSize", "RegSize", "MinLC"} <= fields.keys():
                    try:
                        sizes = [int(fields[name], 0) for name in ("PtrSize", "RegSize", "MinLC")]
                    except ValueError:
                        continue
                    if sizes[0] in (4, 8) and sizes[1] in (4, 8):
                        found[fields["Name"].strip('"')] = WordSizes(sizes[0], sizes[1], sizes[2], var.line)
        return found


def _descendants(node: Node) -> Iterator[Node]:
    """A node and all below it, from the first to the last."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += reversed(one.named_children)


def _no_tree(root: Path) -> Path:
    found = "is not a folder" if not root.is_dir() else "has no src/runtime"
    raise UsageFault(Fault(f"{root} {found}", "a Go source tree (a GOROOT)", id="no-tree"))


def _both(left: buildtags.Constraint, right: buildtags.Constraint) -> buildtags.Constraint:
    return lambda tag: left(tag) and right(tag)


def _keyed(var: Var) -> Iterator[tuple[str, str]]:
    """The `Key: value` pairs of a variable that is `&T{…}`."""
    node = var.node
    if node is None or node.type != "unary_expression":
        return
    literal = node.child_by_field_name("operand")
    body = literal.child_by_field_name("body") if literal is not None else None
    for element in gofile.named(body) if body is not None else ():
        if element.type == "keyed_element" and len(gofile.named(element)) == 2:
            key, value = gofile.named(element)
            yield gofile.text(key), gofile.text(value)


SYS = "runtime/internal/sys"


class Missing(LookupError):
    """A package does not declare a name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the tree does not declare {name}")


class PortTree:
    """A tree as one port sees it.

    `words` are used where the tree does not know the architecture; `asked` has experiments by their
    names in package goexperiment that are on or off whatever the tree has.
    """

    def __init__(
        self,
        tree: SourceTree,
        goos: str,
        goarch: str,
        words: WordSizes,
        asked: Mapping[str, bool] = MappingProxyType({}),
    ) -> None:
        self.tree = tree
        self.goos = goos
        self.goarch = goarch
        self.words = tree.words.get(goarch, words)
        self.asked = asked
        self._packages: dict[str, PackageScope] = {}

    @cached_property
    def experiments(self) -> frozenset[str]:
        """The build tags of the experiments that are on: the tree's own for the port, or as asked for."""
        port = Scope(self.words.ptr_size, {"fact.goos": self.goos, "fact.goarch": self.goarch})
        on = {name: goexpr.evaluate(text, port).value is True for name, text in self.tree.baseline.items()}
        return frozenset(
            f"goexperiment.{name.lower()}" for name, is_on in (on | dict(self.asked)).items() if is_on
        )

    def package(self, path: str) -> PackageScope:
        """A package by its import path; one without files declares nothing."""
        if path not in self._packages:
            package = self._packages[path] = PackageScope(self, path)
            if path == SYS:
                for const in self.tree.generated:
                    package.consts.setdefault(const.name, const)
        return self._packages[path]


class PackageScope(Scope):
    """What the files of a package that belong to a port declare, evaluated when asked for."""

    def __init__(self, port: PortTree, path: str) -> None:
        super().__init__(port.words.ptr_size, signed_shift_counts=True)
        self.port = port
        self.path = path
        self.files = tuple(port.tree.files(path, port.goos, port.goarch, port.experiments))
        self.consts: dict[str, Const] = {}
        self.vars: dict[str, Var] = {}
        self.type_texts: dict[str, TypeText] = {}
        self.funcs: dict[str, gofile.Func] = {}
        self.imports: dict[str, str] = {}
        for file in self.files:
            self.consts |= file.consts
            self.vars |= file.vars
            self.type_texts |= file.types
            self.funcs |= file.funcs
            self.imports |= file.imports
        self.declarations = _Declarations(self)
        self._values: dict[str, Value] = {}
        self._structs: dict[str, StructLayout] = {}
        self._open: list[str] = []

    # ---- what goexpr asks ----

    def lookup(self, name: str) -> Value | None:
        qualifier, dot, own = name.partition(".")
        if dot:
            other = self.imported(qualifier)
            return other.lookup(own) if other is not None else None
        return self.value(name) if name in self.consts else None

    def type(self, name: str) -> goexpr.ConstantType | None:
        basic = goexpr.basic_types(self.ptr_size).get(name)
        if basic is not None:
            return basic
        qualifier, dot, own = name.partition(".")
        if dot:
            other = self.imported(qualifier)
            return other.type(own) if other is not None else None
        declared = self.type_texts.get(name)
        if declared is None:
            return None
        under = goexpr.basic_types(self.ptr_size).get(declared.text.removeprefix(name).lstrip(" \t="))
        return under._replace(name=name) if under is not None else None

    def struct(self, name: str) -> StructLayout | None:
        if name not in self.declarations:
            return None
        declaration = self.declarations[name]
        if not isinstance(declaration.type, structs.Struct):
            return None
        try:
            return self.layout(name)
        except StructError as error:
            raise ExprError(name, 1, str(error)) from None

    def length(self, name: str) -> int | None:
        var = self.vars.get(name)
        if var is None:
            return None
        kind = var.type or (gofile.text(var.node.child_by_field_name("type")) if var.node is not None else "")
        length, bracket, _ = kind.removeprefix("[").partition("]")
        if not bracket or not length or not kind.startswith("["):
            return None
        if length == "...":
            return len(list(self.elements(name)))
        value = goexpr.evaluate(length, self).value
        return int(value) if not isinstance(value, str) else None

    def function(self, name: str) -> Function | None:
        """A function that is one returned expression, such as round."""
        func = self.funcs.get(name)
        body = func.node.child_by_field_name("body") if func is not None else None
        statements = gofile.named(body) if body is not None else []
        if len(statements) == 1 and statements[0].type == "statement_list":
            statements = gofile.named(statements[0])
        if func is None or len(statements) != 1 or statements[0].type != "return_statement":
            return None
        results = gofile.named(statements[0])
        return Function(func.parameters, gofile.text(results[0])) if len(results) == 1 else None

    # ---- what the comparison asks ----

    def type_text(self, name: str) -> TypeText | None:
        """A type's declaration; that of a variable, whose fields constants ask for, under its own name."""
        declared = self.type_texts.get(name)
        if declared is None and (var := self.vars.get(name)) is not None and var.type.startswith("struct"):
            return TypeText(name, f"{name} {var.type}", var.file, var.line)
        return declared

    def imported(self, qualifier: str) -> PackageScope | None:
        """The package that files here know as `qualifier`."""
        path = self.imports.get(qualifier)
        return self.port.package(path) if path is not None else None

    def value(self, name: str) -> Value:
        """A constant. Raises Missing, or ExprError where the tree's formula has no value."""
        value = self._values.get(name)
        if value is None:
            value = self._values[name] = self._evaluate(name)
        return value

    def _evaluate(self, name: str) -> Value:
        const = self.consts.get(name)
        if const is None:
            raise Missing(name)
        if name in self._open or len(self._open) > MAX_CHAIN:
            raise ExprError(const.formula, 1, f"{name} follows from itself")
        self._open.append(name)
        try:
            value = goexpr.evaluate(const.formula, self, const.iota)
            if const.type:
                kind = self.type(const.type)
                if kind is None:
                    raise ExprError(const.formula, 1, f"undefined: {const.type}")
                value = goexpr.assign(value, kind, const.formula)
            return value
        finally:
            self._open.pop()

    def layout(self, name: str) -> StructLayout:
        """A struct laid out. Raises Missing, StructError or ExprError."""
        if name not in self.declarations:
            raise Missing(name)
        layout = self._structs.get(name)
        if layout is None:
            if name in self._open or len(self._open) > MAX_CHAIN:
                raise StructError(f"invalid recursive type {name}")
            self._open.append(name)
            try:
                words = self.port.words
                layouts = structs.Layouts(
                    self.declarations, self, words.ptr_size, words.reg_size, self._inner
                )
                layout = self._structs[name] = layouts.layout(name)
            finally:
                self._open.pop()
        return layout

    def _inner(self, name: str) -> StructLayout:
        try:
            return self.layout(name)
        except Missing:
            raise StructError(f"undefined: {name}") from None

    def elements(self, name: str) -> Iterator[tuple[int | tuple[int, ...], int]]:
        """The elements of an array literal, each with its line. Raises Missing or ExprError."""
        var = self.vars.get(name)
        if var is None or var.node is None:
            raise Missing(name)
        body = var.node.child_by_field_name("body")
        if body is None:
            raise ExprError(name, 1, "not an array of literals")
        for element in gofile.named(body):
            if element.type != "literal_element":
                raise ExprError(name, 1, f"line {gofile.line(element)}: an element with a key")
            yield self._element(gofile.named(element)[0]), gofile.line(element)

    def _element(self, node: Node) -> int | tuple[int, ...]:
        if node.type == "literal_value":
            parts = [self._element(gofile.named(one)[0]) for one in gofile.named(node)]
            return tuple(part for part in parts if isinstance(part, int))
        if node.type == "int_literal":
            return int(gofile.text(node), 0)
        value = goexpr.evaluate(gofile.text(node), self).value
        if isinstance(value, str):
            raise ExprError(value, 1, "not a number")
        return int(value)


class _Declarations(Mapping[str, Declaration]):
    """The types of a package, and of those it imports as `package.Name`, parsed when asked for."""

    def __init__(self, scope: PackageScope) -> None:
        self._scope = scope
        self._parsed: dict[str, Declaration | None] = {}

    def __getitem__(self, name: str) -> Declaration:
        if name not in self._parsed:
            self._parsed[name] = self._parse(name)
        found = self._parsed[name]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._scope.type_texts)

    def __len__(self) -> int:
        return len(self._scope.type_texts)

    def _parse(self, name: str) -> Declaration | None:
        qualifier, dot, own = name.partition(".")
        if dot:
            other = self._scope.imported(qualifier)
            declared = other.declarations.get(own) if other is not None and other is not self._scope else None
            if declared is None or other is None:
                return None
            return declared._replace(name=name, type=_qualified(declared.type, qualifier, other))
        text = self._scope.type_text(name)
        return None if text is None else parse_type(text)


def parse_type(text: TypeText) -> Declaration | None:
    """A type declaration as the calculator has them; None for a generic one. Raises StructError."""
    own = text.text.removeprefix(text.name)
    if own.startswith("["):
        return None
    plain = f"type {text.name} " + own.lstrip(" \t=")
    shift = text.line - 1
    parsed = structs.parse_declarations(plain, text.file, lambda t, at: structs.source_line(t, at) + shift)
    return parsed.get(text.name)


def _qualified(kind: structs.Type, qualifier: str, scope: PackageScope) -> structs.Type:
    """A type of another package, as this one names it."""
    if isinstance(kind, structs.Named) and kind.name in scope.type_texts:
        return structs.Named(f"{qualifier}.{kind.name}")
    if isinstance(kind, structs.Array):
        length = str(goexpr.evaluate(kind.length, scope))
        return structs.Array(length, _qualified(kind.element, qualifier, scope))
    if isinstance(kind, structs.Struct):
        members = (m._replace(type=_qualified(m.type, qualifier, scope)) for m in kind.members)
        return structs.Struct(tuple(members))
    return kind
