"""What a machine asked a kernel, with the answers, so that another kernel can be asked the same.

A machine is decided by its Config and by what it is answered. Where a kernel answers all that one was
answered before, it ends as that one did, and need not be started again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allocator.kernels.calls import Call
from allocator.kernels.machine import Machine

# A method of the kernel with its arguments, or an attribute of it.
Question = tuple[str, tuple[Any, ...] | None, tuple[tuple[str, Any], ...]]


class Heard:
    """A kernel that hands on all it is asked, and keeps each question with its answer.

    Its log and its machine are not answers: a runtime has no such calls.
    """

    mmap_named = None  # not every kernel takes both calls at once, and one by one they are answered alike

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.machine: Machine = kernel.machine
        self.heard: list[tuple[Question, Any]] = []

    @property
    def log(self) -> list[Call]:
        """The kernel's."""
        log: list[Call] = self._kernel.log
        return log

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kernel, name)
        if callable(found):
            return self._asked(name, found)
        self.heard.append(((name, None, ()), _value(found)))
        return found

    def _asked(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **named: Any) -> Any:
            answer = call(*args, **named)
            self.heard.append(((name, args, tuple(named.items())), _value(answer)))
            return answer

        return asked


class Endings:
    """How machines of one Config ended, by what they were answered."""

    def __init__(self) -> None:
        self._first: Any = None

    def learn(self, heard: list[tuple[Question, Any]], end: str) -> None:
        """A machine that was answered so, and ended so."""
        node: Any = end
        for question, answer in reversed(heard):
            node = (question, {answer: node})
        self._first = _joined(self._first, node)

    def foretell(self, kernel: Any) -> str | None:
        """How a machine would end on this kernel, which is asked for it; None where none was answered so."""
        node = self._first
        while isinstance(node, tuple):
            (name, args, named), answers = node
            found = getattr(kernel, name)
            node = answers.get(_value(found if args is None else found(*args, **dict(named))))
        return None if node is None else str(node)


def _joined(old: Any, new: Any) -> Any:
    """Two courses in one tree: they ask the same as long as they are answered the same."""
    if old is None:
        return new
    at, more = old, new
    while isinstance(more, tuple):
        (answer, rest), *_ = more[1].items()
        if answer not in at[1]:
            at[1][answer] = rest
            break
        at, more = at[1][answer], rest
    return old


def _value(found: Any) -> Any:
    """An answer that can be looked up; what grows is taken as it is now."""
    return tuple(found) if isinstance(found, list) else found
