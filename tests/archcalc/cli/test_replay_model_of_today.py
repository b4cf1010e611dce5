"""`replay --os model` of recordings by `archcalc record`: a simulated kernel in the recorded one's place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from allocator.kernels.system import Answer, Errno
from archcalc.machines.options import MachineOptions
from archcalc.traces import recorded_machine
from archcalc.traces.model import replay_on_model
from archcalc.traces.reader import Header
from archcalc.traces.recorded_machine import config_for

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


@pytest.mark.parametrize(
    ("name", "advice"), [("go1.27-linux-amd64", "dontneed"), ("go1.27-linux-amd64-madvfree", "free")]
)
def test_advice_that_the_recorded_system_refused_differs(
    name: str, advice: str, tmp_path: Path, cli: Any
) -> None:
    """Advice has the same answer on every machine that a header describes: a refusal is one that differs."""
    path = DATA / "version2" / f"{name}.trace.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    line = next(line for line in text.splitlines() if line[:2] == "A " and line.endswith(f" {advice} 0"))
    code, trace = replayed(cli, changed(tmp_path, path, f"{line}\n", f"{line[:-1]}ENOMEM\n"))
    assert code == 1
    assert trace["answers"]["different"] == 1
    (call,) = trace["answers"]["first"]["different"]
    _, addr, size, *_ = line.split(" ")
    assert call == {
        "call": "madvise", "address": int(addr, 16), "size": int(size), "recorded": "errno=12", "modelled": 0,
    }  # fmt: skip


def test_protection_that_the_simulated_system_refuses_differs() -> None:
    """No answer of mprotect is on record, and none is looked at: only the simulated one can be a refusal."""
    path = DATA / "version2" / "go1.27-linux-amd64-arenas.trace.gz"
    asked: list[tuple[int, int]] = []

    def kernel_for(header: Header) -> Any:
        kernel = recorded_machine.kernel_for(header, {}, MachineOptions())
        protects = kernel.mprotect

        def refuses_the_third(v: int, n: int, access: bool) -> Answer:
            asked.append((v, n))
            return Errno(12) if len(asked) == 3 else protects(v, n, access)

        kernel.mprotect = refuses_the_third
        return kernel

    result, answers = replay_on_model(
        path, lambda header: config_for(header, {}), lambda header: pytest.fail("version 1"), kernel_for
    )
    assert result.ok and result.mismatches == 0 and not answers.ok
    (call,) = answers.first["different"]
    assert (call.call, (call.address, call.size)) == ("mprotect", asked[2])
    assert (call.recorded, call.modelled) == (0, "errno=12")


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
