"""`replay --os model`: the simulated system in the recorded one's place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

TRACES = Path(__file__).parents[2] / "data" / "traces"
CONFLICT = TRACES / "linux-amd64.conflict.off.trace.gz"
WORDS = {
    "linux-386.ulimit-1g.off": "out of memory",
    "linux-amd64.conflict.off": "runtime: address space conflict",
    "windows-386.exhaust.off": "runtime: cannot map pages in arena address space",
}


def replayed(cli: Any, path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    run = cli("replay", "--os", "model", path, *options, "--format", "json")
    (trace,) = run.json["traces"]
    assert (run.code == 0) == run.json["ok"]
    return run.code, trace


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.trace.gz")), ids=lambda path: path.name[:-9])
def test_every_recording_comes_out_on_a_simulated_system(path: Path, cli: Any) -> None:
    options = ["--taken", "0xc4227f0000+4k"] if path == CONFLICT else []
    code, trace = replayed(cli, path, *options)
    assert (code, trace["mismatches"], trace["answers"]["different"]) == (0, 0, 0)
    assert trace["answers"]["same"] > 3
    death = trace["death"]
    assert (death["throw"] if death else None) == WORDS.get(path.name[:-9])


def test_without_its_neighbour_the_conflict_does_not_come_about(cli: Any) -> None:
    code, trace = replayed(cli, CONFLICT)
    assert (code, trace["death"], trace["answers"]["different"]) == (1, None, 1)
    (call,) = trace["answers"]["first"]["different"]
    assert (call["call"], call["address"], call["modelled"]) == ("sysMap", 0xC4227F0000, 0xC4227F0000)


def with_header(tmp_path: Path, name: str, old: bytes, new: bytes) -> Path:
    text = gzip.decompress((TRACES / f"{name}.trace.gz").read_bytes())
    assert old in text[:1000]
    path = tmp_path / "changed.trace.gz"
    path.write_bytes(gzip.compress(text.replace(old, new, 1)))
    return path


@pytest.mark.parametrize("limit", [1200000000, 870000000])
def test_under_another_limit_the_run_ends_otherwise(limit: int, tmp_path: Path, cli: Any) -> None:
    path = with_header(
        tmp_path, "linux-386.ulimit-1g.off", b'"ulimit_v": 1024000000', b'"ulimit_v": %d' % limit
    )
    code, trace = replayed(cli, path)
    assert code == 1
    first = trace["answers"]["first"]["different"][0]
    assert bool(first["modelled"]) == (limit > 1024000000)


def test_windows_dies_of_errno_487_by_itself(cli: Any) -> None:
    _, trace = replayed(cli, TRACES / "windows-386.exhaust.off.trace.gz")
    assert trace["death"]["printed"] == ["runtime: VirtualAlloc of 13565952 bytes failed with errno=487"]
    (hidden,) = trace["answers"]["first"]["neighbour"]
    assert hidden["size"] == 807411712


def test_a_machine_needs_a_model(cli: Any) -> None:
    run = cli("replay", CONFLICT, "--taken", "0xc4227f0000+4k")
    assert run.code == 2
    assert "expected --os model" in run.err


def test_people_see_how_the_answers_compare(cli: Any) -> None:
    run = cli("replay", "--os", "model", CONFLICT)
    assert run.code == 1
    assert (
        "different: sysMap(0xc4227f0000, 1048576): recorded 0x7f714a8fb000, modelled 0xc4227f0000" in run.out
    )
