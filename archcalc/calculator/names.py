"""What people call a figure, what that means on one platform, and why it may mean nothing there.

A qualified name has its package: runtime._PageSize, layout.hint0, fact.page_size, struct.mspan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archcalc.calculator.constants import Absent, Constants
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest


def shown(name: str) -> str:
    """A qualified name as people write it: names of runtime, of the layout and of structs stand alone."""
    package, _, own = name.partition(".")
    return own if package in ("runtime", "layout", "struct") else name


def rows(engine: Constants) -> Iterator[str]:
    """The qualified names of all constants and single layout figures."""
    for package in (*engine.generation.packages, "layout"):
        yield from engine.package(package, reported=False)


def known(engine: Constants) -> tuple[str, ...]:
    """Every name that `explain` knows on a platform, fields of structs aside."""
    generation = engine.generation
    found = [shown(name) for name in rows(engine)]
    for family in generation.families:
        found += [shown(name) for name in engine.family(family)]
    found += [f"fact.{name}" for name in engine.facts]
    return (*found, *filter(engine.is_struct, generation.reported_types))


def find(engine: Constants, name: str) -> str | None:
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


def why_not(engine: Constants, platform: str, name: str) -> str:
    """Why a constant of some platforms, by its qualified name, has no value on this one."""
    row = engine.row(name)
    if row is None or "arch_family" not in row.formula:
        return f"not declared on {platform}"
    family, go = engine.value("fact.arch_family").value, engine.generation.name
    return f"{family}, which Go {go} does not declare: a port has to add it to arch.go"


def unknown(engine: Constants, platform: str, name: str) -> UsageFault:
    """What is wrong with a name that is unknown on a platform, with the nearest that is known."""
    own = name.partition(".")[2] or name
    qualified = (name, *(f"{package}.{own}" for package in engine.generation.packages))
    absent = [one for one in qualified if one in engine.generation.rows]
    if absent:
        return UsageFault(Fault(f"{name} is {why_not(engine, platform, absent[0])}", id="absent-name"))
    names = known(engine)
    plain = {n.partition(".")[2] if n.startswith(("sys.", "fact.")) else n: n for n in names}
    near = closest(name, [*names, *plain])
    expected = "a constant, a struct, a field, a layout figure or a fact"
    return UsageFault(Fault(f"unknown name {name}", expected, near, "unknown-name"))
