"""`archcalc list`: the platforms."""

from __future__ import annotations

from archcalc.cli.options import Go, Platforms, Profiles
from archcalc.cli.targets import generation
from archcalc.library.targets import selected
from archcalc.results.result import Listing
from archcalc.results.tables import Column


def command(platforms: Platforms = None, profiles: Profiles = None, go: Go = None) -> Listing:
    """List the platforms.

    All of a release's, or those that match; --profile adds ports of your own.
    """
    columns = (
        Column("platform"),
        Column("goos"),
        Column("goarch"),
        Column("word", int, key="ptr_size"),
        Column("register", int, key="reg_size"),
        Column("big endian", bool),
        Column("mem_*.go", key="mem"),
    )
    patterns = platforms or (None if profiles else ["all"])
    chosen = selected(patterns, profiles, otherwise=["all"], go=generation(go))
    rows = []
    for profile in chosen:
        facts = profile.facts
        rows.append(
            [
                profile.platform,
                profile.goos,
                profile.goarch,
                facts["ptr_size"],
                facts["reg_size"],
                facts["big_endian"],
                facts["mem"],
            ]
        )
    return Listing("platforms", columns, rows)
