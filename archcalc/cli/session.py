"""What a run of the program may say beside its result: notes and progress, on stderr.

There is one session a process; `main.py` sets it up from the options that every command has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TextIO

from archcalc.cli.console import follows_escapes

BAR = 24
EVERY = 0.1


class Session:
    """How much to say, and whether to be colourful about it."""

    def __init__(
        self, quiet: bool = False, verbose: bool = False, debug: bool = False, color: str = "auto"
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.debug = debug
        self.color = color
        self.generations: dict[str, None] = {}
        """The generations that the command was asked of, in order."""
        self.sets: Mapping[str, int | str] = {}
        """What --set and the configuration have set for the command."""

    def colorful(self, stream: TextIO) -> bool:
        """Whether text on this stream shows colours: on a terminal, unless NO_COLOR or --color says else."""
        if self.color != "auto":
            return self.color == "always"
        wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return wanted and follows_escapes(1)


current = Session()


def note(text: str) -> None:
    """Something worth knowing beside the result."""
    if not current.quiet:
        print(f"archcalc: {text}", file=sys.stderr)


def detail(text: str) -> None:
    """Something worth knowing for whoever asked for it with --verbose."""
    if current.verbose:
        print(f"archcalc: {text}", file=sys.stderr)


class Progress:
    """A line that is rewritten as work goes on; nothing at all where stderr is not a terminal."""

    def __init__(self, what: str, total: int | None, shown: bool) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._shown = shown
        self._next = 0.0

    def update(self, done: int) -> None:
        """Tells how much is done by now, in all; cheap enough to call every few thousand events."""
        self.done = done
        if not self._shown:
            return
        now = monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        sys.stderr.write(f"\r{self._line()}\x1b[K")
        sys.stderr.flush()

    def tell(self, done: int, total: int) -> None:
        """As `update`, where how much there is in all comes to be known on the way."""
        self.total = total
        self.update(done)

    def _line(self) -> str:
        if not self.total:
            return f"{self.what} {self.done:,}"
        part = min(self.done / self.total, 1.0)
        return f"{self.what} [{'#' * int(part * BAR):<{BAR}}] {part:4.0%}"

    def close(self) -> None:
        """Leaves no trace on the terminal."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Progress]:
    """Shows progress on stderr while the block runs, if that is a terminal and --quiet is not given."""
    bar = Progress(what, total, sys.stderr.isatty() and not current.quiet and follows_escapes(2))
    try:
        yield bar
    finally:
        bar.close()
