"""Importing: logs become recordings that replay, and what is wrong with a log is told at its line."""

from __future__ import annotations

import gzip
import lzma
import os
import random
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from recordings import replayed

from archcalc.boot import boot
from archcalc.traces import columnar
from archcalc.traces.importing import Imported, import_log, words_of
from archcalc.traces.logs import Log
from archcalc.traces.reader import TraceFault
from archcalc.traces.recorded_machine import config_for
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
        text = re.sub(r"\(0xc42(?=[0-9a-f]{7},)", "(0x1", text)
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


ALLOC = "tracealloc(0xc4200{0:05x}, {1:#x}, {2})"
STACK = [
    "goroutine 1 [running]:",
    "runtime.mallocgc(0x10, 0x4a5e20, 0x1)",
    "\t/go/src/runtime/malloc.go:785",
    "",
]


def events(path: Path) -> list[tuple[int, int, str | None]]:
    with Log(path) as log:
        assert log.form == "allocfreetrace"
        return [(event.kind, event.size, event.type) for event in log.events()]


@pytest.mark.parametrize(
    "name",
    [
        "string", "func(int, string)", "map[string]interface {}", "struct { a int; b string }",
        "chan<- (<-chan int)", "func(...interface {}) (int, error)",
        "[]map[main.K]struct { F func(int, int) }", "*struct { A, B int }",
        'struct { F uint16 "json:\\"a,b)\\"" }', "map.bucket[string]*main.T",
        "noalg.struct { x int }", "main.Größe",
        "main.Pair[go.shape.int,string]", "struct {}", "[0x10]int",
    ],
)  # fmt: skip
def test_names_of_types_are_taken_whole(name: str, tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.log", [ALLOC.format(0, 64, name), *STACK, ALLOC.format(64, 32, name), *STACK]
    )
    assert events(path) == [(0, 64, name), (0, 32, name)]
    imported(path, tmp_path / "x.trace.gz")
    found = document(stats(tmp_path / "x.trace.gz", lambda header: config_for(header, {})))
    assert [t["name"] for t in found["by_type"] if t["allocations"]] == [name] * len(found["by_type"])
    assert replayed(tmp_path / "x.trace.gz").ok


@pytest.mark.parametrize(
    "header",
    [
        "goroutine 1 [running]:", "goroutine 17 [running, locked to thread]:", "goroutine 0 [idle]:",
        "goroutine 3 [GC sweep wait (scan)]:", "goroutine 6 [chan receive, 5 minutes]:",
        "goroutine 1 gp=0xc000002380 m=0 mp=0x5a1c20 [running]:",
    ],
)  # fmt: skip
def test_headers_of_goroutines(header: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.log", ["tracealloc(0xc420000000, 0x40)", header, *STACK[1:]])
    assert events(path) == [(0, 64, None)]


def test_a_log_may_be_its_first_lines_alone(tmp_path: Path) -> None:
    """As grep '^trace' leaves it: no stacks, no ends. The result is the same."""
    short = [line for line in log_lines() if line.startswith("trace")]
    found = imported(written(tmp_path / "short.log", short), tmp_path / "short.trace.gz")
    assert (found.allocations, found.frees, found.collections, found.other_lines) == (
        ALLOCATIONS, FREES, COLLECTIONS, 0,
    )  # fmt: skip
    imported(LOG, tmp_path / "whole.trace.gz")
    assert (tmp_path / "short.trace.gz").read_bytes() == (tmp_path / "whole.trace.gz").read_bytes()


@pytest.mark.parametrize(
    "output", [["42"], ["2016/01/02 12:00:00 listening"], ["3,4"], ["size"], ["hello", ""]]
)
def test_a_program_may_print_before_its_first_trace(output: list[str], tmp_path: Path) -> None:
    path = written(tmp_path / "x.log", [*output, ALLOC.format(0, 64, "main.T"), *STACK])
    found = imported(path, tmp_path / "x.trace.gz")
    assert (found.form, found.allocations, found.other_lines) == ("allocfreetrace", 1, 1)


def test_a_program_may_print_without_ending_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "x.log", ["50%..." + ALLOC.format(0, 64, "main.T"), *STACK, "done"])
    path.write_text(path.read_text().removesuffix("\n"))
    assert events(path) == [(0, 64, "main.T")]
    assert imported(path, tmp_path / "x.trace.gz").other_lines == 2


def test_a_program_may_print_stacks_itself(tmp_path: Path) -> None:
    alloc = [ALLOC.format(0, 64, "main.T"), *STACK]
    path = written(tmp_path / "x.log", [*alloc, "debug.Stack:", *STACK, "panic: boom", "", *STACK])
    assert events(path) == [(0, 64, "main.T")]
    garbled = written(tmp_path / "y.log", [*alloc, "\x01" + alloc[0][1:], *STACK])
    with pytest.raises(TraceFault, match=r"y\.log:7:1: .*a trace that this goroutine belongs to"):
        events(garbled)


def test_frames_of_the_tracer_itself_are_no_traces(tmp_path: Path) -> None:
    """GOTRACEBACK=2 shows the runtime's own frames; these have the form of a trace."""
    frames = ["runtime.tracealloc(0xc420000000, 0x40, 0x4a5e20)", "\t/go/src/runtime/mprof.go:800"]
    alloc = [ALLOC.format(0, 64, "main.T"), STACK[0], *frames, *STACK[1:]]
    path = written(tmp_path / "x.log", [*alloc, "printed:", *alloc[1:], ALLOC.format(64, 32, "int"), *STACK])
    assert events(path) == [(0, 64, "main.T"), (0, 32, "int")]


def test_a_log_of_a_wider_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceFault, match=r"x\.xz:\d+:1: .*expected a log of linux/386"):
        (tmp_path / "x.xz").write_bytes(LOG.read_bytes())
        imported(tmp_path / "x.xz", tmp_path / "x.trace.gz", "linux/386")


def test_sizes_of_another_version_are_reported(tmp_path: Path) -> None:
    """24 bytes are a class since Go 1.15, and were none before."""
    lines = [*(ALLOC.format(0, 24, "main.T"), *STACK), *(ALLOC.format(64, 32, "main.T"), *STACK)]
    found = imported(written(tmp_path / "x.log", lines), tmp_path / "x.trace.gz")
    assert any("rounded 1 of the objects" in text for text in found.unknown)
    assert columnar.header_of(tmp_path / "x.trace.gz").extra["imported"]["unknown"] == found.unknown
    assert not any("another version" in text for text in imported(LOG, tmp_path / "y.trace.gz").unknown)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_log_may_come_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as beside:
        beside.submit((tmp_path / "pipe").write_bytes, LOG.read_bytes())
        assert imported(tmp_path / "pipe", tmp_path / "x.trace.gz").allocations == ALLOCATIONS


def test_a_list_takes_no_memory_by_its_lines(tmp_path: Path) -> None:
    def peak(n: int) -> int:
        path = tmp_path / "x.csv"
        path.write_text("16,main.T\n" * n)
        tracemalloc.start()
        try:
            with Log(path) as log:
                assert sum(event.size for event in log.events()) == 16 * n
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(20_000) < peak(1000) + 50_000  # the lines are 220 kB, and much more as objects


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
def test_a_trace_that_is_not_whole_is_reported(change, number: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = list(log_lines())
    at = first("trace", number)
    lines[at] = change(lines[at])
    if lines[at] == log_lines()[at]:
        pytest.skip("tracegc() has no number")
    assert re.match(rf".*x\.log:{at + 1}:1: ", damaged(lines, tmp_path))


def test_a_trace_that_is_missing_is_reported_where_it_shows(tmp_path: Path) -> None:
    lines = list(log_lines())
    free = first("tracefree", 50)
    address = lines[free][len("tracefree(") :].partition(",")[0]
    alloc = max(i for i, line in enumerate(lines[:free]) if line.startswith(f"tracealloc({address},"))
    end = lines.index("", alloc)
    told = damaged(lines[:alloc] + lines[end + 1 :], tmp_path)
    line = free + 1 - (end + 1 - alloc)
    assert f"x.log:{line}:1: the object at {address[2:]} is freed, and was not allocated" in told


def test_a_free_that_is_doubled_is_reported(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = first("tracefree", 10)
    end = lines.index("", at)
    told = damaged(lines[: end + 1] + lines[at : end + 1] + lines[end + 1 :], tmp_path)
    assert f"x.log:{end + 2}:1: the object at" in told and "is freed, and was not allocated" in told


def test_an_allocation_that_is_doubled_is_reported(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = first("tracealloc", 10)
    end = lines.index("", at)
    told = damaged(lines[: end + 1] + lines[at : end + 1] + lines[end + 1 :], tmp_path)
    assert f"x.log:{end + 2}:1: the object at" in told and "is allocated, and was not freed" in told


def test_another_size_at_the_free_is_reported(tmp_path: Path) -> None:
    lines = list(log_lines())
    at = first("tracefree", 10)
    lines[at] = re.sub(r", 0x[0-9a-f]+\)", ", 0x7f8)", lines[at])
    assert f"x.log:{at + 1}:1: " in damaged(lines, tmp_path)


def test_a_collection_that_is_missing_is_reported(tmp_path: Path) -> None:
    lines = list(log_lines())
    at, end = first("tracegc()"), first("end tracegc")
    told = damaged(lines[:at] + lines[end + 2 :], tmp_path)
    assert re.search(r"x\.log:\d+:1: the object at [0-9a-f]+ is freed without a collection", told)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.77, 0.999])
def test_a_log_that_is_cut_short_is_reported(share: float, tmp_path: Path) -> None:
    text = "\n".join(log_lines()) + "\n"
    path = tmp_path / "x.log"
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(TraceFault, match=r"x\.log:\d+:1: "):
        imported(path, tmp_path / "x.trace.gz")


def test_packed_data_that_is_damaged_is_reported(tmp_path: Path) -> None:
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
        with pytest.raises(TraceFault, match=r"x\.log:\d+:\d+: "):
            imported(path, tmp_path / "x.trace.gz")  # it ends in the middle of a trace, if nothing else


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n" * 3, "\x00\x01", "panic: runtime error\n"])
def test_what_is_not_a_log_is_refused(text: str, tmp_path: Path) -> None:
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
    # A pointer is not a tiny object, and a slice's header has one; it shares a span with the 32 bytes.
    assert requests == ["100 1 nzh", "8 2 zh", "32 - nzh", "5 - nzth", "24 3 z", "100000 - nzh"]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("x", 1), ("-1", 1), ("  1.5", 3), ("8,", 3), ("8, ", 3), ("8 9", 1), ("99999999999999999999999", 1),
        ("0x", 1), ("1e9", 1), ('"8', 1), ('8,"a', 3), ('8, "a"b"', 4), ("8,main.T,3", 9), ("16,9000", 4),
        ("8,func(int, string), x", 20), ("size", 1), ("８", 1),
    ],
)  # fmt: skip
def test_a_line_that_is_not_a_size_is_reported(line: str, column: int, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", ["16", "32,a", line])
    with pytest.raises(TraceFault, match=rf"x\.csv:3:{column}: "):
        imported(path, tmp_path / "x.trace.gz")


@pytest.mark.parametrize(
    "heading", ["size", "Size,Type", '"size","type"', " size , type ", "\ufeffsize,type", ""]
)
def test_headings_and_quotes_of_a_list(heading: str, tmp_path: Path) -> None:
    lines = [
        heading,
        '16,"map[string]interface {}"',
        '"0x20", "struct { A, B int }"',
        "",
        " 8 , func(int, string) ",
    ]
    path = tmp_path / "x.csv"
    path.write_bytes("\r\n".join([*lines, '24,"struct { F int ""a,b"" }"']).encode())
    with Log(path) as log:
        assert log.form == "sizes"
        assert [(event.size, event.type, event.line) for event in log.events()] == [
            (16, "map[string]interface {}", 2), (32, "struct { A, B int }", 3), (8, "func(int, string)", 5),
            (24, 'struct { F int "a,b" }', 6),
        ]  # fmt: skip


def test_a_size_that_no_program_can_ask_for_is_reported(tmp_path: Path) -> None:
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
