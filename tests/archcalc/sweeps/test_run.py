"""Running sweeps: on cores, again after a kill, on a cluster that loses a worker; always the same table."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archcalc.machines import vocabulary
from archcalc.reading.errors import UsageFault
from archcalc.sweeps import point, table
from archcalc.sweeps import run as running
from archcalc.sweeps.journal import Journal, journal_of
from archcalc.sweeps.load import Sweep, load
from archcalc.sweeps.point import Point, Row

TEXT = """
schema: 1
grid:
  platform: [linux/amd64, linux/386, linux/arm]
  set: {_PageShift: [13, 14]}
  workload: [tiny, mixed]
  n: 300
  seed: [1, 2]
"""

RECORDING = Path(__file__).parents[2] / "data" / "version2" / "go1.27-linux-amd64.trace.gz"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    path = tmp_path / "sweep.yaml"
    path.write_text(TEXT)
    return load(path)


def rows_of(sweep: Sweep, folder: Path, jobs: int = 1, scheduler: str | None = None) -> list[Row]:
    journal = Journal(folder / "out.csv.journal", sweep.key, len(sweep.points))
    try:
        return running.run(sweep.points, journal, jobs, scheduler)
    finally:
        journal.remove()


@pytest.fixture
def expected(sweep: Sweep, tmp_path: Path) -> list[Row]:
    return rows_of(sweep, tmp_path)


def test_many_processes_make_the_same_rows(sweep: Sweep, expected: list[Row], tmp_path: Path) -> None:
    assert [row["point"] for row in expected] == list(range(24))
    assert all(row["outcome"] == "ok" for row in expected)
    assert rows_of(sweep, tmp_path, jobs=3) == expected


def test_what_the_journal_has_is_not_done_again(
    sweep: Sweep, expected: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []

    def work(point: Point) -> Row:
        if len(done) == 10:
            raise KeyboardInterrupt
        done.append(point.number)
        return original(point)

    original = running.work
    monkeypatch.setattr(running, "work", work)
    path = tmp_path / "t.csv.journal"
    journal = Journal(path, sweep.key, 24)
    with pytest.raises(KeyboardInterrupt):
        running.run(sweep.points, journal, 1)
    journal.close()
    with path.open("ab") as file:  # what a kill in the middle of a write leaves
        file.write(b'{"point": 10, "platf')
    monkeypatch.setattr(running, "work", lambda point: done.append(point.number) or original(point))
    journal = Journal(path, sweep.key, 24)
    assert sorted(journal.rows) == list(range(10))
    assert running.run(sweep.points, journal, 1) == expected
    assert done == list(range(24))
    journal.close()
    assert len(path.read_text().splitlines()) == 25


def test_another_sweeps_journal_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    Journal(path, sweep.key, 24).close()
    with pytest.raises(UsageFault, match="another sweep"):
        Journal(path, "another", 24)
    path.write_text("no journal at all\n")
    with pytest.raises(UsageFault, match="another sweep"):
        Journal(path, sweep.key, 24)
    assert path.read_text() == "no journal at all\n"


@pytest.mark.skipif(os.name == "nt", reason="no file locks")
def test_a_sweep_that_runs_already_is_not_run_beside(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    open_it = f"from archcalc.sweeps.journal import Journal; Journal(Path({str(path)!r}), {sweep.key!r}, 24"
    beside = [sys.executable, "-c", f"from pathlib import Path; {open_it}, fresh=True)"]
    journal = Journal(path, sweep.key, 24)
    journal.add({"point": 3})
    refused = subprocess.run(beside, capture_output=True, text=True, check=False)
    assert "another process is running this sweep" in refused.stderr
    assert path.read_bytes().count(b"\n") == 2  # --fresh has not emptied it
    journal.close()
    subprocess.run(beside, check=True)
    assert path.read_bytes().count(b"\n") == 1


def test_a_process_that_dies_is_replaced(
    sweep: Sweep, expected: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "killed"
    monkeypatch.setattr(running, "work", _DieOnce(killed))
    assert rows_of(sweep, tmp_path, jobs=2) == expected
    assert killed.exists()


class _DieOnce:
    """Works, but the first process that comes to point 7 dies of it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self, what: Point) -> Row:
        if what.number == 7 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return point.work(what)


def test_processes_that_always_die_end_the_sweep(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "work", _die)
    with pytest.raises(UsageFault, match="processes died 3 times"):
        rows_of(sweep, tmp_path, jobs=2)


def _die(what: Point) -> Row:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


# Tables.


@pytest.mark.parametrize("suffix", table.SUFFIXES)
def test_tables_have_every_row_and_column(suffix: str, expected: list[Row], tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    rows = [*expected[:2], {**expected[2], "set._PageShift": "1 << 13", "machine.ulimit_v": 1 << 63}]
    table.write(path, "test", rows, False)
    names = table.columns(rows)
    assert names[:5] == ["point", "platform", "profile", "set._PageShift", "machine.ulimit_v"]
    if suffix == ".json":
        found = json.loads(path.read_text())
        assert found["rows"] == [{name: row.get(name) for name in names} for row in rows]
    elif suffix == ".csv":
        import csv

        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert [list(line) for line in lines] == [names] * 3
        assert [line["heap_inuse"] for line in lines] == [str(row["heap_inuse"]) for row in rows]
        assert [line["machine.ulimit_v"] for line in lines] == ["", "", str(1 << 63)]
    else:
        pq = pytest.importorskip("pyarrow.parquet")
        found = pq.read_table(path).to_pylist()
        assert [row["heap_inuse"] for row in found] == [row["heap_inuse"] for row in rows]
        assert [row["machine.ulimit_v"] for row in found] == [None, None, 1 << 63]
        assert [row["set._PageShift"] for row in found] == ["13", "13", "1 << 13"]


def test_every_column_is_reported(expected: list[Row], tmp_path: Path) -> None:
    (tmp_path / "r.trace.gz").write_bytes(RECORDING.read_bytes())
    (tmp_path / "s.yaml").write_text(
        "schema: 1\nfigures: [_PageSize]\n"
        "grid: {go: 7aefdfded, machine: {ulimit_v: 2g}, set: {_PageShift: 14}, recording: r.trace.gz}\n"
    )
    names = table.columns(rows_of(load(tmp_path / "s.yaml"), tmp_path))
    # The heap's end goes by the name that the machine gives it.
    told = [name for name in table.COLUMNS if name not in vocabulary.HEAP_ENDS or name in names]
    assert set(vocabulary.HEAP_ENDS) & set(names)
    assert [re.sub(r"^(set|machine|figure)\..*", r"\1.*", name) for name in names] == told


# The whole command, killed.


# The program, with every point that is worked on noted in a file.
COUNTING = """
import os, sys
from archcalc.sweeps import run
from archcalc.cli.main import main

original = run.work

def work(point):
    with open("worked", "ab") as file:
        file.write(b"%s %d %d\\n" % (os.environb[b"RUN"], point.number, os.getpid()))
    return original(point)

run.work = work
sys.exit(main(sys.argv[1:]))
"""


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A container whose first process collects no orphans keeps what is left of them.
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_sweep_whose_first_process_alone_is_killed_goes_on_at_once(sweep: Sweep, tmp_path: Path) -> None:
    """Its workers end with it, keep no lock, and what they finished is not done again."""
    command = [sys.executable, "-c", COUNTING, "sweep", "sweep.yaml", "--jobs", "2", "--output", "x.csv"]
    journal, worked = journal_of(tmp_path / "x.csv"), tmp_path / "worked"
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "RUN": "first"})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.002)
    process.kill()
    process.wait()
    kept = {json.loads(line)["point"] for line in journal.read_bytes().split(b"\n")[1:-1] if line}
    assert 4 < len(kept) < 24
    again = subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, text=True, env={**os.environ, "RUN": "again"}
    )
    assert f"{len(kept)} of 24 points were done before" in again.stderr
    begun = [line.split() for line in worked.read_text().splitlines()]
    done_again = sorted(int(point) for run, point, _ in begun if run == "again")
    assert done_again == sorted(set(range(24)) - kept)
    workers = {int(pid) for _, _, pid in begun}
    assert process.pid not in workers
    while time.monotonic() < deadline and not all(map(gone, workers)):
        time.sleep(0.01)
    assert all(map(gone, workers))


def test_a_killed_sweep_goes_on(sweep: Sweep, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archcalc", "sweep", "sweep.yaml", "--jobs", "2", "--output"]
    subprocess.run([*command, "whole.csv"], cwd=tmp_path, check=True, capture_output=True)
    journal = journal_of(tmp_path / "part.csv")
    process = subprocess.Popen([*command, "part.csv"], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = [line for line in journal.read_bytes().split(b"\n")[:-1] if line]
    assert 5 < len(before) < 25 and not (tmp_path / "part.csv").exists()
    again = subprocess.run([*command, "part.csv"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert f"{len(before) - 1} of 24 points were done before" in again.stderr
    assert (tmp_path / "part.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not journal.exists()


def test_an_interrupted_sweep_says_how_to_go_on(sweep: Sweep, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "archcalc", "sweep", "sweep.yaml", "--jobs", "1", "--output", "x.json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    journal = journal_of(tmp_path / "x.json")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 24 points are done and kept in x.json.journal" in " ".join(out.split())


# A cluster.


@dataclass
class Cluster:
    """A scheduler and two workers, each a process."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    address = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *options: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        process = subprocess.Popen(words, **quiet)  # type: ignore[call-overload]
        processes.append(process)
        return process  # type: ignore[no-any-return]

    try:
        scheduler = start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(address),
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if address.exists() and address.read_text().strip():
                break
            time.sleep(0.05)
        where = json.loads(address.read_text())["address"]
        workers = [
            start("worker", where, "--no-nanny", "--nthreads", "1", "--no-dashboard") for _ in range(2)
        ]
        yield Cluster(where, scheduler, workers)
    finally:
        for process in reversed(processes):
            process.kill()
        for process in processes:
            process.wait()


def test_a_cluster_that_loses_a_worker_makes_the_same_table(
    sweep: Sweep, expected: list[Row], tmp_path: Path, cluster: Cluster
) -> None:
    import distributed

    workers = cluster.workers
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    journal = Journal(tmp_path / "x.journal", sweep.key, len(sweep.points))

    def tell(done: int) -> None:
        if done == 6:
            workers[0].kill()
            workers[0].wait()

    rows = running.run(sweep.points, journal, 1, cluster.address, tell)
    journal.close()
    assert workers[0].poll() is not None and workers[1].poll() is None
    assert rows == expected


def test_a_cluster_that_loses_its_scheduler_is_reported_and_the_rows_kept(
    sweep: Sweep, expected: list[Row], tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(what: Point, version: str) -> Row:
        """Goes to the workers as it stands here: at the scheduler's death they have still work to do."""
        if what.number >= 6:
            time.sleep(600)
        return point.work(what)

    monkeypatch.setattr(running, "_work_far_away", few)
    journal = Journal(tmp_path / "x.journal", sweep.key, len(sweep.points))

    def tell(done: int) -> None:
        if done == 3:
            cluster.scheduler.kill()
            cluster.scheduler.wait()

    with pytest.raises(UsageFault, match=r"the scheduler at .* is gone; the rows so far are kept"):
        running.run(sweep.points, journal, 1, cluster.address, tell)
    journal.close()
    journal = Journal(tmp_path / "x.journal", sweep.key, len(sweep.points))
    assert 3 <= len(journal.rows) <= 6
    assert running.run(sweep.points, journal, 1) == expected
    journal.close()


def test_workers_of_another_version_are_reported(
    sweep: Sweep, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "__version__", "77.0")
    with pytest.raises(UsageFault, match=r"a worker has archcalc .*; expected 77\.0, as here"):
        rows_of(sweep, tmp_path, scheduler=cluster.address)


def test_no_scheduler_is_reported(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(running, "SECONDS", 0.5)
    with pytest.raises(UsageFault, match=r"no scheduler answers at tcp://127\.0\.0\.1:1 "):
        rows_of(sweep, tmp_path, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(UsageFault, match="no scheduler answers at nonsense"):
        rows_of(sweep, tmp_path, scheduler="nonsense://")
