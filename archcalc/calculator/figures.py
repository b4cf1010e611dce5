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

from collections.abc import Mapping
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from allocator.common.sizeclasses import SizeClasses
from archcalc import generations
from archcalc.calculator import layout as layouts
from archcalc.calculator.constants import Absent, Constants
from archcalc.calculator.layout import Layout
from archcalc.calculator.names import find, known, shown, unknown
from archcalc.calculator.plain import Scalar, plain
from archcalc.calculator.structs import StructLayout
from archcalc.calculator.whatif import addresses, value_of, with_facts
from archcalc.generations import Generation
from archcalc.goexpr import Value
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault

if TYPE_CHECKING:
    from archcalc.calculator.explanation import Derivation, Explainer, Explanation


class Figures:
    """The figures of one platform, under Go's own names.

    `profile` has the facts of a what-if in place of its own; `base` is the profile without.
    Mappings hold plain Python values: int, bool or str. Whatever cannot be computed, which
    only a what-if or a profile of the user's own can bring about, raises UsageFault.
    """

    def __init__(self, base: Profile, generation: Generation, engine: Constants) -> None:
        self.base = base
        self.profile = with_facts(base, engine.sets)
        self.generation = generation
        self.engine = engine

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
        return MappingProxyType({shown(name): plain(value) for name, value in self.engine.sets.items()})

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
            found |= {shown(name): plain(value) for name, value in zip(members, values, strict=True)}
        return MappingProxyType(found)

    def family(self, name: str) -> list[Scalar]:
        """The values of a family of the layout's table, such as hint; none where the platform has none."""
        known = f"layout.{name}"
        if known not in self.generation.families:
            return []
        return [plain(value) for value in self.engine.family_values(known)]

    @cached_property
    def size_classes(self) -> SizeClasses:
        """The table of size classes."""
        return self.engine.size_classes()

    def package(self, package: str) -> Mapping[str, Scalar]:
        """The constants of a package by its last word, such as goarch, that reports show."""
        start = len(package) + 1
        values = self.engine.package(package).items()
        return MappingProxyType({name[start:]: plain(value) for name, value in values})

    # ---- explain ----

    def names(self) -> tuple[str, ...]:
        """Every name that `explain` knows on this platform, fields of structs aside."""
        return known(self.engine)

    def value(self, name: str) -> Scalar:
        """The value of anything that `explain` knows; of a struct its size, of a field its offset."""
        found = self.current(name)
        return self.explain(name).value if found is None else found

    def current(self, name: str) -> Scalar | None:
        """The value of a constant, a layout figure or a fact; None where there is none of that name."""
        qualified = find(self.engine, name)
        return None if qualified is None else plain(self.engine.value(qualified))

    def follows_from(self, name: str) -> tuple[str, ...]:
        """The constants, layout figures and facts that the formula of one mentions, as people write them."""
        qualified = find(self.engine, name)
        found = () if qualified is None else self.engine.follows_from(qualified)
        return tuple(shown(one) for one in found if not one.startswith("struct."))

    def knows(self, name: str) -> bool:
        """Whether a name is that of a figure here, or of something in a struct here."""
        struct = name.removeprefix("runtime.").partition(".")[0]
        declared = struct in self.engine.declarations and self.engine.is_struct(struct)
        return declared or find(self.engine, name) is not None

    def explain(self, name: str, *, dependents: bool = True, reaches: bool = True) -> Explanation:
        """How a figure is computed. Raises UsageFault for a name that is unknown on this platform.

        What depends on it, and what it reaches, is sought only where that is wanted.
        """
        found = self.explanation(name, dependents=dependents, reaches=reaches)
        if found is None:
            raise unknown(self.engine, self.platform, name)
        return found

    def explanation(self, name: str, *, dependents: bool = True, reaches: bool = True) -> Explanation | None:
        """How a figure is computed, see `explain`; None for a name that is unknown on this platform."""
        return self._explainer.explanation(name, dependents=dependents, reaches=reaches)

    def derivation(self, name: str) -> Derivation | None:
        """How a figure comes about, by its qualified name; None where this platform has none of that name."""
        return self._explainer.derivation(name)

    def origin(self, name: str) -> str:
        """Where the value of a qualified name comes from: --set, a line of Go's source or of a profile."""
        return self._explainer.origin(name)

    @cached_property
    def _explainer(self) -> Explainer:
        from archcalc.calculator.explanation import Explainer

        return Explainer(self.engine, self.profile, lambda: compute(self.base, go=self.generation).engine)


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
            meant, what = value_of(figures.engine, figures.profile, name, value)
        except UsageFault as fault:
            faults += fault.faults
            continue
        given[meant] = what
        figures = _figures(profile, given, generation)
    if faults:
        raise UsageFault(*faults)
    return figures


@lru_cache(maxsize=512)
def _without_sets(profile: Profile, generation: Generation) -> Figures:
    return _figures(profile, {}, generation)


def _figures(profile: Profile, sets: Mapping[str, Value], generation: Generation) -> Figures:
    facts = {**profile.facts, **addresses(profile, sets)}
    engine = Constants(generation, profile.goos, profile.goarch, facts, sets)
    return Figures(profile, generation, engine)
