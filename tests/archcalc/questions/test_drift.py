"""Claims of comments: found where the figures contradict them, gone where the figures agree."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from allocator.common import sizeclasses
from archcalc import generations
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.questions import drift
from archcalc.questions.drift import Claim, ClaimPlace, Comments, Drift
from archcalc.reading.errors import UsageFault

Sets = Mapping[str, int | str]

GOES: list[tuple[str, str, Sets]] = [
    ("reserve-544-gb", "linux/amd64", {"bitmap_size": 32 << 30}),
    ("page-4k", "linux/arm", {"_PageShift": 12}),
    ("bits-to-choose", "freebsd/amd64", {"fact.user_address_bits": 48}),
    ("addresses-c0-to-df", "linux/amd64", {"_MHeapMap_TotalBits": 36}),
    ("arm64-39-bits", "linux/arm64", {"hint{i}": 0, "_MHeapMap_TotalBits": 37}),
    ("arena-begins-with-bitmap", "linux/386", {"spans_size": 0}),
    ("bitmap-256-mb-64", "linux/s390x", {"ladder_bitmap_size": 256 << 20}),
    ("mips-low-2-gb", "linux/mipsle", {"_MHeapMap_TotalBits": 32}),
    ("limit-ninth", "windows/amd64", {"heapBitmapScale": 8}),
    ("group-of-1-mb", "linux/amd64", {"growUnit": 1 << 20}),
    ("list-of-128-pages", "plan9/386", {"_MaxMHeapList": 129}),
    ("stacks-cached", "darwin/arm", {"_NumStackOrders": 3}),
    ("stack-table-unix", "darwin/arm", {"_StackSystem": 0}),
    ("reserve-checks", "linux/amd64", {"_MHeapMap_TotalBits": 31}),
    ("sample-20-periods", "linux/amd64", {"randomBitCount": 29}),
    ("preempt-hex", "linux/amd64", {"_StackPreempt": 0xFFFFFADE}),
    ("three-bit-arenas", "linux/amd64", {"gcBitsLists": 3}),
    ("spans-page-at-a-time", "linux/amd64", {"fact.phys_page_size": 8192}),
    ("bitmap-chunks", "linux/ppc64le", {"fact.phys_page_size": 8192}),
    ("linker-stack-guard", "windows/386", {"_StackSystem": 0}),
]
"""Claims that --set makes agree with the figures; the two about waste are below."""

COMES: list[tuple[str, str, Sets]] = [
    ("windows-35-bits", "windows/amd64", {"_MHeapMap_TotalBits": 39}),
    ("stack-table-windows-32", "windows/386", {"_NumStackOrders": 4}),
    ("stack-table-windows-64", "windows/amd64", {"_StackSystem": 0}),
    ("stack-table-plan9", "plan9/arm", {"_NumStackOrders": 4}),
    ("most-objects", "linux/amd64", {"maxObjsPerSpan": 512}),
    ("bitmap-256-mb-32", "linux/arm", {"bitmap_size": 128 << 20}),
]
"""Controls: comments that are right, and what would make them wrong."""

CANDIDATES = {
    ("runtime/malloc.go", line)
    for line in (273, 137, 258, 261, 280, 250, 308, 144, 329, 45, 117, 125, 200, 850)
} | {
    ("runtime/stack.go", 108), ("runtime/mheap.go", 207), ("runtime/mheap.go", 445),
    ("runtime/mbitmap.go", 149), ("runtime/mksizeclasses.go", 12), ("runtime/mksizeclasses.go", 23),
    ("cmd/internal/obj/stack.go", 7),
}  # fmt: skip


def found(*names: str, sets: Sets | None = None) -> dict[str, Drift]:
    profiles = [platforms.load(name) for name in names or platforms.names()]
    return {one.claim.id: one for one in drift.compute(profiles, sets)[0]}


def claim(id: str) -> Claim:
    return next(one for one in drift.load(generations.load())[1] if one.id == id)


def test_the_candidates_are_found_and_the_controls_are_not() -> None:
    everywhere = found()
    assert {(one.place.file, one.place.line) for one in everywhere.values()} >= CANDIDATES
    assert not any(one.claim.control for one in everywhere.values())
    controls = {one.id for one in drift.load(generations.load())[1] if one.control}
    assert controls == {id for id, _, _ in COMES}


def test_every_claim_is_tested_to_come_and_go() -> None:
    waste = {"rounding-waste", "worst-overhead"}
    assert {id for id, _, _ in GOES} | waste == set(found())


@pytest.mark.parametrize(("id", "platform", "sets"), GOES)
def test_a_finding_goes_when_the_figures_agree(id: str, platform: str, sets: Sets) -> None:
    assert id in found(platform)
    given = dict(sets)
    if given.pop("hint{i}", None) is not None:
        given |= {f"hint{i}": 0x40 << 32 for i in range(128)}
    assert id not in found(platform, sets=given)


@pytest.mark.parametrize(("id", "platform", "sets"), COMES)
def test_a_finding_comes_when_the_figures_disagree(id: str, platform: str, sets: Sets) -> None:
    assert id not in found(platform)
    assert platform in found(platform, sets=sets)[id].platforms


def with_classes(monkeypatch: pytest.MonkeyPatch, sizes: list[int], pages: list[int]) -> dict[str, Drift]:
    """What is found when the table of size classes is another one."""
    own = sizeclasses.compute()
    table = sizeclasses.SizeClasses(
        own.page_size, own.max_small_size, 8, 1024, 128, tuple(sizes), tuple(pages),
        own.class_to_divmagic, own.size_to_class8, own.size_to_class128,
    )  # fmt: skip
    monkeypatch.setattr(figures.Figures, "size_classes", table)
    # A what-if of its own, since figures without one are kept, table and all.
    return found("linux/amd64", sets={"maxZero": 512})


def test_rounding_wastes_nothing_where_every_size_has_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "rounding-waste" in found("linux/amd64")
    assert "rounding-waste" not in with_classes(monkeypatch, list(range(2049)), [1] * 2049)


def test_the_worst_overhead_is_as_said_for_some_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    # 32 objects of 256 bytes in a page; the smallest size of that class is 202: 8192/(32*202) is 1.267.
    assert "worst-overhead" not in with_classes(monkeypatch, [0, 128, 144, 176, 201, 256], [0, 1, 1, 1, 1, 1])
    assert "worst-overhead" in with_classes(monkeypatch, [0, 128, 144, 176, 208, 256], [0, 1, 1, 1, 1, 1])


def test_measures_against_counting_all_sizes() -> None:
    target = figures.compute(platforms.load("linux/amd64"))
    classes = target.size_classes
    rounded = {n: classes.class_to_size[classes.size_to_class(n)] for n in range(1, 32769)}
    wasted = {n: Fraction(size - n, size) for n, size in rounded.items()}
    assert drift.MEASURES["sizes_rounded_worse"](target, {}) == sum(
        w > Fraction(1, 8) for w in wasted.values()
    )
    assert drift.MEASURES["sizes_rounded_worse"](target, {}) == 776
    assert drift.MEASURES["worst_rounding"](target, {}) == max(w for n, w in wasted.items() if n > 16)
    assert drift.MEASURES["worst_rounded"](target, {}) == 17
    assert drift.MEASURES["worst_rounding_large"](target, {}) == max(w for n, w in wasted.items() if n > 1024)
    over = max(
        Fraction(classes.span_bytes(c), n * classes.objects(c)) - 1
        for n in range(129, 32769)
        for c in [classes.size_to_class(n)]
    )
    assert drift.MEASURES["worst_overhead"](target, {}) == over
    assert f"{float(over):.1%}" == "20.0%"


def test_a_finding_tells_what_is_so_where_and_why() -> None:
    one = found("linux/amd64", "windows/amd64", "linux/arm")["reserve-544-gb"]
    assert one.platforms == ("linux/amd64",)
    assert one.told.startswith("528 GB + 512 MB + 8 KB are reserved: bitmap 16 GB")
    assert [step.name for step in one.derivation] == ["reservation_size", "bitmap_size"]
    assert one.derivation[0].value == 567472562176 and one.derivation[0].steps[-1] == "567472562176"


def test_platforms_that_differ_in_what_is_so_are_distinguished() -> None:
    one = found("linux/amd64", "linux/arm")["limit-ninth"]
    assert dict(one.computed) == {
        "one byte of bitmap describes 32": ("linux/amd64",),
        "one byte of bitmap describes 16": ("linux/arm",),
    }
    assert one.told.endswith("one byte of bitmap describes 16 (linux/arm)")


def test_a_number_of_the_claims_takes_no_words() -> None:
    with pytest.raises(UsageFault, match="randomBitCount set to many; expected a number"):
        found("linux/amd64", sets={"randomBitCount": "many"})


def test_an_unknown_name_is_a_mistake() -> None:
    with pytest.raises(UsageFault, match="unknown name nonsense"):
        found("linux/amd64", sets={"nonsense": 1})


def test_a_what_if_that_leaves_a_claim_without_value_is_a_mistake() -> None:
    with pytest.raises(UsageFault):
        found("linux/amd64", sets={"heapBitmapScale": 0, "_PageSize": 0})


# ---- in a tree ----


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    """A tree that has nothing but the claims' words, each in its line, in a comment or a table."""
    lines: dict[str, dict[int, str]] = {}
    for one in drift.load(generations.load())[1]:
        lines.setdefault(one.file, {})[one.line] = f"// {one.words}"
    for file, words in lines.items():
        path = tmp_path / "go/src" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(words.get(at, "") for at in range(1, max(words) + 1)) + "\n")
    return tmp_path / "go"


def test_comments_are_found_in_their_lines(comments: Path) -> None:
    find = Comments(comments).find
    for one in drift.load(generations.load())[1]:
        assert find(one) == ClaimPlace(one.file, one.line)


def test_comments_that_moved_are_followed(comments: Path) -> None:
    path = comments / "src/runtime/stack.go"
    path.write_text("\n\n\n" + path.read_text())
    assert Comments(comments).find(claim("preempt-hex")) == ClaimPlace("runtime/stack.go", 111, 108)


def test_words_over_several_lines_are_found_where_they_begin(comments: Path) -> None:
    path = comments / "src/runtime/mksizeclasses.go"
    path.write_text("// size might\n//  have a 26.6%\n\t// (1.266x) overhead.\n")
    assert Comments(comments).find(claim("worst-overhead")) == ClaimPlace("runtime/mksizeclasses.go", 1, 23)


def test_of_several_places_the_nearest_counts(comments: Path) -> None:
    path = comments / "src/runtime/stack.go"
    path.write_text("// 0xfffffade in hex.\n" + "\n" * 105 + "// 0xfffffade in hex.\n")
    assert Comments(comments).find(claim("preempt-hex")).line == 107


def test_words_that_have_gone_are_said_to_have(comments: Path) -> None:
    (comments / "src/runtime/stack.go").write_text("// 0xfffffffffffffade in hex.\n")
    (comments / "src/runtime/mbitmap.go").unlink()
    profiles = [platforms.load("linux/amd64"), platforms.load("linux/ppc64")]
    contradicted, gone = drift.compute(profiles, {}, Comments(comments).find)
    assert [one.id for one in gone] == ["preempt-hex", "bitmap-chunks"]
    assert {"preempt-hex", "bitmap-chunks"}.isdisjoint(one.claim.id for one in contradicted)
    assert len(contradicted) > 12


def test_part_of_a_word_is_not_the_words(comments: Path) -> None:
    (comments / "src/runtime/stack.go").write_text("// 0x0xfffffade in hex\n")
    assert Comments(comments).find(claim("preempt-hex")).line == 0


def test_a_folder_that_is_not_a_tree_is_refused(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageFault, match="expected a Go source tree"):
            Comments(root)


def test_a_tree_in_another_folder_is_as_good(comments: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(comments / "src", tmp_path / "only src")
    assert Comments(copy).find(claim("page-4k")).line == 137
