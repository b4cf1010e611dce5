"""Execution traces of real programs: all that they tell can have been so, and what cannot is found."""

from __future__ import annotations

import gzip
import lzma
import random
import subprocess
from pathlib import Path

import pytest
from golang import environment, installed

from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.options import MachineOptions
from archcalc.pictures.film import of_recording
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.replay import replay
from archcalc.traces.stats import stats

DATA = Path(__file__).parents[3] / "data" / "execution"
TRACES = sorted(DATA.glob("go*-linux-amd64.trace.xz"))
ONE_P = DATA / "one-p-go1.27-linux-amd64.trace.xz"


def config_for(release: str):
    """The Config of linux/amd64's machine in a release."""
    profile = platforms.load("linux/amd64", release)
    return config_of(figures.compute(profile, go=release), MachineOptions())


def imported(trace: Path, target: Path, release: str = ""):
    """The recording of a trace of linux/amd64."""
    release = release or trace.name.removeprefix("go").partition("-")[0]
    return import_trace(trace, config_for(release), {"go": f"go{release}"}, target)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> dict[str, Path]:
    """All traces as recordings, by their release."""
    folder = tmp_path_factory.mktemp("recordings")
    found = {}
    for trace in TRACES:
        release = trace.name.removeprefix("go").partition("-")[0]
        found[release] = folder / f"{release}.trace.gz"
        imported(trace, found[release])
    return found


def lines_of(path: Path) -> list[str]:
    """A recording's lines."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def checked(path: Path, keep_going: bool = True):
    """What is said of a recording."""
    release = lines_of(path)[0].partition('"go": "go')[2].partition('"')[0]
    return replay(path, lambda _: config_for(release), keep_going=keep_going)


def test_all_releases_with_allocation_events_are_there() -> None:
    assert [trace.name.partition("-")[0] for trace in TRACES] == [f"go1.{n}" for n in range(23, 28)]


@pytest.mark.parametrize("release", [trace.name.removeprefix("go").partition("-")[0] for trace in TRACES])
def test_what_real_programs_tell_can_have_been(release: str, recordings: dict[str, Path]) -> None:
    result = checked(recordings[release])
    assert result.mismatches == 0, result.first
    assert result.checked is not None
    for what, counts in result.checked.items():
        assert counts.get("wrong", 0) == 0
        # What the Ps' page caches hold comes to be known only by and by.
        factor = 2 if what == "places of spans" else 9
        assert counts["right"] > factor * counts.get("not decidable", 0), what


@pytest.mark.parametrize("release", ["1.23", "1.27"])
def test_counts_are_those_of_the_events_in_the_file(
    release: str, recordings: dict[str, Path], tmp_path
) -> None:
    trace = DATA / f"go{release}-linux-amd64.trace.xz"
    result = imported(trace, tmp_path / "again.trace.gz")
    found = stats(recordings[release], lambda _: config_for(release))
    assert (result.allocations, result.frees) == (found.allocations, found.records["f"])
    assert result.collections == found.collections == 2
    assert result.events == found.events
    assert found.unplaced == 0
    assert {"main.node", "[3][]uint8"} & set(found.type_names.values())


def changed(lines: list[str], at: int, by: int) -> list[str]:
    """The lines with another address in one of them."""
    words = lines[at].split(" ")
    words[-1] = f"{int(words[-1], 16) + by:x}"
    return [*lines[:at], " ".join(words), *lines[at + 1 :]]


@pytest.mark.parametrize("letter", ["H", "D", "m", "f", "s", "S"])
def test_an_address_that_cannot_be_is_found(letter: str, recordings: dict[str, Path], tmp_path) -> None:
    """Of each kind of record several, moved by a page, a slot or a stack: what follows shows it, mostly."""
    lines = lines_of(recordings["1.27"])
    body = lines[1:]
    end = len(body) * 2 // 3  # what comes last has nothing behind it that it would be at odds with
    places = [at for at in range(end) if body[at].startswith(f"{letter} ")]
    by = {"H": 8192, "D": 8192, "m": 64, "f": 16, "s": 2048, "S": 2048}[letter]
    found = 0
    chosen = random.Random(letter).sample(places, 8)
    for at in chosen:
        other = tmp_path / "changed.trace"
        other.write_text("\n".join([lines[0], *changed(body, at, by), ""]))
        result = replay(other, lambda _: config_for("1.27"), keep_going=True)
        found += result.mismatches > 0
    assert found >= 6, f"{found} of {len(chosen)}"


def test_with_one_p_nearly_every_span_has_its_place(tmp_path) -> None:
    target = tmp_path / "one.trace"
    imported(ONE_P, target, "1.27")
    result = replay(target, lambda _: config_for("1.27"))
    assert result.mismatches == 0, result.first
    assert result.checked is not None
    places = result.checked["places of spans"]
    assert places["right"] > 20 * places.get("not decidable", 0)
    # Spans that move to the next free place are not where first fit puts them.
    lines = target.read_text().splitlines()
    chosen = [at for at, line in enumerate(lines) if line.startswith("H ") and " 1 " in line[2:]][20:40]
    found = 0
    for at in chosen:
        target.write_text("\n".join([*changed(lines, at, 1 << 21), ""]))
        after = replay(target, lambda _: config_for("1.27"), keep_going=True)
        found += after.first is not None and after.first.line == at + 1
    assert found > 15


def test_the_first_thing_wrong_is_reported_with_its_place(recordings: dict[str, Path], tmp_path) -> None:
    lines = lines_of(recordings["1.27"])
    at = next(i for i, line in enumerate(lines) if line.startswith("f "))
    other = tmp_path / "changed.trace"
    other.write_text("\n".join([*lines[: at + 1], lines[at], *lines[at + 1 :], ""]))
    result = replay(other, lambda _: config_for("1.27"))
    assert result.first is not None
    assert (result.first.line, result.first.record) == (at + 2, "f")
    assert "no object lives" in result.first.found


def test_films_and_moments_of_a_trace(recordings: dict[str, Path]) -> None:
    film = of_recording(recordings["1.27"], lambda _: config_for("1.27"), frames=4)
    assert len(film.frames) == 4
    early = of_recording(recordings["1.27"], lambda _: config_for("1.27"), at_event=1000)
    assert early.last.event == 1000
    assert 0 < early.last.totals.live <= early.last.totals.in_use
    assert sum(run.npages for run in early.last.runs) == early.last.pages


@pytest.mark.parametrize("where", [0, 5, 16, 17, 40, 200, 5000, 100_000])
def test_a_trace_that_is_cut_off_or_changed_is_reported_by_its_byte(where: int, tmp_path) -> None:
    whole = lzma.decompress(TRACES[-1].read_bytes())
    cut = tmp_path / "cut.trace"
    cut.write_bytes(whole[:where])
    with pytest.raises(UsageFault, match="at byte"):
        imported(cut, tmp_path / "cut.trace.gz", "1.27")
    assert not (tmp_path / "cut.trace.gz").exists()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_changed_ends_in_a_recording_or_in_one_error(seed: int, tmp_path) -> None:
    data = bytearray(lzma.decompress(TRACES[seed % len(TRACES)].read_bytes()))
    chance = random.Random(seed)
    for _ in range(3):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file = tmp_path / "changed.trace"
    file.write_bytes(data)
    release = TRACES[seed % len(TRACES)].name.removeprefix("go").partition("-")[0]
    try:
        imported(file, tmp_path / "changed.trace.gz", release)
    except UsageFault:
        assert not (tmp_path / "changed.trace.gz").exists()
    else:
        checked(tmp_path / "changed.trace.gz")


def test_a_trace_of_no_allocations_says_what_to_set(tmp_path) -> None:
    empty = tmp_path / "empty.trace"
    empty.write_bytes(b"go 1.26 trace\0\0\0")
    with pytest.raises(UsageFault, match="traceallocfree=1"):
        imported(empty, tmp_path / "empty.trace.gz", "1.27")
    old = tmp_path / "old.trace"
    old.write_bytes(b"go 1.22 trace\0\0\0")
    with pytest.raises(UsageFault, match="no allocation events"):
        imported(old, tmp_path / "old.trace.gz", "1.27")


def test_a_program_that_runs_now(tmp_path) -> None:
    go = installed()
    env = environment()
    version = subprocess.run(
        [str(go.command), "env", "GOVERSION"], capture_output=True, text=True, env=env
    ).stdout
    release = ".".join(version.strip().removeprefix("go").split(".")[:2])
    if release not in [trace.name.removeprefix("go").partition("-")[0] for trace in TRACES]:
        pytest.skip(f"{version} is not known")
    program, trace = tmp_path / "small", tmp_path / "now.trace"
    subprocess.run(
        [str(go.command), "build", "-o", str(program), str(DATA / "small.go")], check=True, env=env
    )
    subprocess.run(
        [str(program), str(trace)], check=True, env=env | {"GODEBUG": "traceallocfree=1", "GOMAXPROCS": "2"}
    )
    imported(trace, tmp_path / "now.trace.gz", release)
    result = checked(tmp_path / "now.trace.gz")
    assert result.mismatches == 0, result.first
