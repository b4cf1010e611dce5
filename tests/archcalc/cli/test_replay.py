"""`replay` from the command line: exit codes, messages and documents."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from recordings import NAMES, TRACES, lines_of, write

CONFLICT = "linux-amd64.conflict.off"


def test_the_recordings_in_a_folder_are_reproduced(cli: Any) -> None:
    run = cli("replay", TRACES, "--format", "json")
    assert run.code == 0
    assert run.json["ok"] is True
    traces = run.json["traces"]
    assert [Path(trace["path"]).name for trace in traces] == [f"{name}.trace.gz" for name in NAMES]
    for name, trace in zip(NAMES, traces, strict=True):
        header = json.loads(lines_of(name)[0])
        assert (trace["mismatches"], trace["first_mismatch"]) == (0, None)
        assert (trace["platform"], trace["events"]) == (header["platform"], header["events"])
        assert trace["seconds"] > 0


def altered(tmp_path: Path, start: str, field: int, text: str) -> tuple[Path, int]:
    """A recording with one field of the last line of a kind changed, and that line's number."""
    lines = list(lines_of(CONFLICT))
    at = max(at for at, line in enumerate(lines) if line.startswith(start))
    parts = lines[at].split(" ")
    parts[field] = text
    lines[at] = " ".join(parts)
    return write(tmp_path / "x.trace.gz", lines), at + 1


@pytest.mark.parametrize(
    ("start", "field"),
    [("m ", 5), ("H ", 3), ("M ", 2), ("L ", 4), ("K ", 1), ("s ", 3), ("Q ", 2), ("f ", 2)],
)
def test_a_changed_number_is_exit_code_1_with_its_record(
    start: str, field: int, tmp_path: Path, cli: Any
) -> None:
    path, line = altered(tmp_path, start, field, "7")
    run = cli("replay", path, "--format", "json")
    assert run.code == 1
    assert run.json["ok"] is False
    (trace,) = run.json["traces"]
    first = trace["first_mismatch"]
    assert trace["mismatches"] == 1
    assert (first["record"], first["line"]) == (start[0], line)
    assert first["expected"].split(" ")[field] == "7"
    assert first["found"] != first["expected"]
    table = cli("replay", path)
    assert table.code == 1
    assert f"(line {line}), a record {start[0]}" in table.out
    assert "FAILED: 0 of 1 recording reproduced" in table.out


def test_the_difference_is_a_finding_at_its_line(tmp_path: Path, cli: Any) -> None:
    path, line = altered(tmp_path, "H ", 3, "7")
    run = cli("replay", path, "--format", "sarif")
    assert run.code == 1
    (result,) = run.json["runs"][0]["results"]
    assert result["ruleId"] == "replay-difference"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == line


def test_keep_going_counts_by_record(tmp_path: Path, cli: Any) -> None:
    path, _ = altered(tmp_path, "H ", 4, "7")
    run = cli("replay", path, "--keep-going", "--format", "json")
    assert run.code == 1
    (trace,) = run.json["traces"]
    assert trace["by_record"] == {"H": 1}


def test_a_damaged_recording_is_exit_code_2_with_its_line(tmp_path: Path, cli: Any) -> None:
    lines = list(lines_of(CONFLICT))
    lines[500] = "nonsense"
    path = write(tmp_path / "x.trace.gz", lines)
    run = cli("replay", path)
    assert run.code == 2
    assert f"{path}:501:1: " in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    "data",
    [b"", b"text", gzip.compress(b"{}\n"), gzip.compress(bytes(1000)), b"\x1f\x8b" + bytes(50)],
    ids=["empty", "text", "no header", "zeros", "no gzip"],
)
def test_what_is_not_a_recording_is_exit_code_2(data: bytes, tmp_path: Path, cli: Any) -> None:
    path = tmp_path / "x.trace.gz"
    path.write_bytes(data)
    run = cli("replay", path)
    assert run.code == 2
    assert f"{path}:" in run.err


@pytest.mark.parametrize("words", [("replay", "missing.trace.gz"), ("replay", "."), ("replay",)])
def test_mistakes_are_exit_code_2(words: tuple[str, ...], cli: Any) -> None:
    run = cli(*words)
    assert run.code == 2
    assert "Traceback" not in run.err


def test_a_death_is_reported(cli: Any) -> None:
    run = cli("replay", TRACES / f"{CONFLICT}.trace.gz")
    assert run.code == 0
    assert "died: runtime: address space conflict" in " ".join(run.out.split())


def test_a_profile_of_the_users_own_stands_for_its_platform(tmp_path: Path, cli: Any) -> None:
    profile = tmp_path / "mine.yaml"
    assert cli("profile", "new", "linux/amd64", "--output", profile).code == 0
    assert cli("replay", TRACES / f"{CONFLICT}.trace.gz", "--profile", profile).code == 0


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("os", ["recorded", "model"])
def test_a_damaged_recording_keeps_no_other_from_being_replayed(
    jobs: str, os: str, cli: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("linux-386.ulimit-1g.off", CONFLICT):
        write(folder / f"{name}.trace.gz", list(lines_of(name)))
    whole = (folder / f"{CONFLICT}.trace.gz").read_bytes()
    cut = folder / "cut.trace.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    run = cli("replay", folder, "--jobs", jobs, "--os", os, "--format", "json")
    assert run.code == 2 and str(cut) in run.err and "Traceback" not in run.err
    assert run.json["ok"] is False and [Path(t["path"]).name for t in run.json["traces"]] == [
        "linux-386.ulimit-1g.off.trace.gz",
        f"{CONFLICT}.trace.gz",
    ]
    assert os == "model" or all(trace["mismatches"] == 0 for trace in run.json["traces"])
    assert [Path(one["path"]).name for one in run.json["unreadable"]] == ["cut.trace.gz"]
    alone = cli("replay", cut)
    assert (alone.code, alone.out) == (2, "") and str(cut) in alone.err


def test_a_damaged_recording_is_a_failure_to_ci(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "x.trace.gz").write_bytes(b"no gzip")
    write(tmp_path / "y.trace.gz", list(lines_of("linux-386.ulimit-1g.off")))
    run = cli("replay", tmp_path / "x.trace.gz", tmp_path / "y.trace.gz", "--format", "github")
    assert run.code == 2 and run.out.startswith(f"::error file={tmp_path}/x.trace.gz")
