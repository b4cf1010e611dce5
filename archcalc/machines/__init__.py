"""Which machine a generation has, and how it is made: the only place that chooses.

A generation's data say its era. An era is a module of this room with `MACHINE`, the class of its
machines, and `config`, which makes their Config of the calculator's figures.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

from allocator.interface import Allocator, Cannot, Facts
from allocator.kernels.machine import Machine
from archcalc.calculator.figures import Figures
from archcalc.generations import Generation
from archcalc.machines.options import MachineOptions
from archcalc.reading.errors import Fault, UsageFault

CONTIGUOUS = "contiguous"


class MachineKind(Protocol):
    """What a module of this room has."""

    MACHINE: type[Allocator]

    def config(self, figures: Figures, phys_page_size: int, data_end: int) -> Any:
        """The machine's Config of a platform's figures. Both in bytes."""

    def system(self, figures: Figures, options: MachineOptions | None, machine: Machine | None = None) -> Any:
        """What its machines are prepared on: a computer of the profile or as the options say, or that one."""

    def hints(self, figures: Figures) -> list[tuple[int, int]]:
        """Where its machines ask for their heap's reservations, in order: addresses, and bytes asked for."""


def era_of(generation: Generation) -> str:
    """The family of machines that a generation belongs to."""
    return str(getattr(generation, "era", CONTIGUOUS))


def era(generation: Generation) -> MachineKind:
    """How machines of a generation are made. Raises UsageFault where there is none for it."""
    name = f"{__name__}.{era_of(generation)}"
    if find_spec(name) is None:
        raise UsageFault(Fault(f"there is no machine for {generation.name}", "a generation with `boot`"))
    return cast(MachineKind, import_module(name))


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


def prepare(
    figures: Figures,
    options: MachineOptions | None = None,
    system: Any = None,
    *,
    config: Facts | None = None,
    seed: int = 1,
    mem_profile_rate: int = 0,
    record: bool = False,
) -> Allocator:
    """A machine before its first instruction; `start` boots it.

    `system` and `config` stand in place of those that the figures and the options make.
    """
    try:
        return machine_class(figures.generation).prepared(
            config or config_of(figures, options),
            system or system_of(figures, options),
            seed=seed,
            mem_profile_rate=mem_profile_rate,
            record=record,
        )
    except Cannot as cannot:
        raise UsageFault(Fault(str(cannot), "another generation's machine")) from None


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
