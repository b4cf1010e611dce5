"""Which machine a generation has, and how it is made: the only place that chooses.

A generation's data say its era. An era is a module of this room with `MACHINE`, the class of its
machines, and `config`, which makes their Config of the calculator's figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any, Protocol, cast

from allocator.common.throw import BadRequest
from allocator.interface import Allocator, Cannot, Facts
from allocator.kernels import new_kernel
from allocator.kernels.machine import Machine
from archcalc.calculator.figures import Figures, compute
from archcalc.calculator.plain import Scalar
from archcalc.generations import Generation
from archcalc.machines.computer import heeded, machine_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles.profile import Profile
from archcalc.reading.errors import Fault, UsageFault

CONTIGUOUS = "contiguous"
SHOWN = 3  # figures that a refusal names instead; each is found by a trial


class MachineKind(Protocol):
    """What a module of this room has."""

    MACHINE: type[Allocator]
    # Whether they ask a system by helpers, whose answers need no machine, or can be planned otherwise.
    HELPERS: bool

    def config(self, figures: Figures, phys_page_size: int, data_end: int) -> Any:
        """The machine's Config of a platform's figures. Both in bytes."""

    def system(self, figures: Figures, options: MachineOptions | None, machine: Machine | None = None) -> Any:
        """What its machines are prepared on: a computer of the profile or as the options say, or that one."""

    def as_read(self, config: Any, system: Any) -> tuple[object, ...]:
        """The Config's parts, two of which are alike where its machines cannot tell them apart.

        `system` is a fresh one, as `system` makes it, to be asked what it can refuse.
        """

    def unasked(self, config: Any) -> frozenset[str]:
        """The fields of a Machine that none of its calls can show."""

    def kernel_name(self, profile: Profile) -> str:
        """The GOOS whose kernel stands for that of a profile."""

    def kernel(self, config: Any, machine: Machine) -> Any:
        """The kernel that a machine of that Config asks itself; None where its helpers come between."""

    def hints(self, figures: Figures) -> list[tuple[int, int]]:
        """Where its machines ask for their heap's reservations, in order: addresses, and bytes asked for."""


def era_of(generation: Generation) -> str:
    """The family of machines that a generation belongs to."""
    return str(getattr(generation, "era", CONTIGUOUS))


def era(generation: Generation) -> MachineKind:
    """How machines of a generation are made. Raises UsageFault where there is none for it."""
    kind = _kind(era_of(generation))
    if kind is None:
        raise UsageFault(Fault(f"there is no machine for {generation.name}", "a generation with `boot`"))
    return kind


@lru_cache(maxsize=16)
def _kind(name: str) -> MachineKind | None:
    """The era of that name; None where there is none. It is looked for among files, so only once."""
    module = f"{__name__}.{name}"
    return cast(MachineKind, import_module(module)) if find_spec(module) else None


def machine_class(generation: Generation) -> type[Allocator]:
    """The class of a generation's machines."""
    return era(generation).MACHINE


def config_of(figures: Figures, options: MachineOptions | None = None) -> Any:
    """The Config of computed figures, on a computer of the profile or as the options say."""
    options = options or MachineOptions()
    machine = figures.profile.machine
    page_size = machine["phys_page_size"] if options.page_size is None else options.page_size
    if options.believed_page_size is not None:
        page_size = options.believed_page_size
    data_end = machine["data_end"] if options.data_end is None else options.data_end
    return era(figures.generation).config(figures, int(page_size), int(data_end))


def system_of(figures: Figures, options: MachineOptions | None = None) -> Any:
    """What a machine of the figures asks for memory, as `prepare` takes it."""
    return era(figures.generation).system(figures, options)


def hints_of(figures: Figures) -> list[tuple[int, int]]:
    """Where the heap's reservations are asked for, in order: addresses, and bytes asked for."""
    return era(figures.generation).hints(figures)


@lru_cache(maxsize=16)  # whoever compares what-ifs asks for what they are compared with each time
def basis(figures: Figures, options: MachineOptions | None = None) -> tuple[object, ...]:
    """Everything that a machine of the figures is made of: what changes nothing here changes no machine."""
    kind = era(figures.generation)
    config = config_of(figures, options)
    system = system_of(figures, options)
    parts = kind.as_read(config, system)
    huge = getattr(system, "huge_page_size", 0)
    profile = figures.profile
    ptr_size = int(profile.facts["ptr_size"])
    kernel = new_kernel(kind.kernel_name(profile), machine_of(profile, options), ptr_size=ptr_size)
    return (*parts, *heeded(kernel, kind.unasked(config)), huge)


@lru_cache(maxsize=256)
def unread(figures: Figures, options: MachineOptions | None = None) -> tuple[Fault, ...]:
    """The what-ifs among some figures that no machine follows, each with the reason."""
    faults = (_unread(figures, options, name, value) for name, value in figures.sets.items())
    return tuple(fault for fault in faults if fault is not None)


def _unread(figures: Figures, options: MachineOptions | None, name: str, value: Scalar) -> Fault | None:
    profile = figures.profile
    said = f"--set {name}={str(value).lower() if isinstance(value, bool) else value}"
    named = {"goos": profile.goos, "goarch": profile.goarch}.get(name.rpartition(".")[2].lower())
    if named is not None:
        found = f"{said}: a what-if cannot turn {figures.platform} into another platform"
        return None if value == named else Fault(found, "another platform by its name", id="set-unread")

    def having(sets: Mapping[str, Scalar]) -> Figures:
        return compute(figures.base, sets, figures.generation)

    plain = having({})
    without = having({other: given for other, given in figures.sets.items() if other != name})
    if without.current(name) == value or _differ(without, figures, options):
        return None
    if len(figures.sets) > 1 and _differ(having({name: value}), plain, options):
        return None  # others among the what-ifs have the same effect
    return Fault(
        f"{said}: no machine of Go {figures.generation.name} reads it; it moves only what"
        " report, explain, check and diff show",
        " or ".join(islice(_heard(plain, name, options), SHOWN)) or "a figure that the machine reads",
        id="set-unread",
    )


def _differ(one: Figures, other: Figures, options: MachineOptions | None) -> bool:
    """Whether machines of the two would; also where one of them is possible with other what-ifs only."""
    try:
        return basis(one, options) != basis(other, options)
    except UsageFault:
        return True


def _heard(figures: Figures, name: str, options: MachineOptions | None) -> Iterator[str]:
    """What a figure follows from and a machine reads."""
    for other in figures.follows_from(name):
        value = figures.current(other)
        if type(value) is not int:
            continue
        try:
            moved = compute(figures.base, {other: 2 * value or 1}, figures.generation)
            if basis(moved, options) != basis(figures, options):
                yield other
        except UsageFault:
            continue


def refuse_unread(figures: Figures, options: MachineOptions | None = None) -> None:
    """Raises UsageFault for what-ifs that would silently change nothing in a machine."""
    if figures.sets and (faults := unread(figures, options)):
        raise UsageFault(*faults)


def prepare(
    figures: Figures,
    options: MachineOptions | None = None,
    system: Any = None,
    *,
    config: Facts | None = None,
    seed: int = 1,
    mem_profile_rate: int = 0,
    record: bool = False,
    beside_figures: bool = False,
) -> Allocator:
    """A machine before its first instruction; `start` boots it.

    `system` and `config` replace those that the figures and the options make. What-ifs that
    no machine reads are a UsageFault, unless the figures that they move are shown too (`beside_figures`).
    """
    if not beside_figures:
        refuse_unread(figures, options)
    try:
        rt = machine_class(figures.generation).prepared(
            config or config_of(figures, options),
            system or system_of(figures, options),
            seed=seed,
            mem_profile_rate=mem_profile_rate,
            record=record,
            heap_base=None if options is None else options.heap_base,
        )
    except Cannot as cannot:
        raise UsageFault(Fault(str(cannot), "another generation's machine")) from None
    except BadRequest as bad:
        raise UsageFault(Fault(str(bad))) from None
    if options is not None:
        debug(rt, dict(options.godebug))
        if options.gomemlimit is not None:
            _limit_memory(rt, options.gomemlimit)
    return rt


def _limit_memory(rt: Allocator, limit: int) -> None:
    try:
        rt.set_memory_limit(limit)
    except Cannot as cannot:
        raise UsageFault(Fault(str(cannot), "a later release, as by --go 1.27")) from None


def debug(rt: Allocator, settings: Mapping[str, int]) -> None:
    """Gives a machine that has not started its GODEBUG. Raises UsageFault for what it does not follow."""
    try:
        rt.set_debug(settings)
    except Cannot as cannot:
        raise UsageFault(Fault(str(cannot), "a setting that the machine follows")) from None


def boot(
    figures: Figures,
    options: MachineOptions | None = None,
    system: Any = None,
    *,
    config: Facts | None = None,
    gogc: int = -1,
    procs: int = 1,
    seed: int = 1,
    mem_profile_rate: int = 0,
    record: bool = False,
) -> Allocator:
    """A machine that has booted. Raises Death with the runtime's words where it dies of that."""
    rt = prepare(
        figures, options, system, config=config, seed=seed, mem_profile_rate=mem_profile_rate, record=record
    )
    rt.start(gogc, procs)
    return rt
