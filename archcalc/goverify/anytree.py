"""Any Go source tree as a generation: what it declares, and the layout as far as its functions are known.

Units and descriptions, and the formulas of the layout, come from the nearest generation. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from archcalc import generations, goexpr
from archcalc.calculator.constants import Constants
from archcalc.generations import FileLines, Generation, Row, TypeSection, tables
from archcalc.goexpr import ExprError
from archcalc.goverify import era, shapes, writing
from archcalc.goverify.shapes import Unknown
from archcalc.reading.errors import Fault, UsageFault


@dataclass(frozen=True)
class AnyTree:
    """A tree's generation, the one that is nearest to it, and what could not be followed.

    `unknown` are functions of an unknown shape; `unread` says of other declarations why they are not as
    the tree has them.
    """

    generation: Generation
    nearest: str
    unknown: tuple[Unknown, ...]
    unread: tuple[str, ...]


def read(root: Path) -> AnyTree:
    """A tree as a generation. Raises UsageFault for what is not a tree, or one of an era without tables."""
    src = next((path for path in (root / "src", root) if (path / "runtime").is_dir()), None)
    if src is None:
        raise UsageFault(
            Fault(f"--go: {root} has no src/runtime", "a Go source tree (a GOROOT)", id="no-tree")
        )
    near = nearest(src)
    if not near:
        expected = "a heap in one piece (Go 1.5 to 1.10) or a page allocator (Go 1.14 and later)"
        raise UsageFault(Fault(f"--go: {root} is a tree of another era", expected, id="no-tree"))
    base = generations.load(near)
    found, tree = writing.read(root, base)
    followed = shapes.follow(base, src)
    rows: dict[str, tuple[Row, ...]] = {}
    for row in writing.rows(found, writing.words_of(base)):
        key = f"{row.package}.{row.name}"
        rows[key] = (*rows.get(key, ()), row)
    rows |= _built(base, src, rows)
    left_out = {name for one in followed.unknown for name in one.figures}
    lines: dict[str, tuple[FileLines, ...]] = {}
    for one in writing.places(found, tree, base):
        noted = one._replace(constraint=f"build {one.constraint}" if one.constraint else "")
        for own in one.names:
            key = f"{tables.package_of(one.file)}.{own}"
            lines[key] = (*lines.get(key, ()), noted)
    shown = {name for name in found.types if f"type.{name}" in found.reported}
    reported, others = (
        tuple(
            tables.sections(
                writing.type_table({n: of for n, of in found.types.items() if (n in shown) is own})
            )
        )
        for own in (True, False)
    )
    generation = Generation(
        name=near,
        version=found.version or f"a tree like {near}",
        commit="",
        era=base.era,
        ports=tuple(map(str, found.ports)),
        packages=dict(found.packages),
        size_classes=writing.size_class_names(rows),
        rows={**rows, **_layout(base.rows, followed.changed, left_out)},
        families=_layout(base.families, followed.changed, left_out),
        functions=base.functions,
        places=(),
        lines=lines,
        reported_sections=reported,
        other_sections=others,
        gone_types=frozenset(),
        base=None,
        folder=base.folder,
        tree=str(root),
    )
    sound, missing = without_dangling(generation)
    sound, broken = without_broken(sound)
    return AnyTree(sound, near, (*followed.unknown, *missing, *broken), tuple(found.unread))


def without_broken(generation: Generation) -> tuple[Generation, list[Unknown]]:
    """The generation without those types in reports that cannot be laid out on linux/amd64, and these."""
    engine = Constants(generation, "linux", "amd64", {"ptr_size": 8, "reg_size": 8})
    broken: dict[str, Unknown] = {}
    for name in generation.reported_types:
        try:
            if engine.is_struct(name):
                engine.struct(name)
        except UsageFault as fault:
            broken[name] = Unknown(engine.declarations[name].file, 0, str(fault), "", (name,))
    if not broken:
        return generation, []
    parts: tuple[list[TypeSection], list[TypeSection]] = ([], [])
    for section in generation.reported_sections:
        for text in re.split(r"^(?=type )", section.text, flags=re.MULTILINE):
            if text.strip():
                parts[text.split(" ", 2)[1] in broken].append(section._replace(text=text))
    others = (*generation.other_sections, *parts[1])
    known = replace(generation, reported_sections=tuple(parts[0]), other_sections=others)
    return known, list(broken.values())


def without_dangling(generation: Generation) -> tuple[Generation, list[Unknown]]:
    """The generation without constants and figures that mention what the tree does not declare, and these."""
    rows, families = dict(generation.rows), dict(generation.families)
    declared = {name for section in generation.type_sections for name in tables.names_in(section)}
    gone: list[Unknown] = []
    while True:
        known = replace(generation, rows=rows, families=families)
        dangling = {}
        for name, of in (*rows.items(), *families.items()):
            lost = next((one for row in of for one in _undeclared(known, declared, row)), "")
            if lost:
                dangling[name] = lost
        if not dangling:
            return known, gone
        for name, lost in dangling.items():
            row = (rows.pop(name, None) or families.pop(name))[0]
            own, _, anchor = row.source.file.partition("#")
            what = f"{anchor or row.name} mentions {lost}, which is not declared"
            gone.append(Unknown(own, 0, what, "", (name.removeprefix("runtime.").removeprefix("layout."),)))


def _undeclared(generation: Generation, declared: set[str], row: Row) -> Iterator[str]:
    """What a row mentions that is neither a constant, nor a fact, nor a type."""
    for text in filter(None, (row.formula.replace("{i}", "0"), row.members, generation.condition(row.when))):
        try:
            mentioned, shown = goexpr.names(text), goexpr.composites(text)
        except ExprError as error:
            yield error.message
            continue
        for name in mentioned:
            if name in ("iota", "i", "true", "false") or name.startswith("fact.") or name.count(".") > 1:
                continue
            if not generation.declares(row.package, name) and name not in declared:
                yield name
        yield from (name for name in shown if name not in declared)


def _built(base: Generation, src: Path, read: Mapping[str, object]) -> dict[str, tuple[Row, ...]]:
    """Constants of the base in files that building Go writes: a tree has what writes them, not their text."""
    found = {}
    for name, of in base.rows.items():
        file = of[0].source.file
        outside = file.rpartition("/")[0] != base.packages.get(of[0].package)
        if of[0].package != "layout" and outside and name not in read and (src / file).is_file():
            found[name] = of
    return found


def nearest(src: Path) -> str:
    """The generation that a tree is nearest to: that of its version, else the one of its era most like it.

    Empty for a tree of an era without a generation.
    """
    version = writing.version_of(src).removeprefix("go")
    release = ".".join(version.split(".")[:2])
    tables_of = era.of(declared_in(src / "runtime")).tables
    known = [name for name in generations.known() if generations.said(name, "era") == tables_of]
    if release in known or not known:
        return release if known else ""

    def alike(name: str) -> int:
        generation = generations.load(name)
        found = 0
        for own, (shape, _) in shapes.noted(generation).items():
            file, _, anchor = own.partition("#")
            found += any(shapes.shape_of(place.text) == shape for place in shapes.find(src, file, anchor))
        return found

    return max(known, key=lambda name: (alike(name), known.index(name)))


def declared_in(folder: Path) -> Callable[[str], bool]:
    """Whether Go files of a folder declare a name: by how lines begin, since they may be broken otherwise."""
    files = (path for path in sorted(folder.glob("*.go")) if not path.name.endswith("_test.go"))
    text = "\n".join(path.read_text("utf-8", "replace") for path in files)
    return lambda name: re.search(rf"^(?:type |const |var |\t){name}\b", text, re.MULTILINE) is not None


def _layout(
    known: Mapping[str, tuple[Row, ...]], changed: Mapping[int, str], left_out: set[str]
) -> dict[str, tuple[Row, ...]]:
    """The layout's rows of a generation with the tree's numbers, except those that are left out."""
    found = {}
    for name, of in known.items():
        if name.startswith("layout.") and of[0].name not in left_out:
            found[name] = tuple(row._replace(formula=changed.get(id(row), row.formula)) for row in of)
    return found
