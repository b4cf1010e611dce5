"""Routines: compiled once, kept, and called without Numba; whatever lies where they are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allocator.common.bulk import compiled, compiled_reach, machine_code
from allocator.common.bulk.engine import has_numba
from allocator.common.bulk.routines import Routines

pytestmark = pytest.mark.skipif(not has_numba(), reason="Numba is not installed")

Ints = np.ndarray[Any, np.dtype[Any]]

FACTOR = 3


def _more(value: int) -> int:
    return value + 1


def _scale(values: Ints, factor: int, out: Ints) -> int:
    total = 0
    for i in range(len(values)):
        out[i] = _more(values[i]) * factor * FACTOR
        total += int(out[i])
    return total


def _allocates(values: Ints, factor: int, out: Ints) -> int:
    room = np.zeros(len(values), np.int64)
    for i in range(len(values)):
        room[i] = values[i]
    for i in range(len(values)):
        out[i] = _more(room[i]) * factor * FACTOR
    return int(out.sum())


def routines(folder: Path, function: Callable[..., Any] = _scale) -> Routines:
    """A routine of a file in that folder, which is not there; its code would be kept beside it."""
    found = Routines(str(folder / "some.py"))
    found.part(_more)
    found.routine("u1/u2 n i8")(function)
    return found


def check(of: Routines) -> None:
    """The code gives what Python gives."""
    for kind in (np.uint8, np.uint16):
        values = np.arange(200).astype(kind)
        out = np.empty(200, np.int64)
        wanted = (np.arange(200) + 1) * 15
        assert of.all[0](values, 5, out) == wanted.sum()
        assert out.tolist() == wanted.tolist()


def kept(of: Routines) -> Path:
    """Where the code is."""
    return machine_code.places(of.file)[0]


@pytest.fixture(autouse=True)
def _no_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "pycache_prefix", None)


def test_code_is_kept(tmp_path: Path) -> None:
    first = routines(tmp_path)
    assert not first.load()
    first.make()
    check(first)
    later = routines(tmp_path)
    assert later.load() == kept(later).exists()
    if later.load():
        check(later)


def test_a_process_does_without_numba(tmp_path: Path) -> None:
    """All routines of this package, once they are kept."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "ARCHCALC_COMPILED": "1"}
    program = (
        "import sys, numpy as np; from archcalc.boot import boot\n"
        "boot('linux/amd64').malloc_many(np.arange(3000) % 700, noscan=True)\n"
        "from allocator.common.bulk.compiled_reach import FOLLOWING; FOLLOWING.make()\n"
        "print('numba' in sys.modules)"
    )
    ran = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        for _ in range(2)
    ]
    told = [each.stdout for each in ran]
    assert told == ["True\n", "True\n" if not list(tmp_path.rglob("*.code")) else "False\n"]


def damaged(content: bytes) -> list[bytes]:
    """The file with a changed byte here and there, cut off, longer, empty, and another."""
    changed = [
        content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        for at in range(0, len(content), max(len(content) // 40, 1))
    ]
    others = [content[:-1], content[:100], content + b"\0", b"", b"\n", machine_code.MARK, b"\0" * 9000]
    return [*changed, *others]


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    first = routines(tmp_path)
    first.make()
    if not kept(first).exists():
        pytest.skip("code is not kept here")
    content = kept(first).read_bytes()
    for other in damaged(content):
        # Never change what is in use.
        kept(first).unlink()
        kept(first).write_bytes(other)
        assert not routines(tmp_path).load()
    again = routines(tmp_path)
    again.make()
    check(again)
    assert kept(first).read_bytes()[: len(machine_code.MARK)] == machine_code.MARK
    assert routines(tmp_path).load()


@pytest.mark.parametrize(
    "name, value",
    [
        ("allocator.common.bulk.machine_code.platform.machine", lambda: "vax"),
        ("allocator.common.bulk.machine_code.sys.platform", "plan9"),
        ("allocator.common.bulk.machine_code.PACKAGES", ("llvmlite", "numba")),
    ],
)
def test_code_of_elsewhere_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    routines(tmp_path).make()
    with monkeypatch.context() as patched:
        patched.setattr(name, value)
        assert not routines(tmp_path).load()


def test_code_of_other_sources_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the function, one that it calls, or a number that it mentions is another."""
    routines(tmp_path).make()
    with monkeypatch.context() as patched:
        patched.setattr(f"{__name__}.FACTOR", 4)
        assert not routines(tmp_path).load()
    other = Routines(str(tmp_path / "some.py"))
    other.routine("u1/u2 n i8")(_scale)
    other.parts["_more"] = lambda value: value + 2
    assert not other.load()
    assert not routines(tmp_path, _allocates).load()
    with pytest.raises(TypeError, match="what its code depends on"):
        routines(tmp_path, lambda values, n, out: os.sep).load()


@pytest.mark.parametrize("function", [_scale, _allocates], ids=["no place", "needs more than itself"])
def test_where_code_is_not_kept_numba_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]
) -> None:
    if function is _scale:
        (tmp_path / "file").touch()
        monkeypatch.setattr(machine_code, "places", lambda source: [tmp_path / "file" / "there"])
    of = routines(tmp_path, function)
    of.make()
    check(of)
    assert not routines(tmp_path, function).load()


def test_other_places_are_tried(tmp_path: Path) -> None:
    """The user's own cache, if nothing can be written beside the source."""
    (tmp_path / "sources").touch()
    first = routines(tmp_path / "sources")
    first.make()
    check(first)
    assert routines(tmp_path / "sources").load() == any((tmp_path / "cache").rglob("*.code"))


def test_what_a_routine_does_not_take(tmp_path: Path) -> None:
    of = routines(tmp_path)
    of.make()
    out = np.empty(4, np.int64)
    for values in (np.arange(4), np.arange(8).astype(np.uint8)[::2], np.arange(4).astype(np.uint32)):
        with pytest.raises(TypeError, match="takes arrays in one piece"):
            of.all[0](values, 1, out)


def test_every_routine_stands_by_itself() -> None:
    """What the routines do needs nothing outside, so that it can be kept."""
    from allocator.common.bulk import jit

    for each in (compiled.LAYING_OUT, compiled_reach.FOLLOWING):
        made = jit.code_of(each.all, each.parts)
        if sys.platform == "linux":
            assert made is not None and set(made.offsets) == {code.name for code in each.codes}
