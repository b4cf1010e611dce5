"""Importing: logs become recordings that replay, and what is wrong with a log is told at its line."""

from __future__ import annotations

import gzip
import lzma
import random
import re
from functools import cache
from pathlib import Path

import pytest
from recordings import replayed

from archcalc.boot import boot
from archcalc.cli.replay import config_for
from archcalc.traces import columnar
from archcalc.traces.importing import Imported, import_log, words_of
from archcalc.traces.reader import TraceFault
from archcalc.traces.stats import document, stats

LOG = Path(__file__).parents[2] / "data" / "allocfreetrace" / "linux-amd64.log.xz"
# tests/data/allocfreetrace: what README says of it.
ALLOCATIONS, FREES, COLLECTIONS = 3395, 3153, 4


@cache
def log_lines() -> tuple[str, ...]:
    return tuple(lzma.decompress(LOG.read_bytes()).decode().split("\n")[:-1])


def imported(source: Path, target: Path, platform: str = "linux/amd64") -> Imported:
    return import_log(source, lambda: boot(platform, record=True), target)


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_real_log_becomes_a_recording_that_replays(tmp_path: Path) -> None:
    target = tmp_path / "x.trace.gz"
    found = imported(LOG, target)
    assert (found.allocations, found.frees, found.collections) == (ALLOCATIONS, FREES, COLLECTIONS)
    assert found.form == "allocfreetrace" and found.death is None and found.other_lines == 0
    result = replayed(target)
    assert result.ok and result.events == found.events
    header = columnar.header_of(target)
    assert header.platform == "linux/amd64"
    assert header.extra["imported"] == {"form": "allocfreetrace", "unknown": found.unknown}
    assert any("tiny" in text for text in found.unknown)


def test_the_recording_has_what_the_log_has(tmp_path: Path) -> None:
    target = tmp_path / "x.trace.gz"
    imported(LOG, target)
    found = document(stats(target, lambda header: config_for(header, {})))
    allocs = re.findall(
        r"^tracealloc\(0x[0-9a-f]+, 0x([0-9a-f]+)(?:, (.*))?\)$", "\n".join(log_lines()), re.M
    )
    frees = re.findall(r"^tracefree\(0x[0-9a-f]+, 0x([0-9a-f]+)\)$", "\n".join(log_lines()), re.M)
    assert found["allocations"] == len(allocs) == ALLOCATIONS
    assert found["bytes"] == found["rounded_bytes"] == sum(int(size, 16) for size, _ in allocs)
    assert (found["frees"], found["collections"]) == (len(frees), COLLECTIONS)
    assert found["freed_bytes"] == sum(int(size, 16) for size in frees)
    names = {name for _, name in allocs if name}
    assert {t["name"] for t in found["by_type"]} - {"", "?"} == names


@pytest.mark.parametrize("platform", ["linux/386", "windows/386", "windows/amd64"])
def test_logs_of_other_platforms(platform: str, tmp_path: Path) -> None:
    """The same program's log as a 32-bit machine writes it: smaller addresses, the same shape."""
    text = "\n".join(log_lines()) + "\n"
    if platform.endswith("386"):
        text = re.sub(r"\(0xc42", "(0x182", text)
    if platform.startswith("windows"):
        text = text.replace("\n", "\r\n")
    path = tmp_path / "x.log"
    path.write_bytes(text.encode())
    found = imported(path, tmp_path / "x.trace.gz", platform)
    assert (found.allocations, found.frees) == (ALLOCATIONS, FREES)
    assert replayed(tmp_path / "x.trace.gz").ok


def test_a_log_may_be_packed_and_have_the_programs_own_output_between(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = [i for i, line in enumerate(lines[:-1]) if not line and lines[i + 1].startswith("tracealloc")][5]
    lines[at + 1 : at + 1] = ["hello", "3 + 4 = 7", ""]
    path = tmp_path / "x.log.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    found = imported(path, tmp_path / "x.trace.gz")
    assert (found.allocations, found.other_lines) == (ALLOCATIONS, 2)


# Damage.


def first(start: str, number: int = 0) -> int:
    return [i for i, line in enumerate(log_lines()) if line.startswith(start)][number]


def damaged(lines: list[str], tmp_path: Path) -> str:
    with pytest.raises(TraceFault) as caught:
        imported(written(tmp_path / "x.log", lines), tmp_path / "x.trace.gz")
    assert not (tmp_path / "x.trace.gz").exists()
    return str(caught.value)


@pytest.mark.parametrize("number", [0, 100, 2000])
@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s.replace("0x", "0y"), lambda s: s[:14]])
def test_a_trace_that_is_not_whole_is_told(change, number: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = list(log_lines())
    at = first("trace", number)
    lines[at] = change(lines[at])
    if lines[at] == log_lines()[at]:
        pytest.skip("tracegc() has no number")
    assert re.match(rf".*x\.log:{at + 1}:1: ", damaged(lines, tmp_path))


def test_a_trace_that_is_missing_is_told_where_it_shows(tmp_path: Path) -> None:
    lines = list(log_lines())
    free = first("tracefree", 50)
    address = lines[free][len("tracefree(") :].partition(",")[0]
    alloc = max(i for i, line in enumerate(lines[:free]) if line.startswith(f"tracealloc({address},"))
    end = lines.index("", alloc)
    told = damaged(lines[:alloc] + lines[end + 1 :], tmp_path)
    line = free + 1 - (end + 1 - alloc)
    assert f"x.log:{line}:1: the object at {address[2:]} is freed, and was not allocated" in told


def test_a_free_that_is_doubled_is_told(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = first("tracefree", 10)
    end = lines.index("", at)
    told = damaged(lines[: end + 1] + lines[at : end + 1] + lines[end + 1 :], tmp_path)
    assert f"x.log:{end + 2}:1: the object at" in told and "is freed, and was not allocated" in told


def test_an_allocation_that_is_doubled_is_told(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = first("tracealloc", 10)
    end = lines.index("", at)
    told = damaged(lines[: end + 1] + lines[at : end + 1] + lines[end + 1 :], tmp_path)
    assert f"x.log:{end + 2}:1: the object at" in told and "is allocated, and was not freed" in told


def test_another_size_at_the_free_is_told(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = first("tracefree", 10)
    lines[at] = re.sub(r", 0x[0-9a-f]+\)", ", 0x7f8)", lines[at])
    assert f"x.log:{at + 1}:1: " in damaged(lines, tmp_path)


def test_a_collection_that_is_missing_is_told(tmp_path: Path) -> None:
    lines = list(log_lines())
    at, end = first("tracegc()"), first("end tracegc")
    told = damaged(lines[:at] + lines[end + 2 :], tmp_path)
    assert re.search(r"x\.log:\d+:1: the object at [0-9a-f]+ is freed without a collection", told)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.77, 0.999])
def test_a_log_that_is_cut_short_is_told(share: float, tmp_path: Path) -> None:
    text = "\n".join(log_lines()) + "\n"
    path = tmp_path / "x.log"
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(TraceFault, match=r"x\.log:\d+:1: "):
        imported(path, tmp_path / "x.trace.gz")


def test_packed_data_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.log.xz"
    path.write_bytes(LOG.read_bytes()[:-5000])
    with pytest.raises(TraceFault, match=r"x\.log\.xz:\d+:1: packed data that is damaged or cut short"):
        imported(path, tmp_path / "x.trace.gz")


def test_changed_bytes_never_do_worse_than_a_fault(tmp_path: Path) -> None:
    text = bytearray("\n".join(log_lines()[:4000]).encode())
    rng = random.Random(3)
    for _ in range(40):
        changed = bytearray(text)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path = tmp_path / "x.log"
        path.write_bytes(changed)
        with pytest.raises(TraceFault, match=r"x\.log:\d+:1: "):
            imported(path, tmp_path / "x.trace.gz")  # it ends in the middle of a trace, if nothing else


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n" * 3, "\x00\x01", "panic: runtime error\n"])
def test_what_is_no_log_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(text)
    with pytest.raises(TraceFault, match=r"x\.log:\d+:1: "):
        imported(path, tmp_path / "x.trace.gz")


# Lists of sizes.


def test_a_list_of_sizes(tmp_path: Path) -> None:
    lines = ["size,type", "100,main.node", "8,*T", "", "# a comment", "0x20", "5", "24,[]int", "100000", "0"]
    found = imported(written(tmp_path / "x.csv", lines), tmp_path / "x.trace.gz")
    assert (found.form, found.allocations, found.bytes) == ("sizes", 7, 100 + 8 + 32 + 5 + 24 + 100_000)
    assert any("dies" in text for text in found.unknown)
    assert replayed(tmp_path / "x.trace.gz").ok
    lines = [line for piece in columnar.lines(tmp_path / "x.trace.gz") for line in piece]
    requests = [" ".join(line.split(" ")[1:4]) for line in lines if line.startswith("m ")]
    # A pointer is no tiny object, and a slice's header has one; it shares a span with the 32 bytes.
    assert requests == ["100 1 nzh", "8 2 zh", "32 - nzh", "5 - nzth", "24 3 z", "100000 - nzh"]


@pytest.mark.parametrize("line", ["x", "-1", "1.5", "8,", "8 9", "99999999999999999999999", "0x", "1e9"])
def test_a_line_that_is_no_size_is_told(line: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ["16", "32,a", line])
    with pytest.raises(TraceFault, match=r"x\.csv:3:1: "):
        imported(path, tmp_path / "x.trace.gz")


def test_a_size_that_no_program_can_ask_for_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ["16", "18446744073709551616"])
    with pytest.raises(TraceFault, match=r"x\.csv:2:1: an object that no program can have"):
        imported(path, tmp_path / "x.trace.gz")


def test_a_list_that_the_machine_dies_of_is_recorded_so(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ["16"] + ["500000000"] * 20)
    found = imported(path, tmp_path / "x.trace.gz", "linux/386")
    assert found.death is not None and found.death["throw"] == "out of memory"
    result = replayed(tmp_path / "x.trace.gz")
    assert result.ok and result.death is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("*main.T", "p"), ("map[string]int", "p"), ("chan int", "p"), ("func()", "p"),
        ("unsafe.Pointer", "p"), ("string", "p."), ("[]uint8", "p.."), ("interface {}", "pp"),
        ("uint8", ""), ("float64", ""),
        ("main.T", None), ("struct { p *int }", None), ("[4]int", None), ("map.bucket[int]int", None),
    ],
)  # fmt: skip
def test_what_the_language_tells_of_a_type(name: str, words: str | None) -> None:
    assert words_of(name) == words
