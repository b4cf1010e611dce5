"""`--go DIR` on trees whose heap lies in one piece, as that of 7aefdfded does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from archcalc import checks, generations
from archcalc.calculator.figures import compute
from archcalc.generations import CURRENT
from archcalc.goverify import anytree
from archcalc.goverify.release import constraint_of
from archcalc.profiles import platforms
from archcalc.reading.errors import ProfileFault, UsageFault


@pytest.fixture(scope="module")
def read(whole_tree: Path) -> anytree.AnyTree:
    return anytree.read(whole_tree)


@pytest.mark.parametrize("platform", platforms.names())
def test_constants_and_types_are_those_of_the_tables(read: anytree.AnyTree, platform: str) -> None:
    profile = platforms.load(platform)
    theirs, ours = compute(profile, go=read.generation), compute(profile)
    assert theirs.constants == ours.constants and theirs.sys == ours.sys
    sizes = {name: (struct.size, struct.align) for name, struct in ours.structs.items()}
    assert {name: (struct.size, struct.align) for name, struct in theirs.structs.items()} == sizes


def test_a_mallocinit_of_another_shape_is_reported_and_the_rest_is_given(read: anytree.AnyTree) -> None:
    assert read.nearest == CURRENT
    (mallocinit,) = (one for one in read.unknown if one.function == "mallocinit")
    assert "arena_size" in mallocinit.figures
    figures = compute(platforms.load("linux/amd64"), go=read.generation)
    assert "arena_size" not in figures.areas and not figures.has_layout
    with pytest.raises(UsageFault, match="has no reservation_size"):
        _ = figures.layout
    judged = {case.id for case in checks.run(checks.registry().values(), [figures])}
    assert "layout.bitmap-covers-arena" in checks.registry() and "layout.bitmap-covers-arena" not in judged
    assert "constants.page-size" in judged


def test_a_port_of_a_fork_needs_a_profile(whole_tree: Path, tmp_path: Path) -> None:
    fork = tmp_path / "go"
    shutil.copytree(whole_tree, fork)
    (fork / "src/cmd/dist").mkdir(parents=True, exist_ok=True)
    (fork / "src/cmd/dist/build.go").write_text(
        'package main\n\nvar cgoEnabled = map[string]bool{\n\t"linux/amd64": true,\n\t"linux/z80": true,\n}\n'
    )
    name = generations.adopt(anytree.read(fork).generation)
    assert [one.platform for one in platforms.resolve(["all"], go=name)] == ["linux/amd64"]
    assert platforms.without_profile(name) == ["linux/z80"]
    with pytest.raises(ProfileFault, match="profile new linux/z80"):
        platforms.load("linux/z80", name)


def test_the_tree_of_7aefdfded_gives_all_figures_of_its_tables(real_tree: Path) -> None:
    found = anytree.read(real_tree)
    assert not found.unknown
    for platform in platforms.names():
        profile = platforms.load(platform)
        theirs, ours = compute(profile, go=found.generation), compute(profile)
        assert theirs.constants == ours.constants and theirs.sys == ours.sys and theirs.layout == ours.layout


def test_a_changed_hint_of_the_tree_of_7aefdfded_is_followed(real_tree: Path, tmp_path: Path) -> None:
    fork = tmp_path / "go"
    for package in ("runtime", "cmd/dist"):
        shutil.copytree(real_tree / "src" / package, fork / "src" / package)
    malloc = fork / "src/runtime/malloc.go"
    malloc.write_text(malloc.read_text().replace("uintptrMask&(0x00c0<<32)", "uintptrMask&(0x00d0<<32)"))
    found = anytree.read(fork)
    figures = compute(platforms.load("linux/amd64"), go=found.generation)
    assert not found.unknown and figures.layout.hints[1].address == 1 << 40 | 0xD0 << 32


@pytest.mark.parametrize(
    ("name", "header", "constraint"),
    [
        ("intrinsics.go", "// +build !386", "!386"),
        ("os_linux_generic.go", "// +build !mips\n// +build linux", "!mips && linux"),
        ("os_linux.go", "//+build !mips,!arm ppc64", "linux && ((!mips && !arm) || ppc64)"),
        ("os.go", "// +build a b\n// +build c", "(a || b) && c"),
        ("os.go", "//go:build a && b\n// +build x", "a && b"),
        ("os_plan9.go", "// no constraint", "plan9"),
    ],
)
def test_the_constraints_of_older_files_are_read_as_those_of_later_ones(
    name: str, header: str, constraint: str
) -> None:
    assert constraint_of(name, f"// A comment.\n\n{header}\n\npackage runtime\n".encode()) == constraint


def test_every_row_of_the_layout_belongs_to_a_function_whose_shape_is_noted() -> None:
    from archcalc.goverify import shapes

    generation = generations.load(CURRENT)
    named = {row.name for of in shapes.anchors(generation).values() for row in of}
    single = {of[0].name for name, of in generation.rows.items() if name.startswith("layout.")}
    families = {of[0].name for name, of in generation.families.items() if name.startswith("layout.")}
    assert named == single | families
