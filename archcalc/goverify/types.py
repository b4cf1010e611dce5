"""A tree's structs beside the calculator's: sizes, alignments, and each field's place, size and type."""

from __future__ import annotations

import re

from archcalc.calculator.structs import StructError, StructLayout
from archcalc.goexpr import ExprError
from archcalc.goverify.comparison import Change, numbered
from archcalc.goverify.port import ComparedPort, words_of
from archcalc.goverify.tree import Missing, PackageScope

_QUALIFIER = re.compile(r"\b[a-z]\w*\.(?=[A-Za-z_])")


def types(port: ComparedPort) -> None:
    """Every struct of the calculator's, by its name and package."""
    engine = port.figures.engine
    for name in engine.declared_structs():
        ours = engine.struct(name)
        scope, own = _declaring(port, name)
        text = scope.type_text(own)
        if text is None:
            if not port.era.current:
                port.found.skip(name, "this generation does not have it")
            elif port.excused(engine.declarations[name].file):
                port.found.skip(name, f"{engine.declarations[name].file} could not be read")
            else:
                port.found.missing(name, ours.size, ours.file, "the tree does not declare it")
            continue
        where = f"{text.file}:{text.line}"
        try:
            theirs = scope.layout(own)
        except (StructError, ExprError, Missing) as error:
            if not port.era.current or port.excused(text.file) or port.tree.broken:
                port.found.skip(name, f"{where}: {error}")
            else:
                port.found.missing(name, ours.size, where, str(error))
            continue
        _struct(port, ours, theirs, where)


def _declaring(port: ComparedPort, name: str) -> tuple[PackageScope, str]:
    """The package of the tree that a type of ours is in, and its name there."""
    package, _, own = name.rpartition(".")
    if package:
        folder = port.figures.engine.declarations[name].file.rpartition("/")[0]
        # Packages move from release to release; the runtime knows them under the same names.
        path = folder if port.tree.has(folder) else port.runtime.imports.get(package, folder)
        return port.port.package(path), own
    beside = port.figures.generation.packages.get("sys", "")
    return (port.runtime if name in port.runtime.type_texts else port.port.package(beside)), name


def _struct(port: ComparedPort, ours: StructLayout, theirs: StructLayout, where: str) -> None:
    name, value = ours.name, port.found.value
    value(name, ours.size, theirs.size, where)
    value(f"{name} align", ours.align, theirs.align, where)
    fields = dict(numbered(theirs.fields))
    for key, one in numbered(ours.fields):
        found = fields.pop(key, None)
        if found is None:
            port.found.missing(f"{name}.{one.name}", one.offset, where, "the tree's type has no such field")
            continue
        at = f"{theirs.file}:{found.line}"
        same = value(f"{name}.{one.name}", one.offset, found.offset, at, found.type)
        same = value(f"{name}.{one.name} size", one.size, found.size, at, found.type) and same
        if same and _said_otherwise(one.type, found.type):
            port.found.changes.append(
                Change(port.found.platform, f"{name}.{one.name}", one.type, found.type, at)
            )
    for found in fields.values():
        at = f"{theirs.file}:{found.line}"
        value(
            f"{name}.{found.name}",
            None,
            found.offset,
            at,
            found.type,
            "a field that the calculator lacks",
        )


def _said_otherwise(ours: str, theirs: str) -> bool:
    """Whether types of the same size differ, ignoring packages' names and the contents of structs."""
    if ours == theirs or ("struct {" in ours and "struct {" in theirs):
        return False
    return words_of(_QUALIFIER.sub("", ours)) != words_of(_QUALIFIER.sub("", theirs))
