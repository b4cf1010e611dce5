"""`archcalc sizeclass`: from a size to its class, and backwards from a waste to sizes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archcalc.calculator import figures as calculator
from archcalc.cli.options import Go, Platform, Profiles, Sets, complete_platforms
from archcalc.cli.targets import generation, settings
from archcalc.library.sizeclass import sizeclass
from archcalc.library.targets import selected
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import parse_share, parse_size
from archcalc.reading.words import counted
from archcalc.results.result import Result

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SIZE|PLATFORM]...",
        help="Sizes: 100, 4k, 1.5m; without any, the whole table. A platform, too: linux/386.",
        autocompletion=complete_platforms,
        show_default=False,
    ),
]
Waste = Annotated[
    Any,
    typer.Option(
        "--waste",
        metavar="SHARE",
        help="The sizes of which rounding wastes more than this share, 20% or 0.2.",
        parser=parse_share,
    ),
]
Near = Annotated[
    list[Any] | None,
    typer.Option(
        "--near", metavar="SIZE", help="The best sizes near this one (repeatable).", parser=parse_size
    ),
]


def command(
    words: Words = None,
    platform: Platform = None,
    waste: Waste = None,
    near: Near = None,
    profiles: Profiles = None,
    sets: Sets = None,
    go: Go = None,
) -> Result:
    """Show the size class of sizes: rounding, waste, objects in a span.

    --waste lists the sizes of which rounding wastes more than a share, and --near the best
    sizes near one. What is wasted in all is a share of a full span's memory, its tail included.
    The platform stands beside the sizes or is named by --platform; default: $GOOS/$GOARCH, else the host's.
    For releases from 1.22 on (--go), what a header, heap bits and marks take of objects with pointers, too.
    """
    release = generation(go)
    named = [word for word in words or () if "/" in word]
    sizes = [parse_size(word) for word in words or () if "/" not in word]
    if named and platform:
        raise UsageFault(Fault(f"--platform {platform}, and {named[0]} beside the sizes", "one of them"))
    found = selected(named or ([platform] if platform else None), profiles, go=release)
    if len(found) != 1:
        what = ", ".join(named) or platform or "the default"
        raise UsageFault(Fault(f"{what}: {counted(len(found), 'platform')}", "one"))
    figures = calculator.compute(found[0], settings(sets), release)
    return sizeclass(figures, sizes, waste, near or ())
