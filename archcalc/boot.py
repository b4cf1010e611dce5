"""From a profile to a booted machine: the entry point for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allocator.interface import Allocator
from archcalc import generations, machines
from archcalc.calculator import figures as figures_of
from archcalc.machines.options import machine_options
from archcalc.profiles import platforms
from archcalc.profiles.profile import Profile

Sets = Mapping[str, int | str]


def boot(
    platform: str | Path | Profile,
    *,
    go: str | None = None,
    sets: Sets | None = None,
    gogc: int = -1,
    procs: int = 1,
    seed: int = 1,
    mem_profile_rate: int = 0,
    record: bool = False,
    system: Any = None,
    **machine: Any,
) -> Allocator:
    """A booted runtime of a platform: a name such as linux/amd64, a profile, or a profile's file.

    Keywords describe the machine as the options of `archcalc boot` do: ulimit_v, image_size,
    va_bits, taken=[(from, to)], maps=FILE, page_size, data_end, commit_limit, max_map_count,
    ignore_hints, godebug={"sbrk": 1}, with numbers or with texts such as 600m. go is a release, such as
    1.27; the default is Go of January 2017. gogc is GOGC; it is off by default, so nothing is collected
    unless asked for.
    Raises allocator.common.throw.Death with the runtime's words where it dies, UsageFault for a mistake.
    """
    options = machine_options(machine)
    release = generations.CURRENT if go is None else generations.named(go)
    figures = figures_of.compute(platforms.of(platform, release), sets or {}, release)
    return machines.boot(
        figures,
        options,
        system,
        gogc=gogc,
        procs=procs,
        seed=seed,
        mem_profile_rate=mem_profile_rate,
        record=record,
    )
