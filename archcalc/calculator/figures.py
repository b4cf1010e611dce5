"""All figures of one platform, computed when asked for, each with its explanation.

    >>> figures = compute(platforms.load("linux/amd64"))
    >>> figures.constants["_PageSize"], figures.structs["mspan"].size, figures.layout.arena_size
    (8192, 152, 549755813888)
    >>> figures.explain("_MaxMem").steps
    ('uintptr(1<<39 - 1)', 'uintptr(549755813888 - 1)', 'uintptr(549755813887)', '549755813887')

A what-if sets constants or facts to other values: everything that follows from
them follows, and `sets` has what was set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType

from allocator.common.sizeclasses import SizeClasses
from archcalc import generations, goexpr
from archcalc.calculator import layout as layouts
from archcalc.calculator.constants import Absent, Constants
from archcalc.calculator.layout import Layout
from archcalc.calculator.structs import StructField, StructLayout
from archcalc.generations import Generation
from archcalc.goexpr import ExprError, Value
from archcalc.profiles.addresses import of_bits
from archcalc.profiles.profile import Fact, Origin, Profile
from archcalc.profiles.profile_fields import SECTIONS
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.fields import Address, Int, Limit
from archcalc.reading.names import closest
from archcalc.reading.quantities import QuantityFault, parse_limit, parse_size
from archcalc.reading.words import counted

Scalar = int | bool | str | float


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a formula, its value, and where that comes from: Go's source, a profile, or --set."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Explanation:
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
    dependents: tuple[str, ...]
    reaches: tuple[str, ...]
    was: Scalar | None = None


class Figures:
    """The figures of one platform, under Go's own names.

    `profile` has the facts of a what-if in place of its own; `base` is the profile without.
    Mappings hold plain Python values: int, bool or str. Whatever cannot be computed, which
    only a what-if or a profile of the user's own can bring about, raises UsageFault.
    """

    def __init__(self, base: Profile, generation: Generation, engine: Constants) -> None:
        self.base = base
        self.profile = _with_facts(base, engine.sets)
        self.generation = generation
        self.engine = engine
        self._mentioned: dict[str, Mention | None] = {}

    def __reduce__(self) -> tuple[type[Figures], tuple[Profile, Generation, Constants]]:
        """For a worker, without what was computed so far."""
        return Figures, (self.base, self.generation, self.engine)

    @property
    def platform(self) -> str:
        """goos/goarch, or the profile's own name."""
        return self.profile.name

    @cached_property
    def sets(self) -> Mapping[str, Scalar]:
        """What a what-if has set, by name; empty without one."""
        return MappingProxyType({_shown(name): _plain(value) for name, value in self.engine.sets.items()})

    @cached_property
    def constants(self) -> Mapping[str, Scalar]:
        """The constants of package runtime."""
        return self.package("runtime")

    @cached_property
    def sys(self) -> Mapping[str, Scalar]:
        """The constants of package sys (runtime/internal/sys, from 1.23 on internal/runtime/sys)."""
        return self.package("sys")

    @cached_property
    def packages(self) -> Mapping[str, Mapping[str, Scalar]]:
        """The constants of the packages beside runtime, by import path."""
        packages = self.generation.packages.items()
        shown = {own: path for own, path in packages if own != "runtime" and self.generation.names(own)}
        return MappingProxyType({path: self.package(own) for own, path in sorted(shown.items())})

    @cached_property
    def structs(self) -> Mapping[str, StructLayout]:
        """The layouts of the allocator's types."""
        names = self.generation.reported_types
        return MappingProxyType(
            {name: self.engine.struct(name) for name in names if self.engine.is_struct(name)}
        )

    @cached_property
    def layout(self) -> Layout:
        """The heap's place in the address space, where that is one piece.

        Raises UsageFault where it is not, and for a tree whose mallocinit could not be followed.
        """
        if self.generation.era != "contiguous":
            found = f"the heap of Go {self.generation.name} does not lie in one piece"
            raise UsageFault(Fault(found, f"Go {generations.CURRENT}", id="era"))
        try:
            return layouts.compute(self.engine)
        except Absent as gone:
            own, of = str(gone).removeprefix("layout."), self.generation.label
            found = f"{of} has no {own}: the function that it is in could not be followed"
            expected = "a tree that computes it as a release does"
            raise UsageFault(Fault(found, expected, id="left-out")) from None

    @property
    def has_layout(self) -> bool:
        """Whether there is a `layout`."""
        return self.generation.era == "contiguous" and self.engine.has("layout.reservation_size")

    @cached_property
    def areas(self) -> Mapping[str, Scalar]:
        """The single figures of the layout's table, and families as name0, name1 and on."""
        found = dict(self.package("layout"))
        for family in self.generation.families:
            members = self.engine.family(family)
            values = self.engine.family_values(family)
            found |= {_shown(name): _plain(value) for name, value in zip(members, values, strict=True)}
        return MappingProxyType(found)

    def family(self, name: str) -> list[Scalar]:
        """The values of a family of the layout's table, such as hint; none where the platform has none."""
        known = f"layout.{name}"
        if known not in self.generation.families:
            return []
        return [_plain(value) for value in self.engine.family_values(known)]

    @cached_property
    def size_classes(self) -> SizeClasses:
        """The table of size classes."""
        return self.engine.size_classes()

    def package(self, package: str) -> Mapping[str, Scalar]:
        """The constants of a package by its last word, such as goarch, that reports show."""
        start = len(package) + 1
        values = self.engine.package(package).items()
        return MappingProxyType({name[start:]: _plain(value) for name, value in values})

    # ---- explain ----

    def names(self) -> tuple[str, ...]:
        """Every name that `explain` knows on this platform, fields of structs aside."""
        found = [_shown(name) for name in self._rows()]
        for family in self.generation.families:
            found += [_shown(name) for name in self.engine.family(family)]
        found += [f"fact.{name}" for name in self.engine.facts]
        return (*found, *filter(self.engine.is_struct, self.generation.reported_types))

    def _rows(self) -> Iterator[str]:
        """The qualified names of all constants and single layout figures."""
        for package in (*self.generation.packages, "layout"):
            yield from self.engine.package(package, reported=False)

    def value(self, name: str) -> Scalar:
        """The value of anything that `explain` knows; of a struct its size, of a field its offset."""
        found = self.current(name)
        return self.explain(name).value if found is None else found

    def current(self, name: str) -> Scalar | None:
        """The value of a constant, a layout figure or a fact; None where there is none of that name."""
        known = _find(self.engine, name)
        return None if known is None else _plain(self.engine.value(known))

    def follows_from(self, name: str) -> tuple[str, ...]:
        """The constants, layout figures and facts that the formula of one mentions, as people write them."""
        known = _find(self.engine, name)
        found = () if known is None else self.engine.follows_from(known)
        return tuple(_shown(one) for one in found if not one.startswith("struct."))

    def knows(self, name: str) -> bool:
        """Whether a name is that of a figure here, or of something in a struct here."""
        struct = name.removeprefix("runtime.").partition(".")[0]
        declared = struct in self.engine.declarations and self.engine.is_struct(struct)
        return declared or _find(self.engine, name) is not None

    def explain(self, name: str, reaches: bool = True) -> Explanation:
        """How a figure is computed. Raises UsageFault for a name that is unknown on this platform.

        What it reaches is sought only where that is wanted.
        """
        found = self.explanation(name, reaches)
        if found is None:
            raise _unknown(self, name)
        return found

    def explanation(self, name: str, reaches: bool = True) -> Explanation | None:
        """How a figure is computed, see `explain`; None for a name that is unknown on this platform."""
        known = _find(self.engine, name)
        if known is not None:
            if self.engine.row(known):
                return self._explain_row(known, reaches)
            return self._explain_fact(known)
        struct, _, field = name.removeprefix("runtime.").partition(".")
        declared = self.engine.declarations.get(struct)
        if declared is not None and self.engine.is_struct(struct):
            whole = not field or (field == "size" and not self._has_field(struct, field))
            return self._explain_struct(struct) if whole else self._explain_field(struct, field)
        return None

    def _has_field(self, struct: str, name: str) -> bool:
        return any(field.name == name for field in self.engine.struct(struct).fields)

    def _explain_row(self, name: str, reaches: bool) -> Explanation:
        formula, source = self.engine.formula(name), self.engine.source(name)
        assert formula is not None and source is not None
        row = formula.row
        value = self.engine.value(name)
        return Explanation(
            name=_shown(name),
            kind="layout" if row.package == "layout" else "constant",
            platform=self.platform,
            value=_plain(value),
            type=value.type.name,
            unit=row.unit,
            what=row.what,
            formula=formula.text,
            mentions=tuple(self._mentions(self.engine.follows_from(name))),
            steps=self.engine.steps(name),
            source=str(source),
            dependents=self._dependents(name),
            reaches=self._reaches(name) if reaches else (),
            was=self._was(name),
        )

    def _explain_fact(self, name: str) -> Explanation:
        value, own = self.engine.value(name), name.partition(".")[2]
        return Explanation(
            name=name,
            kind="fact",
            platform=self.platform,
            value=_plain(value),
            type=value.type.name,
            unit=_unit(own),
            what=_help(own),
            formula="",
            mentions=(),
            steps=(),
            source=str(self.profile.origins.get(own, self.profile.file)),
            dependents=self._dependents(name),
            reaches=self._reaches(name),
            was=self._was(name),
        )

    def _explain_struct(self, name: str) -> Explanation:
        struct = self.engine.struct(name)
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
        steps.append(str(struct.size))
        formula = f"unsafe.Sizeof({name}{{}})"
        return self._of_struct(name, name, "struct", struct.size, formula, struct.line, steps)

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
        steps: list[str],
        needed: tuple[str, ...] = (),
    ) -> Explanation:
        key = f"struct.{struct}"
        before = compute(self.base, go=self.generation)._size_or_offset(name) if self.engine.sets else value
        return Explanation(
            name=name,
            kind=kind,
            platform=self.platform,
            value=value,
            type="uintptr",
            unit="bytes",
            what="size of the type" if kind == "struct" else "offset of the field in the type",
            formula=formula,
            mentions=tuple(self._mentions(needed or self.engine.follows_from(key))),
            steps=tuple(steps),
            source=f"{self.engine.declarations[struct].file}:{line}",
            # Only the size of the whole depends on the offset of a field.
            dependents=self._dependents(key) if kind == "struct" else (),
            reaches=self._reaches(key) if kind == "struct" else (),
            was=before if before != value else None,
        )

    def _size_or_offset(self, name: str) -> int:
        struct, _, field = name.partition(".")
        layout = self.engine.struct(struct)
        return layout.offset_of(field) if field else layout.size

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
            return Mention(f"unsafe.Sizeof({own}{{}})", size, f"{declared.file}:{declared.line}")
        if not self.engine.has(name):
            return None
        return Mention(_shown(name), str(self.engine.value(name)), self.origin(name))

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
        names = list(self._rows())
        for family in self.generation.families:
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
                whole.append(f"{_shown(family)}0..{len(members) - 1}")
                for member in members:
                    del left[member]
        return (*map(_shown, left), *whole)

    @cached_property
    def _families(self) -> list[tuple[str, tuple[str, ...]]]:
        """The families of more than one member, with these."""
        families = ((family, self.engine.family(family)) for family in self.generation.families)
        return [(family, members) for family, members in families if len(members) > 1]

    def _was(self, name: str) -> Scalar | None:
        if not self.engine.sets:
            return None
        base = compute(self.base, go=self.generation).engine
        before = _plain(base.value(name)) if base.has(name) else None
        return before if before != _plain(self.engine.value(name)) else None


def compute(
    profile: Profile, sets: Mapping[str, Scalar] | None = None, go: str | Generation | None = None
) -> Figures:
    """The figures of a platform, as a generation of Go has them; without one, as the profile's has.

    `sets` gives other values to constants and facts: a name as `explain` knows it, and an
    integer, a bool or a Go expression, in which names have the value that they had before.
    Raises UsageFault for an unknown name and for a value that does not fit.
    """
    chosen = go if go is not None else profile.go
    generation = chosen if isinstance(chosen, Generation) else generations.load(chosen)
    if not sets:
        return _without_sets(profile, generation)
    figures = _without_sets(profile, generation)
    faults: list[Fault] = []
    given: dict[str, Value] = {}
    for name, value in sets.items():
        try:
            known, what = _set_value(figures, name, value)
        except UsageFault as fault:
            faults += fault.faults
            continue
        given[known] = what
        figures = _figures(profile, given, generation)
    if faults:
        raise UsageFault(*faults)
    return figures


@lru_cache(maxsize=512)
def _without_sets(profile: Profile, generation: Generation) -> Figures:
    return _figures(profile, {}, generation)


def _figures(profile: Profile, sets: Mapping[str, Value], generation: Generation) -> Figures:
    facts = {**profile.facts, **_addresses(profile, sets)}
    engine = Constants(generation, profile.goos, profile.goarch, facts, sets)
    return Figures(profile, generation, engine)


def _addresses(profile: Profile, sets: Mapping[str, Value]) -> Mapping[str, int]:
    """The end of the addresses when a what-if changes their number of bits."""
    bits = sets.get("fact.user_address_bits")
    return {} if bits is None else of_bits(profile.machine, int(bits.value))


def _with_facts(profile: Profile, sets: Mapping[str, Value]) -> Profile:
    """The profile with the facts that a what-if sets, so that the profile shows them, too."""
    given = {name[5:]: _fact(value) for name, value in sets.items() if name.startswith("fact.")}
    if not given:
        return profile
    given = {**_addresses(profile, sets), **given}
    set_here = dict.fromkeys(given, Origin("--set", 0, 0))
    return replace(
        profile,
        facts=MappingProxyType({**profile.facts, **given}),
        machine=MappingProxyType(
            {**profile.machine, **{key: given[key] for key in given if key in SECTIONS["machine"].fields}}
        ),
        constants=MappingProxyType(
            {key: int(given.get(key, value)) for key, value in profile.constants.items()}
        ),
        origins=MappingProxyType({**profile.origins, **set_here}),
    )


def _set_value(figures: Figures, name: str, given: Scalar) -> tuple[str, Value]:
    """The qualified name that a what-if means, and the value it gives it."""
    engine = figures.engine
    known = _find(engine, name) or _optional_fact(name)
    if known is None:
        if name.partition(".")[0] in engine.declarations:
            raise UsageFault(
                Fault(f"{name} cannot be set", "a constant or a fact that it follows from", id="set-invalid")
            )
        raise _unknown(figures, name)
    # runtime.GOOS and runtime.GOARCH only repeat those of sys, which everything else asks.
    row = engine.row(known)
    if row is not None and row.formula == f"sys.{row.name}":
        known = f"sys.{row.name}"
    old = engine.value(known) if engine.has(known) else goexpr.untyped(0)
    if isinstance(given, str) and old.type.kind == "string" and not given.startswith(('"', "`")):
        new = goexpr.untyped(given)
    elif isinstance(given, str):
        size = _amount(known, given)
        new = _evaluate(engine, known, name, given) if size is None else goexpr.untyped(size)
    else:
        new = goexpr.untyped(given)
    value = _same_type(name, given, old, new)
    if known in ("fact.ptr_size", "fact.reg_size") and value.value not in (4, 8):
        raise UsageFault(Fault(f"{name} set to {given}", "4 or 8", id="set-invalid"))
    if known.startswith("fact.") and not (limits := _limits(figures, known[5:])).allow(value.value):
        raise UsageFault(Fault(f"{name} set to {given}", limits.words(), id="set-invalid"))
    return known, value


def _amount(known: str, text: str) -> int | None:
    """What a text with a unit says in bytes; None for an expression."""
    kinds = (s.fields[own].kind for s in SECTIONS.values() if (own := known[5:]) in s.fields)
    limit = known.startswith("fact.") and any(isinstance(kind, Limit) for kind in kinds)
    try:
        return parse_limit(text) if limit else parse_size(text)
    except QuantityFault:
        return None


def _limits(figures: Figures, fact: str) -> Int:
    """The limits of a machine's facts; an address has no more bits than a pointer."""
    field = SECTIONS["machine"].fields.get(fact)
    kind = field.kind if field is not None and isinstance(field.kind, Int) else ANY_NUMBER
    if fact == "user_address_bits":
        return Int(kind.low, 8 * int(figures.profile.facts["ptr_size"]))
    return kind


ANY_NUMBER = Int(-(1 << 64), 1 << 64)


def _optional_fact(name: str) -> str | None:
    """The qualified name of a number that a profile can tell, though this one does not."""
    own = name.removeprefix("fact.")
    numbers = (own in s.fields and isinstance(s.fields[own].kind, Int) for s in SECTIONS.values())
    return f"fact.{own}" if any(numbers) else None


def _evaluate(engine: Constants, known: str, name: str, text: str) -> Value:
    package = known.partition(".")[0]
    try:
        return goexpr.evaluate(text, engine.view("layout" if package == "fact" else package))
    except ExprError as error:
        raise UsageFault(
            Fault(f"{name} set to {text}: column {error.column}: {error.message}", id="set-invalid")
        ) from None
    except Absent as absent:
        # A fact may be spelt like a constant, so what looks like one is only missed when it is asked for.
        own = str(absent.args[0]).partition(".")[2]
        raise UsageFault(Fault(f"{name} set to {text}: undefined: {own}", id="set-invalid")) from None


def _same_type(name: str, given: Scalar, old: Value, new: Value) -> Value:
    """The new value in the type of the old one."""
    kind = old.type
    try:
        if new.type.kind in ("bool", "string") or kind.kind in ("bool", "string"):
            if new.type.kind != kind.kind:
                raise ValueError({"bool": "true or false", "string": "text"}.get(kind.kind, "an integer"))
            return Value(new.value, kind)
        if kind.kind == "float" and not isinstance(new.value, str):
            return Value(new.value, kind)
        if isinstance(new.value, str) or new.value != int(new.value):
            raise ValueError("an integer")
        number = int(new.value)
        if kind.integer and not kind.untyped:
            least, most = kind.bounds
            if not least <= number <= most:
                raise ValueError(f"a {kind.name}, {least} to {most}")
        return Value(number, kind, old.variable)
    except ValueError as why:
        raise UsageFault(Fault(f"{name} set to {given}", str(why), id="set-invalid")) from None


def _find(engine: Constants, name: str) -> str | None:
    """The qualified name of what a user calls `name`, on this platform."""
    if "." in name:
        candidates: Iterable[str] = (name,)
    else:
        candidates = (f"{package}.{name}" for package in (*engine.generation.packages, "layout", "fact"))
    for candidate in candidates:
        if candidate in engine.sets:
            return candidate
        family = candidate.rstrip("0123456789")
        if family in engine.generation.families and candidate not in engine.family(family):
            continue
        try:
            engine.value(candidate)
        except Absent:
            continue
        return candidate
    return None


def why_not(figures: Figures, known: str) -> str:
    """Why a constant of some platforms, by its qualified name, has no value on this one."""
    row = figures.engine.row(known)
    family = figures.profile.facts.get("arch_family")
    if row is None or "arch_family" not in row.formula:
        return f"not declared on {figures.platform}"
    return f"{family}, which Go {figures.generation.name} does not declare: a port has to add it to arch.go"


def _unknown(figures: Figures, name: str) -> UsageFault:
    own = name.partition(".")[2] or name
    packages = figures.generation.packages
    absent = [
        q for q in (name, *(f"{package}.{own}" for package in packages)) if q in figures.generation.rows
    ]
    if absent:
        return UsageFault(Fault(f"{name} is {why_not(figures, absent[0])}", id="absent-name"))
    names = figures.names()
    plain = {n.partition(".")[2] if n.startswith(("sys.", "fact.")) else n: n for n in names}
    near = closest(name, [*names, *plain])
    expected = "a constant, a struct, a field, a layout figure or a fact"
    return UsageFault(Fault(f"unknown name {name}", expected, near, "unknown-name"))


def _help(fact: str) -> str:
    """What a profile's schema says of a fact."""
    for section in SECTIONS.values():
        if fact in section.fields:
            return section.fields[fact].help
    return "a fact of the platform"


def _shown(name: str) -> str:
    """A qualified name as people write it: names of runtime, of the layout and of structs stand alone."""
    package, _, own = name.partition(".")
    return own if package in ("runtime", "layout", "struct") else name


def _unit(fact: str) -> str:
    """The unit of a fact, by its kind in the profile's schema and the words there."""
    for section in SECTIONS.values():
        if fact in section.fields:
            if isinstance(section.fields[fact].kind, Address):
                return "address"
            first = section.fields[fact].help.partition(" ")[0]
            return first if first in ("bytes", "bits") else ""
    return ""


def written(value: Scalar) -> str:
    """A figure as Go writes it: true, not True, and text in quotes."""
    return str(goexpr.untyped(value))


def _plain(value: Value) -> Scalar:
    """A value as Python's int, bool or str, or a float where it is not a whole number."""
    plain = value.value
    if isinstance(plain, bool | str):
        return plain
    return int(plain) if int(plain) == plain else float(plain)


def _fact(value: Value) -> Fact:
    """As `_plain`, of what is never a fraction."""
    plain = value.value
    return plain if isinstance(plain, bool | str) else int(plain)


__all__ = [
    "Explanation", "Figures", "Mention", "StructField", "StructLayout", "compute", "why_not", "written",
]  # fmt: skip
