"""The figures of platforms, one by one or side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import Entry, Inventory, Key, Selection, entries, labels
from archcalc.calculator.layout import Layout
from archcalc.calculator.portable import OfThePort, names_the_port
from archcalc.questions.side_by_side import Row, by_platform, together
from archcalc.reading.words import counted
from archcalc.results.result import Result
from archcalc.results.tables import (
    Block,
    Bytes,
    Column,
    NotApplicable,
    Pages,
    Prose,
    Section,
    Table,
    Value,
    human,
)

# So many figures at most are shown a column each.
FEW = 5


# The parts of a layout that are shown first, where they exist; the rest is details of these.
FIRST = frozenset((
    "arena_size", "bitmap_size", "spans_size", "reservation_size", "hint0",
    "heap_arena_size", "arena_map_reach", "arena_map_l1_size", "arena_map_l2_size", "summary_reserved",
    "scavenge_index_reserved", "start_reserved", "highest_address",
    "ladder0", "ladder1", "ladder2", "ladder3",
))  # fmt: skip


CLASS_COLUMNS = (
    Column("class", int),
    Column("size", Bytes),
    Column("pages", Pages),
    Column("objects", int),
    Column("tail waste", Bytes),
)


class Report(Result):
    """The figures of some platforms, or those of them that are asked for."""

    def __init__(
        self,
        platforms: Sequence[Figures],
        only: Selection | None = None,
        differs: bool = False,
        sets: Mapping[str, int | str] | None = None,
        full: bool = False,
    ) -> None:
        self.platforms = platforms
        self.full = full
        self.only = only or Selection((), platforms)
        self.differs = differs and len(platforms) > 1
        self.sets = sets or {}
        self.mixed = len({figures.generation.label for figures in platforms}) > 1
        self._inventory: Inventory | None = None

    @property
    def inventory(self) -> Inventory:
        """The platforms side by side."""
        if self._inventory is None:
            self._inventory = Inventory(self.platforms)
        return self._inventory

    def keys(self) -> list[Key]:
        """The figures to show."""
        keys = [key for key in self.inventory.keys if self.only.wants(key)]
        return [key for key in keys if not self.inventory.same(key)] if self.differs else keys

    # ---- data ----

    def document(self) -> Mapping[str, object]:
        shown = set(self.keys()) if self.only or self.differs else None
        labels = dict.fromkeys(figures.generation.label for figures in self.platforms)
        document: dict[str, object] = {"generation": " ".join(labels)}
        if self.sets:
            document["set"] = dict(self.sets)
        document["platforms"] = [
            self._platform(at, figures, shown) for at, figures in enumerate(self.platforms)
        ]
        return document

    def records(self) -> Iterable[Mapping[str, object]]:
        shown = set(self.keys()) if self.only or self.differs else None
        return [self._platform(at, figures, shown) for at, figures in enumerate(self.platforms)]

    def _platform(self, at: int, figures: Figures, shown: set[Key] | None) -> dict[str, object]:
        """One platform's object: whole, or the part that is asked for."""
        whole: dict[str, object] = {
            "platform": figures.profile.platform,
            "name": figures.platform,
            **({"generation": figures.generation.label} if self.mixed else {}),
            "constants": dict(figures.constants),
            "sys": dict(figures.sys),
            "structs": structs(figures),
            "layout": layout_of(figures),
            "size_classes": [dict(zip(CLASS_KEYS, row, strict=True)) for row in size_classes(figures)],
        }
        if figures.generation.era != "contiguous":
            whole["packages"] = {path: dict(values) for path, values in figures.packages.items()}
        if shown is None:
            return whole
        part: dict[str, object] = {
            key: whole[key] for key in ("platform", "name", "generation") if key in whole
        }
        for section in self.inventory.sections:
            names = {name for where, name in shown if where == section}
            value = whole[section] if section in whole else dict(figures.package(section))
            if self.only.wants_section(section) and not self.differs:
                part[section] = value
            elif names and section == "layout":
                known = layout_of(figures)
                one_by_one = {name: self.inventory.values[section, name][at] for name in names}
                part[section] = {name: known.get(name, value) for name, value in sorted(one_by_one.items())}
            elif names and isinstance(value, dict):
                part[section] = {name: item for name, item in value.items() if name in names}
        self._by_path(figures, part)
        if self.only.extra:
            part["figures"] = {name: values[at] for name, values in self.only.extra.items()}
        return part

    @staticmethod
    def _by_path(figures: Figures, part: dict[str, object]) -> None:
        """Moves the constants of packages, except sys, to where the whole document has them."""
        packages = figures.generation.packages.items()
        found = {
            path: part.pop(own) for own, path in packages if own not in ("runtime", "sys") and own in part
        }
        if found:
            part["packages"] = found

    def sheet(self) -> Table:
        columns = (Column("platform"), Column("section"), Column("name"), Column("value"), Column("unit"))
        inventory = self.inventory
        keys = self.keys()
        rows: list[Sequence[Value]] = []
        for at, name in enumerate(labels(self.platforms)):
            figures = self.platforms[at]
            for key in keys:
                entry = inventory.entries[key]
                rows.append((name, *key, inventory.values[key][at], entry.unit))
            for only, values in self.only.extra.items():
                rows.append((labels(self.platforms)[at], "", only, values[at], ""))
            if self.only.wants_section("size_classes") and not self.differs:
                for row in size_classes(figures):
                    for what, value in zip(CLASS_KEYS[1:], row[1:], strict=True):
                        rows.append(
                            (labels(self.platforms)[at], "size_classes", f"{row[0]}.{what}", value, "")
                        )
        return Table(columns, rows)

    # ---- text ----

    def view(self) -> Iterable[Section | Block]:
        if len(self.platforms) == 1:
            yield from self._one(self.platforms[0])
        else:
            yield from self._side_by_side()

    def _one(self, figures: Figures) -> Iterator[Section]:
        shown = Brief(figures, self.keys(), everything=self.full or bool(self.only))
        title = f"{figures.platform} at {figures.generation.label}"
        blocks: list[Block] = [*shown.blocks(self.inventory.sections)]
        if self.only.extra:
            rows = [(name, values[0]) for name, values in self.only.extra.items()]
            blocks.append(Table((Column("name"), Column("value")), rows, "Other figures"))
        if self.only.wants_section("size_classes") and shown.everything:
            blocks.append(self._size_classes(figures))
        if shown.left_out:
            blocks.append(
                Prose(f"{shown.left_out} and the size classes are the same on every port: --full shows all.")
            )
        yield Section(title, blocks)

    def _size_classes(self, figures: Figures) -> Table:
        return Table(CLASS_COLUMNS, list(size_classes(figures)), self.inventory.sections["size_classes"])

    def _side_by_side(self) -> Iterator[Section | Block]:
        inventory = self.inventory
        names = labels(self.platforms)
        keys = self.keys()
        extra = [(name, values) for name, values in self.only.extra.items()]
        if self.only and len(keys) + len(extra) <= FEW:
            # These figures are asked for by name, equal or not.
            yield by_platform(names, [*self._rows(keys), *extra])
            return
        known = keys if self.full or self.only else [key for key in keys if not self._says_the_port(key)]
        if not self.differs:
            layout = [
                key for key in known if key[0] == "layout" and (self.full or self.only or key[1] in FIRST)
            ]
            blocks = list(together(names, self._rows(layout), reads=True))
            if blocks:
                yield Section("Layout", blocks)
            known = [key for key in known if key not in set(layout)]
        differing = [key for key in known if not inventory.same(key)]
        blocks = list(together(names, [*self._rows(differing), *extra]))
        if blocks:
            yield Section("Where they differ", blocks)
        same = [key for key in known if inventory.same(key)]
        if self.full or self.only:
            yield from self._same(same)
        elif not self.differs:
            text = f"{counted(len(same), 'figure')} more and the size classes are the same on all"
            tables = {tuple(size_classes(figures)) for figures in self.platforms}
            if len(tables) > 1:
                text = f"{counted(len(same), 'figure')} more are the same on all"
            yield Prose(f"{text}: --full shows everything.")

    def _rows(self, keys: Iterable[Key]) -> list[Row]:
        return [(qualified(key), self.inventory.values[key]) for key in keys]

    def _says_the_port(self, key: Key) -> bool:
        """Whether a figure says nothing but which port it is of, wherever it is declared."""
        values = self.inventory.values[key]
        at = next(at for at, value in enumerate(values) if not isinstance(value, NotApplicable))
        return names_the_port(self.platforms[at], key)

    def _same(self, same: Sequence[Key]) -> Iterator[Section]:
        entry = self.inventory.entries
        blocks: list[Block] = []
        for section, title in self.inventory.sections.items():
            part = [described(entry[key]) for key in same if key[0] == section]
            if part:
                blocks.append(Table(DESCRIBED, part, title))
        tables = {tuple(size_classes(figures)): figures for figures in self.platforms}
        if self.only.wants_section("size_classes") and len(tables) == 1:
            blocks.append(self._size_classes(self.platforms[0]))
        if blocks:
            yield Section(f"The same on all {counted(len(self.platforms), 'platform')}", blocks)


DESCRIBED = (
    Column("name"),
    Column("value"),
    Column("reads as", wrap=True),
    Column("what it is", wrap=True),
)


def described(entry: Entry) -> Sequence[Value]:
    """A row of a table that says of each figure what it is."""
    return entry.name, entry.value, reads_as(entry.value, entry.unit), entry.what


class Brief:
    """One platform's figures for people: the layout first, then what the port decides, or everything.

    `left_out` says how many figures are not shown, "" where all are.
    """

    def __init__(self, figures: Figures, keys: Sequence[Key], everything: bool) -> None:
        self.figures = figures
        self.everything = everything
        decided = OfThePort(figures)
        wanted = set(keys)
        self.entries: list[Entry] = []
        hidden = 0
        for entry in entries(figures):
            if entry.key not in wanted:
                continue
            if everything or (
                entry.name in FIRST
                if entry.section == "layout"
                else decided(entry.key) and not names_the_port(figures, entry.key)
            ):
                self.entries.append(entry)
            else:
                hidden += not decided(entry.key)
        self.left_out = f"{counted(hidden, 'figure')} more" if hidden else ""

    def blocks(self, sections: Mapping[str, str]) -> Iterator[Block]:
        """The tables, the layout's first."""
        parts: dict[str, list[Sequence[Value]]] = {"layout": []}
        for entry in self.entries:
            parts.setdefault(entry.section, []).append(described(entry))
        for section, rows in parts.items():
            if rows:
                yield Table(DESCRIBED, rows, sections[section])
            if section == "layout" and rows and self.figures.has_layout:
                yield Prose(hints(self.figures.layout))


def qualified(key: Key) -> str:
    """A figure's name as Go code of package runtime has it."""
    section, name = key
    return name if section in ("constants", "structs", "layout", "size_classes") else f"{section}.{name}"


CLASS_KEYS = tuple(column.name for column in CLASS_COLUMNS)


def structs(figures: Figures) -> dict[str, object]:
    """The types as the JSON document has them."""
    return {
        name: {
            "size": struct.size,
            "align": struct.align,
            "fields": [{"name": f.name, "offset": f.offset, "size": f.size} for f in struct.fields],
        }
        for name, struct in figures.structs.items()
    }


def layout_of(figures: Figures) -> dict[str, object]:
    """The layout of any generation as the JSON document has it."""
    return layout(figures.layout) if figures.has_layout else sparse_layout(figures)


def sparse_layout(figures: Figures) -> dict[str, object]:
    """The layout of a heap in arenas: single figures, and families as lists, by level or by order."""
    found: dict[str, object] = dict(figures.package("layout"))
    for name in ("hint", "user_arena_hint", "ladder"):
        found[name + "s" * (name != "ladder")] = figures.family(name)
    if "ladder0" in found:
        found["ladder"] = [found.pop(f"ladder{i}") for i in range(3)]
    for title, prefix, key in (
        ("summary_levels", "summary_", "level"),
        ("stack_orders", "stack_order", "order"),
    ):
        families = {
            family.removeprefix("layout."): figures.family(family.removeprefix("layout."))
            for family in figures.generation.families
            if family.startswith(f"layout.{prefix}")
        }
        levels: list[dict[str, object]] = []
        for i in range(max(map(len, families.values()), default=0)):
            of = {
                name.removeprefix(prefix).strip("_") or "size": values[i] for name, values in families.items()
            }
            levels.append({key: i, **of})
        found[title] = levels
    return found


def layout(found: Layout) -> dict[str, object]:
    """The layout as the JSON document has it."""
    return {
        "bitmap_size": found.bitmap_size,
        "spans_size": found.spans_size,
        "arena_size": found.arena_size,
        "reservation_size": found.reservation_size,
        "bitmap_usable": found.bitmap_usable,
        "spans_usable": found.spans_usable,
        "contiguous": found.contiguous,
        "hints": [hint.address for hint in found.hints],
        "hints_fit": [hint.fits for hint in found.hints],
        "ladder": list(found.ladder),
        "stack_orders": [
            {"order": order.order, "size": order.size, "cached": order.cached} for order in found.stack_orders
        ],
    }


def size_classes(figures: Figures) -> Iterator[tuple[int, int, int, int, int]]:
    """Rows of CLASS_COLUMNS; class 0, which stands for large objects, is left out."""
    classes = figures.size_classes
    for index in range(1, len(classes)):
        yield (
            index,
            classes.class_to_size[index],
            classes.class_to_allocnpages[index],
            classes.objects(index),
            classes.tail_waste(index),
        )


def reads_as(value: Value, unit: str) -> str:
    """What is beside a value: a size as people say it, else the unit where it says something."""
    if isinstance(value, Bytes):
        return human(value) or "bytes"
    return "" if unit in ("name", "flag", "bool", "number") else unit


def hints(found: Layout) -> str:
    """The hints in a sentence."""
    addresses = [hint.address for hint in found.hints]
    if len(addresses) == 1:
        fits = {"wholly": "fits wholly", "partly": "fits partly", "no": "does not fit"}[found.hints[0].fits]
        return f"One hint, {addresses[0]:#x}, where the reservation {fits}."
    step = addresses[1] - addresses[0]
    counts = {fits: sum(hint.fits == fits for hint in found.hints) for fits in ("wholly", "partly", "no")}
    how = {"wholly": "wholly at", "partly": "partly at", "no": "not at all at"}
    told = [f"{how[fits]} {count}" for fits, count in counts.items() if count]
    return (
        f"{counted(len(addresses), 'hint')} from {addresses[0]:#x} to {addresses[-1]:#x}, "
        f"{human(step) or step} apart:"
        f" the reservation fits {', '.join(told)}."
    )
