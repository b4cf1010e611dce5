"""Why a machine does not boot, and that each change that is named is enough and no more than enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.boot import try_boot
from archcalc.questions.why import Why, explain_failure

MB = 1 << 20
HOLE = ((0x180000, 0x40000000), (0x50000000, 0xB7000000))


def why(platform: str, sets: dict[str, int | str] | None = None, **options: Any) -> Why:
    found = explain_failure(figures.compute(platforms.load(platform), sets or {}), MachineOptions(**options))
    assert found is not None
    return found


def boots(platform: str, **options: Any) -> bool:
    return try_boot(figures.compute(platforms.load(platform)), MachineOptions(**options)).death is None


def test_nothing_is_wrong_with_what_boots() -> None:
    assert explain_failure(figures.compute(platforms.load("linux/amd64"))) is None


@pytest.mark.parametrize(
    ("platform", "limit"),
    [("linux/386", 200 * MB), ("linux/386", 50 * MB), ("darwin/amd64", 100 * MB), ("linux/amd64", MB // 2)],
)
def test_the_limit_is_raised_by_what_is_needed(platform: str, limit: int) -> None:
    found = why(platform, ulimit_v=limit)
    (change,) = [change for change in found.changes if change.what == "ulimit_v"]
    assert isinstance(change.value, int)
    assert change.more == change.value - limit
    assert boots(platform, ulimit_v=change.value)
    assert not boots(platform, ulimit_v=change.value - 4096)


def test_each_attempt_has_the_rule_that_refused_it() -> None:
    found = why("darwin/amd64", ulimit_v=100 * MB)
    assert [(r.count, r.size) for r in found.refusals] == [
        (128, 567472562176), (1, 675291136), (1, 406855680), (1, 272637952), (1, 138420224),
    ]  # fmt: skip
    assert {r.rules for r in found.refusals} == {("the limit of the address space (ulimit -v)",)}


def test_in_a_band_above_a_rung_the_next_request_is_refused() -> None:
    found = why("linux/386", ulimit_v=808_500_000, image_size=MB)
    assert (found.granted, found.refusals) == (807411712, ())
    by_name = {change.what: change for change in found.changes}
    assert by_name["ulimit_v"].more < 300_000
    image = by_name["image_size"].value
    assert isinstance(image, int)
    assert boots("linux/386", ulimit_v=808_500_000, image_size=image)
    assert not boots("linux/386", ulimit_v=808_500_000, image_size=image + 4096)
    assert "were granted; what the runtime asked for next was refused" in "\n".join(found.lines())


def test_a_range_that_must_go() -> None:
    found = why("android/arm", taken=HOLE)
    ranges = {change.value for change in found.changes if change.what == "taken"}
    assert ranges == {"0x180000-0x40000000", "0x50000000-0xb7000000"}
    assert all("what is mapped there already" in refusal.rules for refusal in found.refusals)


def test_ranges_that_must_go_together() -> None:
    pieces = tuple((start, start + 0x10000) for start in range(0x6000000, 0xBF000000, 0x6000000))
    both = ((0x8000, 0x6000000), *pieces)
    found = why("linux/arm", taken=both)
    (change,) = [change for change in found.changes if change.what == "taken"]
    assert str(change.value).startswith("free at once: ")
    gone = {tuple(int(end, 16) for end in span.split("-")) for span in str(change.value)[14:].split(", ")}
    assert boots("linux/arm", taken=tuple(part for part in both if part not in gone))
    for part in gone:
        rest = tuple(other for other in both if other not in gone or other == part)
        assert not boots("linux/arm", taken=rest)


def test_bits_of_address() -> None:
    (change,) = why("linux/arm64", va_bits=26).changes
    assert (change.what, change.value, change.more) == ("va_bits", 28, 2)
    assert boots("linux/arm64", va_bits=28) and not boots("linux/arm64", va_bits=27)


def test_a_page_size_that_the_runtime_does_not_know() -> None:
    (change,) = why("linux/arm64", believed_page_size=2048).changes
    assert (change.what, change.value) == ("believed_page_size", 4096)


def test_a_what_if_that_must_be_left() -> None:
    (change,) = why("linux/amd64", {"_TinySizeClass": 3, "_FixAllocChunk": 32768}).changes
    assert (change.what, change.value) == ("_TinySizeClass", "unset")


def test_several_things_at_once() -> None:
    found = why("windows/386", commit_limit=4096, taken=((0x10000, 0x7FF00000),))
    assert found.changes == ()
    assert {change.what for change in found.together} == {"the commit limit", "what is mapped there already"}
    assert "No change alone is enough. It would boot with all of these:" in found.lines()


def test_a_segment_of_plan9() -> None:
    found = why("plan9/386", {"segment_limit": 100 * MB})
    (change,) = [change for change in found.changes if change.what == "segment_limit"]
    assert isinstance(change.value, int)
    assert found.refusals[-1].size < change.value < found.refusals[-1].size + MB


def test_a_port_of_the_users_own_has_the_memory_that_its_profile_names(tmp_path: Path) -> None:
    path = tmp_path / "haiku.yaml"
    path.write_text("schema: 1\nplatform: haiku/amd64\ninherit: [linux/amd64]\nos: {mem: bsd}\n")
    computed = figures.compute(platforms.load_file(path))
    assert try_boot(computed).outcome == "booted"
    found = explain_failure(computed, MachineOptions(ulimit_v=MB // 2))
    assert found is not None and found.changes
