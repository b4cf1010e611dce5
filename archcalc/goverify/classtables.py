"""The tables of size classes: as the figures ask for them, and as mksizeclasses.go has written a tree's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from allocator.common import sizeclasses
from allocator.common.sizeclasses import SizeClasses
from archcalc.goexpr import ExprError
from archcalc.goverify.comparison import Change
from archcalc.goverify.port import ComparedPort, number, own_name, plain
from archcalc.goverify.tree import Missing, PackageScope

MAGIC = ("shift", "shift2", "mul", "baseMask")
"""The parts of a class's divmagic, where it is a struct; since Go 1.16 it is one number."""
GC = "internal/runtime/gc"
FILE = {"runtime": "runtime/sizeclasses.go", GC: f"{GC}/sizeclasses.go"}


class ClassTable(NamedTuple):
    """One table: its name in package runtime and in internal/runtime/gc, and bytes of an entry."""

    name: str
    gc_name: str
    width: int


TABLES = (
    ClassTable("class_to_size", "SizeClassToSize", 2),
    ClassTable("class_to_allocnpages", "SizeClassToNPages", 1),
    ClassTable("class_to_divmagic", "SizeClassToDivMagic", 4),
    ClassTable("size_to_class8", "SizeToSizeClass8", 1),
    ClassTable("size_to_class128", "SizeToSizeClass128", 1),
)


def named(table: ClassTable, packages: Sequence[str]) -> tuple[str, str]:
    """The package and the name that a table has where a generation has these packages."""
    return (GC, table.gc_name) if GC in packages else ("runtime", table.name)


def computed(
    classes: SizeClasses, table: ClassTable, contiguous: bool
) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
    """A table's entries as the size classes ask for them."""
    if table.name != "class_to_divmagic":
        entries: tuple[int, ...] = getattr(classes, table.name)
        return entries
    if contiguous:
        return tuple(map(tuple, classes.class_to_divmagic))
    return tuple(0xFFFFFFFF // size + 1 if size else 0 for size in classes.class_to_size)


def compare(port: ComparedPort) -> None:
    """The tables entry by entry, and whether they are what the tree's own constants ask for."""
    generation = port.figures.generation
    contiguous = generation.era == "contiguous"
    fresh = _regenerated(port)
    for table in TABLES:
        ours = computed(port.figures.size_classes, table, contiguous)
        package, name = named(table, tuple(generation.packages.values()))
        scope, own = _declaring(port, table, package, name)
        try:
            elements = list(scope.elements(own))
        except (Missing, ExprError) as error:
            var = scope.vars.get(own)
            if var is not None and var.node is not None:
                port.found.skip(name, f"{var.file}:{var.line}: {error}")
            elif port.era.current and not port.excused(FILE[package]):
                port.found.missing(name, len(ours), FILE[package], "the tree has no such table")
            else:
                port.found.skip(name, "the tree has no table of it")
            continue
        file = scope.vars[own].file
        wheres = [f"{file}:{at}" for _, at in elements]
        theirs = [value for value, _ in elements]
        if fresh is not None and list(computed(fresh, table, contiguous)) != theirs:
            made = f"what mksizeclasses.go makes of {', '.join(map(own_name, generation.size_classes))}"
            port.found.changes.append(
                Change(port.found.platform, name, made, "another table", wheres[0] if wheres else file)
            )
        for shown, left, right, where in entries(name, ours, theirs, wheres):
            port.found.value(shown, left, right, where)


def entries(
    name: str,
    ours: Sequence[int | tuple[int, ...]],
    theirs: Sequence[int | tuple[int, ...]],
    wheres: Sequence[str],
) -> Iterator[tuple[str, int | None, int | None, str]]:
    """Name, both values and place of each entry, and of each part of one that has parts."""
    whole = all(isinstance(one, int) for one in (*ours, *theirs))
    for at in range(max(len(ours), len(theirs))):
        where = wheres[min(at, len(wheres) - 1)] if wheres else ""
        left, right = (_parts(side[at]) if at < len(side) else () for side in (ours, theirs))
        for part in range(1 if whole else max(len(left), len(right), len(MAGIC))):
            shown = f"{name}[{at}]" if whole else f"{name}[{at}].{MAGIC[min(part, len(MAGIC) - 1)]}"
            yield (
                shown,
                left[part] if part < len(left) else None,
                right[part] if part < len(right) else None,
                where,
            )


def _parts(entry: int | tuple[int, ...]) -> tuple[int, ...]:
    return (entry,) if isinstance(entry, int) else entry


def _declaring(port: ComparedPort, table: ClassTable, package: str, name: str) -> tuple[PackageScope, str]:
    """The package of the tree that has a table, under whichever name."""
    for path, own in dict.fromkeys(((package, name), ("runtime", table.name), (GC, table.gc_name))):
        scope = port.port.package(path)
        if own in scope.vars:
            return scope, own
    return port.port.package(package), name


def _regenerated(port: ComparedPort) -> SizeClasses | None:
    """The tables that the tree's constants ask for, where those are not the calculator's."""
    packages, names = port.figures.generation.packages, port.figures.generation.size_classes
    sixteen = None if port.figures.generation.era == "contiguous" else 32
    try:
        given = []
        for name in names:
            package, _, own = name.partition(".")
            given.append(number(plain(port.port.package(packages[package]).value(own))))
        mine = [number(plain(port.figures.engine.value(name))) for name in names]
        if given == mine:
            return None
        return (
            sizeclasses.compute(*given)
            if sixteen is None
            else sizeclasses.compute(*given, sixteen_from=sixteen)
        )
    except (ExprError, Missing, sizeclasses.SizeClassError):
        return None
