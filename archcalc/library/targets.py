"""The targets of a question: profiles, releases of Go and settings, by the words for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archcalc import config
from archcalc.generations import CURRENT
from archcalc.profiles import platforms
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault

if TYPE_CHECKING:
    from archcalc.calculator.figures import Figures

# What the system calls its processor, to GOARCH.
_GOARCH = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "x86": "386",
    "aarch64": "arm64",
    "arm64": "arm64",
    "ppc64": "ppc64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
}


def selected(
    patterns: Sequence[str] | None,
    files: Sequence[Path] | None = None,
    *,
    otherwise: Sequence[str] = (),
    go: str = CURRENT,
) -> list[Profile]:
    """The profiles that are asked for, in the order in which they are named; `go` is a generation.

    Without a platform: the user's own profiles where some are given, else what the configuration
    names, else `otherwise`, else $GOOS/$GOARCH, else the host. Raises UsageFault.
    """
    settings = config.current()
    extra = [*settings.profiles, *(files or ())]
    if patterns:
        return platforms.resolve(patterns, extra, go)
    if files:
        return [platforms.load_file(file, go) for file in files]
    if settings.platforms:
        return platforms.resolve(settings.platforms, extra, go)
    return platforms.resolve(otherwise or [host()], extra, go)


def _silent(note: str) -> None:
    """A `note` for callers that do not care about what cannot be followed."""


def generation(go: str | None, note: Callable[[str], None] = _silent) -> str:
    """The generation that is asked for: by name, $ARCHCALC_GO, the configuration. Raises UsageFault.

    `note` is called with each part of a source tree that could not be followed.
    """
    text = asked_for(go)
    if not text or text == CURRENT:
        return CURRENT
    from archcalc import generations

    try:
        return generations.named(text)
    except UsageFault:
        if os.path.isdir(text):
            return _tree(text, note)
        raise


def asked_for(go: str | None) -> str | None:
    """What says which Go it is: --go, $ARCHCALC_GO, the configuration; None where nothing does."""
    return go or os.environ.get("ARCHCALC_GO") or config.current().go


def _tree(folder: str, note: Callable[[str], None]) -> str:
    """A Go source tree as a generation; the parts of its layout that cannot be followed are noted."""
    from archcalc import generations
    from archcalc.goverify import anytree

    found = anytree.read(Path(folder))
    for one in (*found.unknown, *found.unread):
        note(str(one))
    name = generations.adopt(found.generation)
    for port in platforms.without_profile(name):
        note(f"{port} is a port of the tree that has no profile; `all` leaves it out")
    return name


def several(gos: Sequence[str] | None, note: Callable[[str], None] = _silent) -> list[str]:
    """The named generations, to be shown side by side; `all` is every one."""
    if not gos:
        return [generation(None, note)]
    from archcalc import generations

    found: dict[str, None] = {}
    for text in gos:
        found |= dict.fromkeys(generations.known() if text == "all" else [generation(text, note)])
    return list(found)


def across(
    patterns: Sequence[str] | None,
    files: Sequence[Path] | None,
    gos: Sequence[str],
    *,
    otherwise: Sequence[str] = (),
) -> list[tuple[Profile, str]]:
    """Profiles with generations: platform by platform, each in those of the generations that have it."""
    if len(gos) == 1:
        return [(profile, gos[0]) for profile in selected(patterns, files, otherwise=otherwise, go=gos[0])]
    found: dict[str, list[tuple[Profile, str]]] = {}
    missing: list[Fault] = []
    for go in gos:
        try:
            profiles = selected(patterns, files, otherwise=otherwise, go=go)
        except UsageFault as fault:
            missing += fault.faults
            continue
        for profile in profiles:
            found.setdefault(profile.name, []).append((profile, go))
    if not found:
        raise UsageFault(*missing[:1])
    return [pair for pairs in found.values() for pair in pairs]


def host() -> str:
    """$GOOS/$GOARCH; what is not set there is the host's."""
    return f"{os.environ.get('GOOS') or _host_os()}/{os.environ.get('GOARCH') or _host_arch()}"


def _host_os() -> str:
    if hasattr(sys, "getandroidapilevel"):
        return "android"
    return {"win32": "windows", "cygwin": "windows", "sunos5": "solaris"}.get(
        sys.platform
    ) or sys.platform.rstrip("0123456789")


def _host_arch() -> str:
    import platform

    machine = platform.machine().lower()
    if machine.startswith("armv"):
        return "arm64" if machine.startswith("armv8") and sys.maxsize > 1 << 32 else "arm"
    if machine.startswith("mips"):
        return f"mips{'64' if '64' in machine else ''}{'le' if sys.byteorder == 'little' else ''}"
    return _GOARCH.get(machine, machine or "unknown")


def computed(chosen: Sequence[tuple[Profile, str]], given: Mapping[str, int | str]) -> list[Figures]:
    """The figures of profiles, each in its generation, where constants have the values of `given`."""
    from archcalc.calculator import figures

    return [figures.compute(profile, given, release) for profile, release in chosen]


def settings(sets: Sequence[tuple[str, int | str]] | None) -> Mapping[str, int | str]:
    """The configuration's what-ifs, then those of `sets`. A name that is set twice is a mistake."""
    given: dict[str, int | str] = {}
    for name, value in sets or ():
        if given.get(name, value) != value:
            raise UsageFault(Fault(f"--set: {name} is set to {given[name]} and to {value}", "one value"))
        given[name] = value
    return {**config.current().sets, **given}
