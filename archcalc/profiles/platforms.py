"""The platforms that archcalc knows: one file for each port under `platforms/`, and the names for them.

`platforms/` has the ports of all generations; each generation says which of them it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from archcalc.generations import CURRENT, label
from archcalc.profiles import profile
from archcalc.profiles.files import every as every
from archcalc.profiles.files import names as names
from archcalc.profiles.files import without_profile as without_profile
from archcalc.profiles.profile import Profile
from archcalc.reading import fields
from archcalc.reading.errors import Fault, ProfileFault
from archcalc.reading.words import counted


def load(name: str, go: str = CURRENT) -> Profile:
    """The profile of one platform of a generation. Raises ProfileFault where there is no such platform."""
    if name not in names(go):
        raise ProfileFault(_unknown(name, go))
    return profile.load_ours(name, go)


def load_file(path: str | Path, go: str = CURRENT) -> Profile:
    """The profile in a user's own file. Raises ProfileFault with every fault in it."""
    return profile.load_file(path, go)


def _unknown(name: str, go: str) -> Fault:
    known = names(go)
    if name in without_profile(go):
        expected = f"a profile of your own, with --profile; `archcalc profile new {name}` begins one"
        return Fault(f"there is no profile of {name}", expected, id="platform-unknown")
    of = "" if go == CURRENT else f" of {label(go)}"
    expected = f"one of the {counted(len(known), 'platform')}{of}, a glob such as linux/*, or all"
    near = f"--profile {name}" if name.endswith((".yaml", ".yml")) else fields.nearest(name, known)
    return Fault(f"there is no platform {name}", expected, near, "platform-unknown")


def resolve(
    patterns: Iterable[str], extra_files: Iterable[str | Path] = (), go: str = CURRENT
) -> list[Profile]:
    """The profiles that the patterns name, each once, in the patterns' order and then by name.

    A pattern is goos/goarch, a glob, or `all`. The user's own profiles come from
    `extra_files`; one with the name of a known platform replaces that.
    Raises ProfileFault, with the faults of all patterns and files at once.
    """
    faults: list[Fault] = []
    own: dict[str, Profile] = {}
    for path in extra_files:
        try:
            loaded = load_file(path, go)
        except ProfileFault as error:
            faults.extend(error.faults)
            continue
        first = own.setdefault(loaded.name, loaded)
        if first is not loaded and first.file != loaded.file:
            found = f"a second profile named {loaded.name}"
            expected = f"another name; the first is in {first.file}"
            faults.append(Fault(found, expected, id="profile-name-taken", file=loaded.file, line=1, column=1))
    known = sorted({*names(go), *own})
    files_are_well = not faults
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found_names = known if pattern == "all" else [name for name in known if fnmatchcase(name, pattern)]
        if not found_names and files_are_well:  # otherwise it may name one of the faulty profiles
            faults.append(_unknown(pattern, go))
        chosen.update(dict.fromkeys(found_names))
    if faults:
        raise ProfileFault(*faults)
    return [own[name] if name in own else load(name, go) for name in chosen]


def of(platform: str | Path | Profile, go: str = CURRENT) -> Profile:
    """The profile that a name, a path or a profile stands for."""
    if isinstance(platform, Profile):
        return platform
    if isinstance(platform, Path) or str(platform).endswith((".yaml", ".yml")):
        return load_file(platform, go)
    return load(platform, go)
