"""Two Go source trees against each other: which figures a patch changes, for its review."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archcalc.calculator.figures import Figures
from archcalc.goverify import causes
from archcalc.goverify.comparison import Change, Comparison, Difference
from archcalc.goverify.port import ComparedPort, open_port
from archcalc.goverify.source import Verified, era_of
from archcalc.goverify.source import compare as compare_port
from archcalc.goverify.tree import SourceTree


def compare(
    old: SourceTree,
    new: SourceTree,
    targets: Sequence[Figures],
    progress: Callable[[int], None] = lambda _: None,
) -> Verified:
    """What differs from the old tree to the new one: `computed` is what the old one has.

    The figures only say which values there are to look at.
    """
    eras = era_of(old), era_of(new)
    found = Verified(new.version, eras[1])
    for done, figures in enumerate(targets):
        before, after = (
            open_port(tree, figures, era, recording=True) for tree, era in zip((old, new), eras, strict=True)
        )
        compare_port(before)
        compare_port(after)
        found.ports.append(_changed(before, after))
        progress(done + 1)
    found.broken = sorted([*old.broken, *new.broken])
    return found


def _changed(before: ComparedPort, after: ComparedPort) -> Comparison:
    """The values that are not the same in both trees, and the formulas that are not."""
    old, new = before.found.recorded, after.found.recorded
    result = Comparison(after.found.platform)
    differences = []
    for name in dict.fromkeys((*old, *new)):
        value, source, formula = old.get(name, (None, "", ""))
        found, where, theirs = new.get(name, (None, "", ""))
        result.compared += 1
        if value != found:
            differences.append(
                Difference(result.platform, name, value, found, where or source, formula, source, theirs)
            )
        elif " ".join(formula.split()) != " ".join(theirs.split()):
            result.changes.append(Change(result.platform, name, formula, theirs, where))
    result.differences = causes.told(after, differences)
    return result
