"""All figures of a platform as one flat list of typed values: what reports show and compare.

An entry is known by its section and name. Its value is typed by the unit that the
generation's tables give it, so that every reader shows an address as an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from archcalc.calculator.figures import Figures
from archcalc.calculator.names import why_not
from archcalc.calculator.plain import Scalar
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.results.tables import Bytes, Hex, NotApplicable, Pages, Value

SECTIONS: Mapping[str, str] = {
    "constants": "Constants of package runtime",
    "sys": "Constants of package runtime/internal/sys",
    "structs": "Sizes of types",
    "layout": "Layout",
    "size_classes": "Size classes",
}


def sections(platforms: Iterable[Figures]) -> Mapping[str, str]:
    """The sections that figures of these platforms are in, each with its title, in order.

    Later releases have constants in further packages: a section each, by the package's last word.
    """
    packages = {
        own: f"Constants of package {path}"
        for figures in platforms
        for own, path in figures.generation.packages.items()
        if own != "runtime" and figures.generation.names(own)
    }
    before = {"constants": SECTIONS["constants"], "sys": packages.get("sys", SECTIONS["sys"])}
    return {**before, **packages, **{key: title for key, title in SECTIONS.items() if key not in before}}


_UNITS: Mapping[str, type[int]] = {"bytes": Bytes, "address": Hex, "mask": Hex, "pages": Pages}
_LAYOUT = ("arena_size", "bitmap_size", "spans_size", "reservation_size", "bitmap_usable", "spans_usable")

MANY = 16
"""Members of a family beyond which only the first is shown; `explain` knows all."""

Key = tuple[str, str]


def _absent(figures: Figures, section: str, name: str) -> NotApplicable:
    """The reason that replaces a figure that a platform does not have."""
    constant = section in figures.generation.packages
    reason = why_not(figures.engine, figures.platform, f"{section}.{name}") if constant else ""
    own = f"not declared on {figures.platform}"
    return NotApplicable(reason if reason and reason != own else "not declared on that platform")


class Entry(NamedTuple):
    """One figure of one platform: its section and name, its typed value, its unit and what it is."""

    section: str
    name: str
    value: Value
    unit: str = ""
    what: str = ""

    @property
    def key(self) -> Key:
        """The key that a figure has on every platform."""
        return self.section, self.name


def entries(figures: Figures) -> Iterator[Entry]:
    """The figures of a platform, section by section, except size classes, which are a table of their own."""
    for section, name, value in values(figures):
        unit, what = describe(figures, section, name)
        yield Entry(section, name, typed(value, unit), unit, what)


def values(figures: Figures) -> Iterator[tuple[str, str, Scalar]]:
    """Section, name and plain value of each entry."""
    for name, value in figures.constants.items():
        yield "constants", name, value
    for own in figures.generation.packages:
        if own != "runtime":
            for name, value in figures.package(own).items():
                yield own, name, value
    for name, struct in figures.structs.items():
        yield "structs", name, struct.size
    if not figures.has_layout:
        yield from _areas(figures)
        return
    layout = figures.layout
    for name in _LAYOUT:
        yield "layout", name, getattr(layout, name)
    for at, hint in enumerate(layout.hints[:1]):
        yield "layout", f"hint{at}", hint.address
    yield "layout", "hints", len(layout.hints)
    for at, reservation in enumerate(layout.ladder):
        yield "layout", f"ladder{at}", reservation
    for order in layout.stack_orders:
        yield "layout", f"stack_order{order.order}", order.size


def shown_areas(figures: Figures) -> dict[str, Scalar]:
    """The layout of a later release by name; of a long family the first member, and how many there are."""
    return {name: value for _, name, value in _areas(figures)}


def _areas(figures: Figures) -> Iterator[tuple[str, str, Scalar]]:
    areas = figures.areas
    hidden = set()
    for family in figures.generation.families:
        members = [name.removeprefix("layout.") for name in figures.engine.family(family)]
        if len(members) > MANY:
            hidden.update(members[1:])
            yield "layout", family.removeprefix("layout.") + "s", len(members)
    for name, value in areas.items():
        if name not in hidden:
            yield "layout", name, value


def describe(figures: Figures, section: str, name: str) -> tuple[str, str]:
    """The unit of an entry and what it is."""
    if section == "structs":
        return "bytes", f"aligned to {figures.structs[name].align}"
    if name in ("hints", "user_arena_hints"):
        return "count", "addresses that are asked for, one after the other"
    package = "runtime" if section == "constants" else section
    formula = figures.engine.formula(f"{package}.{name}")
    return (formula.row.unit, formula.row.what) if formula else ("", "")


def typed(value: Scalar, unit: str) -> Value:
    """A plain value with the type that its unit stands for."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return str(value)  # a figure is never rounded
    kind = _UNITS.get(unit)
    return kind(value) if kind else value


def labels(platforms: Sequence[Figures]) -> list[str]:
    """The platforms' labels side by side: by name, by release, or by both, as far as they differ."""
    releases = len({figures.generation.label for figures in platforms}) > 1
    names = len({figures.platform for figures in platforms}) > 1
    if not releases:
        return [figures.platform for figures in platforms]
    if not names:
        return [figures.generation.label for figures in platforms]
    return [f"{figures.platform} {figures.generation.label}" for figures in platforms]


class Inventory:
    """Several platforms' figures side by side: every key with its value on each platform."""

    def __init__(self, platforms: Sequence[Figures]) -> None:
        self.platforms = platforms
        self.entries: dict[Key, Entry] = {}
        rows: dict[Key, list[Value | None]] = {}
        for at, figures in enumerate(platforms):
            for section, name, value in values(figures):
                key = (section, name)
                row = rows.get(key)
                if row is None:
                    unit, what = describe(figures, section, name)
                    self.entries[key] = Entry(section, name, typed(value, unit), unit, what)
                    row = rows[key] = [None] * len(platforms)
                row[at] = typed(value, self.entries[key].unit)
        self.values: dict[Key, list[Value]] = {
            key: [
                _absent(figures, *key) if value is None else value
                for figures, value in zip(platforms, row, strict=True)
            ]
            for key, row in rows.items()
        }
        self.sections = sections(platforms)
        order = {section: at for at, section in enumerate(self.sections)}
        # A figure that the first platform lacks was found late, and belongs to its section all the same.
        self.keys = sorted(self.entries, key=lambda key: order[key[0]])

    def same(self, key: Key) -> bool:
        """Whether all platforms have that figure with one value."""
        first, *rest = self.values[key]
        return all(value == first for value in rest)

    def differing(self) -> list[Key]:
        """The figures in which the platforms differ."""
        return [key for key in self.keys if not self.same(key)]


class Selection:
    """What `--only` asks for: names, globs over names, or whole sections.

    Raises UsageFault for a word that is unknown on all of the platforms.
    """

    def __init__(self, words: Sequence[str], platforms: Sequence[Figures]) -> None:
        self.words = [part for word in words for part in word.split(",") if part]
        self.extra: dict[str, list[Value]] = {}
        # Every entry of every platform is looked at, which should cost nothing when all are asked for.
        named = sections(platforms)
        known = {entry.key for figures in platforms for entry in entries(figures)} if self.words else set()
        faults = []
        for word in self.words:
            if word in named or any(self.matches(word, key) for key in known):
                continue
            values = [explained(figures, word) for figures in platforms]
            if all(isinstance(value, NotApplicable) for value in values):
                names = [*named, *(name for _, name in known)]
                found = f"--only: no figure {word!r}"
                faults.append(
                    Fault(found, "a name, a glob, or one of " + ", ".join(named), closest(word, names))
                )
            self.extra[word] = values
        if faults:
            raise UsageFault(*faults)

    def __bool__(self) -> bool:
        return bool(self.words)

    @staticmethod
    def matches(word: str, key: Key) -> bool:
        """Whether a word names that figure; sys.PtrSize and PtrSize are both right."""
        section, name = key
        return word in (section, name, f"{section}.{name}") or fnmatchcase(name, word)

    def wants(self, key: Key) -> bool:
        """Whether that figure is asked for; all are where nothing was selected."""
        return not self.words or any(self.matches(word, key) for word in self.words)

    def wants_section(self, section: str) -> bool:
        """Whether a whole section is asked for by name."""
        return not self.words or section in self.words


def explained(figures: Figures, name: str) -> Value:
    """The value of anything that `explain` knows (hint7, mspan.sweepgen, fact.phys_page_size)."""
    try:
        found = figures.explain(name)
    except UsageFault:
        return NotApplicable(f"no {name} on that platform")
    return typed(found.value, found.unit)
