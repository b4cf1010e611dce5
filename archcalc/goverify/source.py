"""A Go source tree against the calculator: every value that it has, from the tree's own formulas."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from archcalc.calculator.figures import Figures
from archcalc.generations import Generation
from archcalc.goverify import arenahints, causes, classtables, constants, era, reservation, stackorders, types
from archcalc.goverify.comparison import Comparison, explained
from archcalc.goverify.era import Era
from archcalc.goverify.gofile import Broken
from archcalc.goverify.port import ComparedPort, open_port
from archcalc.goverify.tree import PortTree, SourceTree, WordSizes


@dataclass
class Verified:
    """The outcome of comparing a tree: its generation, a comparison for each port, what could not be read."""

    version: str
    era: Era
    ports: list[Comparison] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


def verify(
    tree: SourceTree, targets: Sequence[Figures], progress: Callable[[int], None] = lambda _: None
) -> Verified:
    """The tree against the figures of some ports."""
    found = Verified(tree.version, era_of(tree))
    for done, figures in enumerate(targets):
        found.era = _beside(tree, found.era, figures.generation)
        found.ports.append(compare(open_port(tree, figures, found.era)))
        progress(done + 1)
    found.broken = sorted(tree.broken)
    return found


_TELLING = ("runtime/malloc.go", "runtime/mheap.go", "runtime/mgcsweepbuf.go", "runtime/sizeclasses.go")
"""The files by which generations are recognised."""


def era_of(tree: SourceTree) -> Era:
    """The generation, by what the runtime declares for the port that has been there always."""
    if tree.exists("runtime/mheap.c"):
        return Era(
            "a runtime in C", "Go 1.4 or earlier", "it has runtime/mheap.c and lacks _MHeapMap_TotalBits"
        )
    runtime = PortTree(tree, "linux", "amd64", WordSizes(8, 8, 1)).package("runtime")
    declared = {*runtime.consts, *runtime.vars, *runtime.type_texts, *runtime.funcs}
    found = era.of(declared.__contains__)
    missing = [file for file in _TELLING if not tree.exists(file)]
    if missing and not found.known:
        tree.broken |= dict.fromkeys(Broken(file, 0, "is missing") for file in missing)
        return Era("a part of a tree", "unknown", f"it lacks {', '.join(missing)}", current=True)
    return found


def _beside(tree: SourceTree, found: Era, generation: Generation) -> Era:
    """The tree's era, the figures' own or another one.

    A fork's version says little, but a release of Go differs from its neighbours.
    """
    if generation.era == "contiguous":
        return found
    release = re.match(r"go(\d+\.\d+)", tree.version)
    same = found.sparse and (release is None or release[1] == generation.name)
    return replace(found, current=same)


def compare(port: ComparedPort) -> Comparison:
    """Everything of a port; differences get their formulas, and what they follow from."""
    constants.words(port)
    constants.constants(port)
    constants.facts(port)
    types.types(port)
    classtables.compare(port)
    if port.figures.generation.era == "contiguous":
        reservation.compare(port)
    else:
        arenahints.compare(port)
    stackorders.compare(port)
    differences = [explained(difference, port.figures) for difference in port.found.differences]
    port.found.differences = causes.told(port, differences)
    return port.found
