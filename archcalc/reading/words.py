"""Words for numbers of things: 1 page, 2 pages."""

from __future__ import annotations

SIBILANTS = ("s", "x", "z", "ch", "sh")


def plural(noun: str) -> str:
    """The plural of a noun, or of the last word of a phrase: classes, entries, days."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(SIBILANTS) else "s")


def counted(count: int, noun: str, several: str = "") -> str:
    """How many of something: 1 byte, 2 bytes, 0 bytes; `several` for a plural that is not regular.

    Thousands are not set apart: a number in text is one that can be copied.
    """
    return f"{count} {noun if count == 1 else several or plural(noun)}"
