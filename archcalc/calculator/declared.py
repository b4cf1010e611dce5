"""The types that a generation declares, each with all its alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from archcalc import goexpr
from archcalc.calculator import structs
from archcalc.calculator.structs import Declaration
from archcalc.generations import Generation


@cache
def declarations(generation: Generation) -> Mapping[str, tuple[Declaration, ...]]:
    """The types of a generation by name, those of packages other than runtime with it: all alternatives."""
    base = declarations(generation.base) if generation.base else {}
    fresh: dict[str, tuple[Declaration, ...]] = {}
    for file, _, constraint, text in generation.type_sections:
        for name, one in structs.parse_declarations(text, file, structs.noted_line).items():
            fresh[name] = (*fresh.get(name, ()), one._replace(when=constraint))
    kept = {name: of for name, of in base.items() if name not in fresh and name not in generation.gone_types}
    found = {**kept, **fresh}
    if generation.lines:
        found = {name: tuple(_placed(generation, one) for one in of) for name, of in found.items()}
    return found


@cache
def conditional(generation: Generation) -> Mapping[str, tuple[Declaration, ...]]:
    """The types that are declared one way or another, or not at all, by a condition."""
    return {name: of for name, of in declarations(generation).items() if of[0].when}


def _placed(generation: Generation, declared: Declaration) -> Declaration:
    """A declaration with the lines that lines.txt notes for it."""
    package, _, own = declared.name.rpartition(".")
    for lines in generation.lines.get(f"{package or 'runtime'}.{own}", ()):
        if lines.file == declared.file:
            kind = declared.type
            members = lines.members.get(own, ())
            if isinstance(kind, structs.Struct) and len(members) == len(kind.members):
                pairs = zip(kind.members, members, strict=True)
                kind = structs.Struct(tuple(one._replace(line=line) for one, line in pairs))
            return declared._replace(type=kind, line=lines.names[own])
    return declared


@cache
def types(generation: Generation, ptr_size: int, reg_size: int) -> Mapping[str, goexpr.ConstantType]:
    """The types of constants: Go's own and those declared from them."""
    basic = goexpr.basic_types(ptr_size)
    # Each arch_*.go declares its own Uintreg, an unsigned integer of a register's size.
    found = {**basic, "Uintreg": goexpr.ConstantType("Uintreg", "uint", 8 * reg_size)}
    for name, (declaration, *_) in declarations(generation).items():
        kind, own = declaration.type, name.rpartition(".")[2]
        if isinstance(kind, structs.Named) and kind.name in basic and own not in found:
            found[name] = basic[kind.name]._replace(name=own)
    return found
