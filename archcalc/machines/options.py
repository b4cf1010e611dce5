"""What a command line, a scenario or a program says of the computer: limits, page size, what is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from archcalc.reading.errors import Fault, UsageFault


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """What a command line says of the machine; None leaves it as the profile has it. Bytes and addresses.

    `believed_page_size` is the page size that the runtime is told where that is not the
    machine's own. `heap_base` is where the heap begins if a lot decides on that.
    """

    ulimit_v: int | None = None
    image_size: int | None = None
    va_bits: int | None = None
    taken: tuple[tuple[int, int], ...] = ()
    maps: Path | str | None = None
    page_size: int | None = None
    believed_page_size: int | None = None
    data_end: int | None = None
    commit_limit: int | None = None
    max_map_count: int | None = None
    ignore_hints: bool = False
    rlimit_data: int | None = None
    overcommit: int | None = None
    ram_and_swap: int | None = None
    heap_base: int | None = None


def machine_options(given: Mapping[str, Any]) -> MachineOptions:
    """Keywords as options. Raises UsageFault for one that there is not."""
    known = {field.name for field in fields(MachineOptions)}
    for name in given:
        if name not in known:
            raise UsageFault(Fault(f"{name} describes no machine", f"one of {', '.join(sorted(known))}"))
    options = MachineOptions(**given)
    return replace(options, taken=tuple((int(a), int(b)) for a, b in options.taken))
