"""How functions are compiled, where Numba is installed: this file is only imported to do so."""

from __future__ import annotations

from importlib import import_module
from typing import Any

njit: Any = import_module("numba").njit


def compiled(function: Any) -> Any:
    """The function as machine code, kept on disk, which runs without holding Python back."""
    return njit(cache=True, nogil=True)(function)
