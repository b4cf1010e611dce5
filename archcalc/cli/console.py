"""Consoles of Windows: they follow escape sequences only once that is switched on."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

HANDLES = {1: -11, 2: -12}  # STD_OUTPUT_HANDLE, STD_ERROR_HANDLE by file descriptor
ENABLE_VIRTUAL_TERMINAL_PROCESSING = 4


@cache
def follows_escapes(descriptor: int, system: str = os.name) -> bool:
    """Whether the terminal behind stdout (1) or stderr (2) follows escape sequences; switches them on."""
    if system != "nt":
        return True
    import ctypes  # only there is it of use

    kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.GetStdHandle(HANDLES[descriptor])
    mode = ctypes.c_ulong()
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        # No console but a terminal emulator's pipe, which follows them anyway.
        return True
    return bool(kernel.SetConsoleMode(handle, mode.value | ENABLE_VIRTUAL_TERMINAL_PROCESSING))
