"""Emphasis on terminals that show it. Nothing is ever said by colour alone."""

from __future__ import annotations

_CODES = {"bold": "1", "faint": "2", "error": "1;31", "warning": "33", "info": "36", "good": "32"}


def styled(text: str, name: str, color: bool) -> str:
    """The text in a style, or as it is where the page shows no colours."""
    return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if color else text
