"""A generation's tables from a Go source tree: what can be read off it, and what a person must decide.

The tree's constants and types are read from all files that any of its ports builds, each with the
constraint it is under, and whatever they follow from with them. What a tree cannot say,
units and words, comes from a generation that is known already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from archcalc import goexpr
from archcalc.calculator import structs
from archcalc.calculator.structs import Array, Declaration, Named, PointerWords, Struct, StructError
from archcalc.generations import constraints
from archcalc.goexpr import ExprError, Scope
from archcalc.goverify import buildtags, gofile
from archcalc.goverify.gofile import Const, GoFile, TypeText

REPORTED_FILES = re.compile(
    r"(m(alloc|heap|page\w*|gc\w*|cache|central|spanset|fixalloc|bitmap|wbbuf|ranges|pallocbits)|msize\w*"
    r"|sizeclasses|arena|stack|tagptr\w*|lfstack|chan|rwmutex|sema|compiler|extern)(_(32|64)bit|_\w*sbrk)?\.go"
)
"""Files whose constants are the allocator's: for a new one a person decides whether reports show it."""
SYSTEM = re.compile(r"_(PROT|MAP|MADV|MEM|PAGE)_(?!FREE_REUS|STACK|NORESERVE)\w+")
"""What a system's headers say: facts of the profiles."""
ALIGN64 = "align64"


class Port(NamedTuple):
    """A port, as build constraints see it."""

    goos: str
    goarch: str

    def __str__(self) -> str:
        return f"{self.goos}/{self.goarch}"


@dataclass(frozen=True)
class File:
    """A file of the tree with the constraint that it is under, as Go writes it; empty for all ports."""

    read: GoFile
    constraint: str
    ports: frozenset[Port]


@dataclass(frozen=True)
class Alternative:
    """A formula or a type's text, and the file and constraint under which it is."""

    name: str
    kind: str
    formula: str
    iota: int | None
    file: str
    constraint: str
    line: int
    members: tuple[int, ...] = ()


@dataclass
class Draft:
    """What was read: alternatives by qualified name, and what could not be."""

    version: str
    ports: tuple[Port, ...]
    packages: dict[str, str]
    constants: dict[str, tuple[Alternative, ...]] = field(default_factory=dict)
    types: dict[str, tuple[Alternative, ...]] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    undecided: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


MAIN = ("internal/goarch", "internal/goos", "internal/goexperiment", "internal/runtime/gc",
        "internal/runtime/sys", "runtime/internal/sys", "runtime")  # fmt: skip
"""The packages whose constants are all reported, where the tree has them; of runtime, some."""


class Tree:
    """The packages of a tree, each read once: every file that some port builds."""

    def __init__(self, src: Path, ports: tuple[Port, ...]) -> None:
        self.src = src
        self.ports = ports
        self._packages: dict[str, tuple[File, ...]] = {}

    def package(self, path: str) -> tuple[File, ...]:
        """The files of a package; none where the tree has no such package."""
        if path not in self._packages:
            self._packages[path] = tuple(self._files(path))
        return self._packages[path]

    def _files(self, path: str) -> Iterator[File]:
        folder = self.src / path
        for one in sorted(folder.glob("*.go")) if folder.is_dir() else ():
            if one.name.endswith("_test.go"):
                continue
            data = one.read_bytes()
            constraint = constraint_of(one.name, data)
            ports = frozenset(port for port in self.ports if _built(constraint, port))
            if ports:
                constraint = (
                    "" if len(ports) == len(self.ports) and "goexperiment" not in constraint else constraint
                )
                yield File(gofile.read(data, f"{path}/{one.name}"), constraint, ports)

    def has(self, path: str) -> bool:
        """Whether there is such a package."""
        return bool(self.package(path))


def constraint_of(name: str, data: bytes) -> str:
    """The build constraint of a file, by its name and by its text, as Go writes it."""
    parts = name.removesuffix(".go").split("_")[1:]
    own: list[str] = []
    if parts and parts[-1] in constraints.KNOWN_ARCH:
        own = parts[-2:] if len(parts) > 1 and parts[-2] in constraints.KNOWN_OS else parts[-1:]
    elif parts and parts[-1] in constraints.KNOWN_OS:
        own = parts[-1:]
    expression, older = buildtags.said(data)
    if expression is not None:
        said = expression.partition("//")[0].strip()
    else:
        said = " && ".join(_as_expression(options, alone=len(older) == 1) for options in older)
    if own and said:
        return " && ".join((*own, f"({said})" if "||" in said else said))
    return said or " && ".join(own)


def _as_expression(options: list[str], alone: bool) -> str:
    """What a `// +build` line says, as `//go:build` says it: `a,!b c` is `(a && !b) || c`."""
    terms = [" && ".join(option.split(",")) for option in options]
    if len(terms) == 1:
        return terms[0]
    said = " || ".join(f"({term})" if "&&" in term else term for term in terms)
    return said if alone else f"({said})"


@lru_cache(maxsize=4096)
def _expressions(constraint: str) -> tuple[str, ...]:
    """The constraint with every choice of the experiments in it."""
    tags = tuple(dict.fromkeys(re.findall(r"goexperiment\.(\w+)", constraint)))
    found = []
    for choice in range(1 << len(tags)):
        values = {tag: "true" if choice >> i & 1 else "false" for i, tag in enumerate(tags)}
        found.append(constraints.condition(constraint, _Choice(values)))
    return tuple(found)


class _Choice:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def __call__(self, tag: str) -> str | None:
        return self.values.get(tag)


def _built(constraint: str, port: Port) -> bool:
    """Whether a port builds a file, with any choice of experiments."""
    if not constraint:
        return True
    scope = Scope(8, {"fact.goos": port.goos, "fact.goarch": port.goarch})
    return any(goexpr.evaluate(one, scope).value is True for one in _expressions(constraint))


class Reader:
    """Reads a draft of a generation's tables off a tree."""

    def __init__(
        self,
        tree: Tree,
        version: str,
        wanted: Iterable[str],
        wanted_types: Iterable[str],
        needed: Iterable[str] = (),
        experiments: Mapping[str, str] | None = None,
    ) -> None:
        self.tree = tree
        self.paths = {path.rpartition("/")[2]: path for path in MAIN if tree.has(path)}
        self.draft = Draft(version, tree.ports, dict(self.paths))
        self.wanted = set(wanted)
        self.wanted_types = list(wanted_types)
        self.needed = tuple(needed)
        self.experiments = experiments or {}
        self._declared: dict[str, dict[str, list[tuple[File, Const]]]] = {}
        self._types: dict[str, dict[str, list[tuple[File, TypeText]]]] = {}
        self._waiting: list[str] = []

    def read(self) -> Draft:
        """All that is reported, and what it follows from."""
        for package in self.paths:
            for name, found in self._constants(package).items():
                if package != "runtime" or name in self.wanted:
                    self._want(f"{package}.{name}", reported=True)
                elif REPORTED_FILES.fullmatch(found[0][0].read.file.rpartition("/")[2]):
                    const = found[0][1]
                    self.draft.undecided.append(f"{const.file}:{const.line}: whether reports show {name}")
        for name in self.wanted_types:
            if name in self._type_texts("runtime"):
                self.draft.reported.add(f"type.{name}")
                self._want_type(name)
        for name in self.needed:
            package, dot, _ = name.partition(".")
            self._want(name if dot and package in self.paths else f"runtime.{name}")
            self._want_type(name)
        while self._waiting:
            self._follow(self._waiting.pop())
        return self.draft

    # ---- what packages declare ----

    def _constants(self, package: str) -> dict[str, list[tuple[File, Const]]]:
        if package not in self._declared:
            found: dict[str, list[tuple[File, Const]]] = {}
            for file in self.tree.package(self.paths[package]):
                for name, const in file.read.consts.items():
                    found.setdefault(name, []).append((file, const))
            self._declared[package] = found
        return self._declared[package]

    def _type_texts(self, package: str) -> dict[str, list[tuple[File, TypeText]]]:
        if package not in self._types:
            found: dict[str, list[tuple[File, TypeText]]] = {}
            for file in self.tree.package(self.paths[package]):
                for name, text in file.read.types.items():
                    found.setdefault(name, []).append((file, text))
            self._types[package] = found
        return self._types[package]

    def _qualified(self, file: File, package: str, name: str) -> str | None:
        """The qualified name of what a file calls `name`; its package becomes known."""
        qualifier, dot, own = name.partition(".")
        if not dot:
            return f"{package}.{name}"
        path = file.read.imports.get(qualifier)
        if path is None or not self.tree.has(path):
            return None
        known = path.rpartition("/")[2]
        self.paths.setdefault(known, path)
        return f"{known}.{own}"

    # ---- constants ----

    def _want(self, name: str, reported: bool = False) -> None:
        if reported:
            self.draft.reported.add(name)
        if name in self.draft.constants:
            return
        package, _, own = name.partition(".")
        declared = self._constants(package).get(own) if package in self.paths else None
        if not declared:
            return
        self.draft.constants[name] = ()
        self._waiting.append(name)

    def _follow(self, name: str) -> None:
        package, _, own = name.partition(".")
        if name.startswith("type:"):
            self._follow_type(name.removeprefix("type:"))
            return
        special = self._special(package, own)
        if special is not None:
            self.draft.constants[name] = special
            return
        found = []
        for file, const in self._constants(package)[own]:
            formula = const.formula
            try:
                mentioned, called, shown = (
                    f(formula) for f in (goexpr.names, goexpr.functions, goexpr.composites)
                )
            except ExprError as error:
                self.draft.unread.append(f"{const.file}:{const.line}: {own} = {formula}: {error.message}")
                continue
            for one in mentioned:
                qualified = self._qualified(file, package, one)
                if qualified is not None:
                    self._want(qualified)
                    if qualified.count(".") > 1:
                        self._want_variable(qualified)
            for one in (*called, *shown):
                self._want_named_type(file, package, one)
            if const.type:
                self._want_named_type(file, package, const.type)
            iota = const.iota if re.search(r"\biota\b", formula) else None
            formula = " ".join(re.sub(r"/\*.*?\*/|//[^\n]*", "", formula).split())
            found.append(Alternative(own, const.type, formula, iota, const.file, file.constraint, const.line))
        self.draft.constants[name] = tuple(found)

    def _special(self, package: str, own: str) -> tuple[Alternative, ...] | None:
        """Constants that the tree writes out for each port, and that follow from the port."""
        declared = self._constants(package)[own]
        _, const = declared[0]

        def alternative(formula: str, where: str = const.file) -> Alternative:
            return Alternative(own, const.type, formula, None, where, "", const.line)

        if package in ("goos", "goarch") and re.search(rf"/z{package}_\w+\.go$", const.file):
            fact = f"fact.{package}"
            if own == package.upper():
                return (
                    alternative(fact, re.sub(rf"z{package}_\w+", f"z{package}_{{{package}}}", const.file)),
                )
            value = own.removeprefix("Is").lower()
            where = re.sub(rf"z{package}_\w+", f"z{package}_{{{package}}}", const.file)
            return (alternative(f'flag({fact} == "{value}")', where),)
        if package == "goexperiment":
            if own.endswith("Int"):
                return (alternative(f"flag({own.removesuffix('Int')})"),)
            return (alternative(self._baseline.get(own, "false")),)
        if package == "runtime" and SYSTEM.fullmatch(own):
            ports = frozenset(port for file, _ in declared for port in file.ports)
            names = {const.file for _, const in declared}
            where = names.pop() if len(names) == 1 else "runtime/defs_{goos}_{goarch}.go"
            return (
                Alternative(
                    own, "", f"fact.{own}", None, where, ports_constraint(ports, self.tree.ports), const.line
                ),
            )
        return None

    @cached_property
    def _baseline(self) -> Mapping[str, str]:
        file = "internal/buildcfg/exp.go"
        try:
            return baseline((self.tree.src / file).read_text("utf-8", "replace"))
        except (OSError, ValueError):
            self.draft.unread.append(f"{file}: the experiments that are on are those of the base")
            return self.experiments

    # ---- types ----

    def _want_named_type(self, file: File, package: str, name: str) -> None:
        qualified = self._qualified(file, package, name)
        if qualified is not None:
            self._want_type(qualified.removeprefix("runtime."))

    def _want_variable(self, name: str) -> None:
        """Notes the type of a variable whose fields a formula asks for, under the variable's name."""
        package, own, _ = name.split(".", 2)
        for file in self.tree.package(self.paths[package]):
            var = file.read.vars.get(own)
            if var is not None and var.type:
                text = TypeText(own, f"{own} {var.type}", var.file, var.line)
                self._type_texts(package).setdefault(own, []).append((file, text))
        self._want_type(f"{package}.{own}")

    def _want_type(self, name: str) -> None:
        """Notes a type, which is qualified where it is not runtime's."""
        package, own = _split(name)
        if name in self.draft.types or package not in self.paths or own not in self._type_texts(package):
            return
        self.draft.types[name] = ()
        self._waiting.append(f"type:{name}")

    def _follow_type(self, name: str) -> None:
        package, own = _split(name)
        found = []
        for file, text in self._type_texts(package)[own]:
            try:
                declared = parse(text)
                self._follow_kind(file, package, declared.type)
            except (StructError, ExprError) as error:
                self.draft.unread.append(f"{text.file}:{text.line}: type {own}: {error}")
                continue
            shown = written(declared, name, partial(self._shown, file, package))
            kind = declared.type
            members = tuple(one.line for one in kind.members) if isinstance(kind, Struct) else ()
            found.append(Alternative(name, "", shown, None, text.file, file.constraint, text.line, members))
        self.draft.types[name] = tuple(found)

    def _follow_kind(self, file: File, package: str, kind: structs.Type) -> None:
        if isinstance(kind, Named):
            self._want_named_type(file, package, kind.name)
        elif isinstance(kind, Array):
            for one in goexpr.names(kind.length):
                qualified = self._qualified(file, package, one)
                if qualified is not None:
                    self._want(qualified)
            for one in goexpr.composites(kind.length):
                self._want_named_type(file, package, one)
            self._follow_kind(file, package, kind.element)
        elif isinstance(kind, Struct):
            for member in kind.members:
                self._follow_kind(file, package, member.type)

    def _shown(self, file: File, package: str, name: str) -> str:
        """How a table calls what a file calls `name`: qualified, except for what is runtime's own or Go's."""
        if package == "runtime" and "." not in name:
            return name
        if "." not in name and name not in self._type_texts(package) and name not in self._constants(package):
            return name
        return self._qualified(file, package, name) or name


def _split(name: str) -> tuple[str, str]:
    package, _, own = name.rpartition(".")
    return package or "runtime", own


def parse(text: TypeText) -> Declaration:
    """A type declaration, with the parameters of a generic one left out. Raises StructError."""
    own = text.text.removeprefix(text.name)
    if re.match(r"\[[A-Za-z_]\w* ", own):
        own = own[own.index("]") + 1 :]
    plain = f"type {text.name} " + own.lstrip(" \t=")
    shift = text.line - 1
    found = structs.parse_declarations(plain, text.file, lambda t, at: structs.source_line(t, at) + shift)
    if text.name not in found:
        raise StructError(f"no declaration of {text.name}")
    return found[text.name]


def written(declared: Declaration, name: str, shown: Callable[[str], str]) -> str:
    """A declaration as a table has it, without comments: one field on each line."""
    kind = declared.type
    if isinstance(kind, Struct):
        lines = [f"type {name} struct {{"]
        lines += [f"\t{one}" for one in _members(kind, shown)]
        return "\n".join((*lines, "}"))
    return f"type {name} {_kind(kind, declared.text, shown)}"


def _members(kind: Struct, shown: Callable[[str], str]) -> Iterator[str]:
    for one in kind.members:
        # A blank line's worth of names stays a line each: fields are found by their lines.
        yield f"{one.name} {_kind(one.type, one.text, shown)}"


def _kind(kind: structs.Type, text: str, shown: Callable[[str], str]) -> str:
    if isinstance(kind, Named):
        return shown(kind.name)
    if isinstance(kind, Array):
        length = re.sub(
            r"[A-Za-z_][\w.]*", lambda m: m[0] if m[0].startswith("unsafe.") else shown(m[0]), kind.length
        )
        bracket = text.index("]", text.index(kind.length)) + 1 if kind.length in text else 0
        return f"[{length}]" + _kind(kind.element, text[bracket:].strip(), shown)
    if isinstance(kind, Struct):
        return "struct { " + "; ".join(_members(kind, shown)) + " }"
    return plain_text(text, kind)


def plain_text(text: str, kind: PointerWords) -> str:
    """The text of a pointer, func, slice, string or interface on one line without comments."""
    text = " ".join(re.sub(r"/\*.*?\*/|//[^\n]*", "", text).split())
    if len(text) > 100 or "struct {" in text:
        return {1: "unsafe.Pointer", 2: "string", 3: "[]byte"}[kind.number]
    return text or "unsafe.Pointer"


def ports_constraint(ports: frozenset[Port], every: tuple[Port, ...]) -> str:
    """The shortest constraint of this form that holds on these ports of a tree alone."""
    if ports == frozenset(every):
        return ""
    terms = []
    for goos in sorted({port.goos for port in ports}):
        if constraints.IMPLIED.get(goos) in {port.goos for port in ports}:
            continue
        family = [goos, *(one for one, under in constraints.IMPLIED.items() if under == goos)]
        own = {port for port in every if port.goos in family}
        if own <= ports:
            terms.append(goos)
            continue
        arches = " || ".join(sorted({port.goarch for port in ports if port.goos in family}))
        terms.append(f"{goos} && ({arches})" if "||" in arches else f"{goos} && {arches}")
    return " || ".join(f"({term})" if "&&" in term else term for term in terms)


def baseline(text: str) -> dict[str, str]:
    """The experiments that are on without being asked for, each with its formula (ParseGOEXPERIMENT).

    Raises ValueError where they are not written as in the known releases.
    """
    body = text[text.index("func ParseGOEXPERIMENT") :]
    known: dict[str, str] = {}
    for arches, names in re.findall(r"case ((?:\"\w+\"(?:, )?)+):\n((?:\s+\w+ = true\n)+)", body):
        formula = " || ".join(f"fact.goarch == {one}" for one in arches.split(", "))
        for name in re.findall(r"(\w+) = true", names):
            known[name] = f"{known[name]} || {formula}" if name in known else formula
    for name, formula in re.findall(r"^\t(\w+) := \((.+)\)$", body, re.MULTILINE):
        known[name] = re.sub(r"\b(goos|goarch)\b", r"fact.\1", formula)
    found = {}
    literal = body[body.index("baseline := goexperiment.Flags{") :]
    for name, value in re.findall(
        r"^\t\t(\w+):\s+([^,\n]+),", literal[: literal.index("\n\t}")], re.MULTILINE
    ):
        found[name] = known.get(value, value)
    return found
