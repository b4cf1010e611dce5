"""The routines of a file, with their machine code: made once, and kept on disk.

A routine is a Python function of one-dimensional arrays and whole numbers. Numba compiles it when it is first
needed on a machine (`jit`); what comes out is kept (`machine_code`), and later processes call it without
importing Numba, which takes longer than a million objects. Where code cannot be kept, Numba calls it.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from allocator.common.bulk import machine_code
from allocator.common.bulk.routine import Code, Routine


class Routines:
    """The routines of a file, whose code is made and kept together."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.all: list[Routine] = []
        self.parts: dict[str, Any] = {}
        self._tried = self._begun = False
        self._kept: machine_code.Loaded | None = None

    @property
    def codes(self) -> list[Code]:
        """All of them, each for each kind of arrays that it takes."""
        return [code for routine in self.all for code in routine.codes]

    def routine(self, takes: str) -> Callable[[Callable[..., Any]], Routine]:
        """Makes a function a routine that takes that."""

        def of(function: Callable[..., Any]) -> Routine:
            self.all.append(Routine(function, takes))
            return self.all[-1]

        return of

    def part(self, function: Any) -> Any:
        """Makes a function one that routines call."""
        self.parts[function.__name__] = function
        return function

    def load(self) -> bool:
        """Whether there is code to be called now. What is kept is looked for once."""
        if not self._tried:
            self._tried = True
            found = machine_code.load(self.file, self.key())
            if found is not None:
                self._begin(found)
        return self._begun

    def make(self) -> None:
        """Has code made, unless there is some, and keeps it where that is possible."""
        if self.load():
            return
        from allocator.common.bulk import jit

        made = jit.code_of(self.all, self.parts)
        found = None if made is None else machine_code.keep(self.file, self.key(), made)
        if found is None:
            for routine in self.all:
                call = jit.dispatcher(routine, self.parts)
                for code in routine.codes:
                    code.call = call
            self._begun = True
        else:
            self._begin(found)

    def _begin(self, found: machine_code.Loaded) -> None:
        self._kept = found  # it must not go as long as it can be called
        for code in self.codes:
            code.begin(found.address[code.name])
        self._begun = True

    def key(self) -> str:
        """What the code depends on: all that the functions say, and the numbers that they mention."""
        functions = {**{each.function: each.takes for each in self.all}, **dict.fromkeys(self.parts.values())}
        names = [code.name for code in self.codes]
        return repr([names, *((_text(function), takes) for function, takes in functions.items())])


def _text(function: Any) -> tuple[Any, ...]:
    code: types.CodeType = function.__code__
    mentioned = []
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType) and value is not np:
            raise TypeError(f"{function.__name__} mentions {name}: it is not known what its code depends on")
        if value is not None:
            mentioned.append((name, value if isinstance(value, int) else value.__name__))
    return code.co_name, code.co_code, code.co_consts, code.co_names, code.co_varnames, mentioned
