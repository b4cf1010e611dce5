"""Hands a result to its renderer and the text to where it is wanted."""

from __future__ import annotations

import os
import shutil
import sys

from archcalc.cli import session
from archcalc.cli.command import Outcome
from archcalc.host import output
from archcalc.render import DEFAULT_WIDTH, Page, render


def report(outcome: Outcome) -> int:
    """Writes the result; returns the exit code that it stands for."""
    result = outcome.result
    if session.current.generations:
        from archcalc import generations

        result.generation = " ".join(map(generations.label, session.current.generations))
    result.what_ifs = session.current.sets
    if outcome.output is not None:
        page = Page(width(), unicode=beyond_ascii())
        output.write(outcome.output, render(result, outcome.format, page), outcome.force)
        session.detail(f"wrote {outcome.output}")
    else:
        page = Page(width(), session.current.colorful(sys.stdout), beyond_ascii())
        sys.stdout.writelines(render(result, outcome.format, page))
    return result.exit_code


def width() -> int:
    """Characters a line: $COLUMNS, else the terminal's, else a width that suits a log."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and 0 < int(columns) < 10_000:
        return int(columns)
    return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns


def beyond_ascii() -> bool:
    """Whether the locale shows more than ASCII.

    Python takes UTF-8 also where the locale is C, so the locale's own variables are asked first;
    who sets PYTHONUTF8 or PYTHONIOENCODING has said it already.
    """
    forced = os.environ.get("PYTHONIOENCODING") or ("utf-8" if os.environ.get("PYTHONUTF8") == "1" else "")
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    unsaid = "" if os.name == "posix" else sys.stdout.encoding
    locale = forced or next((name for name in named if name), unsaid)
    return "utf" in locale.lower()
