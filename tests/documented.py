"""The console blocks of a Markdown file, against what the program prints.

    python tests/documented.py README.md            checks; exits 1 and shows the difference
    python tests/documented.py --update README.md   writes what is printed now into the file

A block is fenced as ```console; a line that begins with `$ ` is a command, what follows is its output, with
stderr and in the order of writing. Commands run 92 columns wide, by a shell whose `archcalc`, `dask` and
`python` are this Python's: those of the README in the project's folder, those of a page under docs/ one
after the other in a folder of its own, where the project's folders are linked. There a ```sh block is run
too, and has to succeed; what it prints is not shown.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = "92"
DOCS = ROOT / "docs"
LINKED = ("examples", "platforms", "docs", "tests")
SCRIPT = re.compile(r"^```(console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A command as a block shows it, and its output; None where that is not shown."""

    command: str
    output: str | None
    line: int


def commands(text: str, scripts: bool = False) -> Iterator[Shown]:
    """Every command of every console block; with `scripts` each sh block as one command too."""
    for block in SCRIPT.finditer(text):
        line = text.count("\n", 0, block.start(2)) + 1
        if block[1] == "sh":
            if scripts:
                yield Shown(block[2], None, line)
            continue
        for part in re.split(r"^(?=\$ )", block[2], flags=re.MULTILINE):
            if part.startswith("$ "):
                first, _, output = part.partition("\n")
                yield Shown(first[2:], output, line)
            line += part.count("\n")


def run(command: str, tools: Path, folder: Path = ROOT) -> tuple[str, int]:
    """What a command prints, and its exit code."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
    environment = {
        **kept, "COLUMNS": COLUMNS, "NO_COLOR": "1", "PYTHONUTF8": "1",
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip
    return done.stdout.decode(), done.returncode


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """The folder that a page's commands run in."""
    if DOCS not in path.parents:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in LINKED:
            (Path(folder) / name).symlink_to(ROOT / name)
        yield Path(folder)


def tools_in(folder: Path) -> Path:
    """A folder with an `archcalc`, a `dask` and a `python` that are this Python's."""
    for name, words in (("archcalc", "-m archcalc "), ("dask", "-m dask "), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        script.chmod(0o755)
    return folder


def differences(path: Path) -> list[str]:
    """Unified differences between what a file shows and what is printed; empty where all is current."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as scripts, workplace(path) as folder:
        tools = tools_in(Path(scripts))
        for shown in commands(path.read_text(encoding="utf-8"), scripts=folder != ROOT):
            now, code = run(shown.command, tools, folder)
            if shown.output is None:
                if code:
                    found += [f"{path.name}:{shown.line}: exit code {code} of {shown.command}{now}"]
            elif now.rstrip("\n") != shown.output.rstrip("\n"):
                found += [f"{path.name}:{shown.line}: $ {shown.command}"]
                found += difflib.unified_diff(
                    shown.output.splitlines(), now.splitlines(), "shown", "printed", lineterm=""
                )
    return found


def update(path: Path) -> None:
    """Writes what is printed now into the file's blocks."""
    with tempfile.TemporaryDirectory() as scripts, workplace(path) as folder:
        tools = tools_in(Path(scripts))

        def renewed(block: re.Match[str]) -> str:
            if block[1] == "sh":
                if folder != ROOT:
                    run(block[2], tools, folder)
                return block[0]
            parts = [
                part.partition("\n")[0]
                for part in re.split(r"^(?=\$ )", block[2], flags=re.MULTILINE)
                if part
            ]
            texts = [
                f"{part}\n{run(part[2:], tools, folder)[0].rstrip()}\n"
                for part in parts
                if part.startswith("$ ")
            ]
            return f"```console\n{''.join(texts)}```"

        text = SCRIPT.sub(renewed, path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Checks, or with --update renews, the files."""
    files = [ROOT / name for name in arguments if name != "--update"]
    if "--update" in arguments:
        for path in files:
            update(path)
        return 0
    found = [line for path in files for line in differences(path)]
    print(
        "\n".join(found)
        if found
        else f"{', '.join(path.name for path in files)}: every command prints what is shown"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
