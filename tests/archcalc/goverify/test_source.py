"""A Go tree against the calculator: exactly what was changed is found, where it was changed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.goverify import changes, source
from archcalc.goverify.comparison import Comparison, Difference
from archcalc.goverify.source import Verified
from archcalc.goverify.tree import SourceTree
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from tests.support import gotree


def targets(*names: str, sets: dict[str, int | str] | None = None) -> list[Figures]:
    return [figures.compute(platforms.load(name), sets) for name in names or platforms.names()]


def verify(root: Path, *names: str, sets: dict[str, int | str] | None = None) -> Verified:
    return source.verify(SourceTree(root), targets(*names, sets=sets))


def all_of(found: Verified) -> list[Difference]:
    return [one for port in found.ports for one in port.differences]


def names(differences: Sequence[Difference]) -> set[str]:
    return {one.name for one in differences}


def by_name(found: Verified, name: str) -> Difference:
    return next(one for one in all_of(found) if one.name == name)


def test_a_true_tree_has_every_value_of_all_ports(whole_tree: Path) -> None:
    found = verify(whole_tree)
    assert len(found.ports) == 38 and found.era.current and not found.broken
    assert all_of(found) == [] and not any(port.changes or port.skipped for port in found.ports)
    assert sum(port.compared for port in found.ports) > 60_000
    assert min(port.compared for port in found.ports) > 1_400


def test_the_real_tree_has_no_difference(real_tree: Path) -> None:
    found = verify(real_tree)
    assert all_of(found) == [] and not any(port.changes or port.skipped for port in found.ports)
    assert sum(port.compared for port in found.ports) > 60_000


def what_follows(platform: str, sets: dict[str, int | str]) -> set[str]:
    """The constants and figures of the layout that a what-if changes, by the calculator itself."""
    (before,), (after,) = targets(platform), targets(platform, sets=sets)
    changed = {n for n, v in before.constants.items() if after.constants[n] != v}
    changed |= {f"sys.{n}" for n, v in before.sys.items() if after.sys[n] != v}
    for name, value in before.engine.package("layout").items():
        if after.engine.value(name).value != value.value:
            changed.add(name.removeprefix("layout."))
    for family in ("hint", "stack_order", "stack_order_cached"):
        values = [one.engine.family_values(f"layout.{family}") for one in (before, after)]
        changed |= {
            f"{family}{i}" for i, (a, b) in enumerate(zip(*values, strict=True)) if a.value != b.value
        }
    for name, struct in before.structs.items():
        other = after.structs[name]
        changed |= {name} if struct.size != other.size else set()
        for one, two in zip(struct.fields, other.fields, strict=True):
            changed |= {f"{name}.{one.name}"} if one.offset != two.offset else set()
            changed |= {f"{name}.{one.name} size"} if one.size != two.size else set()
    return changed


@pytest.mark.parametrize(
    ("platform", "file", "old", "new", "sets"),
    [
        ("linux/amd64", "runtime/sizeclasses.go", "_PageShift = 13", "_PageShift = 14",
         {"_PageShift": 14, "_NumSizeClasses": 67}),
        ("windows/386", "runtime/malloc.go", "32 * 1024", "16 * 1024", {"_StackCacheSize": 16384}),
        ("linux/mips", "runtime/malloc.go", "_MaxArena32 = 1<<32 - 1", "_MaxArena32 = 1<<31 - 1",
         {"_MaxArena32": (1 << 31) - 1}),
        ("plan9/amd64", "runtime/stack.go", "_StackMin = 2048", "_StackMin = 4096", {"_StackMin": 4096}),
        ("solaris/amd64", "runtime/mgcwork.go", "_WorkbufSize = 2048", "_WorkbufSize = 4096",
         {"_WorkbufSize": 4096}),
    ],
)  # fmt: skip
def test_a_changed_constant_is_found_with_all_that_follows_and_nothing_else(
    tree: Path, platform: str, file: str, old: str, new: str, sets: dict[str, int | str]
) -> None:
    line = gotree.edit(tree, file, old, new)
    found = verify(tree, platform)
    name = next(iter(sets))
    # The tables of size classes are written out in a tree, and follow from nothing there.
    assert names(all_of(found)) == what_follows(platform, sets)
    root = by_name(found, name)
    assert (root.where, root.follows_from, root.found) == (f"{file}:{line}", (), sets[name])
    assert {one.name for one in all_of(found) if not one.follows_from} == {name}
    # Said to the calculator too, nothing is different any more but those tables.
    again = verify(tree, platform, sets=sets)
    assert all(one.name.startswith(("class_to_", "size_to_")) for one in all_of(again))


def test_a_difference_names_both_sides(tree: Path) -> None:
    line = gotree.edit(
        tree, "runtime/malloc.go", "const _FixAllocChunk = 16 << 10", "const _FixAllocChunk = 8 << 10"
    )
    (one,) = all_of(verify(tree, "linux/arm"))
    assert one.where == f"runtime/malloc.go:{line}" and one.theirs == "8 << 10"
    assert (one.formula, one.source) == ("16 << 10", "runtime/malloc.go:116")
    assert (one.computed, one.found) == (16384, 8192)


def test_a_value_that_changed_on_one_port_alone_is_found_there(tree: Path) -> None:
    line = gotree.edit(tree, "runtime/defs_linux_ppc64le.go", "_MAP_FIXED = 16", "_MAP_FIXED = 32")
    found = all_of(verify(tree))
    assert [(one.platform, one.name, one.where) for one in found] == [
        ("linux/ppc64le", "_MAP_FIXED", f"runtime/defs_linux_ppc64le.go:{line}")
    ]


def test_a_formula_that_changed_without_its_value_is_noted(tree: Path) -> None:
    gotree.edit(tree, "runtime/malloc.go", "_FixAllocChunk = 16 << 10", "_FixAllocChunk = 4 * _PageSize / 2")
    (port,) = verify(tree, "linux/amd64").ports
    assert port.differences == []
    (change,) = port.changes
    assert (change.name, change.theirs) == ("_FixAllocChunk", "4 * _PageSize / 2")


def test_a_number_written_as_a_formula_is_noted(tree: Path) -> None:
    arch = "runtime/internal/sys/arch_amd64.go"
    gotree.edit(tree, arch, "HugePageSize = 1 << 21", "HugePageSize = 2 << 20")
    gotree.edit(tree, arch, "CacheLineSize = 64", "CacheLineSize = 1 << 6")
    gotree.edit(tree, arch, "PCQuantum = 1", "PCQuantum = 0x1")
    (port,) = verify(tree, "linux/amd64").ports
    assert port.differences == []
    assert [(change.name, change.formula) for change in port.changes] == [
        ("sys.CacheLineSize", "64"), ("sys.HugePageSize", "1 << 21"),
    ]  # fmt: skip


def test_spaces_are_no_change_of_a_formula(tree: Path) -> None:
    gotree.edit(tree, "runtime/malloc.go", "_FixAllocChunk = 16 << 10", "_FixAllocChunk = 16<<10 // 16 KB")
    (port,) = verify(tree, "linux/amd64").ports
    assert (port.differences, port.changes) == ([], [])


def test_a_constant_gone_or_new_on_a_port_is_found(tree: Path) -> None:
    gotree.edit(tree, "runtime/defs_linux_arm64.go", "const _MADV_HUGEPAGE = 14", "")
    path = tree / "src/runtime/extra_windows.go"
    path.write_text("package runtime\n\nconst _MADV_FREE = 8\n")
    found = all_of(verify(tree, "linux/arm64", "windows/amd64", "linux/amd64"))
    assert [(one.platform, one.name, one.computed, one.found) for one in found] == [
        ("linux/arm64", "_MADV_HUGEPAGE", 14, None),
        ("windows/amd64", "_MADV_FREE", None, 8),
    ]


def test_another_build_constraint_moves_a_file_to_other_ports(tree: Path) -> None:
    path = tree / "src/runtime/internal/sys/intrinsics.go"
    path.write_text("// +build arm\n\n" + path.read_text().partition("\n\n")[2])
    found = all_of(verify(tree, "linux/amd64", "linux/arm"))
    assert {(one.platform, one.name) for one in found} == {
        ("linux/amd64", "sys.deBruijn32"), ("linux/amd64", "sys.deBruijn64"),
    }  # fmt: skip


def test_a_type_that_grew_moves_what_stands_behind(tree: Path) -> None:
    line = gotree.edit(tree, "runtime/mheap.go", "\tfreeindex uintptr", "\tfreeindex, more uintptr")
    found = verify(tree, "linux/amd64")
    assert by_name(found, "mspan").found == 160
    assert by_name(found, "mspan.nelems").found == 64
    new = by_name(found, "mspan.more")
    assert (new.computed, new.found, new.where) == (None, 56, f"runtime/mheap.go:{line}")
    assert "mspan.freeindex" not in names(all_of(found)) and "mcache" not in names(all_of(found))


def test_a_field_of_another_type_but_the_same_size_is_noted(tree: Path) -> None:
    gotree.edit(tree, "runtime/mheap.go", "\tallocBits *uint8", "\tallocBits *byte")
    (port,) = verify(tree, "linux/arm").ports
    assert port.differences == [] and [change.name for change in port.changes] == ["mspan.allocBits"]


@pytest.mark.parametrize(
    ("table", "old", "new", "name"),
    [
        ("class_to_size", "{0, 8, 16, 32, 48,", "{0, 8, 16, 32, 56,", "class_to_size[4]"),
        ("class_to_divmagic", "{3, 0, 1, 65528}", "{3, 0, 1, 65529}", "class_to_divmagic[1].baseMask"),
        ("size_to_class128", "uint8{31, 32, 33,", "uint8{31, 32, 34,", "size_to_class128[2]"),
    ],
)
def test_a_changed_entry_of_a_table_is_found(tree: Path, table: str, old: str, new: str, name: str) -> None:
    line = gotree.edit(tree, "runtime/sizeclasses.go", old, new)
    (one,) = all_of(verify(tree, "linux/arm"))
    assert (one.name, one.where) == (name, f"runtime/sizeclasses.go:{line}")


def test_tables_that_were_not_generated_again_are_noted(tree: Path) -> None:
    gotree.edit(tree, "runtime/sizeclasses.go", "_PageShift = 13", "_PageShift = 14")
    (port,) = verify(tree, "linux/arm").ports
    assert [change.name for change in port.changes] == [
        "class_to_size", "class_to_allocnpages", "class_to_divmagic", "size_to_class8", "size_to_class128",
    ]  # fmt: skip


def test_an_entry_more_or_less_is_found(tree: Path) -> None:
    path = tree / "src/runtime/sizeclasses.go"
    path.write_text(path.read_text().replace("0, 8, 16, 32, 48,", "0, 8, 16, 24, 32, 48,", 1))
    found = all_of(verify(tree, "linux/arm"))
    assert by_name(verify(tree, "linux/arm"), "class_to_size[67]").computed is None
    assert len([one for one in found if one.name.startswith("class_to_size[")]) == 67 - 3 + 1


def test_hints_the_number_of_tries_and_the_ladder_are_read_from_mallocinit(tree: Path) -> None:
    line = gotree.edit(tree, "runtime/malloc.go", "uintptrMask&(0x00c0<<32)", "uintptrMask&(0x00e0<<32)")
    gotree.edit(tree, "runtime/malloc.go", "i <= 0x7f", "i < 0x7f")
    rung = gotree.edit(tree, "runtime/malloc.go", "\t\t\t256 << 20,", "\t\t\t300 << 20,")
    found = verify(tree, "linux/amd64", "linux/arm64", "linux/arm")
    amd64, arm64, arm = (names(port.differences) for port in found.ports)
    assert amd64 == {f"hint{i}" for i in range(128)} | {"ladder1", "ladder_arena1"}
    assert arm64 == {"hint127", "ladder1", "ladder_arena1"}
    assert arm == {"ladder1", "ladder_arena1"}
    assert by_name(found, "hint3").where == f"runtime/malloc.go:{line}"
    assert by_name(found, "ladder_arena1").where == f"runtime/malloc.go:{rung}"
    assert by_name(found, "hint127").found is None


def test_a_reservation_by_another_formula_is_followed(tree: Path) -> None:
    gotree.edit(
        tree,
        "runtime/malloc.go",
        "\t\tspansSize = round(spansSize, _PageSize)\n\t\tfor",
        "\t\tspansSize *= 2\n\t\tfor",
    )
    found = verify(tree, "linux/amd64")
    assert names(all_of(found)) == {"spans_size", "spans_usable", "reservation_size"}
    assert by_name(found, "spans_size").found == 1 << 30


def test_an_endless_mallocinit_is_given_up(tree: Path) -> None:
    gotree.edit(tree, "runtime/malloc.go", "i <= 0x7f; i++", "i <= 0x7f; i = 0")
    found = verify(tree, "linux/amd64")
    why = by_name(found, "arena_size").why
    assert "does not terminate" in why


def test_a_cache_of_stacks_under_another_condition_is_found(tree: Path) -> None:
    line = gotree.edit(tree, "runtime/stack.go", "n < _StackCacheSize", "n < _StackCacheSize/2")
    (one,) = all_of(verify(tree, "linux/amd64"))
    assert (one.name, one.found, one.where) == ("stack_order_cached3", False, f"runtime/stack.go:{line}")


# ---- broken and partial trees ----


def test_a_file_that_is_missing_is_reported_and_the_rest_compared(tree: Path) -> None:
    (tree / "src/runtime/mgcwork.go").unlink()
    found = verify(tree, "linux/amd64")
    assert all_of(found) == [] and found.ports[0].compared > 1500
    why = {one.name: one.why for one in found.ports[0].skipped}
    assert why["_WorkbufSize"] == why["workbuf"] == "runtime/mgcwork.go could not be read"
    assert [str(one) for one in found.broken] == ["runtime/mgcwork.go: is missing"]


def test_a_part_of_a_tree_is_compared_as_far_as_it_goes(tree: Path) -> None:
    for file in ("malloc.go", "mgcsweepbuf.go"):
        (tree / "src/runtime" / file).unlink()
    found = verify(tree, "linux/amd64")
    assert found.era.name == "a part of a tree" and found.ports[0].compared > 800
    assert {one.file for one in found.broken} == {"runtime/malloc.go", "runtime/mgcsweepbuf.go"}
    assert all_of(found) == []


def test_what_was_removed_is_found_though_another_file_is_missing(tree: Path) -> None:
    (tree / "src/runtime/mgcwork.go").unlink()
    gotree.edit(tree, "runtime/sema.go", "const semTabSize = 251", "")
    assert names(all_of(verify(tree, "linux/amd64"))) == {"semTabSize"}


def test_a_syntax_error_is_reported_with_its_line_and_the_rest_compared(tree: Path) -> None:
    line = gotree.edit(tree, "runtime/mprof.go", "const maxStack = 32", "const maxStack = = 32 ((")
    found = verify(tree, "linux/amd64")
    assert [(one.file, one.line) for one in found.broken] == [("runtime/mprof.go", line)]
    assert all_of(found) == [] and found.ports[0].compared > 1500


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"\xff\xfe" * 999, b"package x\n" + b"(" * 20000])
def test_a_file_of_anything_is_survived(tree: Path, data: bytes) -> None:
    (tree / "src/runtime/malloc.go").write_bytes(data)
    found = verify(tree, "linux/amd64", "linux/arm")
    assert sum(port.compared for port in found.ports) > 1500


def test_a_constant_that_follows_from_itself_is_not_an_endless_loop(tree: Path) -> None:
    gotree.edit(tree, "runtime/malloc.go", "const _PageSize = 1 << _PageShift", "const _PageSize = pageSize")
    found = verify(tree, "linux/amd64")
    assert by_name(found, "_PageSize").found is None
    assert "follows from itself" in by_name(found, "_PageSize").why


def test_a_long_chain_of_constants_is_not_an_overflow_of_the_stack(tree: Path) -> None:
    chain = "\n".join(f"const c{i} = c{i + 1} + 1" for i in range(5000))
    (tree / "src/runtime/chain.go").write_text(f"package runtime\n{chain}\nconst c5000 = 1\n")
    gotree.edit(tree, "runtime/hashmap.go", "maxZero = 1024", "maxZero = c0")
    assert by_name(verify(tree, "linux/arm"), "maxZero").found is None


def test_a_folder_that_is_not_a_tree_is_refused(tmp_path: Path) -> None:
    for root, words in ((tmp_path, "has no src/runtime"), (tmp_path / "nowhere", "is not a folder")):
        with pytest.raises(UsageFault, match=words):
            SourceTree(root)


def test_src_itself_may_be_named(whole_tree: Path) -> None:
    assert all_of(verify(whole_tree / "src", "linux/arm")) == []


# ---- other generations ----


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("type heapArena struct {\n\tspans [8192]*mspan\n}", "sparse arenas"),
        ("type heapArena struct {}\ntype pageAlloc struct {}", "sparse arenas with a page allocator"),
        ("", "no generation that is known"),
    ],
)
def test_another_generation_is_named_and_what_it_has_is_compared(
    tree: Path, declared: str, name: str
) -> None:
    path = tree / "src/runtime/malloc.go"
    lines = [line for line in path.read_text().split("\n") if "_MHeapMap_TotalBits" not in line]
    path.write_text("\n".join(lines) + f"\n{declared}\n")
    found = verify(tree, "linux/amd64")
    assert found.era.name == name and not found.era.current and "_MHeapMap_TotalBits" in found.era.why
    assert found.ports[0].compared > 1000
    assert {"_MHeapMap_TotalBits"} <= {one.name for one in found.ports[0].skipped}


def test_a_runtime_in_c_is_recognised(tree: Path) -> None:
    (tree / "src/runtime/mheap.c").write_text("// C\n")
    assert verify(tree, "linux/arm").era.go == "Go 1.4 or earlier"


# ---- two trees ----


def test_what_a_patch_changes(whole_tree: Path, tree: Path) -> None:
    gotree.edit(tree, "runtime/malloc.go", "_TinySize = 16", "_TinySize = 32")
    gotree.edit(tree, "runtime/malloc.go", "_FixAllocChunk = 16 << 10", "_FixAllocChunk = 1 << 14")
    found = changes.compare(SourceTree(whole_tree), SourceTree(tree), targets("linux/amd64", "linux/arm"))
    for port in found.ports:
        assert [(one.name, one.computed, one.found) for one in port.differences] == [
            ("_TinySize", 16, 32), ("maxTinySize", 16, 32),
        ]  # fmt: skip
        assert port.differences[1].follows_from == ("_TinySize",)
        assert [change.name for change in port.changes] == ["_FixAllocChunk"]


def test_the_same_tree_twice_has_no_changes(whole_tree: Path) -> None:
    found = changes.compare(SourceTree(whole_tree), SourceTree(whole_tree), targets("windows/amd64"))
    (port,) = found.ports
    assert (port.differences, port.changes) == ([], []) and port.compared > 1500


def test_a_tree_in_which_a_constant_was_lost(whole_tree: Path, tree: Path) -> None:
    gotree.edit(tree, "runtime/sema.go", "const semTabSize = 251", "")
    found = changes.compare(SourceTree(whole_tree), SourceTree(tree), targets("linux/arm"))
    (one,) = all_of(found)
    assert (one.name, one.computed, one.found) == ("semTabSize", 251, None)


def test_comparing_elements_one_by_one_counts_them_as_at_once() -> None:
    short, long = Comparison("x"), Comparison("x", recording=True)
    for one in (short, long):
        assert one.values("t[{}]", [1, 2], [1, 2], ["a"])
        assert not one.values("t[{}]", [1, 2], [1], ["a"])
    assert short.compared == long.compared == 4
    assert short.differences == long.differences


def test_a_copy_of_the_tree_is_as_good(whole_tree: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(whole_tree, tmp_path / "a b ü")
    assert all_of(verify(copy, "nacl/amd64p32")) == []


def test_a_constant_that_the_tables_lack_is_reported(tree: Path) -> None:
    # As dragonfly has it in its own file: an idea of the tables under a name of its own.
    more = "const stackMin = 0\n\nconst quiteNew = 1 << 4\n\nconst _StackMin"
    gotree.edit(tree, "runtime/stack.go", "const _StackMin", more)
    (port,) = verify(tree, "linux/amd64").ports
    (difference,) = port.differences
    assert (difference.name, difference.computed, difference.found) == ("stackMin", None, 0)
    assert difference.why == "the tables know _StackMin only"
    (unlisted,) = port.unlisted
    assert (unlisted.name, unlisted.theirs) == ("quiteNew", "1 << 4")


def test_stack_system_of_dragonfly_is_the_system_own_and_zero() -> None:
    dragonfly, freebsd = targets("dragonfly/amd64", "freebsd/amd64")
    assert dragonfly.constants["stackSystem"] == 0
    assert "stackSystem" not in freebsd.constants
