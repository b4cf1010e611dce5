"""The commands as functions, for notebooks and scripts: what they return shows as tables and pictures.

    >>> from archcalc import api
    >>> api.report("linux/amd64", "linux/386", only=["_PageSize"])   # a table, in a notebook
    >>> api.map("linux/amd64", after="tiny").svg()                   # a picture
    >>> api.check("all").to_pandas()                                 # a DataFrame, where pandas is

Platforms are named as on the command line. Each result has `document()`, the command's JSON, and
`to_pandas()`. Mistakes raise archcalc.reading.errors.UsageFault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archcalc.html import notebook
from archcalc.machines.options import MachineOptions, machine_options
from archcalc.questions.boot import try_boot
from archcalc.results.judged import Judged
from archcalc.results.result import Pictured, Result

Sets = Mapping[str, int | str]

Result.as_html = staticmethod(notebook.shown)


def report(
    *platforms: str,
    only: Sequence[str] = (),
    differs: bool = False,
    sets: Sets | None = None,
    go: str | Sequence[str] | None = None,
) -> Result:
    """Constants, struct sizes, layout and size classes; `go` is a release, several, or "all"."""
    from archcalc.cli import report as module

    return module.command(list(platforms), sets=_sets(sets), only=list(only), differs=differs, go=_gos(go))


def explain(
    name: str, *platforms: str, sets: Sets | None = None, go: str | Sequence[str] | None = None
) -> Result:
    """How a figure comes about, or what a check, a fault or a throw means."""
    from archcalc.cli import explain as module

    return module.command(name, list(platforms), sets=_sets(sets), go=_gos(go))


def diff(a: str, b: str = "", sets: Sets | None = None, go: str | Sequence[str] | None = None) -> Result:
    """What differs between two platforms, or with two releases as `go` between these."""
    from archcalc.cli import diff as module

    return module.command(a, b, sets=_sets(sets), go=_gos(go))


def check(*platforms: str, sets: Sets | None = None) -> Judged:
    """What the checks find; `ok` says whether all hold."""
    from archcalc.cli import check as module

    return module.command(list(platforms), sets=_sets(sets))


def boot(*platforms: str, sets: Sets | None = None, **machine: Any) -> Judged:
    """mallocinit on each platform; keywords describe the machine as the options of `archcalc boot` do."""
    from archcalc.calculator import figures
    from archcalc.cli import boot as module
    from archcalc.cli.targets import selected

    options = machine_options(machine)
    found = [figures.compute(profile, sets) for profile in selected(platforms)]
    return module.Booted([try_boot(one, options) for one in found], {})


def map(
    *platforms: str, after: str | None = None, n: int = 5000, sets: Sets | None = None, **machine: Any
) -> Pictured:
    """The address spaces, `after` a workload too; keywords describe the machine."""
    from archcalc.calculator import figures
    from archcalc.cli import map as module
    from archcalc.cli.targets import selected

    options: MachineOptions = machine_options(machine)
    found = [figures.compute(profile, sets) for profile in selected(platforms)]
    return module.Mapped([atlas for one in found for atlas in module.atlases_of(one, options, after, n)])


def heap(
    target: str | Path,
    *,
    after: str = "mixed",
    n: int = 5000,
    at_event: int | None = None,
    frames: int = 1,
    **machine: Any,
) -> Pictured:
    """The heap of a platform after a workload, its machine as keywords say, or of a recording at an event."""
    from archcalc.cli import heap as module

    workload = None if module.is_trace(str(target)) else after
    options = machine_options(machine)
    return module.command(
        [str(target)], after=workload, n=n, at_event=at_event, frames=frames, machine=options
    )


def _gos(go: str | Sequence[str] | None) -> list[str] | None:
    return [go] if isinstance(go, str) else None if go is None else list(go)


def _sets(sets: Sets | None) -> list[tuple[str, int | str]]:
    return list((sets or {}).items())
