"""Recordings of version 2 in tests: those that there are, their lines, and lines with another digit."""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from pathlib import Path

RECORDINGS = sorted((Path(__file__).parents[1] / "data" / "version2").glob("*.trace.gz"))
# Of what is reproduced in part, which number it is: the last by default.
NUMBER = {"=": 0, "Z": 0, "g": 0, "w": 0, "P": 0, "K": 0}


@lru_cache(maxsize=4)
def lines_of(path: Path) -> tuple[str, ...]:
    """The lines of a recording, without their ends."""
    return tuple(gzip.decompress(path.read_bytes()).decode().splitlines())


def other(line: str) -> str | None:
    """The line with another digit; None where it has none to change."""
    words = line.split(" ")
    kind = " ".join(words[:2]) if words[0] in "()" else words[0]
    found = list(re.finditer(r"(?<![\w.\"])[0-9a-f]*[0-9](?=\b)|(?<= )[0-9a-f]+(?=$)", line[len(kind) :]))
    if not found:
        return None
    at = len(kind) + found[NUMBER.get(kind, -1)].end() - 1
    digit = "1" if line[at] != "1" else "2"
    return line[:at] + digit + line[at + 1 :]
