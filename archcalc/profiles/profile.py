"""From YAML to a frozen `Profile`: the facts about a platform, merged, each with the line that it comes from.

A profile's file has its own facts and inherits the rest: `inherit` names
files of the package (`linux/arm64`, `os/linux`, `arch/arm64`) or paths beside it, the
later ones over the earlier, the file's own facts over all. What changed from one
release of Go to another is under `changes`, over the rest of its file. Go's own
facts about an architecture or a system belong to a generation: if it has some, in its
folder `facts/`, they are laid over the file of the same name. The merged whole must
be complete and must not contradict itself. What can be in a file is declared
in `profile_fields`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from archcalc import generations
from archcalc.generations import CURRENT
from archcalc.profiles import files
from archcalc.profiles.profile_fields import FILE, FROM_GO, SECTIONS
from archcalc.reading import strictyaml
from archcalc.reading.errors import Fault, ProfileFault
from archcalc.reading.fields import Group, nearest, read_file
from archcalc.reading.strictyaml import Document
from archcalc.reading.words import counted

# A chain of inheritance is two or three files long; the limit only stops a mistake.
_LONGEST_CHAIN = 16

# Facts of an architecture on every system: a profile of a GOARCH that Go knows cannot change them.
_ARCH_IDENTITY = ("ptr_size", "reg_size", "big_endian", "arch_family", "pc_quantum", "min_frame_size")


class Origin(NamedTuple):
    """The place of a fact; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


Fact = int | bool | str
Release = tuple[int, int]

# Between Go 1.7 and 1.8: older than all releases that facts distinguish.
_BEFORE_ALL: Release = (1, 7)


def release_of(go: str) -> Release:
    """The release of a generation's name, or of what `since` and `until` say: (1, 27) of 1.27 or go1.27.3."""
    match = re.match(r"(?:go)?(\d+)\.(\d+)", go)
    return (int(match[1]), int(match[2])) if match else _BEFORE_ALL


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One platform's facts. Sizes are bytes, addresses plain ints.

    `facts` has all scalar facts by name: of the architecture, the system, the
    machine, and the system's constants under Go's own names. `machine` has the
    machine's alone, `taken` and `phys_page_sizes` among them; `constants` the
    constants alone. `origins` has the line that each key comes from, `go` the generation
    that the facts are for.
    """

    platform: str
    name: str
    file: str
    facts: Mapping[str, Fact]
    machine: Mapping[str, Any]
    constants: Mapping[str, int]
    origins: Mapping[str, Origin] = field(repr=False)
    go: str = CURRENT

    @property
    def goos(self) -> str:
        """The operating system, by Go's name."""
        return self.platform.partition("/")[0]

    @property
    def goarch(self) -> str:
        """The architecture, by Go's name."""
        return self.platform.partition("/")[2]

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: read-only views cannot be pickled, what they show can."""
        views = (self.facts, self.machine, self.constants, self.origins)
        return _profile, (self.platform, self.name, self.file, *map(dict, views), self.go)


def _profile(
    platform: str,
    name: str,
    file: str,
    facts: dict[str, Fact],
    machine: dict[str, Any],
    constants: dict[str, int],
    origins: dict[str, Origin],
    go: str,
) -> Profile:
    return Profile(
        platform,
        name,
        file,
        MappingProxyType(facts),
        MappingProxyType(machine),
        MappingProxyType(constants),
        MappingProxyType(origins),
        go,
    )


def load_file(path: str | Path, go: str = CURRENT) -> Profile:
    """The profile in a user's own file. Raises ProfileFault with every fault in it."""
    profile, faults = read(path, go)
    if profile is None:
        raise ProfileFault(*faults)
    return profile


def validate(path: str | Path, go: str = CURRENT) -> list[Fault]:
    """Every fault of a profile's file and of what it inherits; empty when it can be used."""
    return read(path, go)[1]


def read(path: str | Path, go: str = CURRENT) -> tuple[Profile | None, list[Fault]]:
    """The profile in a file, or None and why not."""
    reader = _Reader(go)
    return reader.finish(reader.file(str(path), str(path)))


def of_group(group: Group, document: Document, path: str, go: str = CURRENT) -> Profile | None:
    """The profile that stands within another file (a scenario), read by `FILE`'s sections.

    What it inherits is looked for beside `path`; faults are noted in the document, and then there is none.
    """
    reader = _Reader(go)
    merged = reader.merge(group, path, document.file)
    profile = reader.profile(merged) if not reader.faults else None
    document.faults.extend(reader.faults)
    return profile


@cache
def load_ours(name: str, go: str = CURRENT) -> Profile:
    """The profile of one of the package's files. Raises ProfileFault, which would be a bug of archcalc."""
    reader = _Reader(go)
    profile, faults = reader.finish(reader.ours(name))
    if profile is None:
        raise ProfileFault(*faults)
    return profile


class _Merged:
    """What a file and all that it inherits say together; origins are beside the values."""

    __slots__ = ("file", "origins", "place", "sections", "top")

    def __init__(self, file: str, place: tuple[int, int]) -> None:
        self.file = file
        self.place = place
        self.top: dict[str, str] = {}
        self.sections: dict[str, dict[str, Any]] = {"arch": {}, "os": {}, "constants": {}, "machine": {}}
        self.origins: dict[str, Origin] = {}

    def take(self, below: _Merged) -> None:
        """Lays another file's facts over these, without its name and description."""
        for name, values in below.sections.items():
            self.sections[name].update(values)
        self.origins.update(below.origins)
        if "platform" in below.top:
            self.top["platform"] = below.top["platform"]

    def take_own(self, group: Group, release: Release) -> None:
        """Lays the file's own facts over what it inherits, and over those what changed up to the release."""
        for key in ("platform", "name", "about"):
            if key in group:
                self.top[key] = group[key]
                self.origins[key] = Origin(self.file, *group.at[key])
        self.take_sections(group)
        for change in group.get("changes", ()):
            since, until = change.get("since"), change.get("until")
            if (since is None or release >= release_of(since)) and (
                until is None or release < release_of(until)
            ):
                self.take_sections(change)

    def take_sections(self, group: Group) -> None:
        for name, values in self.sections.items():
            section: Group | None = group.get(name)
            if section is not None:
                values.update(section)
                for key, place in section.at.items():
                    self.origins[key] = Origin(self.file, *place)


@cache
def _ours(name: str, go: str = CURRENT) -> tuple[_Merged | None, list[Fault]]:
    """The package's facts under a name, with everything inherited; read once in a run."""
    reader = _Reader(go)
    return reader.ours(name), reader.faults


class _Reader:
    """Reads a file and what it inherits, for one generation; every fault of all of them is in `faults`."""

    def __init__(self, go: str) -> None:
        self.go = go
        self.release = release_of(go)
        self.faults: list[Fault] = []
        self.open: list[str] = []
        self.done: dict[str, _Merged | None] = {}

    def ours(self, name: str) -> _Merged | None:
        """The facts under one of the package's names: the machine's, and over them the generation's."""
        ours = files.files_of(name, self.go)
        # None of them inherits from a path, so none can be met under two names.
        paths = ((str(path), shown) for path, shown in ours)
        read = [merged for path, shown in paths if (merged := self.file(path, shown, path)) is not None]
        for over in read[1:]:
            read[0].take(over)
        return read[0] if read else None

    def file(self, path: str, shown: str, identity: str = "") -> _Merged | None:
        """A file with what it inherits, or None where it cannot be read at all."""
        identity = identity or os.path.realpath(path)
        if identity not in self.done:
            self.open.append(identity)
            self.done[identity] = self.read(path, shown)
            self.open.pop()
        return self.done[identity]

    def read(self, path: str, shown: str) -> _Merged | None:
        document = Document(shown, "profile", self.faults, ProfileFault)
        data = strictyaml.read_bytes(path, document)
        group = read_file(data, FILE, document) if data is not None else None
        return None if group is None else self.merge(group, path, shown)

    def merge(self, group: Group, path: str, shown: str) -> _Merged:
        """What a file says over what it inherits."""
        document = Document(shown, "profile", self.faults, ProfileFault)
        merged = _Merged(shown, (group.line, group.column))
        for parent in group.get("inherit", ()):
            below = self.inherited(parent, path, document, group.at["inherit"])
            if below is not None:
                merged.take(below)
        merged.take_own(group, self.release)
        return merged

    def inherited(self, name: str, path: str, document: Document, place: tuple[int, int]) -> _Merged | None:
        if not name.endswith((".yaml", ".yml")):
            if not files.files_of(name, self.go):
                known = "a platform of `archcalc list`, os/NAME, arch/NAME, or the path of a .yaml file"
                found = f"there is no {name} to inherit"
                document.fault(place, "unknown-parent", found, known, files.nearest_file(name))
                return None
            merged, faults = _ours(name, self.go)
            self.faults.extend(faults)
            return merged
        beside = os.path.join(os.path.dirname(path), name)
        if os.path.realpath(beside) in self.open:
            document.fault(
                place,
                "inherit-loop",
                f"{name} inherits from this file, directly or through others",
                "inheritance without a loop",
            )
            return None
        if len(self.open) >= _LONGEST_CHAIN:
            found = f"{name} is the {_LONGEST_CHAIN + 1}th file in a chain of inheritance"
            document.fault(place, "inherit-too-long", found, f"at most {_LONGEST_CHAIN}")
            return None
        return self.file(beside, beside)

    def finish(self, merged: _Merged | None) -> tuple[Profile | None, list[Fault]]:
        """The whole, or None and every fault in the order of the files."""
        profile = self.profile(merged) if merged is not None and not self.faults else None
        return profile, strictyaml.in_order(self.faults)

    def profile(self, merged: _Merged) -> Profile | None:
        """The whole profile; None if something is missing or contradictory, which is noted."""
        document = Document(merged.file, "profile", self.faults, ProfileFault)
        platform = merged.top.get("platform")
        if platform is None:
            document.fault(merged.place, "missing-key", "no platform", "platform: goos/goarch")
        elsewhere = frozenset() if files.has_own_facts(self.go) else FROM_GO
        for name, section in SECTIONS.items():
            for key, spec in section.fields.items():
                if spec.required and key not in merged.sections[name] and key not in elsewhere:
                    found = f"no {name}.{key}, here or in what is inherited"
                    document.fault(merged.place, "missing-key", found, f"{key}: {spec.kind.words()}")
        if self.faults or platform is None:
            return None
        arch, system, machine = merged.sections["arch"], merged.sections["os"], merged.sections["machine"]
        _Contradictions(merged, self.faults, self.go).find(platform, arch, machine)
        if self.faults:
            return None
        constants = merged.sections["constants"]
        scalars = {key: value for key, value in machine.items() if not isinstance(value, list)}
        facts = {**arch, **system, **scalars, **constants}
        name = merged.top.get("name", platform)
        return _profile(platform, name, merged.file, facts, machine, constants, merged.origins, self.go)


class _Contradictions:
    """Facts that contradict each other; each fault is at the line of one of them."""

    def __init__(self, merged: _Merged, faults: list[Fault], go: str) -> None:
        self.go = go
        self.file = merged.file
        self.origins = merged.origins
        self.faults = faults

    def fault(self, keys: tuple[str, ...], what: str, found: str, expected: str) -> None:
        """Notes it at the first of the facts that is in the profile's own file, else at the first."""
        own = (key for key in keys if self.origins[key].file == self.file)
        origin = self.origins[next(own, keys[0])]
        self.faults.append(Fault(found, expected, "", f"profile-{what}", *origin))

    def find(self, platform: str, arch: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        """All contradictions of a whole profile."""
        if not files.has_own_facts(self.go) and files.shown(platform) != self.file:
            self.known(platform)
        self.words(platform.partition("/")[2], arch, machine)
        self.pages(machine)
        self.addresses(machine)

    def known(self, platform: str) -> None:
        """A release with its own files about ports must have the port."""
        ports = generations.ports(self.go)
        if platform not in ports:
            found = f"Go {self.go} has no port to {platform}, and takes its ports from its own files"
            expected = f"one of `archcalc list --go {self.go}`; or Go {CURRENT}, for a port of your own"
            near = nearest(platform, ports)
            self.faults.append(Fault(found, expected, near, "profile-port", *self.origins["platform"]))

    def words(self, goarch: str, arch: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        known = _ours(f"arch/{goarch}", self.go)[0]
        if known is not None:
            for key in _ARCH_IDENTITY:
                right = known.sections["arch"].get(key)
                if right is not None and arch[key] != right:
                    expected = f"{_spelt(right)}, as {goarch} has it, or another GOARCH"
                    self.fault((key,), "arch-contradiction", f"{key} is {_spelt(arch[key])}", expected)
        self.family(arch)
        ptr_size, bits = arch["ptr_size"], machine["user_address_bits"]
        if ptr_size > arch["reg_size"]:
            found = f"reg_size is {arch['reg_size']} where pointers have {counted(ptr_size, 'byte')}"
            self.fault(("reg_size", "ptr_size"), "word-size", found, "at least ptr_size")
        if arch.get("int64_align", ptr_size) < ptr_size:
            found = f"int64_align is {arch['int64_align']} where pointers have {counted(ptr_size, 'byte')}"
            self.fault(("int64_align", "ptr_size"), "word-size", found, "at least ptr_size")
        if bits > 8 * ptr_size:
            found = f"user_address_bits is {bits} where pointers have {counted(ptr_size, 'byte')}"
            self.fault(("user_address_bits", "ptr_size"), "address-bits", found, f"at most {8 * ptr_size}")

    def family(self, arch: Mapping[str, Any]) -> None:
        """Some release of Go must declare the family: a port may add what later releases have."""
        named = arch.get("arch_family")
        if named is None or named in families(self.go) or named in families(latest()):
            return
        found = f"arch_family is {named}, which no release of Go declares"
        known = families(latest())
        self.faults.append(
            Fault(
                found, f"one of {', '.join(known)}", nearest(named, known), "profile-arch-family",
                *self.origins["arch_family"],
            )
        )  # fmt: skip

    def pages(self, machine: Mapping[str, Any]) -> None:
        page, segment = machine["phys_page_size"], machine["segment_alignment"]
        if page > segment:
            found = f"segment_alignment is {segment} where a physical page has {counted(page, 'byte')}"
            expected = f"a multiple of {page}: a kernel cannot load segments that share a page"
            self.fault(("segment_alignment", "phys_page_size"), "segment-alignment", found, expected)
        if page not in machine["phys_page_sizes"]:
            expected = f"one of phys_page_sizes: {', '.join(map(str, machine['phys_page_sizes']))}"
            keys = ("phys_page_size", "phys_page_sizes")
            self.fault(keys, "page-size", f"phys_page_size is {page}", expected)
        granularity = machine.get("allocation_granularity", page)
        if granularity < page:
            found = (
                f"allocation_granularity is {granularity} where a physical page has {counted(page, 'byte')}"
            )
            keys = ("allocation_granularity", "phys_page_size")
            self.fault(keys, "page-size", found, f"at least {page}")

    def addresses(self, machine: Mapping[str, Any]) -> None:
        low, high, bits = machine["address_low"], machine["address_high"], machine["user_address_bits"]
        if high > 1 << bits:
            found = f"address_high is {high:#x} where user_address_bits is {bits}"
            self.fault(
                ("address_high", "user_address_bits"), "address-range", found, f"at most {1 << bits:#x}"
            )
        if low >= high:
            found = f"address_low is {low:#x} where address_high is {high:#x}"
            self.fault(("address_low", "address_high"), "address-range", found, "less")
            return
        for key in ("image_start", "data_end", "mmap_base"):
            if not low <= machine[key] <= high:
                expected = f"{low:#x} to {high:#x}, address_low to address_high"
                keys = (key, "address_low", "address_high")
                self.fault(keys, "address-range", f"{key} is {machine[key]:#x}", expected)
        if machine["image_start"] >= machine["data_end"]:
            found = f"data_end is {machine['data_end']:#x} where image_start is {machine['image_start']:#x}"
            self.fault(("data_end", "image_start"), "address-range", found, "more")
        for taken in machine.get("taken", ()):
            if taken["from"] >= taken["to"]:
                found = f"a taken range runs from {taken['from']:#x} to {taken['to']:#x}"
                self.fault(("taken",), "address-range", found, "an end after its start")


def latest() -> str:
    """The newest generation, whose families a port to an older one may add."""
    return generations.known()[-1]


@cache
def families(go: str) -> tuple[str, ...]:
    """The families of architectures that a generation declares."""
    rows = generations.load(go).rows
    last = (own[-1] for own in rows.values())
    return tuple(row.name for row in last if row.type_name == "ArchFamilyType" and row.iota is not None)


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
