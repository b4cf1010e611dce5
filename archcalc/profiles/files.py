"""Where the files of the platforms that archcalc knows are, and how messages name them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from archcalc.reading import fields

# The package archcalc.
_HERE = Path(__file__).parents[1]
_SHARED = ("os", "arch")


@cache
def folder() -> Path:
    """Where the platforms' files are: inside the installed package, or beside it in a checkout."""
    installed = _HERE / "_platforms"
    return installed if installed.is_dir() else _HERE.parent / "platforms"


@cache
def all_files() -> dict[str, Path]:
    """Each file of ours by what profiles inherit it as: goos/goarch, os/NAME, arch/NAME."""
    files = {path.stem.replace("-", "/", 1): path for path in folder().glob("*.yaml")}
    for kind in _SHARED:
        files |= {f"{kind}/{path.stem}": path for path in (folder() / kind).glob("*.yaml")}
    return files


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(name for name in all_files() if name.partition("/")[0] not in _SHARED))


def names() -> list[str]:
    """All platforms as goos/goarch, in order."""
    return list(_names())


def file_of(name: str) -> Path | None:
    """The file of a platform, or of os/NAME or arch/NAME; None where there is none."""
    return all_files().get(name)


def shown(name: str) -> str:
    """How messages name a file of ours: its path in the project."""
    kind = name.partition("/")[0]
    return f"platforms/{name if kind in _SHARED else name.replace('/', '-')}.yaml"


def nearest_file(name: str) -> str:
    """What of ours was probably meant as something to inherit, or nothing."""
    return fields.nearest(name, all_files())
