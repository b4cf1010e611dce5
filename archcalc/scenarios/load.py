"""Reads scenario files: every fault of a file at its place, and a file with variants as several scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archcalc.profiles import profile as profiles
from archcalc.profiles import profile_fields
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, ProfileFault, ScenarioFault, UsageFault
from archcalc.reading.fields import Group, nearest, read_file
from archcalc.reading.strictyaml import Document, in_order, read_bytes
from archcalc.scenarios.fields import COMMON, FILE, OPTIONS

INCIDENTS = "incidents"

SUFFIXES = (".yaml", ".yml")
# Laid over the file's own key by key; of everything else a variant's replaces the file's.
_BY_KEY = ("machine", "set", "runtime")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: its number from 1, its name, what it says, and where it stands."""

    number: int
    name: str
    value: Any
    line: int
    column: int

    def __str__(self) -> str:
        return f"step {self.number}: {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One run of a scenario file. `said` has its sections, each value with its place.

    `profile` is None where it contradicts itself; `refused` says how then.
    """

    name: str
    file: str
    line: int
    about: str
    report: tuple[str, ...]
    source: str
    advice: str
    platform: str
    go: str
    profile: Profile | None
    refused: tuple[Fault, ...]
    said: Group
    steps: tuple[Step, ...]

    def section(self, name: str) -> Group:
        """A section of the file, empty where it is not there."""
        found = self.said.get(name)
        return found if found is not None else Group(self.line, 1)

    def place(self, name: str) -> tuple[int, int]:
        """Where a section stands."""
        return self.said.at.get(name, (self.line, 1))

    def fault(
        self, what: str, found: str, expected: str, place: tuple[int, int], near: str = ""
    ) -> ScenarioFault:
        """A mistake of the file that only shows when it is run."""
        return ScenarioFault(Fault(found, expected, near, f"scenario-{what}", self.file, *place))


def files(paths: Iterable[str | Path]) -> list[Path]:
    """The scenario files that paths stand for: files themselves, and all that lie in folders.

    Raises ScenarioFault for a path that is neither, and for a folder without any.
    """
    found: dict[Path, None] = {}
    faults: list[Fault] = []
    for given in paths:
        path = located(given)
        try:
            is_folder = path.is_dir()
        except (OSError, ValueError):
            is_folder = False
        if not is_folder:
            found[path] = None
            continue
        inside = sorted(p for suffix in SUFFIXES for p in path.rglob(f"*{suffix}") if p.is_file())
        if not inside:
            expected = "scenario files, *.yaml"
            faults.append(Fault("a folder without scenarios", expected, id="scenario-none", file=str(path)))
        found.update(dict.fromkeys(inside))
    if faults:
        raise ScenarioFault(*faults)
    return list(found)


def located(path: str | Path) -> Path:
    """The path; incidents/NAME, where nothing is called so, is one of ours, and incidents all of them."""
    given = Path(path)
    first, *rest = given.parts or ("",)
    if first != INCIDENTS or len(rest) > 1 or os.path.exists(given):
        return given
    ours = folder()
    if not rest:
        return ours
    names = sorted(one.stem for one in ours.glob("*.yaml"))
    name = rest[0].removesuffix(".yaml")
    if name not in names:
        found, near = f"no scenario {path}", nearest(name, names)
        expected = f"a file, or one of the {len(names)} of `archcalc run {INCIDENTS}`"
        raise ScenarioFault(
            Fault(found, expected, f"{INCIDENTS}/{near}" if near else "", "scenario-unreadable")
        )
    return ours / f"{name}.yaml"


def folder() -> Path:
    """Where the scenarios of incidents are: inside the installed package, or among a checkout's examples."""
    package = Path(__file__).parents[1]
    installed = package / "_incidents"
    return installed if installed.is_dir() else package.parent / "examples" / INCIDENTS


def load(path: str | Path) -> list[Scenario]:
    """The scenarios of a file, its own first and then its variants. Raises ScenarioFault with every fault."""
    faults: list[Fault] = []
    document = Document(str(path), "scenario", faults, ScenarioFault)
    data = read_bytes(path, document)
    group = read_file(data, FILE, document) if data is not None else None
    if group is None or faults:
        raise document.stop()
    name = group.get("name") or Path(path).stem
    found = [_scenario(group, _own(group), name, document)]
    names = {name}
    for variant in group.get("variants", ()):
        own = f"{name}/{variant['name']}"
        if own in names:
            document.fault(
                variant.at["name"], "name-taken", f"a second variant {variant['name']}", "another name"
            )
        names.add(own)
        found.append(_scenario(group, _over(group, variant), own, document, variant))
    if faults:
        raise ScenarioFault(*in_order(faults))
    return [scenario for scenario in found if scenario is not None]


def load_all(paths: Iterable[str | Path]) -> list[Scenario]:
    """The scenarios of files and folders. Raises ScenarioFault with the faults of all files at once."""
    found: list[Scenario] = []
    faults: list[Fault] = []
    for path in files(paths):
        try:
            found += load(path)
        except ScenarioFault as fault:
            faults += fault.faults
    if faults:
        raise ScenarioFault(*faults)
    return found


def _own(group: Group) -> Group:
    own = Group(group.line, group.column)
    for key in COMMON:
        if key in group:
            own[key] = group[key]
            own.at[key] = group.at[key]
    return own


def _over(group: Group, variant: Group) -> Group:
    """A variant laid over what the file says."""
    whole = _own(group)
    whole.line, whole.column = variant.line, variant.column
    for key in COMMON:
        if key not in variant:
            continue
        value = variant[key]
        if key in _BY_KEY and key in whole:
            merged = Group(value.line, value.column)
            for part in (whole[key], value):
                merged.update(part)
                merged.at.update(part.at)
            value = merged
        whole[key] = value
        whole.at[key] = variant.at[key]
    return whole


def _scenario(
    group: Group, said: Group, name: str, document: Document, variant: Group | None = None
) -> Scenario | None:
    line = said.line
    steps = tuple(
        Step(number, what, value, *place)
        for number, (what, value, place) in enumerate(said.get("steps", ()), start=1)
    )
    before = len(document.faults)
    if not said.get("expect") and not any(step.name == "expect" and step.value for step in steps):
        document.fault(
            (line, 1), "no-expectation", f"{name} expects nothing", "an expect: with at least one key"
        )
    for step in steps[1:]:
        if step.name == "boot":
            document.fault(
                (step.line, step.column), "boot-twice", f"{step} comes late", "boot as the first step only"
            )
    for script in _scripts(said, steps):
        _check_script(script, document)
    profile, refused = _profile(said, document)
    if len(document.faults) > before:
        return None
    about = variant["about"] if variant is not None and "about" in variant else group["about"]
    platform = profile.platform if profile else said.get("platform", "")
    return Scenario(
        name=name,
        file=document.file,
        line=line,
        about=about.strip(),
        report=tuple(group.get("report", ())),
        source=group.get("source", "").strip(),
        advice=group.get("advice", "").strip(),
        platform=platform,
        go=release_of(said, document) or "",
        profile=profile,
        refused=refused,
        said=said,
        steps=steps,
    )


def _scripts(said: Group, steps: Sequence[Step]) -> Iterable[Group]:
    yield from said.get("os", ())
    for step in steps:
        if step.name == "answers":
            yield from step.value


def _check_script(script: Group, document: Document) -> None:
    """An answer is of one kind: to given calls, by chance, or once memory has run out."""
    kinds = [key for key in ("chance", "after") if key in script]
    place = (script.line, script.column)
    if len(kinds) == 2:
        document.fault(place, "answer", "an answer with chance and after", "one of the two")
    elif kinds:
        for key in ("nth", "times", "address", "size", "answer"):
            if key in script:
                document.fault(
                    script.at[key], "answer", f"{key} beside {kinds[0]}", "only call and seed there"
                )
    elif "call" not in script:
        document.fault(place, "answer", "an answer to no call", "call, chance or after")
    if "seed" in script and "chance" not in script:
        document.fault(script.at["seed"], "answer", "a seed without chance", "chance beside it")
    if "times" in script and "nth" not in script:
        document.fault(script.at["times"], "answer", "times without nth", "nth beside it")


def release_of(said: Group, document: Document) -> str | None:
    """The generation that a scenario is about; None where there is none, which is noted."""
    from archcalc import generations

    if "go" not in said:
        return generations.CURRENT
    try:
        return generations.named(said["go"])
    except UsageFault as fault:
        document.fault(said.at["go"], "go", fault.faults[0].found, fault.faults[0].expected)
        return None


def _profile(said: Group, document: Document) -> tuple[Profile | None, tuple[Fault, ...]]:
    """The profile that a scenario runs on; the faults, as a result, where its facts contradict each other."""
    from archcalc.profiles import platforms

    given = said.get("profile")
    name = said.get("platform")
    go = release_of(said, document)
    if go is None:
        return None, ()
    machine = said.get("machine", {})
    facts = {key: machine[key] for key in machine if key in profile_fields.MACHINE.fields}
    if not set(facts) - set(OPTIONS):
        facts = {}  # all that is said are options of boot, for which no profile need be made
    if isinstance(given, str):
        if name is not None:
            document.fault(
                said.at["platform"], "platform", "a platform beside a profile's file", "one of the two"
            )
            return None, ()
        path = str(Path(document.file).parent / given)
        try:
            loaded = profiles.load_file(path, go)
        except ProfileFault as fault:
            return None, _result_or_fault(fault.faults, document)
        if not facts:
            return loaded, ()
        given = Group(*said.at["profile"])
        given["inherit"] = [said["profile"]]
        given.at["inherit"] = said.at["profile"]
    elif name is None:
        document.fault(
            (said.line, said.column),
            "missing-key",
            "the scenario names no platform",
            "platform: goos/goarch, or profile: FILE",
        )
        return None, ()
    elif name not in platforms.names(go) and not (given and "inherit" in given):
        near = nearest(name, platforms.names(go))
        document.fault(
            said.at["platform"],
            "platform",
            f"there is no platform {name}",
            f"one of the {len(platforms.names(go))}, or a profile",
            near,
        )
        return None, ()
    elif given is None and not facts:
        return platforms.load(name, go), ()
    inner = Document(document.file, "profile", [], ProfileFault)
    profile = profiles.of_group(_whole(said, given, name, facts), inner, document.file, go)
    return profile, _result_or_fault(inner.faults, document)


def _whole(said: Group, given: Group | None, name: str | None, facts: Mapping[str, Any]) -> Group:
    """The profile that a scenario's parts make together, each with its place."""
    whole = Group(*said.at.get("profile", said.at.get("machine", (said.line, said.column))))
    if given is not None:
        whole.update(given)
        whole.at.update(given.at)
    if name is not None:
        whole["platform"] = name
        whole.at["platform"] = said.at["platform"]
        if "inherit" not in whole:
            whole["inherit"] = [name]
            whole.at["inherit"] = said.at["platform"]
    if facts:
        machine = said["machine"]
        own = Group(machine.line, machine.column)
        own.update(whole.get("machine", {}))
        own.at.update(getattr(whole.get("machine"), "at", {}))
        own.update(facts)
        own.at.update({key: machine.at[key] for key in facts})
        whole["machine"] = own
    return whole


# A contradiction between facts is what a scenario can be about; a misspelt key is not.
_CONTRADICTIONS = frozenset(
    f"profile-{what}"
    for what in (
        "arch-contradiction", "word-size", "address-bits", "segment-alignment", "page-size", "address-range",
    )
)  # fmt: skip


def _result_or_fault(faults: Iterable[Fault], document: Document) -> tuple[Fault, ...]:
    found = tuple(in_order(list(faults)))
    if all(fault.id in _CONTRADICTIONS for fault in found):
        return found
    document.faults.extend(found)
    return ()
