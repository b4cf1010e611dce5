"""Sweep files: grids and lists become points, and every mistake is told at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.sweeps.load import SweepFault, load

RECORDINGS = Path(__file__).parents[2] / "data" / "version2"


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def test_a_grid_is_every_combination_the_last_key_changing_fastest(tmp_path: Path) -> None:
    sweep = load(
        written(
            tmp_path,
            """
schema: 1
grid:
  platform: [linux/amd64, linux/386]
  set: {_PageShift: [13, 14]}
  machine: {ulimit_v: [1g, 2g]}
  workload: tiny
  seed: [1, 2]
  n: 100
""",
        )
    )
    assert sweep.name == "sweep"
    assert len(sweep.points) == 16
    assert [p.number for p in sweep.points] == list(range(16))
    assert [p.seed for p in sweep.points[:4]] == [1, 2, 1, 2]
    assert sweep.points[2].machine == (("ulimit_v", 2 << 30),)
    assert sweep.points[4].sets == (("_PageShift", 14),)
    assert {p.profile.platform for p in sweep.points[8:]} == {"linux/386"}
    assert all((p.workload, p.n) == ("tiny", 100) for p in sweep.points)


def test_points_stand_after_the_grid_and_patterns_make_several(tmp_path: Path) -> None:
    sweep = load(
        written(
            tmp_path,
            """
schema: 1
name: both
grid: {platform: plan9/*}
points:
  - {platform: windows/*, workload: none}
  - {set: {_MaxSmallSize: 16k}, classes: eighths, gogc: 100, procs: 2}
figures: [_NumSizeClasses]
""",
        )
    )
    names = [p.profile.platform for p in sweep.points]
    assert names == ["plan9/386", "plan9/amd64", "plan9/arm", "windows/386", "windows/amd64", "linux/amd64"]
    last = sweep.points[-1]
    assert (last.sets, last.classes, last.gogc, last.procs) == (
        (("_MaxSmallSize", 16384),),
        "eighths",
        100,
        2,
    )
    assert last.constants == ("_NumSizeClasses",)


def test_a_histogram_is_read_from_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_bytes(b'\xef\xbb\xbfsize,count\r\n# small\r\n16,3\r\n"100" , 2\r\n\r\n')
    sweep = load(written(tmp_path, "schema: 1\ngrid: {histogram: h.csv, seed: [1, 2]}\n"))
    histogram = sweep.points[1].histogram
    assert histogram is not None
    assert (histogram.name, histogram.sizes, histogram.objects) == ("h.csv", ((16, 3), (100, 2)), 5)


def test_ranges_that_others_have_are_one_value_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "m.maps").write_text("00400000-00500000 r-xp 00000000 08:01 7 /bin/x\n")
    sweep = load(
        written(
            tmp_path,
            """
schema: 1
grid: {machine: {taken: ["0xc000000000+1g,0x8200000-0x9000000", 0xc000000000-0xc100000000]}}
points: [{machine: {maps: m.maps}}]
""",
        )
    )
    assert [point.said().get("machine.taken") for point in sweep.points] == [
        "0xc000000000+1g,0x8200000-0x9000000", "0xc000000000-0xc100000000", None,
    ]  # fmt: skip
    assert sweep.points[2].said()["machine.maps"] == "m.maps"
    assert [point.options().taken for point in sweep.points] == [
        ((0xC000000000, 0xC040000000), (0x8200000, 0x9000000)), ((0xC000000000, 0xC100000000),),
        ((0x400000, 0x500000),),
    ]  # fmt: skip
    (tmp_path / "m.maps").write_text("00400000-00600000 r-xp 00000000 08:01 7 /bin/x\n")
    assert load(tmp_path / "sweep.yaml").key != sweep.key


def test_the_key_changes_with_what_the_rows_depend_on(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("16,3\n")
    text = "schema: 1\ngrid: {histogram: h.csv, seed: [1, 2]}\n"
    key = load(written(tmp_path, text)).key
    assert load(written(tmp_path, "# a comment\n" + text)).key == key
    (tmp_path / "h.csv").write_text("16,4\n")
    keys = {key, load(tmp_path / "sweep.yaml").key}
    keys.add(load(written(tmp_path, text.replace("2]", "3]"))).key)
    keys.add(load(written(tmp_path, text + "figures: [_PageSize]\n")).key)
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("schema: 1\n", "1:1", "nothing to sweep"),
        ("grid: {}\n", "1:1", "no schema"),
        ("schema: 2\ngrid: {}\n", "1:9", "schema is 2"),
        ("schema: 1\ngird: {}\n", "2:1", "did you mean grid?"),
        ("schema: 1\ngrid:\n  workload: mixt\n", "3:13", "did you mean mixed?"),
        ("schema: 1\ngrid:\n  platform: linux/amd46\n", "3:13", "linux/amd64"),
        ("schema: 1\ngrid:\n  seed: [1, x]\n", "3:13", "seed"),
        ("schema: 1\ngrid:\n  seed: []\n", "3:9", "at least 1"),
        ("schema: 1\ngrid:\n  machine: {ulimit: 1g}\n", "3:13", "did you mean ulimit_v?"),
        ("schema: 1\ngrid:\n  machine: {taken: 0x5-0x3}\n", "3:20", "ends where it begins"),
        ("schema: 1\ngrid:\n  machine: {taken: 0x5}\n", "3:20", "FROM-TO"),
        ("schema: 1\npoints:\n  - {n: [1, 2]}\n", "3:9", "n is a list"),
        ("schema: 1\ngrid: {histogram: h.csv, workload: tiny}\n", "2:36", "one of them"),
        ("schema: 1\ngrid: {recording: r.trace, workload: tiny}\n", "2:38", "one of them"),
        ("schema: 1\ngrid: {recording: r.trace, histogram: h.csv}\n", "2:19", "one of them"),
        ("schema: 1\ngrid: {recording: r.trace}\n", "2:19", "r.trace cannot be read"),
        ("schema: 1\ngrid: {n: [1, 2], n: 3}\n", "2:19", "n"),
    ],
)
def test_mistakes_are_reported_at_their_place(text: str, place: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("16,3\n")
    path = written(tmp_path, text)
    with pytest.raises(SweepFault) as caught:
        load(path)
    assert any(line.startswith(f"{path}:{place}: ") and words in line for line in caught.value.located), (
        caught.value.located
    )


def test_the_key_changes_with_a_recording(tmp_path: Path) -> None:
    text = "schema: 1\ngrid: {recording: r.trace.gz}\n"
    keys = set()
    for name in ("go1.27-linux-amd64", "go1.26-linux-amd64"):
        (tmp_path / "r.trace.gz").write_bytes((RECORDINGS / f"{name}.trace.gz").read_bytes())
        keys.add(load(written(tmp_path, text)).key)
    assert len(keys) == 2


def test_a_damaged_recording_is_reported_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "r.trace").write_text("m 8 1 z 0 c000000000\n")
    with pytest.raises(SweepFault) as caught:
        load(written(tmp_path, "schema: 1\ngrid: {recording: r.trace}\n"))
    assert caught.value.located[0].startswith(f"{tmp_path / 'r.trace'}:1")


@pytest.mark.parametrize(
    ("text", "place"),
    [("16\n", "1:1"), ("16,1\nx,2\n", "2:1"), ("16,-1\n", "1:1"), ("16,1,2\n", "1:1"), ("16,0\n", "1:1"),
     ("16,100000000\n", "1:1"), ("", "1:1")],
)  # fmt: skip
def test_mistakes_of_a_histogram_are_reported_at_their_place(text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(SweepFault) as caught:
        load(written(tmp_path, "schema: 1\ngrid: {histogram: h.csv}\n"))
    assert caught.value.located[0].startswith(f"{tmp_path / 'h.csv'}:{place}: ")


def test_files_that_are_not_there_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SweepFault, match=r"h\.csv: cannot be read"):
        load(written(tmp_path, "schema: 1\ngrid: {histogram: h.csv}\n"))
    with pytest.raises(SweepFault, match=r"p\.yaml: "):
        load(written(tmp_path, "schema: 1\ngrid: {profile: p.yaml}\n"))
    with pytest.raises(SweepFault, match=r"m\.maps: cannot be read"):
        load(written(tmp_path, "schema: 1\ngrid: {machine: {maps: m.maps}}\n"))
    with pytest.raises(SweepFault, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_grid_that_is_absurdly_large_is_refused(tmp_path: Path) -> None:
    many = ", ".join(map(str, range(2000)))
    with pytest.raises(SweepFault, match="at most 1000000"):
        load(written(tmp_path, f"schema: 1\ngrid: {{seed: [{many}], n: [{many}]}}\n"))
