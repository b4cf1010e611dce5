"""The constants of one platform: every formula of a generation's tables, evaluated where it is needed.

Names are qualified here: `runtime._PageSize`, `sys.PtrSize`, `fact.ptr_size`,
`layout.arena_size`. A formula finds unqualified names in its own package, one of
layout also in runtime. A constant that a port does not declare is absent, which is
no error until somebody asks for it.

Ports share most figures. A formula is therefore evaluated once for each set of
values that it follows from, not once for each port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from allocator.common import sizeclasses
from archcalc import goexpr
from archcalc.calculator import declared, formulas, structs
from archcalc.calculator.formulas import Formula
from archcalc.calculator.structs import Declaration, StructError, StructLayout
from archcalc.generations import Generation, Row, Source
from archcalc.goexpr import ExprError, Function, Scope, Value
from archcalc.reading.errors import Fault, UsageFault

Fact = int | bool | str
MAX_MEMBERS = 1024
"""More members of a family than this come from a what-if that makes no sense."""


class Absent(LookupError):
    """This platform has no constant or fact of that qualified name; `missing` is it, or a fact behind it."""

    def __init__(self, name: str, missing: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.missing = missing or name


class Constants:
    """All constants and layout figures of one platform, computed when asked for.

    `facts` come from the profile; `sets` are values by qualified name that stand in for
    what would be computed, as a what-if.
    """

    def __init__(
        self,
        generation: Generation,
        goos: str,
        goarch: str,
        facts: Mapping[str, Fact],
        sets: Mapping[str, Value] | None = None,
    ) -> None:
        self.generation = generation
        self.goos = goos
        self.goarch = goarch
        self.facts = {**facts, "goos": goos, "goarch": goarch}
        self.sets = dict(sets or {})
        self._values: dict[str, Value] = {**formulas.literals(generation), **self.sets}
        self._open: set[str] = set()
        self._structs: dict[str, StructLayout] = {}
        self._rows: dict[str, Row | None] = {}
        self._formulas: dict[str, Formula | None] = {}
        self._standing: dict[tuple[str, str], bool] = {}
        self._plain = formulas.plain_formulas(generation)
        self._views = {package: _View(self, package) for package in (*generation.packages, "layout", "body")}
        self._families: dict[str, tuple[str, ...]] = {}
        self._sources: dict[str, Source | None] = {}

    # ---- values ----

    def value(self, name: str) -> Value:
        """The value of a qualified name. Raises Absent, or UsageFault where a formula has none."""
        value = self._values.get(name)
        if value is None:
            if name in self._open:
                raise UsageFault(Fault(f"{_own(name)} follows from itself", id="constant-invalid"))
            self._open.add(name)
            try:
                value = self._compute(name)
            except Absent as absent:
                if absent.missing == name:
                    raise
                raise self._without(name, absent) from None
            finally:
                self._open.discard(name)
            self._values[name] = value
        return value

    def has(self, name: str) -> bool:
        """Whether the platform has a constant, a fact or a figure of that qualified name."""
        try:
            self.value(name)
        except Absent:
            return False
        return True

    def row(self, name: str) -> Row | None:
        """The row that a qualified name comes from on this platform; none for facts and unknown names."""
        if name not in self._rows:
            self._rows[name] = next(filter(self._stands, self._alternatives(name)), None)
        return self._rows[name]

    def formula(self, name: str) -> Formula | None:
        """The formula of a qualified name on this platform."""
        if name not in self._formulas:
            row = self.row(name)
            generation = self.generation
            member = formulas.member_of(generation, name)
            found = None if row is None else formulas.formula_of(generation, row, member)
            self._formulas[name] = found
        return self._formulas[name]

    def source(self, name: str) -> Source | None:
        """Where in Go's source the constant of that qualified name stands."""
        if name not in self._sources:
            row = self.row(name)
            source = None if row is None else self.generation.source(row, self.goos, self.goarch)
            self._sources[name] = source
        return self._sources[name]

    def package(self, package: str, reported: bool = True) -> dict[str, Value]:
        """The constants of a package, or the layout's single figures, that this platform has, in order.

        Keys are qualified names. Without `reported`, those too that only formulas mention.
        """
        known = self._values
        found = {}
        for name in self.generation.names(package, reported):
            try:
                found[name] = known.get(name) or self.value(name)
            except Absent:
                continue
        return found

    def members(self, family: str) -> int:
        """How many members a family, such as layout.hint, has on this platform."""
        row = next(filter(self._stands, self.generation.families[family]), None)
        if row is None:
            return 0
        try:
            number = self._evaluate(row, row.members, None).value
        except Absent as absent:
            found = f"the size of {family} is {row.members}; undefined: {absent.args[0]}"
            raise UsageFault(Fault(found, id="constant-invalid")) from None
        if not isinstance(number, int) or number > MAX_MEMBERS:
            raise UsageFault(
                Fault(f"the size of {family} is {number}", f"at most {MAX_MEMBERS}", id="constant-invalid")
            )
        return max(number, 0)

    def family(self, family: str) -> tuple[str, ...]:
        """The qualified names of a family's members."""
        found = self._families.get(family)
        if found is None:
            members = range(self.members(family))
            found = self._families[family] = tuple([f"{family}{i}" for i in members])
        return found

    def has_member(self, name: str) -> bool:
        """Whether a qualified name of a family's form is one of its members here."""
        family = formulas.family_of(self.generation, name)
        return family is not None and name in self.family(family)

    def family_values(self, family: str) -> tuple[Value, ...]:
        """The values of a family's members."""
        members = self.members(family)
        names = [f"{family}{i}" for i in range(members)]
        formula = self.formula(names[0]) if names else None
        if formula is None or "{i}" in formula.row.formula or not self.sets.keys().isdisjoint(names):
            return tuple(map(self.value, names))
        key = (id(formula.row), members, *self._key(formula))
        values = _FAMILIES.get(key)
        if values is None:
            values = _FAMILIES[key] = tuple(self._members_of(formula.row, members))
        return values

    def _members_of(self, row: Row, members: int) -> Iterator[Value]:
        view, node = _Member(self, row.package, 0), goexpr.parse(row.formula)
        for i in range(members):
            view.index = goexpr.untyped(i)
            try:
                yield goexpr.evaluate(node, view)
            except ExprError as error:
                raise _fault(row, row.name.replace("{i}", str(i)), error) from None

    def view(self, package: str) -> Scope:
        """The scope in which that package's formulas are evaluated."""
        return self._views[package]

    def resolve(self, package: str, name: str) -> str | None:
        """The qualified name of what a formula of a package calls `name`."""
        return formulas.resolve(self.generation, package, name)

    @cached_property
    def words(self) -> tuple[int, int]:
        """Bytes of a pointer and of a register."""
        pointer, register = (self.value(f"fact.{fact}").value for fact in ("ptr_size", "reg_size"))
        return int(pointer), int(register)

    def follows_from(self, name: str) -> tuple[str, ...]:
        """What a formula mentions, or a struct (as struct.NAME) is made of, by qualified name.

        The facts that give uintptr, int and uint their size, and Uintreg its own, are
        among them where such a type is mentioned.
        """
        if name.startswith("struct."):
            return self._types_follow_from(self._needs(name.removeprefix("struct.")))
        formula = self.formula(name)
        if formula is None:
            return ()
        found = formulas.follows_from(formula)
        if not formula.shared:
            named = self.resolve(formula.row.package, str(self.value(formula.mentions[0]).value))
            found = (*found, *([named] if named else []))
        return found

    def fields_follow_from(self, struct: str, fields: int) -> tuple[str, ...]:
        """What the offset of the last of a struct's first `fields` fields follows from, as `follows_from`."""
        return self._types_follow_from(self._needs(struct, fields))

    def _types_follow_from(self, needs: structs.Needs) -> tuple[str, ...]:
        types = (f"struct.{inner}" for inner in needs.types)
        return (*needs.names, *types, "fact.ptr_size", "fact.reg_size")

    def steps(self, name: str) -> tuple[str, ...]:
        """The steps from a qualified name's formula to its value (`goexpr.steps`); none for what is set."""
        formula = self.formula(name)
        if formula is None or name in self.sets:
            return ()
        view, iota = self._views[formula.row.package], formula.row.iota
        if not formula.shared:
            return goexpr.steps(formula.text, view, iota)
        key = (id(formula.row), formula.member, *self._key(formula))
        steps = _STEPS.get(key)
        if steps is None:
            steps = _STEPS[key] = goexpr.steps(formula.text, view, iota)
        return steps

    # ---- what a formula's value follows from ----

    def _alternatives(self, name: str) -> tuple[Row, ...]:
        rows = self.generation.rows.get(name)
        if rows is not None:
            return rows
        family = formulas.family_of(self.generation, name)
        return self.generation.families[family] if family else ()

    def _stands(self, row: Row) -> bool:
        return not row.when or self._holds(row.package, row.when, row)

    def _without(self, name: str, absent: Absent) -> Exception:
        """What to raise for a name that has no value, since it, or what it follows from, is absent.

        A fact that a system does not have takes with it what follows from it, and so does a constant that a
        fact only names: a port's family may have to be added yet. Anything else that a formula mentions must
        be there wherever the formula stands, as it must for a compiler.
        """
        missing = absent.missing
        row = self.row(name)
        if missing.startswith("fact.") or (row is not None and "named(" in row.formula):
            return Absent(name, missing)
        assert row is not None
        return self._lacks(f"{_own(name)} ({Source(*row.source)})", missing)

    def _lacks(self, where: str, missing: str) -> UsageFault:
        found = f"{where}: it follows from {missing}, which {self.goos}/{self.goarch} does not have"
        return UsageFault(Fault(found, id="constant-invalid"))

    def _holds(self, package: str, when: str, row: Row | None = None) -> bool:
        """Whether a condition, or a build constraint, holds here; a fault says what `row` it stands in."""
        condition = package, when
        stands = self._standing.get(condition)
        if stands is None:
            text = self.generation.condition(when)
            try:
                values = tuple(
                    self.value(name) for name in formulas.condition(self.generation, package, text)
                )
            except Absent as absent:
                if absent.missing.startswith("fact."):
                    raise
                raise self._lacks(f"{_before(row)}{when}", absent.missing) from None
            key = (id(self.generation), condition, values)
            value = _CONDITIONS.get(key)
            if value is None:
                try:
                    value = _CONDITIONS[key] = goexpr.evaluate(text, self._views[package])
                except ExprError as error:
                    found = f"{_before(row)}{when}: column {error.column}: {error.message}"
                    raise UsageFault(Fault(found, id="constant-invalid")) from None
            stands = self._standing[condition] = value.value is True
        return stands

    def _compute(self, name: str) -> Value:
        formula = self._plain.get(name)
        if formula is None:
            package, _, own = name.partition(".")
            if package == "fact":
                if own not in self.facts:
                    raise Absent(name)
                return goexpr.untyped(self.facts[own])
            formula = self.formula(name)
            if formula is None:
                raise Absent(name)
        if not formula.shared:
            return self._value_of(formula, name)
        key = self._key(formula)
        value = formula.values.get(key)
        if value is None:
            value = formula.values[key] = self._value_of(formula, name)
        return value

    def _value_of(self, formula: Formula, name: str) -> Value:
        row, index = formula.row, formula.member
        # The scope knows a member's i, so that the family's formula is parsed once.
        text, view = row.formula, self._views[row.package]
        if index is not None:
            text, view = (formula.text, view) if "{i}" in text else (text, _Member(self, row.package, index))
        try:
            value = goexpr.evaluate(text, view, row.iota)
            if row.type_name:
                kind = view.type(row.type_name)
                assert kind is not None
                value = goexpr.assign(value, kind, text)
            return value
        except ExprError as error:
            raise _fault(row, name.partition(".")[2], error) from None

    def _key(self, formula: Formula) -> tuple[object, ...]:
        """All that the value of a shared formula follows from."""
        known = self._values
        found: list[object] = [known.get(name) or self.value(name) for name in formula.mentions]
        if formula.sized:
            found.append(self.words)
        if formula.types:
            found += map(self.struct, formula.types)
        return tuple(found)

    def _evaluate(self, row: Row, text: str, iota: int | None) -> Value:
        try:
            return goexpr.evaluate(text, self._views[row.package], iota)
        except ExprError as error:
            raise _fault(row, row.name, error) from None

    # ---- types ----

    @cached_property
    def declarations(self) -> Mapping[str, Declaration]:
        """All declared types of the generation, by name, as this platform's files declare them."""
        chosen = {
            name: next((one for one in of if not one.when or self._holds("runtime", one.when)), None)
            for name, of in declared.conditional(self.generation).items()
        }
        key = (id(self.generation), *map(id, chosen.values()))
        known = _DECLARED.get(key)
        if known is None:
            all_of = declared.declarations(self.generation).items()
            found = {name: chosen.get(name, of[0]) for name, of in all_of}
            known = _DECLARED[key] = {name: one for name, one in found.items() if one is not None}
        return known

    def declared_structs(self) -> tuple[str, ...]:
        """The names of all declared structs."""
        return tuple(name for name in self.declarations if self.is_struct(name))

    def is_struct(self, name: str) -> bool:
        """Whether this platform declares a type of that name which is a struct, or is declared as one."""
        return structs.underlying(name, self.declarations) is not None

    def struct(self, name: str) -> StructLayout:
        """The layout of a declared struct. Raises UsageFault where a what-if leaves it without one."""
        layout = self._structs.get(name)
        if layout is None:
            if f"struct.{name}" in self._open:
                raise UsageFault(Fault(f"invalid recursive type {name}", id="struct-invalid"))
            self._open.add(f"struct.{name}")
            try:
                layout = self._structs[name] = self._lay_out(name)
            finally:
                self._open.discard(f"struct.{name}")
        return layout

    def _needs(self, name: str, fields: int | None = None) -> structs.Needs:
        """What the layout of a struct, or of its first fields, follows from: qualified names, and structs."""
        key = (id(self.declarations), name, fields)
        known = _NEEDS.get(key)
        if known is None:
            found = structs.needs_of(self.declarations[name], self.declarations, fields)
            names = tuple(formulas.in_runtime(self.generation, needed) for needed in found.names)
            known = _NEEDS[key] = structs.Needs(names, found.types)
        return known

    def _lay_out(self, name: str) -> StructLayout:
        needs, known = self._needs(name), self._values
        declaration = self.declarations[name]
        try:
            values = [known.get(needed) or self.value(needed) for needed in needs.names]
        except Absent as absent:
            found = f"{name} ({declaration.file}:{declaration.line}): undefined: {absent.args[0]}"
            raise UsageFault(Fault(found, id="struct-invalid")) from None
        key = (id(self.declarations), name, self.words, *values, *map(self.struct, needs.types))
        layout = _LAYOUTS.get(key)
        if layout is None:
            layouts = structs.Layouts(self.declarations, self._views["runtime"], *self.words, self.struct)
            try:
                layout = _LAYOUTS[key] = layouts.layout(name)
            except ExprError as error:
                found = f"{name}: array length {error.text}: column {error.column}: {error.message}"
                raise UsageFault(Fault(found, id="struct-invalid")) from None
            except StructError as error:
                found = f"{name} ({declaration.file}:{declaration.line}): {error}"
                raise UsageFault(Fault(found, id="struct-invalid")) from None
        return layout

    def size_classes(self) -> sizeclasses.SizeClasses:
        """The size classes that this platform's constants give (mksizeclasses.go)."""
        try:
            parameters = [int(self.value(name).value) for name in self.generation.size_classes]
        except Absent as absent:
            found = f"no size classes: undefined: {absent.args[0] or 'a limit of theirs'}"
            raise UsageFault(Fault(found, id="sizeclasses-invalid")) from None
        # Heap bitmaps of later releases need objects of 32 bytes and more at multiples of 16, and those
        # below at multiples of 8: there is a class of 24 bytes.
        sixteen_from = 16 if self.generation.era == "contiguous" else 32
        try:
            return sizeclasses.compute(*parameters, sixteen_from=sixteen_from)
        except sizeclasses.SizeClassError as error:
            raise UsageFault(Fault(f"no size classes: {error}", id="sizeclasses-invalid")) from None


_CONDITIONS: dict[tuple[object, ...], Value] = {}
_STEPS: dict[tuple[object, ...], tuple[str, ...]] = {}
_FAMILIES: dict[tuple[object, ...], tuple[Value, ...]] = {}
_LAYOUTS: dict[tuple[object, ...], StructLayout] = {}
_NEEDS: dict[tuple[object, ...], structs.Needs] = {}
_DECLARED: dict[tuple[int, ...], Mapping[str, Declaration]] = {}


def _fault(row: Row, name: str, error: ExprError) -> UsageFault:
    source = Source(*row.source)
    where = f"{name} ({source})" if "{" not in source.file else name
    return UsageFault(
        Fault(f"{where}: column {error.column} of {error.text}: {error.message}", id="constant-invalid")
    )


def _before(row: Row | None) -> str:
    """What goes before a condition in words about it: the row that has it, and where."""
    return f"{row.name} ({Source(*row.source)}): " if row is not None else ""


def _own(name: str) -> str:
    """A qualified name without its package."""
    return name.partition(".")[2]


class _View(Scope):
    """The names that a formula of one package can use."""

    def __init__(self, constants: Constants, package: str) -> None:
        self.constants = constants
        self.package = package
        self.signed_shift_counts = constants.generation.era != "contiguous"
        self.names = {}

    @property
    def ptr_size(self) -> int:  # type: ignore[override]
        return self.constants.words[0]

    def lookup(self, name: str) -> Value | None:
        known = self.constants.resolve(self.package, name)
        return None if known is None else self.constants.value(known)

    def type(self, name: str) -> goexpr.ConstantType | None:
        ptr_size, reg_size = self.constants.words
        types = declared.types(self.constants.generation, ptr_size, reg_size)
        return types.get(f"{self.package}.{name}") or types.get(name)

    def struct(self, name: str) -> StructLayout | None:
        return self.constants.struct(name) if self.constants.is_struct(name) else None

    def length(self, name: str) -> int | None:
        return len(self.constants.size_classes()) if name == "class_to_size" else None

    def function(self, name: str) -> Function | Callable[[list[Value]], Value] | None:
        if name == "flag":
            return lambda arguments: goexpr.untyped(int(arguments[0].value is True))
        if name == "named":
            return self._named
        return self.constants.generation.functions.get(name)

    def _named(self, arguments: list[Value]) -> Value:
        """The constant whose name a fact gives; none where this generation does not have it."""
        known = self.constants.resolve(self.package, str(arguments[0].value))
        if known is None:
            raise Absent(f"{self.package}.{arguments[0].value}")
        return self.constants.value(known)


class _Member(_View):
    """The names that the formula of one member of a family can use: its number, too."""

    def __init__(self, constants: Constants, package: str, index: int) -> None:
        super().__init__(constants, package)
        self.index = goexpr.untyped(index)

    def lookup(self, name: str) -> Value | None:
        return self.index if name == "i" else super().lookup(name)
