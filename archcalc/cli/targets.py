"""Which releases and settings a command line asks for; the session keeps them, for outputs to name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archcalc.cli import session
from archcalc.library import targets


def generation(go: str | None) -> str:
    """The generation that is asked for: by --go, $ARCHCALC_GO, the configuration. Raises UsageFault."""
    name = targets.generation(go, session.note)
    session.current.generations[name] = None
    return name


def several(gos: Sequence[str] | None) -> list[str]:
    """The generations that --go names, where a command shows several side by side; `all` is every one."""
    found = targets.several(gos, session.note)
    session.current.generations |= dict.fromkeys(found)
    return found


def settings(sets: Sequence[tuple[str, int | str]] | None) -> Mapping[str, int | str]:
    """What the configuration and --set say, the command line last. A name set twice is a mistake."""
    session.current.sets = targets.settings(sets)
    return session.current.sets
