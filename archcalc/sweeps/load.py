"""Reads sweep files: strict YAML, a grid, a list of points, or both; every fault at its place."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from archcalc import generations
from archcalc.calculator import classrules
from archcalc.machines.computer import read_maps
from archcalc.profiles import platforms
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.fields import Choice, Field, FixedKeys, Group, Int, ListOf, MapOf, Text, read_file
from archcalc.reading.quantities import parse_count, parse_range, parse_size
from archcalc.reading.strictyaml import Document, in_order, read_bytes
from archcalc.reading.words import counted
from archcalc.scenarios.fields import COUNT, MOST_BYTES, OPTIONS, Setting
from archcalc.sweeps.point import WORKLOADS, Histogram, Point, Ranges, Recording
from archcalc.workloads.programs import MOST_PROCS

SCHEMA_VERSION = 1
MOST_POINTS = 1_000_000
MOST_OBJECTS = 10_000_000  # of one histogram or recording: a mistake should not run for an hour
# Ranges are one value here, which a column can show.
MACHINE = {
    **OPTIONS,
    "taken": Field(
        Text(r"0[xX][^,]+[-+][^,]+(,[^,]+[-+][^,]+)*", "FROM-TO or FROM+SIZE, several with commas between"),
        "address ranges that something else already occupies: FROM-TO or FROM+SIZE, with commas between",
    ),
}
T = TypeVar("T")
_NAME = r"[A-Za-z_][A-Za-z0-9_.\[\]]*"


class SweepFault(UsageFault):
    """A sweep file that cannot be used."""


_ONE: dict[str, Field] = {
    "platform": Field(Text(what="a platform"), "goos/goarch, a glob or all"),
    "go": Field(Text(what="a release of Go"), "the release: 1.27, 7aefdfded; default: that of --go"),
    "profile": Field(Text("[^\\x00]+", "a path", 4096), "a profile file in place of a platform"),
    "classes": Field(Choice(classrules.RULES), "the rule for the table of size classes"),
    "workload": Field(Choice(WORKLOADS), "what drives the machine; none: it only boots"),
    "histogram": Field(Text("[^\\x00]+", "a path", 4096), "a CSV file size,count to allocate in place of it"),
    "recording": Field(Text("[^\\x00]+", "a path", 4096), "a recorded program to run in place of it"),
    "n": Field(COUNT, "about so many allocations of the workload"),
    "seed": Field(Int(0, (1 << 32) - 1), "of the workload's choices, or of the histogram's order"),
    "gogc": Field(Int(-1, 1 << 20), "GOGC; -1 is off"),
    "procs": Field(Int(1, MOST_PROCS), "GOMAXPROCS"),
}


def _fields(many: bool) -> dict[str, Field]:
    def kind(field: Field) -> Any:
        return ListOf(field.kind, 1, alone=True) if many else field.kind

    setting = ListOf(Setting(), 1, alone=True) if many else Setting()
    machine = {name: Field(kind(field), field.help) for name, field in MACHINE.items()}
    return {
        **{name: Field(kind(field), field.help) for name, field in _ONE.items()},
        "set": Field(MapOf(setting, _NAME, "a constant's name"), "constants that have another value"),
        "machine": Field(FixedKeys(machine), "what is unusual about the machine"),
    }


GRID = FixedKeys(_fields(many=True))
POINT = FixedKeys(_fields(many=False))
FILE = FixedKeys(
    {
        "schema": Field(Int(SCHEMA_VERSION, SCHEMA_VERSION), "the version of this format, 1", required=True),
        "name": Field(Text(), "name of the sweep; default: the file's name"),
        "about": Field(Text(), "what it is meant to find out"),
        "grid": Field(GRID, "every combination of these; each a value or a list of them"),
        "points": Field(ListOf(POINT, 1), "single points; what a point does not say has its default"),
        "figures": Field(
            ListOf(Text(_NAME, "a constant's name")), "constants that the table gets columns for"
        ),
    },
    "sweep",
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep file's points. `key` changes with all that its rows depend on, the program's version too."""

    name: str
    file: str
    about: str
    points: tuple[Point, ...]
    key: str


def load(path: Path, go: str | None = None) -> Sweep:
    """The points of a file. Raises SweepFault with every fault.

    `go` is the generation of points that name none, where one was named.
    """
    faults: list[Fault] = []
    document = Document(str(path), "sweep", faults, SweepFault)
    data = read_bytes(path, document)
    group = read_file(data, FILE, document) if data is not None else None
    if group is None or faults:
        raise document.stop()
    if "grid" not in group and "points" not in group:
        document.fault(
            (group.line, group.column), "missing-key", "nothing to sweep", "a grid, points or both"
        )
        raise document.stop()
    reader = _Reader(path, document, tuple(group.get("figures", ())), go)
    if "grid" in group:
        reader.grid(group["grid"])
    for said in group.get("points", ()):
        reader.point(said)
    if faults:
        raise SweepFault(*in_order(faults))
    points = tuple(reader.points)
    return Sweep(group.get("name") or path.stem, str(path), group.get("about", ""), points, _key(points))


def _key(points: tuple[Point, ...]) -> str:
    from archcalc import __version__

    digest = hashlib.sha256(__version__.encode())
    for point in points:
        facts = point.profile
        machine = sorted((name, repr(value)) for name, value in facts.machine.items())
        values = sorted((name, repr(value)) for name, value in facts.facts.items())
        sizes = point.histogram.sizes if point.histogram else None
        digest.update(repr((sorted(point.said().items(), key=str), machine, values, sizes)).encode())
        if point.recording is not None:
            digest.update(point.recording.digest.encode())
        digest.update(repr(point.machine).encode())
        digest.update(repr(point.constants).encode())
    return digest.hexdigest()


class _Reader:
    """Turns what a file says into points, noting faults with their places."""

    def __init__(self, path: Path, document: Document, constants: tuple[str, ...], go: str | None) -> None:
        self.folder = path.parent
        self.document = document
        self.constants = constants
        self.go = go
        self.points: list[Point] = []
        self.files: dict[tuple[str, ...], Any] = {}
        self.driven_by = {"histogram": self._histogram, "recording": self._recording}

    def grid(self, said: Group) -> None:
        """Every combination, the last key changing fastest."""
        axes: list[tuple[str, list[Any]]] = [("target", self._targets(said))]
        axes += [(f"set.{name}", values) for name, values in said.get("set", {}).items()]
        axes += [(f"machine.{name}", values) for name, values in self._machine(said)]
        for name in ("classes", "workload", "n", "seed", "gogc", "procs"):
            if name in said:
                axes.append((name, said[name]))
        for name, read in self.driven_by.items():
            if name in said:
                axes.append((name, [read(file, said.at[name]) for file in said[name]]))
        self._no_both(said)
        count = 1
        for _, values in axes:
            count *= len(values)
        if count + len(self.points) > MOST_POINTS:
            self.document.fault(
                (said.line, said.column),
                "out-of-range",
                f"{counted(count, 'point')}",
                f"at most {MOST_POINTS}",
            )
            return
        for combination in itertools.product(*(values for _, values in axes)):
            self._add(dict(zip((name for name, _ in axes), combination, strict=True)))

    def point(self, said: Group) -> None:
        """One point, or one for each platform that its pattern means."""
        self._no_both(said)
        values: dict[str, Any] = {}
        values |= {f"set.{name}": value for name, value in said.get("set", {}).items()}
        values |= {f"machine.{name}": value for name, value in self._machine(said)}
        values |= {
            name: said[name] for name in ("classes", "workload", "n", "seed", "gogc", "procs") if name in said
        }
        values |= {
            name: read(said[name], said.at[name]) for name, read in self.driven_by.items() if name in said
        }
        for target in self._targets(said):
            self._add({"target": target, **values})

    def _machine(self, said: Group) -> Iterator[tuple[str, Any]]:
        """What a section says of machines, with ranges of addresses read; what could not be is None."""
        machine = said.get("machine", {})
        for name, value in machine.items():
            place = machine.at.get(name, (said.line, said.column))
            read = {"taken": self._taken, "maps": self._maps}.get(name)
            if read is None:
                yield name, value
            elif isinstance(value, list):
                yield name, [read(text, place) for text in value]
            else:
                yield name, read(value, place)

    def _taken(self, text: str, place: tuple[int, int]) -> Ranges | None:
        try:
            return Ranges(text, tuple(parse_range(part) for part in text.split(",")))
        except UsageFault as fault:
            for found in fault.faults:
                self.document.fault(place, "out-of-range", found.found, found.expected)
            return None

    def _maps(self, file: str, place: tuple[int, int]) -> Ranges | None:
        try:
            found = read_maps(self.folder / file)
        except UsageFault as fault:
            self._take_over(fault, place)
            return None
        return Ranges(file, tuple((range.start, range.end) for range in found))

    def _no_both(self, said: Group) -> None:
        first, *others = [name for name in ("histogram", "recording", "workload") if name in said] or [""]
        for other in others:
            self.document.fault(said.at[other], "contradiction", f"a {other} beside a {first}", "one of them")

    def _add(self, values: dict[str, Any]) -> None:
        if None in values.values():
            return  # the fault is noted
        profile, go = values.pop("target")
        parts: dict[str, list[tuple[str, Any]]] = {"set": [], "machine": []}
        direct: dict[str, Any] = {}
        for name, value in values.items():
            section, dot, inner = name.partition(".")
            if dot and section in parts:
                parts[section].append((inner, value))
            else:
                direct[name] = value
        self.points.append(
            Point(
                number=len(self.points),
                profile=profile,
                go=None if go is None else generations.label(go),
                tree=None if go is None else generations.adopted(go),
                sets=tuple(parts["set"]),
                machine=tuple(parts["machine"]),
                constants=self.constants,
                **direct,
            )
        )

    def _targets(self, said: Group) -> list[tuple[Profile, str | None] | None]:
        """The profiles of each release that is named, with what was named; what cannot be is None."""
        gos: list[str | None] = [self.go]
        if "go" in said:
            texts = said["go"] if isinstance(said["go"], list) else [said["go"]]
            gos = [self._generation(text, said.at["go"]) for text in texts]
            if None in gos:
                return [None]
        found = [(profile, go) for go in gos for profile in self._profiles(said, go or generations.CURRENT)]
        return [None if profile is None else (profile, go) for profile, go in found]

    def _generation(self, text: str, place: tuple[int, int]) -> str | None:
        try:
            return generations.named(text)
        except UsageFault as fault:
            self.document.fault(place, "unknown", fault.faults[0].found, fault.faults[0].expected)
            return None

    def _profiles(self, said: Group, go: str) -> list[Profile | None]:
        """The profiles of platforms and profile files; linux/amd64 where there is neither."""
        found: list[Profile | None] = []
        patterns = said.get("platform", [] if "profile" in said else ["linux/amd64"])
        patterns = patterns if isinstance(patterns, list) else [patterns]
        if patterns:
            try:
                found += platforms.resolve(patterns, go=go)
            except UsageFault as fault:
                self._take_over(fault, said.at.get("platform", (said.line, said.column)))
        files = said.get("profile", [])
        for file in files if isinstance(files, list) else [files]:
            found.append(self._profile(file, said.at["profile"], go))
        return found

    def _once(
        self, key: tuple[str, ...], place: tuple[int, int], read: Callable[[Path], T | None]
    ) -> T | None:
        """What the file at the end of a key holds, read once; None, and faults, where it cannot be."""
        if key not in self.files:
            self.files[key] = None
            path = self.folder / key[-1]
            try:
                self.files[key] = read(path)
            except OSError as error:
                self.document.fault(place, "unreadable", f"{path} cannot be read: {error.strerror or error}")
            except UsageFault as fault:
                self._take_over(fault, place)
        found: T | None = self.files[key]
        return found

    def _profile(self, file: str, place: tuple[int, int], go: str) -> Profile | None:
        return self._once(("profile", go, file), place, lambda path: platforms.load_file(path, go))

    def _histogram(self, file: str, place: tuple[int, int]) -> Histogram | None:
        def read(path: Path) -> Histogram | None:
            inner = Document(str(path), "histogram", self.document.faults, SweepFault)
            data = read_bytes(path, inner)
            return None if data is None else _histogram(file, data, inner)

        return self._once(("histogram", file), place, read)

    def _recording(self, file: str, place: tuple[int, int]) -> Recording | None:
        def read(path: Path) -> Recording | None:
            found = Recording.read(file, path, hashlib.sha256(path.read_bytes()).hexdigest())
            if 0 < found.allocations <= MOST_OBJECTS:
                return found
            count = counted(found.allocations, "allocation")
            self.document.fault(place, "out-of-range", f"{file}: {count}", f"1 to {MOST_OBJECTS}")
            return None

        return self._once(("recording", file), place, read)

    def _take_over(self, fault: UsageFault, place: tuple[int, int]) -> None:
        """Faults of what a file names: at their own place, or where it names it."""
        for found in fault.faults:
            if found.file:
                self.document.faults.append(found)
            else:
                self.document.fault(place, "unknown", found.found, found.expected, found.suggestion)


def _histogram(name: str, data: bytes, document: Document) -> Histogram | None:
    """A CSV of size,count; a heading and lines that begin with # are ignored."""
    before = len(document.faults)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        document.fault((1, 1), "encoding", "the file is not UTF-8", "UTF-8")
        return None
    sizes: list[tuple[int, int]] = []
    for line, row in _rows(text):
        try:
            size, count = row
            one = (parse_size(size), parse_count(count))
            if max(one) > MOST_BYTES:
                raise ValueError
            sizes.append(one)
        except ValueError:
            document.fault(
                (line, 1), "wrong-type", f"found {','.join(row)[:60]!r}", "size,count, such as 1k,20"
            )
    found = Histogram(name, tuple(sizes))
    if len(document.faults) == before and not 0 < found.objects <= MOST_OBJECTS:
        document.fault(
            (1, 1), "out-of-range", f"{counted(found.objects, 'object')} in all", f"1 to {MOST_OBJECTS}"
        )
    return found if len(document.faults) == before else None


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text))
    for row in reader:
        if not row or row[0].lstrip().startswith("#"):
            continue
        if [cell.strip().lower() for cell in row] == ["size", "count"]:
            continue
        yield reader.line_num, row
