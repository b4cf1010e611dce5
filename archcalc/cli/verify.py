"""`archcalc verify`: the figures against a Go source tree, two trees, or a built program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.cli import session
from archcalc.cli.judging import Baseline, FailOn, WriteBaseline, judge
from archcalc.cli.options import Go, Platforms, Profiles, Sets
from archcalc.cli.targets import generation, settings
from archcalc.goverify.verdict import Subject, Verdict
from archcalc.library.targets import selected
from archcalc.reading.errors import Fault, UsageFault

Goroot = Annotated[
    Any,
    typer.Option("--goroot", metavar="DIR", help="The Go source tree to compare with.", parser=Path),
]
Binary = Annotated[Any, typer.Option("--binary", metavar="FILE", help="A program built by Go.", parser=Path)]
WhatChanged = Annotated[
    bool,
    typer.Option(
        "--what-changed", help="Name two Go trees, OLD NEW, then PLATFORMs: what figures a patch changes."
    ),
]


def command(
    platforms: Platforms = None,
    goroot: Goroot = None,
    binary: Binary = None,
    what_changed: WhatChanged = False,
    profiles: Profiles = None,
    sets: Sets = None,
    go: Go = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = None,
    fail_on: FailOn = None,
) -> Verdict:
    """Compare the figures with a Go source tree or a built program.

    --goroot evaluates the tree's own formulas for each PLATFORM (all, where none is named), beside
    the figures of --go; default: of the release that the tree claims to be, if known.
    --binary finds out what the program was built for and reads its tables and types. --what-changed
    OLD NEW compares two trees. Needs the extra: pip install 'archcalc[verify]'.
    """
    given = [
        name
        for name, on in (("--goroot", goroot), ("--binary", binary), ("--what-changed", what_changed))
        if on
    ]
    if len(given) != 1:
        found = f"{' and '.join(given)} together" if given else "nothing to verify"
        raise UsageFault(Fault(found, "one of --goroot DIR, --binary FILE, --what-changed OLD NEW"))
    release = generation(go)
    if goroot:
        verdict = _source(goroot, platforms, profiles, sets, release if go else None)
    elif binary:
        verdict = _program(
            binary, _figures(platforms, profiles, sets, release) if platforms or profiles else None, sets
        )
    else:
        words = platforms or []
        if len(words) < 2:
            raise UsageFault(
                Fault("--what-changed without two trees", "--what-changed OLD NEW [PLATFORM]...")
            )
        verdict = _changes(Path(words[0]), Path(words[1]), words[2:], profiles, sets, release if go else None)
    verdict.verbose = session.current.verbose
    return judge(verdict, baseline, write_baseline, fail_on)


def _figures(
    platforms: Sequence[str] | None, profiles: Sequence[Path] | None, sets: Any, go: str
) -> list[Figures]:
    given = settings(sets)
    chosen = selected(platforms, profiles, otherwise=["all"], go=go)
    return [figures.compute(profile, given, go) for profile in chosen]


def _source(
    goroot: Path,
    platforms: Sequence[str] | None,
    profiles: Sequence[Path] | None,
    sets: Any,
    go: str | None,
) -> Verdict:
    from archcalc.goverify import source
    from archcalc.goverify.tree import SourceTree

    tree = SourceTree(goroot)
    targets = _figures(platforms, profiles, sets, go or tree.generation)
    with session.progress("verify", len(targets)) as bar:
        found = source.verify(tree, targets, bar.update)
    subject = Subject("goroot", str(goroot), found.version, _label(targets), found.era, {})
    return Verdict(subject, found.ports, found.broken, prefix=_prefix(tree.src, goroot))


def _changes(
    old: Path,
    new: Path,
    platforms: Sequence[str],
    profiles: Sequence[Path] | None,
    sets: Any,
    go: str | None,
) -> Verdict:
    from archcalc.goverify import changes
    from archcalc.goverify.tree import SourceTree

    before, after = SourceTree(old), SourceTree(new)
    targets = _figures(platforms, profiles, sets, go or after.generation)
    with session.progress("verify", len(targets)) as bar:
        found = changes.compare(before, after, targets, bar.update)
    extra = {"old": str(old), "new": str(new)}
    what = f"{old} to {new}"
    subject = Subject(
        "what-changed", what, found.version, _label(targets), found.era, extra, old="old", new="new"
    )
    return Verdict(subject, found.ports, found.broken, prefix=_prefix(after.src, new))


def _label(targets: Sequence[Figures]) -> str:
    return " ".join(dict.fromkeys(target.generation.label for target in targets))


def _prefix(src: Path, root: Path) -> str:
    """What comes before a tree's file names in findings: the way from the root that was named to src."""
    way = os.path.relpath(src, root)
    return "" if way == "." else f"{Path(way).as_posix()}/"


def _program(file: Path, targets: Sequence[Figures] | None, sets: Any) -> Verdict:
    from archcalc.goverify.program import verify

    return verify(file, targets, settings(sets))
