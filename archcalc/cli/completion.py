"""`archcalc completion`: the script that a shell needs to complete our command lines."""

from __future__ import annotations

from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

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
    script = get_completion_script(prog_name="archcalc", complete_var=COMPLETION, shell=shell)
    return TextResult(script.rstrip("\n") + "\n")
