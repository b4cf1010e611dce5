"""`archcalc map`: the address space as a picture."""

from __future__ import annotations

from archcalc.calculator import figures
from archcalc.cli import session
from archcalc.cli.machine import PROFILES_OWN, Described, tell_without_effect
from archcalc.cli.options import Count, Force, Go, Platforms, Profiles, Seed, Sets
from archcalc.cli.picture import After, HtmlFile, SvgFile, write_files
from archcalc.cli.targets import generation, settings
from archcalc.host import output
from archcalc.library.map import Mapped, atlases_of
from archcalc.library.targets import selected
from archcalc.pictures.atlas import Atlas


def command(
    platforms: Platforms = None,
    profiles: Profiles = None,
    sets: Sets = None,
    after: After = None,
    n: Count = None,
    seed: Seed = None,
    svg: SvgFile = None,
    html: HtmlFile = None,
    force: Force = False,
    machine: Described = PROFILES_OWN,
    go: Go = None,
) -> Mapped:
    """Draw the address space of a booted machine.

    To scale, with an enlargement of everything that is too small to see: what the program and
    others have taken, the table of spans, the heap bitmap and the arena, reserved and mapped, the
    holes between, the hints that were granted, refused and not tried. Several platforms stand side by
    side, and so does each before and --after a workload. The options describe the machine, as those
    of boot do.
    """
    files = {"svg": svg, "html": html}
    for file in files.values():
        if file is not None:
            output.check_writable(file, force)
    given = settings(sets)
    release = generation(go)
    chosen = selected(platforms, profiles, go=release)
    tell_without_effect(chosen, machine)
    atlases: list[Atlas] = []
    with session.progress("map", len(chosen)) as progress:
        for done, profile in enumerate(chosen):
            found = figures.compute(profile, given, release)
            atlases += atlases_of(
                found, machine, after, 5000 if n is None else n, 1 if seed is None else seed
            )
            progress.update(done + 1)
    mapped = Mapped(atlases)
    write_files(mapped, files, force)
    return mapped
