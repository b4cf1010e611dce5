"""Which layout does the work: NumPy's, or the compiled one where Numba is installed."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.bulk.layout import Layout

if TYPE_CHECKING:
    from allocator.bulk.compiled import CompiledLayout
    from allocator.mcache import MCache

Ints = np.ndarray[Any, np.dtype[Any]]

SWITCH = "ARCHCALC_COMPILED"  # environment: 0 never, 1 from the first object on
PAYS = 1 << 25  # objects of a process from which on loading Numba, half a second, is worth it

_wanted: bool | None = {"0": False, "1": True}.get(os.environ.get(SWITCH, ""))
_seen = 0


def use_compiled(wanted: bool | None) -> None:
    """Whether bulk allocation uses compiled code; None: when Numba is there and it pays."""
    global _wanted
    if wanted and not has_numba():
        raise ModuleNotFoundError("compiled code needs numba: pip install 'archcalc[fast]'", name="numba")
    _wanted = wanted


def has_numba() -> bool:
    """Whether Numba is installed."""
    return importlib.util.find_spec("numba") is not None


def layout_of(
    codes: Ints, owner: Ints | None, caches: list[MCache], tiny_class: int
) -> Layout | CompiledLayout:
    """The layout of objects with these codes, the tiny allocators standing where the caches have them."""
    global _seen
    _seen += len(codes)
    states = [cache.tiny_offset if cache.tiny else 0 for cache in caches]
    # Objects of several Ps are left to NumPy, and so are those of one code, where there is nothing to sort.
    mixed = owner is None and codes.min() != codes.max()
    if mixed and (_wanted or (_wanted is None and _seen >= PAYS and has_numba())):
        from allocator.bulk.compiled import CompiledLayout

        return CompiledLayout(codes, states[0], tiny_class)
    return Layout(codes, owner, states, tiny_class)
