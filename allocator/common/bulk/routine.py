"""A routine: a function over arrays that is called as machine code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np


class Code:
    """A routine for arrays of these elements; None is a number."""

    def __init__(self, name: str, takes: tuple[np.dtype[Any] | None, ...]) -> None:
        self.name = name
        self.takes = takes
        self.call: Callable[..., int] | None = None

    def begin(self, address: int) -> None:
        """Machine code is at this address. It runs without holding Python back."""
        kinds = [kind for each in self.takes for kind in _passed(each)]
        call = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)

        def run(*values: Any) -> int:
            passed: list[int] = []
            for kind, value in zip(self.takes, values, strict=True):
                passed += (value,) if kind is None else (value.ctypes.data, value.size)
            return int(call(*passed))

        self.call = run


def _kind(letter: str) -> np.dtype[Any] | None:
    return None if letter == "n" else np.dtype(letter)


def _passed(kind: np.dtype[Any] | None) -> tuple[Any, ...]:
    return (ctypes.c_int64,) if kind is None else (ctypes.c_void_p, ctypes.c_int64)


class Routine:
    """A function of arrays and numbers, which returns a number, or nothing.

    `takes` says for each argument what elements an array has ("u1": bytes, "i8": numbers of eight bytes with
    a sign; "u1/u2": either), "n" for a number. Only arrays that lie in memory in one piece are taken.
    """

    def __init__(self, function: Any, takes: str) -> None:
        self.function = function
        self.name: str = function.__name__
        self.takes = takes
        choices = [
            [None if one == "n" else np.dtype(one) for one in each.split("/")] for each in takes.split()
        ]
        self.codes = [Code(f"{self.name}/{i}", kinds) for i, kinds in enumerate(product(*choices))]

    def __call__(self, *values: Any) -> int:
        for code in self.codes:
            # Machine code believes what it is told.
            for kind, value in zip(code.takes, values, strict=True):
                if kind is not None and (value.dtype != kind or not value.flags.c_contiguous):
                    break
            else:
                assert code.call is not None, f"{self.name} has not been compiled"
                return code.call(*values)
        raise TypeError(f"{self.name} takes arrays in one piece of {self.takes}")
