"""Paths as a code host names them: relative to the repository that the file is in."""

from __future__ import annotations

from functools import cache
from pathlib import Path


def within_repository(file: str) -> str:
    """The path relative to the nearest folder with a .git; one that is in none stays as it is.

    A relative path counts from the working folder, as the user typed it.
    """
    path = Path(file)
    if not path.exists():
        return path.as_posix()  # a file of the package, named as the project names it
    whole = path.resolve()
    root = _root(whole.parent)
    return whole.relative_to(root).as_posix() if root else path.as_posix()


@cache
def _root(folder: Path) -> Path | None:
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
