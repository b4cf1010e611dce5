"""`archcalc profile show`: the merged facts with their origins."""

from __future__ import annotations

from archcalc.cli.options import Platforms, Profiles
from archcalc.library.facts import FactList
from archcalc.library.targets import selected


def command(platforms: Platforms = None, profiles: Profiles = None) -> FactList:
    """Show the merged facts of platforms and where each comes from."""
    return FactList(selected(platforms, profiles))
