"""Recordings of simulated machines: the real runtime's format, which replay accepts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import lines_of, replayed

from allocator.common.types import Type
from archcalc import machines
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.traces import columnar
from archcalc.traces.reader import parse_header, parse_type
from archcalc.traces.writer import Recorder, type_line
from archcalc.workloads.programs import WORKLOADS
from archcalc.workloads.run import boot_and_run


def record(platform: str, workload: str, path: Path, n: int = 400, **about: int) -> None:
    target = figures.compute(platforms.load(platform))
    boot_and_run(machines.prepare(target, record=True), platform, workload, n=n, seed=3, record=path, **about)


@pytest.mark.parametrize("platform", platforms.names())
def test_a_recorded_machine_is_reproduced_on_every_platform(platform: str, tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    record(platform, "mixed", path)
    result = replayed(path)
    assert result.ok, result.first
    assert result.platform == platform


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("platform", ["linux/amd64", "windows/386", "linux/mips64le"])
def test_every_recorded_workload_is_reproduced(workload: str, platform: str, tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    record(platform, workload, path, gogc=50)
    result = replayed(path)
    assert result.ok, result.first
    assert (result.death is not None) == (workload == "exhaust")


@pytest.mark.parametrize("name", ["x.trace.gz", "x.trace.parquet"])
def test_ps_that_go_and_come_back_are_reproduced(name: str, tmp_path: Path) -> None:
    rt = boot("linux/amd64", procs=4, gogc=100, record=True)
    recorder = Recorder(rt)
    for procs in (4, 2, 3, 1, 4):
        rt.procresize(procs)
        for i in range(4000):
            rt.malloc(8 + i % 3000, p=i % procs)
        stacks = [(rt.stack_alloc(4096, p), p) for p in range(procs)]
        for v, p in stacks:
            rt.stack_free(v, 4096, p)
    recorder.save(tmp_path / name, died=False, gomaxprocs=4, gc="conc")
    result = replayed(tmp_path / name)
    assert result.ok, result.first
    assert rt.audit() == []


def test_the_recording_has_what_the_format_promises(full_recording: Path) -> None:
    lines = gzip.decompress(full_recording.read_bytes()).decode().split("\n")
    assert lines.pop() == ""
    header = parse_header("x", lines[0])
    kinds = [line.split(" ")[0] for line in lines[1:]]
    events = [kind for kind in kinds if kind[0] not in "TZ"]
    assert header.events == len(events)
    assert (header.platform, header.gomaxprocs, header.gc) == ("linux/386", 2, "stw")
    # Types, then events, then the end: its state, the spans, their bitmaps.
    order = [kind if kind in ("T", "Z", "Zs", "Zb") else "event" for kind in kinds]
    assert sorted(order, key=["T", "event", "Z", "Zs", "Zb"].index) == order
    assert kinds.count("Z") == 1
    in_use = [line.split(" ")[1] for line in lines if line.startswith("Zs ") and line.split(" ")[3] == "1"]
    assert [line.split(" ")[1] for line in lines if line.startswith("Zb ")] == in_use


def test_a_type_is_written_as_it_is_read() -> None:
    for line in lines_of("linux-amd64.gcprog.stw"):
        if line.startswith("T "):
            assert type_line(*parse_type(line, 8)) == line


def test_one_run_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    record("linux/amd64", "procs", tmp_path / "a.gz")
    record("linux/amd64", "procs", tmp_path / "b.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_death_is_recorded_with_its_words_and_what_was_printed(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    record("linux/386", "exhaust", path, n=1000)
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    (death,) = [json.loads(line[2:]) for line in lines if line.startswith("! ")]
    result = replayed(path)
    assert result.death is not None
    assert death["throw"] == result.death["throw"] == "out of memory"
    assert death["printed"] == result.death["printed"]
    assert any("cannot allocate" in line for line in death["printed"])
    assert not any(line.startswith(("Zs", "Zb")) for line in lines)


def test_a_failed_save_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rt = boot("linux/amd64", record=True)
    recorder = Recorder(rt)
    rt.malloc(8, Type.of_words("*T", "p", 8))

    def fail(died: bool) -> Iterator[list[str]]:
        yield ["T 1"]
        raise OSError("no space left")

    monkeypatch.setattr(recorder, "_lines", fail)
    with pytest.raises(UsageFault, match=r"x\.trace\.gz: cannot write: no space left"):
        recorder.save(tmp_path / "x.trace.gz", False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.trace.gz", "x.trace", "x.trace.parquet"])
def test_the_name_tells_the_form(name: str, tmp_path: Path) -> None:
    record("linux/386", "churn", tmp_path / "same.trace.gz")
    record("linux/386", "churn", tmp_path / name)
    start = {".gz": b"\x1f\x8b", ".trace": b'{"format": "archtrace"', ".parquet": b"PAR1"}
    assert (tmp_path / name).read_bytes().startswith(start[Path(name).suffix])
    same = columnar.header_of(tmp_path / "same.trace.gz")
    assert columnar.header_of(tmp_path / name) == same
    assert replayed(tmp_path / name).ok


def test_a_recording_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    record("linux/386", "tiny", tmp_path / "x.trace.gz")
    assert (tmp_path / "x.trace.gz").stat().st_mode == (tmp_path / "plain").stat().st_mode
