"""`replay --os model` of recordings by `archcalc record`: a simulated kernel in the recorded one's place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"
RECORDINGS = sorted((DATA / "version2").glob("*.trace.gz"))
DEATH = DATA / "version2" / "go1.27-linux-amd64-death.trace.gz"


def replayed(cli: Any, path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    run = cli("replay", "--os", "model", path, *options, "--format", "json")
    (trace,) = run.json["traces"]
    assert (run.code == 0) == run.json["ok"]
    return run.code, trace


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name[:-9])
def test_every_recording_comes_out_on_a_simulated_kernel(path: Path, cli: Any) -> None:
    """Under the limit of its address space a program dies at the recorded event of the simulated refusal."""
    code, trace = replayed(cli, path)
    answers = trace["answers"]
    assert (code, trace["mismatches"], answers["different"], answers["neighbour"]) == (0, 0, 0, 0)
    assert answers["same"] + answers["elsewhere"] > 10
    assert (trace["death"] or {}).get("throw") == ("out of memory" if path == DEATH else None)


def changed(tmp_path: Path, path: Path, old: str, new: str) -> Path:
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    target = tmp_path / path.name
    target.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))
    return target


@pytest.mark.parametrize("limit", [900_000_000, 700_000_000])
def test_under_another_limit_answers_differ(limit: int, tmp_path: Path, cli: Any) -> None:
    path = changed(tmp_path, DEATH, '"ulimit_v": 780000000', f'"ulimit_v": {limit}')
    code, trace = replayed(cli, path)
    assert code == 1
    first = trace["answers"]["first"]["different"][0]
    assert isinstance(first["modelled"], int) == (limit > 780_000_000)


def test_what_takes_room_is_a_neighbour(cli: Any) -> None:
    """The first arena's place is taken: the simulated heap lies elsewhere than the recorded one."""
    path = next(path for path in RECORDINGS if path.name == "go1.25-linux-amd64.trace.gz")
    _, trace = replayed(cli, path, "--taken", "0xc000000000+4m")
    assert trace["answers"]["elsewhere"] or trace["answers"]["different"]
    (call, *_) = [
        call
        for kind in ("elsewhere", "different")
        for call in trace["answers"]["first"].get(kind, ())
        if call["address"] == 0xC000000000
    ]
    assert call["recorded"] == 0xC000000000 != call["modelled"]


def test_an_execution_trace_has_no_answers(cli: Any, tmp_path: Path) -> None:
    imported = tmp_path / "x.trace.gz"
    trace = DATA / "execution" / "go1.27-linux-amd64.trace.xz"
    cli("trace", "import", trace, "--platform", "linux/amd64", "--go", "1.27", "--output", imported)
    run = cli("replay", "--os", "model", imported)
    assert run.code == 2
    assert "a recording of version 3; expected one with answers of the system" in run.err
