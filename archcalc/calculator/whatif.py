"""What-ifs: other values for constants and facts, each in the type of what it replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from archcalc import goexpr
from archcalc.calculator.constants import Absent, Constants
from archcalc.calculator.names import find, unknown
from archcalc.calculator.plain import Scalar
from archcalc.goexpr import ExprError, Value
from archcalc.profiles.addresses import of_bits
from archcalc.profiles.profile import Fact, Origin, Profile
from archcalc.profiles.profile_fields import SECTIONS
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.fields import Int, Limit
from archcalc.reading.quantities import QuantityFault, parse_limit, parse_size


def addresses(profile: Profile, sets: Mapping[str, Value]) -> Mapping[str, int]:
    """The end of the addresses when a what-if changes their number of bits."""
    bits = sets.get("fact.user_address_bits")
    return {} if bits is None else of_bits(profile.machine, int(bits.value))


def with_facts(profile: Profile, sets: Mapping[str, Value]) -> Profile:
    """The profile with the facts that a what-if sets, so that the profile shows them, too."""
    given = {name[5:]: _fact(value) for name, value in sets.items() if name.startswith("fact.")}
    if not given:
        return profile
    given = {**addresses(profile, sets), **given}
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


def value_of(engine: Constants, profile: Profile, name: str, given: Scalar) -> tuple[str, Value]:
    """The qualified name that a what-if means, and the value it gives it."""
    known = find(engine, name) or _optional_fact(name)
    if known is None:
        if name.partition(".")[0] in engine.declarations:
            raise UsageFault(
                Fault(f"{name} cannot be set", "a constant or a fact that it follows from", id="set-invalid")
            )
        raise unknown(engine, profile.name, name)
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
    if known.startswith("fact.") and not (limits := _limits(engine, known[5:])).allow(value.value):
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


def _limits(engine: Constants, fact: str) -> Int:
    """The limits of a machine's facts; an address has no more bits than a pointer."""
    field = SECTIONS["machine"].fields.get(fact)
    kind = field.kind if field is not None and isinstance(field.kind, Int) else ANY_NUMBER
    if fact == "user_address_bits":
        return Int(kind.low, 8 * int(engine.value("fact.ptr_size").value))
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


def _fact(value: Value) -> Fact:
    """A fact as a plain Python value: it is never a fraction."""
    plain = value.value
    return plain if isinstance(plain, bool | str) else int(plain)
