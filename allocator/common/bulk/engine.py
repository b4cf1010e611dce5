"""Which layout does the work: NumPy's, or the compiled one where Numba is installed."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from allocator.common.bulk.batch_layout import BatchLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.common.bulk.codes import Coder
    from allocator.common.bulk.compiled import CompiledLayout
    from allocator.common.bulk.routines import Routines

Ints = np.ndarray[Any, np.dtype[Any]]


class TinyCache(Protocol):
    """An mcache's tiny allocator: the block that is open, 0 for none, and how far it is used."""

    tiny: int
    tiny_offset: int


SWITCH = "ARCHCALC_COMPILED"  # environment: 0 never, 1 from the first object on
# Objects of a process from which on compiled code is used: where it is kept, since that is soon won back, and
# where it has to be made, which takes seconds, once on a machine.
PAYS, MAKES = 1 << 17, 1 << 25
# The same of objects that a process's collections have followed. NumPy is as fast where rings lie together.
FOLLOWED_PAYS, FOLLOWED_MAKES = 1 << 21, 1 << 26

_wanted: bool | None = {"0": False, "1": True}.get(os.environ.get(SWITCH, ""))
_seen = 0
_followed = 0


def use_compiled(wanted: bool | None) -> None:
    """Whether bulk allocation uses compiled code; None: when Numba is installed and it pays."""
    global _wanted
    if wanted and not has_numba():
        raise ModuleNotFoundError("compiled code needs numba: pip install 'archcalc[fast]'", name="numba")
    _wanted = wanted


@cache
def has_numba() -> bool:
    """Whether Numba is installed."""
    return importlib.util.find_spec("numba") is not None


def lay_out(
    coder: Coder,
    sizes: Ints,
    index: Ints | None,
    owner: Ints | None,
    caches: Sequence[TinyCache],
    ready: CompiledLayout | None = None,
) -> tuple[BatchLayout | CompiledLayout, Ints | int]:
    """The layout of the objects up to the first that cannot be planned, and their numbers.

    The tiny allocators are those of the caches. ready: the layout, if it has already been made
    before, with a guess of that.
    """
    states = [cache.tiny_offset if cache.tiny else 0 for cache in caches]
    tiny_class, rule = coder.of.tiny_class, coder.of.tiny_rule
    # Objects of several Ps are left to NumPy, and so are those of one code, where there is nothing to sort.
    mixed = owner is None and not (index is None and coder.same)
    table = coder.table
    if mixed and table is not None and _lays_out_compiled():
        from allocator.common.bulk.compiled import CompiledLayout

        layout = ready
        if layout is None or layout.state != states[0]:
            layout = CompiledLayout(table, sizes, index, states[0], tiny_class, rule)
        if layout.unknown:
            # What is seen for the first time is learnt by looking it up.
            n = len(coder.code_all(sizes, index)[0])
            part = None if index is None else index[:n]
            layout = CompiledLayout(table, sizes[:n], part, states[0], tiny_class, rule)
        return layout, layout.numbers
    codes, numbers = coder.code_all(sizes, index)
    mine = None if owner is None else owner[: len(codes)]
    return BatchLayout(codes, mine, states, tiny_class, rule), numbers


def expect(n: int) -> None:
    """Announces that so many objects will be asked for."""
    global _seen
    _seen += n


def follows_compiled() -> bool:
    """Whether stored pointers are followed by compiled code.

    Where nothing is said, that is once a process has followed so many objects that it pays.
    """
    if not _is_wanted(_followed >= FOLLOWED_PAYS):
        return False
    from allocator.common.bulk.compiled_reach import FOLLOWING

    return _ready(FOLLOWING, _followed >= FOLLOWED_MAKES)


def note_followed(objects: int) -> None:
    """A collection follows the pointers of so many objects."""
    global _followed
    _followed += objects


def _is_wanted(pays: bool) -> bool:
    """Whether compiled code is to be used: as is said, else where it pays and there can be any."""
    return pays and has_numba() if _wanted is None else _wanted


def _lays_out_compiled() -> bool:
    if not _is_wanted(_seen >= PAYS):
        return False
    from allocator.common.bulk.compiled import LAYING_OUT

    return _ready(LAYING_OUT, _seen >= MAKES)


def _ready(routines: Routines, worth_making: bool) -> bool:
    """Whether these have code; made, if it is worth that."""
    if routines.load():
        return True
    if _wanted or worth_making:
        routines.make()
        return True
    return False
