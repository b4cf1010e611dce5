"""What commands and machines cost here and at another revision, in one run.

    python tests/bench/compare.py REV [ROUNDS]

REV is checked out into a temporary worktree, and both trees do the same work in turn, each piece in a
process of its own, so that whatever else the computer does falls on both. Processor time is counted, not
time on the wall, and of each piece the least of all rounds is taken. Prints both and their ratio: above 1,
it takes longer here. What a tree cannot do (it has no such command or function) is left out, and said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

HERE = Path(__file__).parents[2]
TRACES = HERE / "tests" / "data" / "traces"
TRACE = TRACES / "linux-amd64.gcprog.stw.trace.gz"
SHORT = TRACES / "linux-arm.stacks.conc.trace.gz"
BOOT = "from archcalc.boot import boot; rt = boot('linux/amd64')"
WORK: dict[str, list[str]] = {
    "startup": ["-m", "archcalc", "--version"],
    "help": ["-m", "archcalc", "--help"],
    "list": ["-m", "archcalc", "list"],
    "map": ["-m", "archcalc", "map", "linux/amd64"],
    "explain": ["-m", "archcalc", "explain", "_PageSize"],
    "boot all": ["-m", "archcalc", "boot", "all"],
    "report all": ["-m", "archcalc", "report", "all"],
    "check all": ["-m", "archcalc", "check", "all"],
    "malloc, one by one": ["-c", f"{BOOT}\nfor i in range(300_000): rt.malloc(i % 1000 + 1, noscan=True)"],
    "malloc_many": ["-c", f"{BOOT}\nrt.malloc_many([i % 1000 + 1 for i in range(2_000_000)], noscan=True)"],
    "replay of a short text": ["-m", "archcalc", "replay", str(SHORT)],
    "replay of text": ["-m", "archcalc", "replay", str(TRACE)],
    "replay of columns": ["-m", "archcalc", "replay", "COLUMNS"],
}


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A worktree of the revision, away again afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(HERE), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def seconds(tree: Path, arguments: list[str]) -> float | None:
    """The processor time of one process that runs in a tree; None where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": ""}
    before = getrusage(RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return None if done.returncode else spent


def main(revision: str, rounds: int = 5) -> int:
    """Prints the table."""
    with checkout(revision) as other, tempfile.TemporaryDirectory() as folder:
        columns = str(Path(folder) / "recording.parquet")
        if seconds(HERE, ["-m", "archcalc", "trace", "convert", str(TRACE), columns]) is None:
            print("no recording in columns can be made here")
        print(f"{'':22} {revision[:12]:>12} {'here':>12} {'ratio':>8}")
        for name, arguments in WORK.items():
            line = [columns if word == "COLUMNS" else word for word in arguments]
            times: dict[Path, list[float | None]] = {other: [], HERE: []}
            for at in range(rounds + 1):  # the first fills the caches
                for tree in (other, HERE) if at % 2 else (HERE, other):
                    times[tree].append(seconds(tree, line))
            before, now = (min((s for s in times[tree][1:] if s), default=None) for tree in (other, HERE))
            if before is None or now is None:
                print(f"{name:22} cannot be done {'here' if now is None else 'there'}")
                continue
            print(f"{name:22} {before:10.3f} s {now:10.3f} s {now / before:8.2f}", flush=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
