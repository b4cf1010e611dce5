"""What a command line, a scenario or a program says about the computer: limits, page size, what is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.quantities import (
    parse_address,
    parse_count,
    parse_debug,
    parse_limit,
    parse_range,
    parse_size,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """What a command line says of the machine; None leaves it as the profile has it. Bytes and addresses.

    `image_data` is what of the program's image counts as data. `believed_page_size` is the page size that
    the runtime is told where that is not the machine's own. `heap_base` is where the heap begins if that is
    random. `godebug` has the settings of the program's GODEBUG, `gomemlimit` is its GOMEMLIMIT in bytes.
    """

    ulimit_v: int | None = None
    image_size: int | None = None
    image_data: int | None = None
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
    godebug: tuple[tuple[str, int], ...] = ()
    gomemlimit: int | None = None


def machine_options(given: Mapping[str, Any]) -> MachineOptions:
    """Keywords as options; sizes are numbers of bytes, or texts as on a command line: 600m, unlimited.

    Raises UsageFault for an unknown keyword, and for a text that cannot be read.
    """
    known = {field.name for field in fields(MachineOptions)}
    for name in given:
        if name not in known:
            raise UsageFault(Fault(f"{name} describes no machine", f"one of {', '.join(sorted(known))}"))
    options = MachineOptions(**{name: _read(name, value) for name, value in given.items()})
    taken = (parse_range(part) if isinstance(part, str) else part for part in options.taken)
    debug = options.godebug
    settings = debug.items() if isinstance(debug, Mapping) else debug
    godebug = (pair for one in settings for pair in (parse_debug(one) if isinstance(one, str) else [one]))
    return replace(
        options,
        taken=tuple((int(a), int(b)) for a, b in taken),
        godebug=tuple((str(name), int(value)) for name, value in godebug),
    )


_TEXTS: Mapping[str, Callable[[str], int]] = {
    **dict.fromkeys(("ulimit_v", "rlimit_data", "commit_limit", "ram_and_swap"), parse_limit),
    **dict.fromkeys(("image_size", "image_data", "gomemlimit"), parse_size),
    **dict.fromkeys(("page_size", "believed_page_size"), parse_size),
    **dict.fromkeys(("data_end", "heap_base"), parse_address),
    **dict.fromkeys(("va_bits", "max_map_count", "overcommit"), parse_count),
}


def _read(name: str, value: Any) -> Any:
    """A value as programs give it: a number, or the text that a command line has."""
    if name in ("taken", "godebug") and isinstance(value, str):
        return (value,)
    return _TEXTS[name](value) if isinstance(value, str) and name in _TEXTS else value
