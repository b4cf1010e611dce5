"""Files appear whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from archcalc.host import output
from archcalc.reading.errors import UsageFault


def failing() -> Iterator[str]:
    yield "half "
    raise RuntimeError("in the middle")


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        output.write(tmp_path / "new", failing())
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("as it was")
    with pytest.raises(RuntimeError):
        output.write(old, failing(), force=True)
    assert old.read_text() == "as it was" and list(tmp_path.iterdir()) == [old]


def test_an_existing_file_needs_force_and_keeps_its_mode(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("as it was")
    old.chmod(0o640)
    with pytest.raises(UsageFault, match="--force"):
        output.write(old, ["new"])
    output.write(old, ["new ", "text"], force=True)
    assert old.read_text() == "new text" and stat.S_IMODE(old.stat().st_mode) == 0o640


def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file"

    def pieces() -> Iterator[str]:
        target.write_text("theirs")
        yield "ours"

    with pytest.raises(UsageFault, match="exists already"):
        output.write(target, pieces())
    assert target.read_text() == "theirs" and list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name == "nt", reason="there is no umask")
def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        output.write(tmp_path / "new", ["text"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links want rights there")
def test_a_link_stays_one_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    output.write(tmp_path / "link", ["new"], force=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is no null device")
def test_a_device_is_written_to_and_not_replaced() -> None:
    output.write(Path("/dev/null"), ["text"])
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("name", ["", "missing/file"])
def test_a_place_that_cannot_hold_a_file_is_refused_early(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFault):
        output.check_writable(tmp_path / name, force=True)
