"""`smoke` from the command line: every workload, recordings, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archcalc.profiles import platforms
from archcalc.workloads.programs import WORKLOADS


def test_all_38_pass_with_audits_in_between(cli: Any) -> None:
    run = cli("smoke", "all", "-n", "300", "--audit-every", "100", "--format", "json")
    assert run.code == 0
    assert run.json["ok"] is True
    assert [r["platform"] for r in run.json["runs"]] == platforms.names()
    assert all(r["violations"] == [] and r["death"] is None for r in run.json["runs"])
    assert all(r["allocations"] == 300 for r in run.json["runs"])


def test_all_47_of_a_later_release_pass(cli: Any) -> None:
    run = cli("smoke", "all", "--go", "1.27", "-n", "200", "--audit-every", "100", "--format", "json")
    assert run.code == 0
    assert [r["platform"] for r in run.json["runs"]] == platforms.names("1.27")
    assert all(r["violations"] == [] and r["death"] is None for r in run.json["runs"])


@pytest.mark.parametrize("go", ["1.22", "1.27"])
def test_all_workloads_on_a_later_release(go: str, cli: Any) -> None:
    workloads = [word for name in WORKLOADS if name != "exhaust" for word in ("-w", name)]
    run = cli("smoke", "linux/amd64", "linux/386", "--go", go, *workloads, "-n", "300", "--format", "json")
    assert run.code == 0
    assert all(r["violations"] == [] and r["death"] is None for r in run.json["runs"])
    assert all(r["finalizers_run"] > 0 for r in run.json["runs"] if r["workload"] == "finalizers")


def test_a_later_release_runs_out_of_a_small_address_space(cli: Any) -> None:
    words = ("smoke", "linux/386", "--go", "1.27", "-w", "exhaust", "-n", "300", "--format", "json")
    run = cli(*words)
    assert run.code == 0
    assert run.json["runs"][0]["death"]["throw"] == "out of memory"


def test_all_workloads_on_one_platform(cli: Any) -> None:
    run = cli("smoke", "linux/amd64", "-w", "all", "-n", "300", "--format", "json")
    assert run.code == 0
    runs = {r["workload"]: r for r in run.json["runs"]}
    assert list(runs) == list(WORKLOADS)
    assert runs["exhaust"]["death"]["throw"] == "out of memory"
    assert runs["exhaust"]["ok"] is True
    assert runs["finalizers"]["finalizers_run"] > 0


def test_the_same_seed_gives_the_same_document(cli: Any) -> None:
    words = ("smoke", "windows/386", "-n", "400", "--seed", "9", "--format", "json")
    first = cli(*words).json
    assert cli(*words).json == first
    assert cli(*words[:5], "10", *words[6:]).json != first


def test_a_machine_too_small_fails_by_its_words(cli: Any) -> None:
    run = cli("smoke", "linux/386", "--ulimit-v", "200m", "--format", "json")
    assert run.code == 1
    (result,) = run.json["runs"]
    assert result["death"]["throw"] == "runtime: cannot reserve arena virtual address space"


def test_waste_is_reported_by_class(cli: Any) -> None:
    (result,) = cli("smoke", "linux/amd64", "-n", "500", "--format", "json").json["runs"]
    classes = result["classes"]
    for total, part in (
        ("inside_objects", "inside_objects"),
        ("span_tails", "span_tails"),
        ("unfilled_spans", "unfilled_spans"),
    ):
        assert result["waste"][total] == sum(c[part] for c in classes)
    assert result["waste"]["free_pages"] == result["heap"]["idle"]
    assert result["heap"]["sys"] == result["heap"]["inuse"] + result["heap"]["idle"]
    table = cli("smoke", "linux/amd64", "-n", "500").out
    assert "where the memory goes, by size class" in table


@pytest.mark.parametrize("workload", ["procs", "finalizers", "exhaust"])
def test_what_is_recorded_is_replayed(workload: str, cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.trace.gz"
    run = cli("smoke", "linux/386", "-w", workload, "-n", "300", "--record", file)
    assert run.code == 0
    replay = cli("replay", file, "--format", "json")
    assert replay.code == 0
    (trace,) = replay.json["traces"]
    assert trace["mismatches"] == 0
    assert (trace["death"] is not None) == (workload == "exhaust")


def test_a_recording_is_not_overwritten_unasked(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.trace.gz"
    words = ("smoke", "linux/386", "-n", "100", "--record", file)
    assert cli(*words).code == 0
    before = file.read_bytes()
    again = cli(*words, "--seed", "2")
    assert again.code == 2
    assert str(file) in again.err
    assert file.read_bytes() == before
    assert cli(*words, "--seed", "2", "--force").code == 0
    assert file.read_bytes() != before


@pytest.mark.parametrize(
    "words",
    [
        ("smoke", "linux/amd64", "-w", "mixd"),
        ("smoke", "all", "--record", "x.gz"),
        ("smoke", "linux/amd64", "-n", "lots"),
        ("smoke", "linux/amd64", "--record", "no/such/folder/x.gz"),
        ("smoke", "linux/amd64", "--go", "1.27", "--record", "x.gz"),
        ("smoke", "linux/amd64", "--go", "1.27", "--refuse-after", "1m"),
        ("smoke", "linux/amd64", "--go", "1.99"),
    ],
)
def test_mistakes_are_exit_code_2(words: tuple[str, ...], cli: Any) -> None:
    run = cli(*words)
    assert run.code == 2
    assert "Traceback" not in run.err


def test_a_misspelt_workload_suggests_the_right_one(cli: Any) -> None:
    assert "mixed" in cli("smoke", "linux/amd64", "-w", "mixd").err
