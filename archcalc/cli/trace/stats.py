"""`archcalc trace stats`: sizes, types, classes, lifetimes and live bytes of a recording."""

from __future__ import annotations

from archcalc.cli import session
from archcalc.cli.options import Profiles
from archcalc.cli.trace.options import Trace
from archcalc.library.trace.stats import Counted
from archcalc.profiles import platforms
from archcalc.traces import stats
from archcalc.traces.recorded_machine import config_for


def command(trace: Trace, profiles: Profiles = None) -> Counted:
    """Count allocations, frees, sizes, types, classes and lifetimes.

    Bytes are as asked for, rounded bytes as the size classes make of them. Frees and lifetimes are
    those that the recording's sweeps show; what is alive at the end has none.
    """
    own = {profile.platform: profile for profile in map(platforms.load_file, profiles or ())}
    with session.progress(trace.name) as progress:
        return Counted(stats.stats(trace, lambda header: config_for(header, own), progress.tell))
