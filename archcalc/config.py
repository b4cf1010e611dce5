"""What a project says once instead of on every command line: archcalc.yaml or [tool.archcalc].

The nearest folder upwards that has either counts; archcalc.yaml wins over a pyproject.toml beside
it. Files that it names are relative to it. Reading is as strict as for profiles, and by the same
reader: an unknown key or a wrong type is a fault with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archcalc.reading.errors import ConfigFault, Fault, UsageFault
from archcalc.reading.quantities import parse_setting
from archcalc.results.result import CI_FORMATS, FORMATS

if TYPE_CHECKING:
    from archcalc.reading.fields import FixedKeys
    from archcalc.reading.strictyaml import Document, Node

FILE = "archcalc.yaml"
TOML = "pyproject.toml"


class Settings(NamedTuple):
    """A project's choices; `file` is where they stand, None where there are none."""

    file: Path | None = None
    platforms: tuple[str, ...] = ()
    profiles: tuple[Path, ...] = ()
    sets: Mapping[str, int | str] = {}
    format: str = "table"
    go: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, str] = {}
    baseline: Path | None = None


@cache
def current() -> Settings:
    """The configuration of the folder that archcalc is run in. Raises ConfigFault, located."""
    return find(Path.cwd())


def find(folder: Path) -> Settings:
    """The configuration that holds in a folder."""
    for place in (folder, *folder.parents):
        path = place / FILE
        if path.is_file():
            return read(path)
        path = place / TOML
        if path.is_file() and b"tool.archcalc" in _bytes(path):
            return read(path)
    return Settings()


def read(path: Path) -> Settings:
    """One configuration file, YAML or TOML by its suffix."""
    # Only a project that has a configuration pays for the reader.
    from archcalc.reading.strictyaml import Document, parse

    document = Document(str(path), "config", [], ConfigFault)
    data = _bytes(path)
    tree: Node | None = _toml_tree(data, document) if path.suffix == ".toml" else parse(data, document)
    group = section().read(tree, document, "") if tree is not None else {}
    if document.faults:
        raise ConfigFault(*document.faults)
    return _config(path, group)


def section() -> FixedKeys:
    """What a configuration may say."""
    from archcalc.reading.fields import Checked, Choice, Field, FixedKeys, ListOf, MapOf, Text

    texts = ListOf(Text())
    choice = Choice((*FORMATS, *CI_FORMATS))
    severity = MapOf(
        Choice(("error", "warning", "info")), "[a-z*][a-z0-9.*-]*", "a check's id, a family or a glob"
    )
    return FixedKeys(
        {
            "platforms": Field(texts, "platforms of commands that name none: goos/goarch, globs or all"),
            "profiles": Field(texts, "profile files that every command knows, relative to this file"),
            "set": Field(ListOf(Checked(Text(), _unset)), "what-ifs, NAME=VALUE as --set takes them"),
            "go": Field(Text(), "the release of Go where the command line names none, as --go takes it"),
            "format": Field(choice, "how results are printed where the command line does not say"),
            "select": Field(texts, "checks to run: ids, families or globs"),
            "ignore": Field(texts, "checks not to run: ids, families or globs"),
            "severity": Field(severity, "severities that replace the checks' own"),
            "baseline": Field(Text(), "file of known findings, relative to this file"),
        }
    )


def _unset(text: str) -> str:
    """What is expected where a text sets nothing, else nothing."""
    try:
        parse_setting(text)
    except UsageFault as fault:
        return fault.faults[0].expected
    return ""


def _config(path: Path, group: Mapping[str, Any]) -> Settings:
    """The values of a file, its paths made relative to where the program runs."""
    sets: dict[str, int | str] = {}
    for text in group.get("set", ()):
        name, value = parse_setting(text)
        sets[name] = value
    baseline = group.get("baseline")
    return Settings(
        file=path,
        platforms=tuple(group.get("platforms", ())),
        profiles=tuple(path.parent / name for name in group.get("profiles", ())),
        sets=sets,
        format=group.get("format", "table"),
        go=group.get("go"),
        select=tuple(group.get("select", ())),
        ignore=tuple(group.get("ignore", ())),
        severity=dict(group.get("severity", {})),
        baseline=path.parent / baseline if baseline is not None else None,
    )


def _toml_tree(data: bytes, document: Document) -> Node | None:
    """The [tool.archcalc] table as the tree that a YAML file gives, each key with its line."""
    import tomllib

    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text).get("tool", {}).get("archcalc", {})
    except UnicodeDecodeError:
        document.fault((1, 1), "encoding", "the file is not UTF-8", "UTF-8")
        return None
    except tomllib.TOMLDecodeError as error:
        # Python tells the place in its words, which are its own, or in attributes since 3.14.
        place = re.search(r"line (\d+), column (\d+)", str(error))
        at = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 1)
        document.fault(at, "syntax", "not TOML from here on", "valid TOML")
        return None
    except (RecursionError, AttributeError):
        document.fault((1, 1), "syntax", "tool.archcalc is not a table, or is nested too deeply", "a table")
        return None
    return _node(table, _Lines(text))


class _Lines:
    """Where the keys of [tool.archcalc] stand: tomllib does not say, so the text is searched."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self.header = next((at for at, line in enumerate(self._lines) if "tool.archcalc" in line), 0)

    def of(self, key: str) -> tuple[int, int]:
        """Line and column of a key; the table's own where the key is written unusually."""
        for at in range(self.header, len(self._lines)):
            found = re.match(rf"""\s*["']?({re.escape(key)})["']?\s*[=.]""", self._lines[at])
            if found:
                return at + 1, found.start(1) + 1
        return self.header + 1, 1


def _node(value: Any, lines: _Lines, at: tuple[int, int] = (0, 0)) -> Node:
    """A TOML value as a node; text is quoted there, so that it stays text here."""
    from archcalc.reading.strictyaml import Mapping, Scalar, Sequence

    line, column = at if at != (0, 0) else (lines.header + 1, 1)
    if isinstance(value, dict):
        entries = []
        for key, item in value.items():
            place = lines.of(key)
            entries.append((Scalar(*place, key), _node(item, lines, place)))
        return Mapping(line, column, entries)
    if isinstance(value, list):
        return Sequence(line, column, [_node(item, lines, (line, column)) for item in value])
    if isinstance(value, bool):
        return Scalar(line, column, "true" if value else "false")
    return Scalar(line, column, str(value), quoted=not isinstance(value, int | float))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigFault(Fault(f"cannot read: {error.strerror or error}", file=str(path))) from error
