"""`archcalc completion`: the script that a shell needs to complete our command lines."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Annotated

import typer
from typer.completion import shell_complete
from typer.main import get_install_completion_arguments

from archcalc.cli.command import one_of
from archcalc.cli.main import COMPLETION
from archcalc.results.result import TextResult

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")

Shell = Annotated[
    str,
    typer.Argument(
        metavar="|".join(SHELLS),
        help="The shell.",
        parser=one_of(SHELLS),
        autocompletion=lambda: list(SHELLS),
    ),
]


def command(shell: Shell) -> TextResult:
    """Print the completion script of a shell.

    For bash: `archcalc completion bash > ~/.local/share/bash-completion/completions/archcalc`.
    Platforms, checks, constants, formats and files are completed.
    """
    from archcalc.cli.app import build_root

    get_install_completion_arguments()  # typer knows the shells once it has made its options about them
    with redirect_stdout(io.StringIO()) as script:
        shell_complete(build_root(), {}, "archcalc", COMPLETION, f"source_{shell}")
    return TextResult(script.getvalue().strip("\n") + "\n")
