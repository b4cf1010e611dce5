"""What strace printed of real programs is read as their calls, whatever it was asked to print besides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allocator.kernels.calls import Call
from allocator.kernels.system import Errno
from archcalc.questions.calls import compare
from archcalc.reading import callsfile, stracefile
from archcalc.reading.callsfile import CallsFault
from archcalc.reading.errors import UsageFault

TRACES = sorted((Path(__file__).parents[2] / "data" / "strace").glob("*.txt"))
FILES = [file for file in TRACES if not file.stem.endswith("race")]


def load(file: Path) -> callsfile.ProgramCalls:
    go, goos, goarch, _ = file.stem.split("-", 3)
    return callsfile.load(file, f"{goos}/{goarch}", go.removeprefix("go"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_calls_are_those_of_the_machine(file: Path) -> None:
    program = load(file)
    compared = compare(program)
    assert compared.differences == 0, compared.first
    assert len(compared.made) >= 15


def test_a_program_with_a_shadow_of_its_memory_is_refused() -> None:
    (file,) = (file for file in TRACES if file.stem.endswith("race"))
    with pytest.raises(UsageFault, match="-race"):
        compare(load(file))


def test_there_are_the_ways_in_which_calls_are_printed() -> None:
    texts = {file.stem.split("-", 3)[3]: file.read_text() for file in FILES}
    assert texts["cgo"].count("<unfinished ...>") > 10
    assert ",PROT_NONE," in texts["emulated"]
    assert texts["with-children"].count("execve(") > 1
    assert "runs in 32 bit mode" in texts["gogc-1"]


def test_the_environment_is_that_of_the_program_itself() -> None:
    (file,) = (file for file in FILES if file.stem.endswith("gogc-1"))
    assert load(file).environment == {"GOGC": "1", "GODEBUG": "madvdontneed=1"}


def test_strings_are_counted_where_all_are_told() -> None:
    told = 'execve("./up", ["./up", "a\\"b, c"], ["A=\\\\\\n\\33", "GOGC=1", "E="]) = 0\n'
    call = "mmap(NULL, 65536, PROT_NONE, MAP_ANONYMOUS, -1, 0) = 0x10000\n"
    found = stracefile.read(told + call)
    assert found.arguments == 2
    assert found.strings == (5, 6, 2)
    cut = stracefile.read(told.replace('"E="', '"E=12345"...') + call)
    assert (cut.arguments, cut.strings) == (None, None)
    assert cut.environment == found.environment == {"GOGC": "1"}


def test_the_goroutine_that_changes_gomaxprocs_is_seen_where_each_span_is() -> None:
    (file,) = (file for file in FILES if file.stem.endswith("harddecommit"))
    program = load(file)
    without = {**program.environment, "GODEBUG": "harddecommit=1,updatemaxprocs=0"}
    assert compare(replace(program, environment=without)).differences


def test_what_a_program_started_is_not_its_own() -> None:
    (file,) = (file for file in FILES if file.stem.endswith("with-children"))
    gcc = [line for line in file.read_text().splitlines() if "MAP_DENYWRITE" in line]
    assert gcc
    assert not any(call.name in ("brk", "protect") for call in load(file).calls)


@pytest.mark.parametrize(
    ("line", "call"),
    [
        (
            "mmap(0xc000000000, 67108864, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xc000000000",
            Call("map", 0xC000000000, 67108864, "-", False, 0xC000000000),
        ),
        (
            "[pid  7] mmap2(NULL, 65536, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) "
            "= -1 ENOMEM (Cannot allocate memory)",
            Call("map", 0, 65536, "rw", True, Errno(12)),
        ),
        (
            "7 mmap(NULL,65536,PROT_NONE,MAP_ANONYMOUS,-1,0) = -1 errno=12 (Cannot allocate memory)",
            Call("map", 0, 65536, "-", False, Errno(12)),
        ),
        (
            "mmap(0x1000, 4096, PROT_NONE, MAP_PRIVATE|MAP_FIXED_NOREPLACE|MAP_ANONYMOUS, -1, 0) = 0x1000",
            Call("map", 0x1000, 4096, "-", False, 0x1000),
        ),
        ("12:30:01 munmap(0x1000, 4096) = 0 <0.000003>", Call("unmap", 0x1000, 4096, "", False, 0)),
        ("7 madvise(0x1000,4096,14) = 0", Call("advise", 0x1000, 4096, "MADV_HUGEPAGE", False, 0)),
        (
            "0.000011 madvise(0x1000, 4096, MADV_COLLAPSE) = -1 EINVAL (Invalid argument)",
            Call("advise", 0x1000, 4096, "MADV_COLLAPSE", False, Errno(22)),
        ),
        ("mprotect(0x1000, 4096, PROT_READ) = 0", Call("protect", 0x1000, 4096, "-", False, 0)),
        ("brk(NULL)               = 0x2000", Call("brk", 0, 0, "", False, 0x2000)),
    ],
)
def test_a_line_is_a_call(line: str, call: Call) -> None:
    assert stracefile.read(line).calls == [call]


@pytest.mark.parametrize(
    "line",
    [
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f0000000000",  # of a file
        'write(2, "mmap(1) = 0", 11) = 11',
        "mmap(NULL, 4096, PROT_READ",  # cut
        "mmap(NULL,4096,PROT_NONE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0)7 munmap(0x1000,4096) = 0",
        "mmap(NULL,4096,PROT_NONE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0) = 8",  # another thread's answer
        "",
    ],
)
def test_a_line_is_not_a_call(line: str) -> None:
    assert stracefile.read(line).calls == []


@pytest.mark.parametrize(
    ("text", "line", "platform"),
    [
        ("exit_group(0) = ?\nmmap(what) = 3\n", 2, "linux/amd64"),
        ("munmap(0x1000, 4096) = -1 EWHAT (what)\n", 1, "linux/amd64"),
        ("nothing\n", 0, "linux/amd64"),
        ("munmap(0x1000, 4096) = 0\n", 0, None),
        ("", 0, "linux/amd64"),
    ],
)
def test_what_cannot_be_read_is_a_fault(tmp_path: Path, text: str, line: int, platform: str | None) -> None:
    file = tmp_path / "trace.txt"
    file.write_text(text)
    with pytest.raises(CallsFault) as caught:
        callsfile.load(file, platform, "1.27")
    assert caught.value.faults[0].line == line


def test_names_of_mappings_are_calls_and_other_prctls_are_not() -> None:
    text = (
        'prctl(PR_SET_NAME, "worker") = 0\n'
        'prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x7f0000001000, 4096, " Go: gc bits") = 0\n'
        'prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x7f0000002000, 69648, " Go: heap") = -1 EINVAL (Invalid)\n'
        "prctl(1398164801,0,139637976731648,4096,274886297728,0) = -1 errno=22 (Invalid argument)\n"
    )
    assert stracefile.read(text).calls == [
        Call("name", 0x7F0000001000, 4096, " Go: gc bits", False, 0),
        Call("name", 0x7F0000002000, 69648, " Go: heap", False, Errno(22)),
    ]
