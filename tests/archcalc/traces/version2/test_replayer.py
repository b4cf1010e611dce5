"""Recordings of real programs come out without a difference, and what is changed in them is found."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings2 import RECORDINGS, lines_of, other

from archcalc.reading.errors import UsageFault
from archcalc.traces import columnar
from archcalc.traces.outcome import Replay
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.records import version2
from archcalc.traces.replay import replay
from archcalc.traces.version2.replayer import SparseReplayer

ONE = next(path for path in RECORDINGS if path.name == "go1.27-linux-amd64.trace.gz")
THREADS = next(path for path in RECORDINGS if path.name == "go1.24-linux-amd64.trace.gz")
DEATH = next(path for path in RECORDINGS if "death" in path.name)
# What is given to the machine.
GIVEN = {
    "T",
    "@",
    "N",
    "l",
    "J",
    "B",
    "I",
    "e",
    "n",
    "( init",
    "( readmemstats",
    "( scavenge",
    "( freestackspans",
    "( hugepages",  # the P that does it, which matters where ranges are copied for it
}


def run(path: Path, keep_going: bool = False) -> Replay:
    return replay(path, lambda header: config_for(header, {}), keep_going=keep_going)


def of_lines(lines: list[str], keep_going: bool = False) -> Replay:
    return SparseReplayer(
        Path("changed"), lambda header: config_for(header, {}), keep_going, lambda _: iter([lines])
    ).run()


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_a_recording_replays_without_a_difference(path: Path) -> None:
    result = run(path)
    assert (result.mismatches, result.first) == (0, None)
    assert result.events == json.loads(lines_of(path)[0])["events"]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_what_the_program_read_of_itself_is_what_the_machine_counts(path: Path) -> None:
    told = [json.loads(line[2:]) for line in lines_of(path) if line[:2] == "= "]
    found = run(path).memstats
    assert found is not None
    if told:
        assert {key: found[key] for key in told[-1]} == told[-1]
    else:  # it died outside of the allocator, and is as it was then
        assert found["HeapInuse"] >= found["HeapAlloc"] > 0
        assert found["NumGC"] == sum(line[:2] == "g " for line in lines_of(path))


def test_it_dies_at_the_recorded_event_with_the_recorded_words() -> None:
    death = run(DEATH).death
    assert death is not None and death["throw"] == "out of memory"
    assert [line.partition(" of memory")[0] for line in death["printed"]] == ["runtime: out"]
    lines = list(lines_of(DEATH))
    at = next(i for i, line in enumerate(lines) if line[0] == "!")
    for old, new in (("of memory", "of luck"), ("16777216-byte", "16777217-byte")):
        changed = of_lines([*lines[:at], lines[at].replace(old, new), *lines[at + 1 :]])
        assert changed.first is not None and changed.first.record == "!"
    # A death that the machine does not die, and one that the recording does not have.
    assert of_lines([*lines[: at - 2], lines[at], *lines[at + 1 :]]).mismatches
    header = json.dumps({**json.loads(lines[0]), "events": json.loads(lines[0])["events"] - 1})
    assert of_lines([header, *lines[1:at], *lines[at + 1 :]]).mismatches


def changes() -> Iterator[tuple[str, str, int]]:
    """For every kind of record that is reproduced, one of its lines with a digit, drawn at random."""
    draw = random.Random(5)
    seen = set()
    for path in (ONE, THREADS, *RECORDINGS):
        by_kind: dict[str, list[int]] = defaultdict(list)
        for i, line in enumerate(lines_of(path)[1:], 1):
            words = line.split(" ")
            by_kind[" ".join(words[:2]) if words[0] in "()" else words[0]].append(i)
        for kind, at in sorted(by_kind.items()):
            if kind in GIVEN or (path is not THREADS and kind in seen):
                continue
            at = [i for i in at if other(lines_of(path)[i]) is not None]
            if at:
                yield path.name, kind, draw.choice(at)
                seen.add(kind)


@pytest.mark.parametrize(("name", "kind", "at"), list(changes()), ids=lambda value: str(value))
def test_a_changed_digit_is_found(name: str, kind: str, at: int) -> None:
    lines = list(lines_of(ONE.with_name(name)))
    lines[at] = other(lines[at]) or ""
    try:
        result = of_lines(lines)
    except UsageFault:
        return
    assert result.mismatches and result.first is not None


def test_an_allocation_by_a_p_that_there_is_not_is_a_difference() -> None:
    lines = list(lines_of(ONE))
    at = max(i for i, line in enumerate(lines) if line.startswith("m 0 "))
    lines[at] = f"m 9 {lines[at][4:]}"
    result = of_lines(lines)
    assert result.first is not None and result.first.record == "m" and result.first.line == at + 1
    assert result.first.found.startswith("IndexError")


def test_every_kind_of_record_is_changed_or_said_to_be_given() -> None:
    changed = {kind for _, kind, _ in changes()}
    described = {
        " ".join(record.shape.split(" ")[:2]) if record.letters == "(" else record.letters
        for record in version2.RECORDS
    }
    unseen = {"/", ")"}  # in none of the recordings here; `)` is by what it closes
    assert described - changed - GIVEN == unseen


def test_counting_all_differences_goes_on_to_the_end() -> None:
    lines = list(lines_of(ONE))
    at = [i for i, line in enumerate(lines) if line[:2] == "m "]
    for i in at[100:130:10]:
        lines[i] = other(lines[i]) or ""
    result = of_lines(lines, keep_going=True)
    assert (result.mismatches, result.by_record["m"]) == (3, 3)
    assert result.first is not None and result.first.line == at[100] + 1
    assert result.events == json.loads(lines[0])["events"]


def test_numbers_that_threads_draw_come_once_each_and_all() -> None:
    from archcalc.traces.version2.draws import Draws

    draws = Draws()
    assert [draws.draw(number, 3) for number in (0, 2, 1, 3)] == [True] * 4
    assert draws.unordered == 1 and draws.begin() is None
    assert not draws.draw(5, 3)  # more are missing than there are threads to bring them
    assert draws.draw(1, 3) and not draws.draw(1, 3) and draws.expected == 0
    assert draws.begin() == 0


def test_the_first_difference_is_reported_with_what_led_to_it() -> None:
    lines = list(lines_of(ONE))
    at = max(i for i, line in enumerate(lines) if line[:2] == "m ")
    lines[at] = other(lines[at]) or ""
    first = of_lines(lines).first
    assert first is not None
    assert (first.record, first.line, first.expected) == ("m", at + 1, lines[at])
    assert first.found != lines[at] and first.around == tuple(lines[at - 12 : at])


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.999])
def test_a_recording_that_is_cut_short_is_a_fault_or_a_difference(kept: float) -> None:
    lines = list(lines_of(ONE))
    try:
        result = of_lines(lines[: int(len(lines) * kept)])
    except UsageFault:
        return
    assert result.mismatches


@pytest.mark.parametrize("path", [ONE, THREADS], ids=lambda path: path.name)
def test_what_a_killed_program_left_is_replayed_as_far_as_it_goes(path: Path) -> None:
    """Wherever it was cut off, what was begun waits, and memory is counted as of then."""
    header, *lines = lines_of(path)
    for kept in range(200, len(lines), len(lines) // 9):
        events = sum(line[0] not in "ZT@" for line in lines[:kept])
        told = {**json.loads(header), "whole": False, "cut": True, "events": events}
        if any(line[0] == "Z" for line in lines[:kept]):
            break
        result = of_lines([json.dumps(told), *lines[:kept]])
        assert (result.mismatches, result.first, result.events) == (0, None, events)
        assert result.memstats is None or result.memstats["HeapInuse"] >= 0


def test_records_are_those_that_are_described() -> None:
    described = {record.letters for record in version2.RECORDS}
    for path in RECORDINGS:
        for line in lines_of(path)[1:]:
            assert line.partition(" ")[0] in described


def test_columns_keep_every_line_and_replay_alike(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    target = tmp_path / "x.trace.parquet"
    columnar.convert(ONE, target)
    assert [line for piece in columnar.lines(target) for line in piece] == list(lines_of(ONE))
    assert run(target).mismatches == 0


def test_stats_count_what_the_program_read_of_itself() -> None:
    from archcalc.traces.stats import stats

    found = stats(ONE, lambda header: config_for(header, {}))
    told = next(json.loads(line[2:]) for line in reversed(lines_of(ONE)) if line[:2] == "= ")
    assert found.allocations == told["Mallocs"]
    assert found.collections == told["NumGC"]


def test_a_heap_can_be_drawn_of_it() -> None:
    from archcalc.pictures.film import of_recording

    film = of_recording(ONE, lambda header: config_for(header, {}), frames=3)
    told = next(json.loads(line[2:]) for line in reversed(lines_of(ONE)) if line[:2] == "= ")
    assert film.note == "" and len(film.frames) == 3
    assert film.last.totals.in_use == told["HeapInuse"]
    assert film.last.totals.stacks == told["StackInuse"]
