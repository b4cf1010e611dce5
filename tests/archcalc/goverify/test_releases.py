"""A release's own tree has every value that its figures have, and a changed one is found where it stands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from archcalc import generations
from archcalc.calculator import figures
from archcalc.goverify import source
from archcalc.goverify.source import Verified
from archcalc.goverify.tree import SourceTree
from archcalc.profiles import platforms
from tests.support import golang

# Changes of a tree: the file, the old and the new text; and on a port with these
# settings the figure that differs for it.
CHANGES = {
    "a constant": (
        "runtime/malloc.go", r"persistentChunkSize = 256 << 10", "persistentChunkSize = 512 << 10",
        "linux/arm64", {}, "persistentChunkSize", 256 << 10, 512 << 10,
    ),
    "address bits": (
        "runtime/malloc.go", r"(heapAddrBits = .*)\*48", r"\1*47", "linux/amd64", {}, "heapAddrBits", 48, 47,
    ),
    "a port's own constant": (
        "internal/goarch/goarch_riscv64.go", r"_DefaultPhysPageSize = 4096", "_DefaultPhysPageSize = 16384",
        "linux/riscv64", {}, "goarch._DefaultPhysPageSize", 4096, 16384,
    ),
    "an experiment": (
        "internal/buildcfg/exp.go", r"GreenTeaGC: +true", "GreenTeaGC: false",
        "linux/amd64", {}, "goexperiment.GreenTeaGC", True, False,
    ),
    "a hint": (
        "runtime/malloc.go", r"0x00c0<<32\)$", "0x00c4<<32)",
        "linux/amd64", {"RandomizedHeapBase64": False}, "hint0", 0xC000000000, 0xC400000000,
    ),
    "a rung of the ladder": (
        "runtime/malloc.go", r"^(\t+)512 << 20,", r"\g<1>384 << 20,",
        "linux/386", {}, "ladder0", 512 << 20, 384 << 20,
    ),
    "a size class": (
        "internal/runtime/gc/sizeclasses.go", r"uint16\{0, 8, 16,", "uint16{0, 8, 20,",
        "windows/386", {}, "SizeClassToSize[2]", 16, 20,
    ),
    "a struct": (
        "runtime/mheap.go", r"^type arenaHint struct \{", "type arenaHint struct {\n\tmore uintptr",
        "linux/mips", {}, "arenaHint.addr", 0, 4,
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def goroot() -> Path:
    """The tree of the Go that is installed, of a release that there are figures of."""
    tool = golang.installed()
    if SourceTree(tool.goroot).generation == generations.CURRENT:
        pytest.skip(f"there are no figures of {tool.release}")
    return tool.goroot


def changed(goroot: Path, root: Path, file: str, before: str, after: str) -> tuple[Path, int]:
    """A tree that differs from another in one place of one file, the rest links; and the place's line."""
    (root / "VERSION").write_text((goroot / "VERSION").read_text())
    for folder in ("src", *(f"src/{parent}" for parent in reversed(Path(file).parents) if parent.name)):
        (root / folder).mkdir()
        for entry in (goroot / folder).iterdir():
            if not f"src/{file}/".startswith(f"{folder}/{entry.name}/"):
                os.symlink(entry, root / folder / entry.name)
    text = (goroot / "src" / file).read_text()
    # The last one, where one stands several times: of hints, that of most ports.
    *_, found = re.finditer(before, text, re.MULTILINE)
    (root / "src" / file).write_text(text[: found.start()] + found.expand(after) + text[found.end() :])
    return root, text.count("\n", 0, found.start()) + 1


def verified(root: Path, name: str, sets: dict[str, bool]) -> Verified:
    tree = SourceTree(root)
    return source.verify(tree, [figures.compute(platforms.load(name, tree.generation), sets)])


def test_all_ports_of_a_release_are_as_its_own_tree_has_them(goroot: Path) -> None:
    tree = SourceTree(goroot)
    names = platforms.names(tree.generation)
    found = source.verify(tree, [figures.compute(platforms.load(name, tree.generation)) for name in names])
    assert found.era.current and found.broken == []
    for port in found.ports:
        assert port.differences == [] and port.changes == [], port.platform
        assert port.compared > 1000
        assert {one.name for one in port.skipped} <= {"_RLIMIT_AS", "_ENOTSUP", "_EBADF"}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_tree_has_otherwise_is_found_and_located(what: str, goroot: Path, tmp_path: Path) -> None:
    file, before, after, name, sets, figure, computed, value = CHANGES[what]
    root, line = changed(goroot, tmp_path, file, before, after)
    (port,) = verified(root, name, sets).ports
    difference = next(one for one in port.differences if one.name == figure)
    assert (difference.computed, difference.found) == (computed, value)
    if what == "an experiment":  # which is another file of the constant's package then
        assert difference.where.startswith("internal/goexperiment/exp_greenteagc_off.go:")
    elif what == "a struct":  # what stood first has gone down by a line
        assert difference.where == f"{file}:{line + 3}"
    else:
        assert difference.where == f"{file}:{line}"


def test_what_follows_from_a_changed_constant_says_so(goroot: Path, tmp_path: Path) -> None:
    root, _ = changed(goroot, tmp_path, *CHANGES["address bits"][:3])
    (port,) = verified(root, "linux/amd64", {}).ports
    follows = {one.name: one.follows_from for one in port.differences}
    assert follows["heapAddrBits"] == ()
    assert "heapAddrBits" in follows["arenaL2Bits"] and "arenaL2Bits" in follows["arenaBits"]


def test_a_formula_that_says_the_same_in_another_way_is_noted(goroot: Path, tmp_path: Path) -> None:
    root, line = changed(
        goroot,
        tmp_path,
        "runtime/malloc.go",
        r"persistentChunkSize = 256 << 10",
        "persistentChunkSize = 1 << 18",
    )
    (port,) = verified(root, "linux/amd64", {}).ports
    assert port.differences == []
    assert [(change.name, change.theirs, change.where) for change in port.changes] == [
        ("persistentChunkSize", "1 << 18", f"runtime/malloc.go:{line}")
    ]
