"""One port of a tree beside the calculator's figures for it: what all parts of a comparison share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from archcalc import goexpr
from archcalc.calculator.figures import Figures
from archcalc.goexpr import Value
from archcalc.goverify.comparison import Comparison, Scalar
from archcalc.goverify.era import Era
from archcalc.goverify.gofile import Broken
from archcalc.goverify.tree import PackageScope, PortTree, SourceTree, WordSizes

EXPERIMENT = "goexperiment."


@dataclass(frozen=True, slots=True)
class ComparedPort:
    """A platform's figures, the tree as that platform sees it, and what was found of them."""

    tree: SourceTree
    figures: Figures
    era: Era
    port: PortTree
    runtime: PackageScope
    found: Comparison

    @property
    def platform(self) -> str:
        """Its name."""
        return self.found.platform

    def excused(self, file: str) -> bool:
        """Whether something is missing because its file is, or could not be read; that is reported."""
        if not self.tree.exists(file):
            self.tree.broken[Broken(file, 0, "is missing")] = None
        return any(broken.file == file for broken in self.tree.broken)

    def unreadable(self, name: str, computed: Scalar | None, file: str, why: str) -> None:
        """Notes a figure that a tree of this generation should give, and does not."""
        if self.era.current and not self.excused(file):
            self.found.missing(name, computed, file, why)
        else:
            self.found.skip(name, why)


def open_port(tree: SourceTree, figures: Figures, era: Era, recording: bool = False) -> ComparedPort:
    """A port, with nothing compared yet."""
    seen = port_tree(tree, figures)
    return ComparedPort(
        tree, figures, era, seen, seen.package("runtime"), Comparison(figures.platform, recording=recording)
    )


def port_tree(tree: SourceTree, figures: Figures) -> PortTree:
    """The tree as a platform sees it."""
    ptr_size, reg_size = figures.engine.words
    words = WordSizes(ptr_size, reg_size, number(figures.profile.facts.get("pc_quantum", 1)))
    asked = {
        name.removeprefix(EXPERIMENT): value.value is True
        for name, value in figures.engine.sets.items()
        if name.startswith(EXPERIMENT)
    }
    return PortTree(tree, figures.profile.goos, figures.profile.goarch, words, asked)


def plain(value: Value) -> Scalar:
    """What a constant's value is, without its type."""
    found = value.value
    return found if isinstance(found, bool | str) else int(found)


def number(value: object) -> int:
    """A figure as a number; text counts as 0."""
    return int(value) if isinstance(value, int | Fraction) else 0


def own_name(name: str) -> str:
    """A qualified name without its package."""
    return name.partition(".")[2]


def words_of(text: str) -> list[str]:
    """The words of a formula or a type, whatever is between them."""
    # The text of a field's own struct has its lines joined, the numbers noted after them too.
    return [token.text for token in goexpr.tokens(re.sub(r"// \d+ ", "", text))]
