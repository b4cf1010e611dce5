"""Tools for profiles: start one, show one, and its schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from archcalc.profiles import platforms
from archcalc.profiles.profile import Profile
from archcalc.profiles.profile_fields import CONSTANTS, FILE, PLATFORM_PATTERN, SCHEMA_VERSION, SECTIONS
from archcalc.reading.errors import Fault, ProfileFault
from archcalc.reading.fields import Address, Field, FixedKeys, Kind, ListOf, MapOf, meaning
from archcalc.reading.strictyaml import Scalar

# A system's facts are the same for all its ports; the architecture is what is new.
_UNKNOWN_64_BIT = "arm64"
_UNKNOWN_32_BIT = "arm"
# Architectures that have no port here, and whose most significant byte comes first.
_BIG_ENDIAN = {"armbe", "arm64be", "m68k", "mips64p32", "parisc", "ppc", "s390", "sparc", "sparc64"}
_BIG_64_BIT, _BIG_32_BIT = ("mips64", "s390x", "ppc64"), ("mips",)
CHECK_FIRST = ("ptr_size", "reg_size", "big_endian", "arch_family", "phys_page_size", "user_address_bits")


class FactRow(NamedTuple):
    """One fact of a merged profile: its key with the section, and where it comes from."""

    key: str
    value: Any
    file: str
    line: int
    help: str
    is_address: bool


def show(profile: Profile) -> list[FactRow]:
    """All facts of a profile in the order of the declarations, each with its origin."""
    rows = []
    for section, name, value, spec in _facts(profile):
        origin = profile.origins[name]
        is_address = isinstance(spec.kind, Address)
        rows.append(FactRow(f"{section}.{name}", value, origin.file, origin.line, spec.help, is_address))
    return rows


def _facts(profile: Profile) -> Iterator[tuple[str, str, Any, Field]]:
    sections: dict[str, Mapping[str, Any]] = {"machine": profile.machine}
    for section, spec in SECTIONS.items():
        values = sections.get(section, profile.facts)
        for name, field in spec.fields.items():
            if name in values:
                yield section, name, values[name], field
    constant = Field(CONSTANTS.value, "a constant of package runtime, from the system's headers")
    for name, value in profile.constants.items():
        yield "constants", name, value, constant


def json_schema() -> dict[str, Any]:
    """The form of a profile as JSON Schema (draft 2020-12), for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **FILE.schema()}


def nearest_port(platform: str) -> str:
    """The port that a profile of `platform` should start from.

    The platform itself where it is one of ours; else one of the same architecture on
    linux or elsewhere; else one of the same system whose architecture is most similar.
    """
    known = platforms.names()
    goos, _, goarch = platform.partition("/")
    wide = "64" in goarch and "p32" not in goarch
    unknown = _UNKNOWN_64_BIT if wide else _UNKNOWN_32_BIT
    wanted = [platform, f"linux/{goarch}", *(name for name in known if name.endswith(f"/{goarch}"))]
    if goarch in _BIG_ENDIAN:
        # Byte order and word size come from the architecture; the system's facts change less.
        alike = _BIG_64_BIT if wide else _BIG_32_BIT
        wanted += [f"{system}/{one}" for system in (goos, "linux") for one in alike]
    wanted += [f"{goos}/{unknown}", f"{goos}/amd64" if "64" in goarch else f"{goos}/386"]
    wanted += [name for name in known if name.startswith(f"{goos}/")]
    return next((name for name in wanted if name in known), f"linux/{unknown}")


def new(platform: str, like: str | None = None) -> str:
    """The YAML text of a profile to start from: all facts of the nearest port, or of `like`, each explained.

    The facts of a new architecture or machine are written out, to be corrected;
    what is inherited unchanged is there as a comment. Raises ProfileFault where
    `platform` is not goos/goarch or `like` is not one of ours.
    """
    if not re.fullmatch(PLATFORM_PATTERN, platform):
        found = f"{platform!r} is not the name of a platform"
        raise ProfileFault(Fault(found, "goos/goarch in small letters and digits, such as linux/riscv64"))
    base = platforms.load(like or nearest_port(platform))
    goos, _, goarch = platform.partition("/")
    own = {"arch": base.goarch != goarch, "os": base.goos != goos, "machine": True}
    lines = [
        f"# {platform}, started from {begun_from(base)}.",
        f"# Look at these first: {', '.join(CHECK_FIRST)}.",
        "# Correct what differs, remove what is the same,",
        "# and check the result: archcalc profile validate FILE",
        f"schema: {SCHEMA_VERSION}",
        f"platform: {platform}",
        f"about: {goos} on {goarch}",
        "# Where facts come from that are not given here; later ones win.",
        f"inherit: {base.platform}",
    ]
    values: dict[str, dict[str, Any]] = {}
    for section, name, value, _ in _facts(base):
        values.setdefault(section, {})[name] = value
    for section, spec in SECTIONS.items():
        lines += ["", f"# {FILE.fields[section].help[0].upper()}{FILE.fields[section].help[1:]}."]
        lines += _section(section, spec, values[section], own[section], base)
    lines += ["", "# Constants of package runtime that differ from those inherited.", "# constants:"]
    lines += [f"#   {name}: {_text(value, CONSTANTS.value)}" for name, value in values["constants"].items()]
    return "\n".join(lines) + "\n"


def begun_from(base: Profile) -> str:
    """What a new profile starts from, with the main facts of its architecture."""
    order = "big-endian" if base.facts["big_endian"] else "little-endian"
    return f"{base.platform}, which is {order} with pointers of {base.facts['ptr_size']} bytes"


def _section(
    section: str, spec: FixedKeys, values: Mapping[str, Any], own: bool, base: Profile
) -> Iterator[str]:
    mark = "" if own else "# "
    yield f"{mark}{section}:"
    for name, field in spec.fields.items():
        yield f"{mark}  # {field.help}"
        if name in values:
            yield f"{mark}  {name}: {_text(values[name], field.kind)}  # {base.origins[name]}"
        else:
            yield f"  # {name}: {field.kind.words()}"


def _text(value: Any, kind: Kind) -> str:
    """A value as it is in a profile."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return hex(value) if isinstance(kind, Address) else str(value)
    if isinstance(kind, ListOf):
        return f"[{', '.join(_text(item, kind.item) for item in value)}]"
    if isinstance(kind, (FixedKeys, MapOf)):
        fields = {key: kind.fields[key].kind if isinstance(kind, FixedKeys) else kind.value for key in value}
        return f"{{{', '.join(f'{key}: {_text(item, fields[key])}' for key, item in value.items())}}}"
    plain = meaning(Scalar(0, 0, value)).type == "text" and value.isalnum()
    return str(value) if plain else json.dumps(value)
