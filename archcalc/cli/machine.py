"""The options that describe a machine, taken as one by `boot`, `smoke` and whatever else boots one.

A command says `machine: Described = PROFILES_OWN` and gets them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from archcalc.cli import session
from archcalc.cli.command import ONE, Together
from archcalc.machines.computer import LIMITS, without_effect
from archcalc.machines.options import MachineOptions
from archcalc.profiles.profile import Profile
from archcalc.reading.quantities import (
    parse_address,
    parse_count,
    parse_debug,
    parse_limit,
    parse_range,
    parse_size,
)

PANEL = "The machine"


def _size(name: str, help: str) -> Any:
    return typer.Option(name, metavar="SIZE", help=help, parser=parse_size, rich_help_panel=PANEL)


def _limit(name: str, help: str) -> Any:
    help += " A number of bytes, a size with a unit (200000k), or unlimited."
    return typer.Option(name, metavar="SIZE", help=help, parser=parse_limit, rich_help_panel=PANEL)


def _count(name: str, help: str) -> Any:
    return typer.Option(name, metavar="N", help=help, parser=parse_count, rich_help_panel=PANEL)


UlimitV = Annotated[
    Any, _limit("--ulimit-v", "Limit of its address space, which ulimit -v counts in units of 1k.")
]
ImageSize = Annotated[Any, _size("--image-size", "What the program itself takes of that limit.")]
ImageData = Annotated[
    Any, _size("--image-data", "What of the program counts as data (--rlimit-data); default: nothing.")
]
VaBits = Annotated[Any, _count("--va-bits", "Bits of a user address.")]
Taken = Annotated[
    list[Any] | None,
    typer.Option(
        "--taken",
        metavar="FROM-TO",
        help="A range of addresses that something else has (repeatable).",
        parser=parse_range,
        rich_help_panel=PANEL,
    ),
]
Maps = Annotated[
    Any,
    typer.Option(
        "--maps",
        metavar="FILE",
        help="Take ranges from a /proc/PID/maps file.",
        parser=Path,
        rich_help_panel=PANEL,
    ),
]
PageSize = Annotated[Any, _size("--page-size", "Its physical pages.")]
BelievedPageSize = Annotated[
    Any, _size("--believed-page-size", "The page size that the runtime is told, where it differs.")
]
DataEnd = Annotated[
    Any,
    typer.Option(
        "--data-end",
        metavar="ADDR",
        help="Where the program's data segment ends.",
        parser=parse_address,
        rich_help_panel=PANEL,
    ),
]
CommitLimit = Annotated[Any, _limit("--commit-limit", "Memory that can be committed on the whole machine.")]
MaxMapCount = Annotated[Any, _count("--max-map-count", "Mappings that the process can have.")]
IgnoreHints = Annotated[
    bool,
    typer.Option(
        "--ignore-hints", help="The kernel ignores the addresses that it is asked for.", rich_help_panel=PANEL
    ),
]
RlimitData = Annotated[
    Any, _limit("--rlimit-data", "Limit of its data segment, which ulimit -d counts in units of 1k.")
]
HeapBase = Annotated[
    Any,
    typer.Option(
        "--heap-base",
        metavar="ADDR",
        help="Where the heap begins, of a release that draws it at random (1.26 on).",
        parser=parse_address,
        rich_help_panel=PANEL,
    ),
]
Godebug = Annotated[
    list[Any] | None,
    typer.Option(
        "--godebug",
        metavar="NAME=VALUE,...",
        help="Settings of GODEBUG that the machine follows, such as madvdontneed=0 (repeatable).",
        parser=parse_debug,
        rich_help_panel=PANEL,
    ),
]
Gomemlimit = Annotated[Any, _size("--gomemlimit", "GOMEMLIMIT: the memory that the runtime keeps below.")]
Overcommit = Annotated[Any, _count("--overcommit", "vm.overcommit_memory: 0, 1 or 2.")]


def described(
    ulimit_v: UlimitV = None,
    image_size: ImageSize = None,
    image_data: ImageData = None,
    va_bits: VaBits = None,
    taken: Taken = None,
    maps: Maps = None,
    page_size: PageSize = None,
    believed_page_size: BelievedPageSize = None,
    data_end: DataEnd = None,
    commit_limit: CommitLimit = None,
    max_map_count: MaxMapCount = None,
    rlimit_data: RlimitData = None,
    overcommit: Overcommit = None,
    ignore_hints: IgnoreHints = False,
    heap_base: HeapBase = None,
    godebug: Godebug = None,
    gomemlimit: Gomemlimit = None,
) -> MachineOptions:
    """The machine that these options describe."""
    return MachineOptions(
        ulimit_v=ulimit_v,
        image_size=image_size,
        image_data=image_data,
        va_bits=va_bits,
        taken=tuple(taken or ()),
        maps=maps,
        page_size=page_size,
        believed_page_size=believed_page_size,
        data_end=data_end,
        commit_limit=commit_limit,
        max_map_count=max_map_count,
        rlimit_data=rlimit_data,
        overcommit=overcommit,
        ignore_hints=ignore_hints,
        heap_base=heap_base,
        godebug=tuple(setting for settings in godebug or () for setting in settings),
        gomemlimit=gomemlimit,
    )


def tell_without_effect(profiles: Iterable[Profile], machine: MachineOptions) -> None:
    """Notes on stderr which limits mean nothing to whose systems, and which maps are not foreign."""
    if machine.maps is not None:
        from archcalc.machines.computer import maps_lines
        from archcalc.machines.neighbours import go_heaps

        for heap in go_heaps(maps_lines(Path(machine.maps))):
            session.note(f"{machine.maps}: {heap}, counts as free: the maps are of that program")
    systems = {profile.goos: int(profile.facts["ptr_size"]) for profile in profiles}
    for name in LIMITS:
        deaf = [goos for goos, size in systems.items() if name in without_effect(goos, machine, size)]
        if deaf:
            session.note(f"--{name.replace('_', '-')} changes nothing on {', '.join(deaf)}")


Described = Annotated[MachineOptions, Together(described), ONE]
PROFILES_OWN = MachineOptions()
