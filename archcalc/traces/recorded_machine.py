"""The machine that a recording's header describes, and the system it was on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from allocator.kernels.linux import Linux
from allocator.sparse.systems import kernel_of
from archcalc import generations
from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.computer import machine_of, system_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.traces.reader import Header


def system_for(header: Header, own: Mapping[str, Any], machine: MachineOptions) -> Any:
    """The simulated system of a recording's header: its page size, data segment and limit."""
    profile = own.get(header.platform) or platforms.load(header.platform)
    options = replace(
        machine,
        page_size=header.phys_page_size,
        believed_page_size=header.phys_page_size,
        data_end=header.data_end,
        ulimit_v=header.ulimit_v,
    )
    return system_of(figures.compute(profile), options)


def kernel_for(header: Header, own: Mapping[str, Any], machine: MachineOptions) -> Any:
    """The simulated kernel of a recording of version 2: on a machine with what its header tells."""
    go = header.generation
    profile = own.get(header.platform) or platforms.load(header.platform, go)
    size = machine.image_size
    if size is None and "image_size" in header.extra:
        # Beside the image there are a stack, and what the system maps into every process.
        size = header.extra["image_size"] + Linux.beside_image
    options = replace(
        machine,
        page_size=header.phys_page_size,
        data_end=header.data_end,
        ulimit_v=header.ulimit_v,
        image_size=size,
    )
    kernel = kernel_of(config_for(header, own), machine_of(profile, options))
    kernel.logs = False  # the recording is its log
    return kernel


def config_for(header: Header, own: Mapping[str, Any]) -> Any:
    """The machine of a recording's header: its platform, with the recorded page size and data segment."""
    options = MachineOptions(believed_page_size=header.phys_page_size, data_end=header.data_end)
    if header.version >= 2:
        go = header.generation
        profile = own.get(header.platform) or platforms.load(header.platform, go)
        experiments = generations.load(go).experiments(header.extra.get("experiment", ""))
        config = config_of(figures.compute(profile, experiments, go=go), options)
        return replace(config, phys_huge_page_size=header.phys_huge_page_size)
    profile = own.get(header.platform) or platforms.load(header.platform)
    return config_of(figures.compute(profile), options)
