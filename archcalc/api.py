"""The commands as functions, for notebooks and scripts: notebooks show their results as tables and pictures.

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
from typing import TYPE_CHECKING, Any, TypeVar

from archcalc.html import notebook
from archcalc.library import targets
from archcalc.machines.options import machine_options
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.judged import Judged
from archcalc.results.result import Pictured, Result

if TYPE_CHECKING:
    from archcalc.calculator.figures import Figures

Sets = Mapping[str, int | str]
R = TypeVar("R", bound=Result)

Result.as_html = staticmethod(notebook.shown)


def report(
    *platforms: str,
    only: Sequence[str] = (),
    differs: bool = False,
    sets: Sets | None = None,
    go: str | Sequence[str] | None = None,
) -> Result:
    """Constants, struct sizes, layout and size classes; `go` is a release, several, or "all"."""
    from archcalc.calculator.inventory import Selection
    from archcalc.library.report import Report

    given = _given(sets)
    found = targets.computed(targets.across(platforms, None, _several(go)), given)
    return _said(Report(found, Selection(only, found), differs, given), given)


def explain(
    name: str, *platforms: str, sets: Sets | None = None, go: str | Sequence[str] | None = None
) -> Result:
    """How a figure comes about, or what a check, a fault or a throw means."""
    from archcalc.library import explain as module
    from archcalc.library import topics

    known = module.explain_id(name)
    if known is not None:
        return known
    releases = _several(go)
    eras = topics.eras(releases) if go else topics.ALL_ERAS
    given = _given(sets)
    return _said(module.explain(name, platforms, None, releases, given, eras=eras), given)


def diff(a: str, b: str = "", sets: Sets | None = None, go: str | Sequence[str] | None = None) -> Result:
    """What differs between two platforms, or between two releases, which `go` names."""
    from archcalc.library import diff as module

    given = _given(sets)
    return _said(module.diff(a, b, None, _several(go), given), given)


def check(*platforms: str, sets: Sets | None = None, go: str | None = None) -> Judged:
    """The findings of the checks; `ok` says whether all checks hold."""
    from archcalc.library import check as module

    release, given = targets.generation(go), _given(sets)
    return _said(module.check(_figures(platforms, given, release), None, None, given, release), given)


def boot(
    *platforms: str, sets: Sets | None = None, go: str | None = None, why: bool = False, **machine: Any
) -> Judged:
    """Boots each runtime; keywords describe the machine as the options of `archcalc boot` do.

    `why` finds out what refused a boot that fails, and what would stop one that succeeds.
    """
    from archcalc.library import boot as module

    options = machine_options(machine)
    given = _given(sets)
    return _said(module.boot(_figures(platforms, given, targets.generation(go)), options, why), given)


def map(
    *platforms: str,
    after: str | None = None,
    n: int = 5000,
    sets: Sets | None = None,
    go: str | None = None,
    **machine: Any,
) -> Pictured:
    """Maps of the address spaces, also `after` a workload; keywords describe the machine."""
    from archcalc.library.map import Mapped, atlases_of

    options = machine_options(machine)
    given = _given(sets)
    found = _figures(platforms, given, targets.generation(go))
    return _said(Mapped([atlas for one in found for atlas in atlases_of(one, options, after, n)]), given)


def heap(
    target: str | Path,
    *,
    after: str = "mixed",
    n: int = 5000,
    at_event: int | None = None,
    frames: int = 1,
    sets: Sets | None = None,
    go: str | None = None,
    **machine: Any,
) -> Pictured:
    """The heap of a platform after a workload, or of a recording at one event; keywords: the machine."""
    from archcalc.library.heap import Heaps, is_trace, refuse_what_it_has
    from archcalc.pictures import film
    from archcalc.traces.recorded_machine import config_for

    options = machine_options(machine)
    if is_trace(str(target)):
        path = Path(target)
        refuse_what_it_has(path, None, go, options, sets)
        taken = film.of_recording(
            path, lambda header: config_for(header, {}), frames=frames, at_event=at_event
        )
        return Heaps([taken])
    given = _given(sets)
    found = _figures([str(target)], given, targets.generation(go))
    heaps = [
        film.of_workload(one, after, n, 1, frames=frames, at_event=at_event, machine=options) for one in found
    ]
    return _said(Heaps(heaps), given)


def sizeclass(
    platform: str,
    *sizes: int,
    waste: float | None = None,
    near: Sequence[int] = (),
    sets: Sets | None = None,
    go: str | None = None,
) -> Result:
    """The size classes of sizes in bytes, or the whole table.

    Backwards, the sizes of which rounding wastes more than the share `waste`, or the best ones `near` some.
    """
    from archcalc.library import sizeclass as module

    given = _given(sets)
    found = _figures([platform], given, targets.generation(go))
    if len(found) != 1:
        raise UsageFault(Fault(f"{platform}: {counted(len(found), 'platform')}", "one"))
    return _said(module.sizeclass(found[0], sizes, waste, near), given)


def smoke(
    *platforms: str,
    workload: str | Sequence[str] = "mixed",
    n: int = 5000,
    seed: int = 1,
    audit_every: int = 0,
    sets: Sets | None = None,
    go: str | None = None,
    **machine: Any,
) -> Judged:
    """The outcome of workloads, of about n allocations each, with an audit of the machine at the end."""
    from archcalc.library import smoke as module
    from archcalc.workloads.programs import chosen

    options = machine_options(machine)
    given = _given(sets)
    found = _figures(platforms, given, targets.generation(go))
    names = chosen([workload] if isinstance(workload, str) else workload)
    runs = module.smoke(found, names, options, n=n, seed=seed, audit_every=audit_every)
    return _said(module.Smoked(runs, found), given)


def replay(*paths: str | Path, keep_going: bool = False) -> Judged:
    """The outcome of recordings; `ok` says whether everything in them is reproduced."""
    from archcalc.library import replay as module
    from archcalc.traces.recorded_machine import config_for
    from archcalc.traces.replay import replay as replay_one

    return module.Replays(
        [
            replay_one(Path(path), lambda header: config_for(header, {}), keep_going=keep_going)
            for path in paths
        ]
    )


def run(*paths: str | Path) -> Judged:
    """The outcome of scenario files, and of those in folders; `ok` says whether their expectations hold."""
    from archcalc.library import run as module

    return module.RanScenarios(module.run(paths))


def prove(
    *platforms: str,
    only: Sequence[str] = (),
    sets: Sets | None = None,
    go: str | None = None,
    **machine: Any,
) -> Judged:
    """What holds for every answer of the system; `only` are ids of properties, or globs of them."""
    from archcalc.library import prove as module

    options = machine_options(machine)
    release, given = targets.generation(go), _given(sets)
    found = _figures(platforms, given, release)
    proved = module.prove(module.tasks_of(found, options, list(only) or None))
    return _said(module.Proved(proved, release, given, {one.platform: one for one in found}), given)


def _said(result: R, given: Sets) -> R:
    """The result, which shows in every format what was set."""
    result.what_ifs = given
    return result


def _several(go: str | Sequence[str] | None) -> list[str]:
    return targets.several([go] if isinstance(go, str) else go)


def _given(sets: Sets | None) -> Sets:
    return targets.settings(list((sets or {}).items()))


def _figures(platforms: Sequence[str], sets: Sets | None, release: str) -> list[Figures]:
    return targets.computed(targets.across(platforms, None, [release]), _given(sets))
