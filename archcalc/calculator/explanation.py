"""How figures of one platform are computed: formula and steps, what it mentions, what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import NamedTuple

from archcalc.calculator.constants import Constants
from archcalc.calculator.names import find, rows, shown
from archcalc.calculator.plain import Scalar, plain
from archcalc.calculator.structs import StructLayout
from archcalc.profiles.profile import Profile
from archcalc.profiles.profile_fields import SECTIONS
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.fields import Address
from archcalc.reading.names import closest
from archcalc.reading.words import counted


class Mention(NamedTuple):
    """A name in a formula, its value, and where that comes from: Go's source, a profile, or --set."""

    name: str
    value: str
    origin: str


class Derivation(NamedTuple):
    """How a figure comes about, whatever its value is: platforms that share it have equal ones."""

    formula: str
    steps: tuple[str, ...]
    mentions: tuple[Mention, ...]
    source: str
    type: str
    dependents: tuple[str, ...]


class Explanation(NamedTuple):
    """How a figure is computed on one platform.

    `kind` is constant, fact, layout, struct or field. `steps` lead from the formula with
    its names replaced to the value. `dependents` follow from the figure directly,
    `reaches` directly or indirectly. `was` is the value without the what-if, where it differs.
    """

    name: str
    kind: str
    platform: str
    value: Scalar
    type: str
    unit: str
    what: str
    formula: str
    mentions: tuple[Mention, ...]
    steps: tuple[str, ...]
    source: str
    dependents: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    was: Scalar | None = None


class Explainer:
    """Explains what one platform's engine computes.

    `before` gives the engine without the what-if, and is asked only where there is one.
    """

    def __init__(self, engine: Constants, profile: Profile, before: Callable[[], Constants]) -> None:
        self.engine = engine
        self.profile = profile
        self._before = before
        self._mentioned: dict[str, Mention | None] = {}

    def explanation(self, name: str, *, dependents: bool = True, reaches: bool = True) -> Explanation | None:
        """How a figure is computed; None for a name that is unknown on this platform.

        What depends on it, and what it reaches, is sought only where that is wanted.
        """
        known = find(self.engine, name)
        if known is not None:
            found = self._explain_row(known) if self.engine.row(known) else self._explain_fact(known)
        else:
            struct, _, field = name.removeprefix("runtime.").partition(".")
            if struct not in self.engine.declarations or not self.engine.is_struct(struct):
                return None
            if field and (field != "size" or self._has_field(struct, field)):
                return self._explain_field(struct, field)  # only the size of the whole depends on it
            found, known = self._explain_struct(struct), f"struct.{struct}"
        return found._replace(
            dependents=self._dependents(known) if dependents else (),
            reaches=self._reaches(known) if reaches else (),
        )

    def derivation(self, name: str) -> Derivation | None:
        """How a constant or a layout figure comes about, by its qualified name, or a struct (struct.NAME).

        None for one that is unknown on this platform. What `explanation` says in more words.
        """
        engine = self.engine
        package, _, own = name.partition(".")
        if package == "struct":
            if own not in engine.declarations or not engine.is_struct(own):
                return None
            struct = engine.struct(own)
            formula, steps, type_name = _size_of(own), _fields_of(struct), "uintptr"
            source = f"{engine.declarations[own].file}:{struct.line}"
        else:
            of_row = engine.formula(name)
            if of_row is None or not engine.has(name):
                return None
            if of_row.member is not None and not engine.has_member(name):
                return None
            formula, steps, type_name = of_row.text, engine.steps(name), engine.value(name).type.name
            source = str(engine.source(name))
        mentions = tuple(self._mentions(engine.follows_from(name)))
        return Derivation(formula, steps, mentions, source, type_name, self._dependents(name))

    def _has_field(self, struct: str, name: str) -> bool:
        return any(field.name == name for field in self.engine.struct(struct).fields)

    def _explain_row(self, name: str) -> Explanation:
        formula, source = self.engine.formula(name), self.engine.source(name)
        assert formula is not None and source is not None
        row = formula.row
        value = self.engine.value(name)
        return Explanation(
            name=shown(name),
            kind="layout" if row.package == "layout" else "constant",
            platform=self.profile.name,
            value=plain(value),
            type=value.type.name,
            unit=row.unit,
            what=row.what,
            formula=formula.text,
            mentions=tuple(self._mentions(self.engine.follows_from(name))),
            steps=self.engine.steps(name),
            source=str(source),
            was=self._was(name),
        )

    def _explain_fact(self, name: str) -> Explanation:
        value, own = self.engine.value(name), name.partition(".")[2]
        return Explanation(
            name=name,
            kind="fact",
            platform=self.profile.name,
            value=plain(value),
            type=value.type.name,
            unit=_unit(own),
            what=_help(own),
            formula="",
            mentions=(),
            steps=(),
            source=str(self.profile.origins.get(own, self.profile.file)),
            was=self._was(name),
        )

    def _explain_struct(self, name: str) -> Explanation:
        struct = self.engine.struct(name)
        steps = _fields_of(struct)
        return self._of_struct(name, name, "struct", struct.size, _size_of(name), struct.line, steps)

    def _explain_field(self, name: str, path: str) -> Explanation:
        struct = self.engine.struct(name)
        own, _, rest = path.partition(".")
        index = next((i for i, field in enumerate(struct.fields) if field.name == own), None)
        try:
            offset = struct.offset_of(path)
        except KeyError:
            raise UsageFault(
                Fault(
                    f"{name} has no field {path}",
                    f"one of {', '.join(field.name for field in struct.fields)}",
                    closest(own, [field.name for field in struct.fields]),
                    "unknown-name",
                )
            ) from None
        assert index is not None
        field = struct.fields[index]
        steps = []
        if index:
            before = struct.fields[index - 1]
            end = before.offset + before.size
            steps.append(f"{before.name} ends at {before.offset} + {before.size} = {end}")
        steps.append(
            f"{own} {field.type}, {counted(field.size, 'byte')}, is aligned to {field.align}: {field.offset}"
        )
        if rest:
            steps.append(f"{rest} stands {offset - field.offset} further")
        steps.append(str(offset))
        formula = f"unsafe.Offsetof({name}{{}}.{path})"
        needed = self.engine.fields_follow_from(name, index + 1)
        return self._of_struct(f"{name}.{path}", name, "field", offset, formula, field.line, steps, needed)

    def _of_struct(
        self,
        name: str,
        struct: str,
        kind: str,
        value: int,
        formula: str,
        line: int,
        steps: Iterable[str],
        needed: tuple[str, ...] = (),
    ) -> Explanation:
        before = _size_or_offset(self._before(), name) if self.engine.sets else value
        return Explanation(
            name=name,
            kind=kind,
            platform=self.profile.name,
            value=value,
            type="uintptr",
            unit="bytes",
            what="size of the type" if kind == "struct" else "offset of the field in the type",
            formula=formula,
            mentions=tuple(self._mentions(needed or self.engine.follows_from(f"struct.{struct}"))),
            steps=tuple(steps),
            source=f"{self.engine.declarations[struct].file}:{line}",
            was=before if before != value else None,
        )

    def _mentions(self, names: Iterable[str]) -> Iterator[Mention]:
        known = self._mentioned
        for needed in names:
            if needed not in known:
                known[needed] = self._mention(needed)
            mention = known[needed]
            if mention is not None:
                yield mention

    def _mention(self, name: str) -> Mention | None:
        """What a qualified name, or a struct, is here; None where this platform has no such constant."""
        if name.startswith("struct."):
            own = name.removeprefix("struct.")
            declared = self.engine.declarations[own]
            size = counted(self.engine.struct(own).size, "byte")
            return Mention(_size_of(own), size, f"{declared.file}:{declared.line}")
        if not self.engine.has(name):
            return None
        return Mention(shown(name), str(self.engine.value(name)), self.origin(name))

    def origin(self, name: str) -> str:
        """Where the value of a qualified name comes from: --set, a line of Go's source or of a profile."""
        if name in self.engine.sets:
            return "--set"
        source = self.engine.source(name)
        if source is not None:
            return str(source)
        own = name.partition(".")[2]
        return str(self.profile.origins.get(own, self.profile.file))

    @cached_property
    def _followers(self) -> Mapping[str, tuple[str, ...]]:
        """By qualified name, what mentions it on this platform; a struct is struct.NAME."""
        found: dict[str, list[str]] = {}
        names = list(rows(self.engine))
        for family in self.engine.generation.families:
            names += self.engine.family(family)
        names += [f"struct.{name}" for name in self.engine.declared_structs()]
        for name in names:
            for needed in self.engine.follows_from(name):
                found.setdefault(needed, []).append(name)
        return {needed: tuple(dict.fromkeys(by)) for needed, by in found.items()}

    def _dependents(self, name: str) -> tuple[str, ...]:
        return self._gathered(self._followers.get(name, ()))

    def _reaches(self, name: str) -> tuple[str, ...]:
        reached: dict[str, None] = {}
        waiting = [name]
        while waiting:
            for by in self._followers.get(waiting.pop(), ()):
                if by not in reached:
                    reached[by] = None
                    waiting.append(by)
        return tuple(sorted(self._gathered(reached)))

    def _gathered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names as people write them; a family that is there as a whole is one, such as hint0..127."""
        left = dict.fromkeys(names)
        whole: list[str] = []
        for family, members in self._families:
            if len(members) <= len(left) and all(member in left for member in members):
                whole.append(f"{shown(family)}0..{len(members) - 1}")
                for member in members:
                    del left[member]
        return (*map(shown, left), *whole)

    @cached_property
    def _families(self) -> list[tuple[str, tuple[str, ...]]]:
        """The families of more than one member, with these."""
        families = ((family, self.engine.family(family)) for family in self.engine.generation.families)
        return [(family, members) for family, members in families if len(members) > 1]

    def _was(self, name: str) -> Scalar | None:
        if not self.engine.sets:
            return None
        base = self._before()
        before = plain(base.value(name)) if base.has(name) else None
        return before if before != plain(self.engine.value(name)) else None


def _size_of(struct: str) -> str:
    return f"unsafe.Sizeof({struct}{{}})"


@cache
def _fields_of(struct: StructLayout) -> tuple[str, ...]:
    """The fields one after the other, with the padding between them, and the size of all."""
    steps = []
    end = 0
    for field in struct.fields:
        if field.offset > end:
            steps.append(f"{end}: {counted(field.offset - end, 'byte')} of padding")
        steps.append(f"{field.offset}: {field.name} {field.type}, {counted(field.size, 'byte')}")
        end = field.offset + field.size
    if struct.size > end:
        steps.append(
            f"{end}: {counted(struct.size - end, 'byte')} of padding, to a multiple of {struct.align}"
        )
    return (*steps, str(struct.size))


def _size_or_offset(engine: Constants, name: str) -> int:
    struct, _, field = name.partition(".")
    layout = engine.struct(struct)
    return layout.offset_of(field) if field else layout.size


def _help(fact: str) -> str:
    """What a profile's schema says of a fact."""
    for section in SECTIONS.values():
        if fact in section.fields:
            return section.fields[fact].help
    return "a fact of the platform"


def _unit(fact: str) -> str:
    """The unit of a fact, by its kind in the profile's schema and the words there."""
    for section in SECTIONS.values():
        if fact in section.fields:
            if isinstance(section.fields[fact].kind, Address):
                return "address"
            first = section.fields[fact].help.partition(" ")[0]
            return first if first in ("bytes", "bits") else ""
    return ""
