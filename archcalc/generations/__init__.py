"""Source generations: what a commit or release of Go declares, as data in a folder, and the code to read it.

A folder holds what it is (about.txt), the formulas of all constants (constants.txt, parts.txt), those
of the layout (layout.txt), the types (types.txt, typeparts.txt) and where all of them are in the
source (where.txt, lines.txt). `tables` explains their format. A folder whose about.txt names a base says
only what differs from that one. Another generation is another folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from archcalc import goexpr
from archcalc.generations import constraints, tables
from archcalc.generations.tables import FileLines, OtherPlace, Row, Source, TypeSection
from archcalc.goexpr import Function, Scope
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest

CURRENT = "7aefdfded"
COMMITS = {"7aefdfded": "7aefdfded022f9775eb463156eda3a25a658a0ae"}
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Generation:
    """The data of one commit or release.

    `rows` has for each qualified name its alternatives, in order; `packages` the import path of
    each package by the word that formulas know it under; `size_classes` the constants that the table
    of size classes follows from. `era` says how the heap lies in the address space: contiguous, in
    one reservation, or sparse, in arenas wherever they fall.
    """

    name: str
    version: str
    commit: str
    era: str
    ports: tuple[str, ...]
    packages: Mapping[str, str]
    size_classes: tuple[str, ...]
    rows: Mapping[str, tuple[Row, ...]]
    families: Mapping[str, tuple[Row, ...]]
    functions: Mapping[str, Function]
    places: tuple[OtherPlace, ...]
    lines: Mapping[str, tuple[FileLines, ...]] = field(repr=False)
    reported_sections: tuple[TypeSection, ...] = field(repr=False)
    other_sections: tuple[TypeSection, ...] = field(repr=False)
    gone_types: frozenset[str] = field(repr=False)
    base: Generation | None
    folder: Path = field(repr=False)
    tree: str = ""
    """The source tree that this was read from; empty for a generation of the package."""

    @property
    def label(self) -> str:
        """Its name in outputs: a commit's short name, or go1.27; a tree has its own."""
        if self.tree:
            return self.version
        return label(self.name)

    @cached_property
    def reported_types(self) -> tuple[str, ...]:
        """The types that reports show, in alphabetical order."""
        return tuple(sorted(self._reported_types))

    @cached_property
    def _reported_types(self) -> frozenset[str]:
        below = self.base._reported_types - self.gone_types if self.base else frozenset()
        return below | {name for section in self.reported_sections for name in tables.names_in(section)}

    def declares(self, package: str, name: str) -> bool:
        """Whether a formula of a package finds a constant or a figure by that name."""
        if "." in name:
            candidates: tuple[str, ...] = (name,)
        else:
            candidates = (f"{package}.{name}", *((f"runtime.{name}",) if package == "layout" else ()))
        member = name.rstrip("0123456789")
        families = (f"{package}.{member}", member) if member != name else ()
        return any(one in self.rows for one in candidates) or any(one in self.families for one in families)

    def names(self, package: str, reported: bool = True) -> tuple[str, ...]:
        """The qualified names of a package's rows, in alphabetical order; all, or those that reports show."""
        return self._names[reported].get(package, ())

    def experiments(self, told: str) -> dict[str, bool]:
        """What a GOEXPERIMENT turns on and off, by the names of internal/goexperiment's constants.

        A word that the release's tables do not have changes nothing that is computed here; `none` turns off
        all that a release has on.
        """
        names = [name.partition(".")[2] for name in self.names("goexperiment")]
        known = {name.lower(): name for name in names}
        words = {f"no{word}": (name, False) for word, name in known.items()}
        words |= {word: (name, True) for word, name in known.items()}
        said = told.split(",")
        switches = [name for name in names if f"{name}Int" in names]  # beside each there is it as a number
        found = dict.fromkeys(switches, False) if "none" in said else {}
        return found | dict(words[word] for word in said if word in words)

    @cached_property
    def _names(self) -> Mapping[bool, Mapping[str, tuple[str, ...]]]:
        names: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
        for name, (row, *_) in sorted(self.rows.items()):
            for found in (names[True], names[False]) if row.reported else (names[False],):
                found.setdefault(row.package, []).append(name)
        return {shown: {package: tuple(of) for package, of in by.items()} for shown, by in names.items()}

    @cached_property
    def type_sections(self) -> tuple[TypeSection, ...]:
        """The declarations of all types of this folder, reported ones first."""
        return (*self.reported_sections, *self.other_sections)

    def type_texts(self) -> Iterator[tuple[str, str, str]]:
        """Source file, package and text of the type declarations, file by file."""
        for section in self.type_sections:
            yield section.file, section.package, section.text

    def condition(self, when: str) -> str:
        """A row's condition as an expression: a build constraint is one of facts and experiments."""
        if not when.startswith("build "):
            return when
        return constraints.condition(when.removeprefix("build "), self._experiment)

    def _experiment(self, tag: str) -> str | None:
        return self._experiments.get(tag)

    @cached_property
    def _experiments(self) -> Mapping[str, str]:
        names = (name for name in self.rows if name.startswith("goexperiment."))
        return {name.partition(".")[2].lower(): name for name in names}

    def source(self, row: Row, goos: str, goarch: str) -> Source:
        """The line of a row's constant on a port."""
        file, line = row.source
        if self.lines:
            return self._noted(row, goos, goarch)
        platform = f"{goos}/{goarch}"
        beside = self._elsewhere(platform).get((file.rpartition("/")[0], row.name))
        if beside is not None:
            file, line = beside
        named = file.format(goos=goos, goarch=goarch)
        if named != file and not self._written(file, goos, goarch):
            return Source(f"{named}, which a port to {platform} has to add", 0)
        return Source(named, line)

    def _elsewhere(self, platform: str) -> Mapping[tuple[str, str], tuple[str, int]]:
        """File and line by folder and name, of what stands elsewhere on a port; the first place counts."""
        found = self._places.get(platform)
        if found is None:
            found = self._places[platform] = {}
            for place in self.places:
                if platform in place.platforms:
                    folder = place.file.rpartition("/")[0]
                    for name, line in place.lines.items():
                        found.setdefault((folder, name), (place.file, line))
        return found

    @cached_property
    def _port_words(self) -> frozenset[str]:
        """The GOOS and GOARCH of all ports."""
        return frozenset(word for port in self.ports for word in port.split("/"))

    @cached_property
    def _places(self) -> dict[str, dict[tuple[str, str], tuple[str, int]]]:
        return {}

    def _written(self, file: str, goos: str, goarch: str) -> bool:
        """Whether one of the release's ports has the file that is called after these."""
        of_system, of_machine = "{goos}" in file, "{goarch}" in file
        if of_system and of_machine:
            return f"{goos}/{goarch}" in self.ports
        return (not of_system and not of_machine) or (goos if of_system else goarch) in self._port_words

    def _noted(self, row: Row, goos: str, goarch: str) -> Source:
        """Where lines.txt says that a row's constant is: in its file, or one beside that is built."""
        own, _, anchor = row.source.file.format(goos=goos, goarch=goarch).partition("#")
        package, name = (tables.package_of(own), f"{anchor}()") if anchor else (row.package, row.name)
        noted = self.lines.get(f"{package}.{name}", ())
        port = Scope(8, {"fact.goos": goos, "fact.goarch": goarch})
        for lines in sorted(noted, key=lambda one: one.file != own):
            if lines.file == own or _holds(self.condition(lines.constraint), port):
                return Source(lines.file, lines.names[name])
        return Source(own, 0)


def _holds(condition: str, port: Scope) -> bool:
    # What experiments decide is on: only the place of a line follows from it.
    off = (
        {name: True for name in goexpr.names(condition) if name.startswith("goexperiment.")}
        if condition
        else {}
    )
    scope = Scope(8, {**port.names, **off})
    return not condition or goexpr.evaluate(condition, scope).value is True


def _about(folder: Path) -> dict[str, str]:
    """What a generation is: `key: value` lines, and further lines of a value."""
    found: dict[str, str] = {}
    key = ""
    for line in tables.read(folder, "about.txt").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            key, _, line = line.partition(":")
            found[key] = ""
        found[key] = f"{found[key]} {line.strip()}".strip()
    return found


@cache
def known() -> tuple[str, ...]:
    """The names of all generations, the oldest first."""
    names = [path.parent.name for path in _FOLDER.glob("*/about.txt")]
    return tuple(sorted(names, key=_age))


def _age(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split("."))) if name[:2] == "1." else (0,)


def folder(name: str) -> Path:
    """The folder of a generation's data; of a tree, that of the generation it is nearest to."""
    return _FOLDER / name.partition("@")[0]


_ADOPTED: dict[str, Generation] = {}


def adopt(generation: Generation) -> str:
    """Makes a tree's generation known by a name, RELEASE@TREE, which works like a release's own."""
    name = f"{generation.name}@{generation.tree}"
    _ADOPTED[name] = generation
    ports.cache_clear()
    return name


def adopted(name: str) -> Generation | None:
    """A tree's generation that this process knows by such a name; None for a release."""
    return _ADOPTED.get(name)


@cache
def ports(name: str = CURRENT) -> tuple[str, ...]:
    """The ports of a generation as goos/goarch, without reading its tables."""
    return _ADOPTED[name].ports if name in _ADOPTED else tuple(said(name, "ports").split())


def said(name: str, key: str) -> str:
    """What a generation's about.txt says under a key, or its base's; empty where neither says anything."""
    told = about(name)
    if key in told or "base" not in told:
        return told.get(key, "")
    return said(told["base"], key)


def label(name: str) -> str:
    """A generation's name in outputs: 7aefdfded, or go1.27; a tree has its own."""
    if name in _ADOPTED:
        return _ADOPTED[name].version
    return f"go{name}" if name.startswith("1.") else name


def named(text: str) -> str:
    """The generation that a text means: `1.27`, `go1.27`, `go1.27.3`, a commit. Raises UsageFault."""
    plain = text.strip().removeprefix("go")
    release = ".".join(plain.split(".")[:2])
    for name in known():
        commit = about(name).get("commit", "")
        if release == name or (len(plain) >= 7 and commit.startswith(plain)):
            return name
    expected = f"one of {', '.join(known())}, or the folder of a Go source tree"
    raise UsageFault(
        Fault(f"--go: no generation {text!r}", expected, closest(release, known()), "unknown-generation")
    )


@cache
def about(name: str) -> Mapping[str, str]:
    """What a generation says about itself, without reading its tables: version, era, ports, base."""
    return _about(folder(name))


def load(name: str = CURRENT) -> Generation:
    """The data of one generation, by the name of its folder, or by the name that `adopt` gave a tree."""
    return _ADOPTED[name] if name in _ADOPTED else _load(name)


@cache
def _load(name: str) -> Generation:
    return read(_FOLDER / name)


def read(folder: Path, name: str | None = None) -> Generation:
    """The data in a folder of tables, over that of its base."""
    told = _about(folder)
    base = load(told["base"]) if "base" in told else None
    rows: dict[str, tuple[Row, ...]] = {}
    families: dict[str, tuple[Row, ...]] = {}
    gone: set[str] = set()
    for table, package, reported in (
        ("constants.txt", "runtime", True),
        ("parts.txt", "runtime", False),
        ("layout.txt", "layout", True),
    ):
        for row in tables.rows(tables.read(folder, table), table, package, reported):
            if isinstance(row, str):
                gone.add(row)
                continue
            target = families if row.members else rows
            key = f"{row.package}.{row.name.removesuffix('{i}')}"
            target[key] = (*target.get(key, ()), row)
    texts = {table: tables.read(folder, table) for table in ("types.txt", "typeparts.txt")}
    lines: dict[str, tuple[FileLines, ...]] = {}
    for one in tables.file_lines(tables.read(folder, "lines.txt")):
        for own in one.names:
            key = f"{tables.package_of(one.file)}.{own}"
            lines[key] = (*lines.get(key, ()), one)
    functions = tables.functions(tables.read(folder, "layout.txt"))
    if base is not None:
        fresh = rows.keys() | families.keys() | gone
        rows = {**{key: of for key, of in base.rows.items() if key not in fresh}, **rows}
        families = {**{key: of for key, of in base.families.items() if key not in fresh}, **families}
        functions = {**base.functions, **functions}
    packages = dict(path.split("=") for path in told["packages"].split()) if "packages" in told else None
    return Generation(
        name or folder.name,
        told.get("version", ""),
        told.get("commit", ""),
        told.get("era") or (base.era if base else ""),
        tuple(told["ports"].split()) if "ports" in told else base.ports if base else (),
        packages or (base.packages if base else {}),
        tuple(told["size-classes"].split()) if "size-classes" in told else base.size_classes if base else (),
        rows,
        families,
        functions,
        tuple(tables.places(tables.read(folder, "where.txt"))),
        lines,
        tuple(tables.sections(texts["types.txt"])),
        tuple(tables.sections(texts["typeparts.txt"])),
        frozenset(name.removeprefix("type.") for name in gone if name.startswith("type.")),
        base,
        folder,
    )


__all__ = [
    "COMMITS",
    "CURRENT",
    "FileLines",
    "Generation",
    "OtherPlace",
    "Row",
    "Source",
    "TypeSection",
    "about",
    "known",
    "load",
    "read",
]
