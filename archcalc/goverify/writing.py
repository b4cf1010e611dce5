"""A draft of a generation as the files of its folder: all of it, or what differs from a base."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from archcalc import goexpr
from archcalc.generations import Generation, Row, Source, TypeSection
from archcalc.generations.tables import FileLines
from archcalc.goverify import shapes
from archcalc.goverify.release import Alternative, Draft, Port, Reader, Tree
from archcalc.host import output
from archcalc.reading.errors import Fault, UsageFault

UNKNOWN = ("TODO", "what it is")
"""Unit and description of a constant that no known generation has: a person must decide."""
ORDER = ("goos", "goarch", "goexperiment", "gc", "sys", "runtime")

Words = Mapping[str, tuple[str, str]]


def ports_of(src: Path, otherwise: Iterable[str] = ()) -> tuple[Port, ...]:
    """What `go tool dist list` lists: the ports of cmd/dist/build.go that are not broken or incomplete.

    A tree without that file has the ports `otherwise`. Raises UsageFault where there are none.
    """
    path = src / "cmd/dist/build.go"
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        known = tuple(Port(*one.split("/")) for one in otherwise)
        if known:
            return known
        raise UsageFault(
            Fault(f"{path}: {error.strerror or error}", "the source of a whole Go distribution")
        ) from None
    found: dict[str, list[str]] = {}
    for name, body in re.findall(
        r"^var (\w+) = map\[string\]bool\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL
    ):
        found[name] = re.findall(r"^\t\"(\w+/\w+)\":", body, re.MULTILINE)
    left_out = {*found.get("broken", ()), *found.get("incomplete", ())}
    listed = [one for one in sorted(found.get("cgoEnabled", ())) if one not in left_out]
    return tuple(Port(*one.split("/")) for one in listed or otherwise)


def read(
    root: Path, base: Generation | None, names: Iterable[str] = (), types: Iterable[str] = ()
) -> tuple[Draft, Tree]:
    """What a tree says of the constants and types that the base reports, and of those asked for besides.

    Raises UsageFault for what is not a source tree.
    """
    src = next((path for path in (root / "src", root) if (path / "runtime").is_dir()), None)
    if src is None:
        raise UsageFault(Fault(f"{root} has no src/runtime", "a Go source tree (a GOROOT)", id="no-tree"))
    own = {name.partition(".")[2] for name in base.names("runtime")} if base else set()
    shown = base.reported_types if base else ()
    needed = sorted(needs_of(base)) if base else ()
    tree = Tree(src, ports_of(src, base.ports if base else ()))
    experiments = {
        name.partition(".")[2]: of[0].formula
        for name, of in (base.rows if base else {}).items()
        if name.startswith("goexperiment.")
    }
    wanted, wanted_types = {*own, *names}, sorted({*shown, *types})
    reader = Reader(tree, version_of(src), wanted, wanted_types, needed, experiments)
    found = reader.read()
    found.packages = dict(reader.paths)
    return found, tree


def version_of(src: Path) -> str:
    """What the VERSION file beside a tree's src says first, such as go1.27.3; empty without one."""
    for path in (src.parent / "VERSION", src.resolve().parent / "VERSION"):
        if path.is_file():
            return (path.read_text("utf-8", "replace").split() or [""])[0][:80]
    return ""


def needs_of(layout: Generation) -> set[str]:
    """What the formulas of a layout mention of the source: constants, types."""
    found: set[str] = set()
    for of in (*layout.rows.values(), *layout.families.values()):
        for row in of:
            if row.package == "layout":
                for text in filter(
                    None, (row.formula.replace("{i}", "0"), layout.condition(row.when), row.members)
                ):
                    found |= {*goexpr.names(text), *goexpr.composites(text)}
    return found


def words_of(generation: Generation) -> dict[str, tuple[str, str]]:
    """Unit and words of every constant of a generation, by qualified name."""
    return {name: (rows[0].unit, rows[0].what) for name, rows in generation.rows.items()}


# ---- rows -------------------------------------------------------------------------------------


def rows(found: Draft, words: Words) -> Iterator[Row]:
    """The rows of a draft, with the descriptions that are known for them."""
    for name, alternatives in found.constants.items():
        package = name.partition(".")[0]
        unit, what = (
            words.get(name) or words.get(f"runtime.{name.partition('.')[2]}") or _by_form(name) or UNKNOWN
        )
        for one in alternatives:
            when = f"build {one.constraint}" if one.constraint else ""
            yield Row(
                package, one.name, one.kind, one.formula, when, "", Source(one.file, 0), one.iota, unit, what,
                name in found.reported,
            )  # fmt: skip


def _by_form(name: str) -> tuple[str, str] | None:
    """The descriptions of names that explain themselves."""
    package, _, own = name.partition(".")
    if package in ("goos", "goarch") and own.startswith("Is"):
        return "flag", f"1 on {own[2:].lower()}"
    if package == "goarch" and own.isupper():
        return "family", own.lower()
    if package == "goexperiment":
        return (
            ("flag", f"1 where {own[:-3]} is on")
            if own.endswith("Int")
            else ("bool", "an experiment of the toolchain")
        )
    return None


def differing(
    own: Mapping[str, tuple[Row, ...]], base: Generation | None
) -> tuple[dict[str, tuple[Row, ...]], list[str]]:
    """The names whose rows are not the base's, and those that only the base has."""
    if base is None:
        return dict(own), []
    fresh = {name: of for name, of in own.items() if _bare(of) != _bare(base.rows.get(name, ()))}
    gone = [name for name, of in base.rows.items() if name not in own and of[0].package != "layout"]
    return fresh, sorted(gone)


def _bare(of: Iterable[Row]) -> list[tuple[object, ...]]:
    return sorted((row.type_name, row.formula, row.when, str(row.iota), row.reported) for row in of)


def table(known: Iterable[Row], lines: Mapping[tuple[str, str], int]) -> str:
    """Rows as a table's text, file by file."""

    def place(row: Row) -> tuple[object, ...]:
        file = row.source[0]
        package = ORDER.index(row.package) if row.package in ORDER else -1
        return package, row.package, file, row.when, lines.get((file, row.name), 0), row.name

    text = ""
    for (package, file), of_file in groupby(
        sorted(known, key=place), lambda row: (row.package, row.source[0])
    ):
        own = "" if file.rpartition("/")[0].rpartition("/")[2] == package else f" as {package}"
        text += f"\nfile {file}{own}\n"
        for when, of_when in groupby(of_file, lambda row: row.when):
            text += f"{when}\n" if when else ""
            for row in of_when:
                kind = f" {row.type_name}" if row.type_name else ""
                iota = f" iota={row.iota}" if row.iota is not None else ""
                text += f"{row.name}{kind} = {row.formula} //{iota} {row.unit}: {row.what}\n"
    return text


# ---- types ------------------------------------------------------------------------------------


def type_table(found: Mapping[str, tuple[Alternative, ...]]) -> str:
    """Types as a table's text, file by file."""
    every = [one for alternatives in found.values() for one in alternatives]
    text = ""
    for file, of_file in groupby(
        sorted(every, key=lambda one: (one.file, one.constraint, one.line)), lambda one: one.file
    ):
        text += f"\nfile {file}\n"
        for constraint, of_constraint in groupby(of_file, lambda one: one.constraint):
            text += f"build {constraint}\n" if constraint else ""
            text += "".join(one.formula + "\n" for one in of_constraint)
    return text


def _declared(base: Generation | None) -> dict[str, list[tuple[str, str]]]:
    """Constraint and text of every type of a generation with its bases."""
    if base is None:
        return {}
    found = {name: of for name, of in _declared(base.base).items() if name not in base.gone_types}
    fresh: dict[str, list[tuple[str, str]]] = {}
    for section in base.type_sections:
        for name, text in _texts(section):
            fresh.setdefault(name, []).append((section.constraint, text))
    return found | fresh


def _texts(section: TypeSection) -> Iterator[tuple[str, str]]:
    for text in re.split(r"^(?=type )", section.text, flags=re.MULTILINE):
        if text.startswith("type "):
            yield text.split(" ", 2)[1], text.rstrip("\n")


def differing_types(
    found: Draft, base: Generation | None
) -> tuple[dict[str, tuple[Alternative, ...]], list[str]]:
    """The types that are not declared as in the base, and those that only the base has."""
    theirs = _declared(base)
    fresh = {}
    for name, of in found.types.items():
        own = sorted((f"build {one.constraint}" if one.constraint else "", one.formula) for one in of)
        shown = base is not None and (f"type.{name}" in found.reported) == (name in base.reported_types)
        if own != sorted(theirs.get(name, [])) or not shown:
            fresh[name] = of
    return fresh, sorted(name for name in theirs if name not in found.types)


# ---- lines ------------------------------------------------------------------------------------


def line_table(found: Draft, reader_lines: Iterable[FileLines]) -> str:
    """The lines of everything, file by file."""
    text = ""
    for one in sorted(reader_lines):
        text += f"\nfile {one.file}" + (f" build {one.constraint}" if one.constraint else "") + "\n"
        words = [
            f"{name} {line}{_steps(line, one.members.get(name, ()))}"
            for name, line in sorted(one.names.items(), key=lambda pair: (pair[1], pair[0]))
        ]
        text += _filled(words)
    return text


def _steps(line: int, members: tuple[int, ...]) -> str:
    steps, at = "", line
    for member in members:
        steps += f"+{member - at}"
        at = member
    return steps


def _filled(words: Iterable[str]) -> str:
    text, width = "", 0
    for word in words:
        if width and width + len(word) > 108:
            text, width = text + "\n", 0
        text += (" " if width else "") + word
        width += len(word) + 1
    return text + "\n"


_DECLARED = r"^(?:func {0}\(|func \(\w+ \*?{1}\) {2}\(|(?:type|var|const) {0}\b|\t{0}\s+=)"


def anchors(generation: Generation, tree: Tree) -> Iterator[tuple[str, str, str, int]]:
    """Where functions are in a tree that a layout's figures name: file, constraint, name, line.

    A function moves from file to file, and some ports have their own: all files that have it are listed.
    """
    known = {
        row.source.file for of in (*generation.rows.values(), *generation.families.values()) for row in of
    }
    for own in sorted(one for one in known if "#" in one):
        file, _, anchor = own.partition("#")
        receiver, _, method = anchor.rpartition(".")
        form = _DECLARED.format(re.escape(anchor), re.escape(receiver or "?"), re.escape(method))
        pattern = re.compile(form, re.MULTILINE)
        for one in tree.package(file.rpartition("/")[0]):
            text = (tree.src / one.read.file).read_text("utf-8", "replace")
            match = pattern.search(text)
            if match is not None:
                yield one.read.file, one.constraint, f"{anchor}()", text.count("\n", 0, match.start()) + 1


def places(found: Draft, tree: Tree, base: Generation | None = None) -> list[FileLines]:
    """The lines of all that a draft has, file by file; of a fact every file that declares it."""
    names: dict[tuple[str, str], dict[str, int]] = {}
    members: dict[tuple[str, str], dict[str, tuple[int, ...]]] = {}
    for name, alternatives in found.constants.items():
        own = name.partition(".")[2]
        facts = alternatives and alternatives[0].formula == f"fact.{own}"
        if facts:
            for file in tree.package("runtime"):
                if own in file.read.consts:
                    const = file.read.consts[own]
                    names.setdefault((const.file, file.constraint), {})[own] = const.line
            continue
        for one in alternatives:
            names.setdefault((one.file, one.constraint), {})[own] = one.line
    for name, alternatives in found.types.items():
        for one in alternatives:
            own = name.rpartition(".")[2]
            names.setdefault((one.file, one.constraint), {})[own] = one.line
            if one.members:
                members.setdefault((one.file, one.constraint), {})[own] = one.members
    for place, constraint, name, line in anchors(base, tree) if base is not None else ():
        names.setdefault((place, constraint), {})[name] = line
    return [FileLines(*key, of, members.get(key, {})) for key, of in names.items()]


HEADS = {
    "constants.txt": "Every constant that reports show, as Go {version} declares it{over}.",
    "parts.txt": "Constants that formulas and lengths of types are made of; reports leave them out.",
    "types.txt": "The types whose layout reports show, as Go {version} declares them{over}.",
    "typeparts.txt": "Types that those of types.txt are made of, or that formulas ask the size of.",
    "lines.txt": "Where declarations are in Go {version}: names, lines, of types the fields' too.",
}


def write(
    found: Draft,
    tree: Tree,
    base: Generation | None,
    words: Words,
    folder: Path,
    layout: Generation | None = None,
) -> list[str]:
    """Writes the folder of a generation; what a person must decide is reported, line by line.

    `layout` is the generation whose layout's figures it has, where that is not the base.
    """
    own: dict[str, tuple[Row, ...]] = {}
    for row in rows(found, words):
        own[f"{row.package}.{row.name}"] = (*own.get(f"{row.package}.{row.name}", ()), row)
    fresh, gone = differing(own, base)
    types, gone_types = differing_types(found, base)
    lines = places(found, tree, layout or base)
    at = {(one.file, name): line for one in lines for name, line in one.names.items()}
    every = [row for of in fresh.values() for row in of]
    absent = [*gone, *(f"type.{name}" for name in gone_types)]
    tables = {
        "constants.txt": _gone(absent) + table((row for row in every if row.reported), at),
        "parts.txt": table((row for row in every if not row.reported), at),
        "types.txt": type_table({name: of for name, of in types.items() if f"type.{name}" in found.reported}),
        "typeparts.txt": type_table(
            {name: of for name, of in types.items() if f"type.{name}" not in found.reported}
        ),
        "lines.txt": line_table(found, lines),
    }
    version = found.version.removeprefix("go")
    over = f", where they differ from {base.name}'s" if base else ""
    for name, text in tables.items():
        if text.strip():
            output.write(
                folder / name, [f"# {HEADS[name].format(version=version, over=over)}\n{text}"], force=True
            )
    about = f"version: {found.version}\n"
    about += f"base: {base.name}\n" if base else "era: sparse\n"
    packages = _packages(found)
    if base is None or packages != " ".join(f"{own}={path}" for own, path in base.packages.items()):
        about += f"packages: {packages}\n"
    sizes = size_class_names(own)
    if base is None or sizes != base.size_classes:
        about += f"size-classes: {' '.join(sizes)}\n"
    ports = tuple(map(str, found.ports))
    if base is None or ports != base.ports:
        about += "ports: " + _filled(ports).replace("\n", "\n  ").rstrip() + "\n"
    if layout or base:
        shown = shapes.table(layout or base, tree.src)  # type: ignore[arg-type]
        head = "# The functions that the layout follows: a digest of their tokens, and their numbers.\n"
        output.write(folder / "shapes.txt", [head, shown], force=True)
    head = "# What this generation is. `tables` of this package tells the form of the other files.\n"
    output.write(folder / "about.txt", [head, about], force=True)
    decide = [
        f"unit and words of {name}"
        for name, of in fresh.items()
        if of[0].unit == UNKNOWN[0] and of[0].reported
    ]
    return [*found.unread, *found.undecided, *decide]


def _packages(found: Draft) -> str:
    used = {name.partition(".")[0] for name in found.constants}
    return " ".join(f"{own}={path}" for own, path in found.packages.items() if own in used)


SIZE_CLASS_NAMES = (
    ("PageSize", "_PageSize"),
    ("MaxSmallSize", "_MaxSmallSize"),
    ("SmallSizeDiv", "smallSizeDiv"),
    ("SmallSizeMax", "smallSizeMax"),
    ("LargeSizeDiv", "largeSizeDiv"),
)


def size_class_names(own: Mapping[str, object]) -> tuple[str, ...]:
    """The constants that the size classes follow from, under the names that a release has for them."""
    return tuple(
        next((known for known in (f"gc.{new}", f"runtime.{old}") if known in own), "")
        for new, old in SIZE_CLASS_NAMES
    )


def _gone(names: Iterable[str]) -> str:
    text = _filled(names)
    return "".join(f"gone {line}\n" for line in text.splitlines() if line.strip())
