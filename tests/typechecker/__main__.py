"""Compares a release's figures with what Go's type checker computes from the release's own files.

    python tests/typechecker GO [RELEASE] [--compiler GO] [--write FILE]

GO is the go command of the release. Every constant and struct that archcalc knows of the release is compared
on every port that the command lists. `--write` keeps what was computed, a JSON line a port in an xz file, as
the tests have it for each release in `tests/data/facts`. `--compiler` is the go command that builds the type
checker, where GO is old (1.19 to 1.22). Exit code 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import lzma
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from golang import environment
from typechecker import checker, compare, computed

from archcalc import generations


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("go", help="the go command of the release")
    parser.add_argument("release", nargs="?", help="its generation here; without it, by `go version`")
    parser.add_argument("--compiler", help="the go command that builds the type checker")
    parser.add_argument("--write", type=Path, help="keep what was computed in this file")
    words = parser.parse_args()
    version = subprocess.check_output([words.go, "env", "GOVERSION"], env=environment(), text=True).strip()
    release = generations.named(words.release or ".".join(version.removeprefix("go").split(".")[:2]))
    program = checker(words.compiler or words.go)
    ports = subprocess.check_output([words.go, "tool", "dist", "list"], env=environment(), text=True).split()
    values, wrong, lines = 0, [], []
    for port in ports:
        found, known = compare(release, computed(program, words.go, port))
        values += len(found.equal) + len(found.different)
        wrong += [f"{port} {line}" for line in found.different]
        lines.append(json.dumps(known, sort_keys=True, separators=(",", ":")))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{version}: {len(ports)} ports, {values} values, {len(wrong)} differences")
    if words.write:
        with lzma.open(words.write, "wt") as kept:
            kept.writelines(line + "\n" for line in lines)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
