"""The ways a simulated runtime ends: a fatal error, a panic, or an exit.

These are results, not faults of this program: whoever drives a machine
catches `Death` and reports what the runtime said.
"""

from __future__ import annotations


class Death(Exception):
    """The simulated runtime ended; `words` is what it said last.

    `kind` names how: "throw" for runtime.throw, "panic" for a Go panic that
    a program could recover, "exit" for exit(2) after a printed line. `before` is what code
    without a machine at hand wanted printed first; the machine prints it.
    """

    kind = "throw"

    def __init__(self, words: str, *before: str) -> None:
        super().__init__(words)
        self.words = words
        self.before = before


class Throw(Death):
    """runtime.throw: the process dies with `fatal error: <words>` (panic.go)."""

    kind = "throw"


class GoPanic(Death):
    """A recoverable panic, as newarray raises for sizes out of range."""

    kind = "panic"


class Exit(Death):
    """exit(2) straight after a print: there are no words but the printed line."""

    kind = "exit"


class Killed(Death):
    """A signal ends the process without any words of the runtime: its own code is gone."""

    kind = "signal"


class BadRequest(ValueError):
    """The driver asked for something impossible: a stack that is not one, a size below zero."""
