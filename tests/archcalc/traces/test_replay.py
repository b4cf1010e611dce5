"""Replay: what the real runtime did comes out, and whatever was changed in a recording is told."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from pathlib import Path

import pytest
from recordings import NAMES, TRACES, lines_of, replayed, write

from archcalc.traces.reader import TraceFault

# Which fields of a record the machine must reproduce, counted from 1; the others are inputs. FORMAT's words.
REPRODUCED = {
    "I": (1, 2, 3, 4, 5, 6),
    "m": (5,),
    "s": (3,),
    "p": (5,),
    "f": (2,),
    "M": (1, 2, 3),
    "O": (1, 2),
    "U": (1, 2),
    "V": (1, 2),
    "q": (1, 2, 5),
    "Q": (2,),
    "X": (2,),
    "H": (1, 2, 3, 4),
    "K": (1, 2),
    "D": (1, 2, 3),
    "E": (1, 2),
    "L": (1, 2, 3, 4, 5),
    "b": (1, 2, 3, 4),
    "g": (1, 5),
    "w": (1,),
    "e": (1,),
    "S": (1,),
    "x": (2,),
    "R": (1, 2),
    "Zs": tuple(range(1, 14)),
    "Zb": (1, 2),
}
Z_KEYS = ("arena_start", "arena_used", "arena_end", "bitmap", "bitmap_mapped", "pages_in_use", "sweepgen")


@pytest.mark.parametrize("name", NAMES)
def test_the_real_runtimes_recordings_are_reproduced(name: str) -> None:
    result = replayed(TRACES / f"{name}.trace.gz", keep_going=True)
    assert (result.mismatches, result.first) == (0, None)
    header = json.loads(lines_of(name)[0])
    assert result.events == header["events"]
    deaths = [json.loads(line[2:]) for line in lines_of(name) if line.startswith("! ")]
    assert [result.death and result.death["throw"]] == [
        death["throw"] for death in deaths or [{"throw": None}]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_memstats_of_the_end_are_what_the_end_state_comes_to(name: str) -> None:
    found = replayed(TRACES / f"{name}.trace.gz").memstats
    if any(line.startswith("! ") for line in lines_of(name)):
        assert found is None
        return
    spans = [line.split(" ") for line in lines_of(name) if line.startswith("Zs ")]
    pages = {state: sum(int(span[2]) for span in spans if span[3] == state) for state in "12"}
    assert found["HeapInuse"] == pages["1"] * 8192
    assert 0 <= pages["2"] * 8192 - found["StackInuse"] <= 1 << 17  # caches were flushed for it
    assert found["NumGC"] == sum(line.startswith("g ") for line in lines_of(name))
    assert found["HeapObjects"] == found["Mallocs"] - found["Frees"] > 0


def test_every_record_of_the_allocators_own_is_in_some_recording(
    full_recording: Path, grown_recording: Path
) -> None:
    kinds: set[str] = set()
    for path in (full_recording, grown_recording):
        kinds.update(line.split(" ")[0] for line in gzip.decompress(path.read_bytes()).decode().split("\n"))
    assert set(REPRODUCED) <= kinds


def changed(lines: list[str], at: int, field: int, rng: random.Random) -> list[str]:
    """The lines with one digit of one field of one line changed, the number still written as numbers are."""
    parts = lines[at].split(" ")
    text = parts[field]
    digits = [i for i, c in enumerate(text) if c in "0123456789abcdef"]
    i = rng.choice(digits)
    # 0 and 8 both stand for the default alignment of a q record.
    others = [d for d in "12345679" if d != text[i]]
    parts[field] = text[:i] + rng.choice(others) + text[i + 1 :]
    return [*lines[:at], " ".join(parts), *lines[at + 1 :]]


def by_kind(lines: list[str]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for at, line in enumerate(lines):
        found[line.split(" ")[0]].append(at)
    return found


def assert_told(path: Path, lines: list[str], kind: str, at: int) -> None:
    first = replayed(write(path, lines)).first
    assert first is not None, f"passed: {lines[at]}"
    assert (first.record, first.line) == (kind, at + 1), f"{lines[at]}: {first}"


def text_of(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]


@pytest.mark.parametrize("kind", [kind for kind in REPRODUCED if kind != "O"])
def test_a_changed_digit_is_reported_with_its_record_and_line(
    kind: str, full_recording: Path, tmp_path: Path
) -> None:
    lines = text_of(full_recording)
    places = by_kind(lines)[kind]
    rng = random.Random(kind)
    for at in {places[0], places[-1], rng.choice(places)}:
        for field in REPRODUCED[kind]:
            if lines[at].split(" ")[field] in ("done", ""):
                continue
            assert_told(tmp_path / "x.trace.gz", changed(lines, at, field, rng), kind, at)


@pytest.mark.parametrize("field", REPRODUCED["O"])
def test_a_changed_digit_of_memory_given_back_is_reported(
    field: int, grown_recording: Path, tmp_path: Path
) -> None:
    lines = text_of(grown_recording)
    (at,) = by_kind(lines)["O"]
    assert_told(tmp_path / "x.trace.gz", changed(lines, at, field, random.Random(field)), "O", at)


@pytest.mark.parametrize(
    "name",
    ["linux-amd64.conflict.off", "linux-s390x.large.conc", "linux-arm.stacks.conc", "linux-amd64.gcprog.stw"],
)
def test_a_changed_digit_of_a_real_recording_is_reported(name: str, tmp_path: Path) -> None:
    lines = list(lines_of(name))
    rng = random.Random(name)
    for kind, places in by_kind(lines).items():
        if kind not in REPRODUCED:
            continue
        at = rng.choice(places)
        field = rng.choice(REPRODUCED[kind])
        if lines[at].split(" ")[field] == "done":
            continue
        assert_told(tmp_path / "x.trace.gz", changed(lines, at, field, rng), kind, at)


@pytest.mark.parametrize("key", Z_KEYS)
def test_a_changed_number_of_the_end_state_is_reported(key: str, tmp_path: Path) -> None:
    lines = list(lines_of("linux-arm.stacks.conc"))
    at = by_kind(lines)["Z"][0]
    record = json.loads(lines[at][2:])
    record[key] += 1
    lines[at] = f"Z {json.dumps(record)}"
    assert_told(tmp_path / "x.trace.gz", lines, "Z", at)


@pytest.mark.parametrize("key", ["heap_live", "heap_scan"])
@pytest.mark.parametrize(
    ("name", "told"), [("linux-ppc64le.tiny.off", True), ("linux-arm.stacks.conc", False)]
)
def test_live_and_scannable_heap_are_compared_where_the_collector_was_off(
    key: str, name: str, told: bool, tmp_path: Path
) -> None:
    lines = list(lines_of(name))
    at = by_kind(lines)["Z"][0]
    record = json.loads(lines[at][2:])
    record[key] += 8
    lines[at] = f"Z {json.dumps(record)}"
    result = replayed(write(tmp_path / "x.trace.gz", lines))
    assert result.ok is not told
    if told:
        assert result.first is not None
        assert result.first.expected == f"{key} {record[key]}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("address space conflict", "address space conflicts"),
        ("runtime: address space", "runtime: address spaces"),
        ("0x7f714a8fb000", "0x7f714a8fb001"),
    ],
)
def test_other_last_words_or_printed_lines_are_reported(old: str, new: str, tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    at = by_kind(lines)["!"][0]
    assert old in lines[at]
    lines[at] = lines[at].replace(old, new)
    assert_told(tmp_path / "x.trace.gz", lines, "!", at)


def test_a_death_that_does_not_come_is_reported(tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    at = by_kind(lines)["F"][0]
    del lines[at]  # what the OS refused; without it the machine lives on
    first = replayed(write(tmp_path / "x.trace.gz", lines)).first
    assert first is not None
    assert first.found == "the program went on"


@pytest.mark.parametrize(
    ("flags", "other"),
    [("zh", "z"), ("z", "zh"), ("nzt", "nzct"), ("nzct", "nzt"), ("n", "."), ("nt", "nct")],
)
def test_other_flags_are_reported(flags: str, other: str, tmp_path: Path) -> None:
    lines = list(lines_of("linux-ppc64le.tiny.off"))
    # Those of a size first seen here take the whole way, later ones the short one.
    places = [at for at, line in enumerate(lines) if line.startswith("m ") and line.split(" ")[3] == flags]
    for at in (places[0], places[-1]):
        parts = lines[at].split(" ")
        parts[3] = other
        assert_told(tmp_path / "x.trace.gz", [*lines[:at], " ".join(parts), *lines[at + 1 :]], "m", at)


def test_an_allocation_from_a_cache_that_never_was_is_a_fault(tmp_path: Path) -> None:
    lines = list(lines_of("linux-amd64.conflict.off"))
    at = by_kind(lines)["m"][40]
    parts = lines[at].split(" ")
    parts[4] = "3"
    lines[at] = " ".join(parts)
    with pytest.raises(TraceFault, match=rf":{at + 1}:1: .*mcache 3 was never made"):
        replayed(write(tmp_path / "x.trace.gz", lines))


def test_the_other_ps_cache_gives_another_address(full_recording: Path, tmp_path: Path) -> None:
    lines = text_of(full_recording)
    at = next(at for at in reversed(by_kind(lines)["m"]) if lines[at].split(" ")[3:5] == ["nz", "0"])
    parts = lines[at].split(" ")
    parts[4] = "1"
    lines[at] = " ".join(parts)
    result = replayed(write(tmp_path / "x.trace.gz", lines))
    assert not result.ok


def test_the_first_difference_shows_where_it_is(tmp_path: Path) -> None:
    lines = list(lines_of("linux-s390x.large.conc"))
    at = by_kind(lines)["H"][500]
    npages, sizeclass, base = lines[at].split(" ")[1:4]
    parts = lines[at].split(" ")
    parts[4] = str(1 - int(parts[4]))
    lines[at] = " ".join(parts)
    first = replayed(write(tmp_path / "x.trace.gz", lines)).first
    assert first is not None
    assert first.expected == lines[at]
    assert first.found.split(" ")[:4] == parts[:4]
    types = sum(line.startswith("T ") for line in lines)
    assert first.event == at + 1 - 1 - types  # the header is line 1
    assert first.span is not None
    assert (first.span["npages"], first.span["sizeclass"], first.span["base"]) == (
        int(npages),
        int(sizeclass),
        int(base, 16),
    )
    assert lines[at] in first.around
    assert first.arena is not None
    assert first.arena["arena_start"] == json.loads(lines[by_kind(lines)["Z"][0]][2:])["arena_start"]


def test_keep_going_counts_every_difference_by_record(tmp_path: Path) -> None:
    lines = list(lines_of("linux-arm.stacks.conc"))
    kinds = by_kind(lines)
    rng = random.Random(4)
    for at in kinds["E"][:3]:
        lines = changed(lines, at, 2, rng)
    for at in kinds["Zs"][:2]:
        lines = changed(lines, at, 4, rng)
    path = write(tmp_path / "x.trace.gz", lines)
    result = replayed(path, keep_going=True)
    assert result.by_record == {"E": 3, "Zs": 2}
    assert result.mismatches == 5
    assert replayed(path).mismatches == 1


def test_progress_is_reported_in_events(tmp_path: Path) -> None:
    from archcalc.traces.recorded_machine import config_for
    from archcalc.traces.replay import replay

    seen: list[tuple[int, int]] = []
    path = TRACES / "windows-386.std.conc.trace.gz"
    replay(
        path, lambda header: config_for(header, {}), progress=lambda done, total: seen.append((done, total))
    )
    assert {total for _, total in seen} == {350410}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert 0 < seen[0][0] < 350410
