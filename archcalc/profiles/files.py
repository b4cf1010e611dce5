"""Where the files of the platforms that archcalc knows are, and how messages name them.

`platforms/` has the ports of all generations; each generation says which of them it has.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from archcalc import generations
from archcalc.generations import CURRENT
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
    """Each file of the package by the name that profiles inherit it by: goos/goarch, os/NAME, arch/NAME."""
    files = {path.stem.replace("-", "/", 1): path for path in folder().glob("*.yaml")}
    for kind in _SHARED:
        files |= {f"{kind}/{path.stem}": path for path in (folder() / kind).glob("*.yaml")}
    return files


@cache
def _own_facts(go: str) -> dict[str, Path]:
    """The files of a generation's own facts about ports, systems and architectures."""
    top = generations.folder(go) / "facts"
    files = {path.stem.replace("-", "/", 1): path for path in top.glob("*.yaml")}
    for kind in _SHARED:
        files |= {f"{kind}/{path.stem}": path for path in (top / kind).glob("*.yaml")}
    return files


def has_own_facts(go: str) -> bool:
    """Whether a generation takes what Go says of architectures and systems as facts, not by formulas."""
    return bool(_own_facts(go))


@cache
def _names(go: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in generations.ports(go) if name in all_files()))


def names(go: str = CURRENT) -> list[str]:
    """All platforms of a generation as goos/goarch, in order: those of its ports that have profiles."""
    return list(_names(go))


def without_profile(go: str) -> list[str]:
    """The ports of a generation without profiles: a fork's own."""
    return sorted(set(generations.ports(go)) - set(_names(go)))


def every() -> list[str]:
    """All platforms of all generations, in order."""
    return sorted(name for name in all_files() if name.partition("/")[0] not in _SHARED)


def file_of(name: str) -> Path | None:
    """The file of a platform, or of os/NAME or arch/NAME; None where there is none."""
    return all_files().get(name)


@cache
def files_of(name: str, go: str = CURRENT) -> tuple[tuple[Path, str], ...]:
    """The files under a name, each with its name in messages.

    First the machine's, then the generation's own; either may be missing.
    """
    machine, own = all_files().get(name), _own_facts(go).get(name)
    files = [(machine, shown(name))] if machine is not None else []
    if own is not None:
        files.append((own, f"archcalc/{own.relative_to(_HERE).as_posix()}"))
    return tuple(files)


def shown(name: str) -> str:
    """The name of a package's file in messages: its path in the project."""
    kind = name.partition("/")[0]
    return f"platforms/{name if kind in _SHARED else name.replace('/', '-')}.yaml"


def nearest_file(name: str) -> str:
    """The file of the package that was probably meant by an `inherit`, or nothing."""
    return fields.nearest(name, all_files())
