"""The OS calls of every recording, in order, put to the simulated systems.

`tests/data/os_calls` holds the header and the R, Y, F, M, O, U, V and ! records of each. What a
kernel was free to choose is set up per recording: where its search starts, and on windows what
else stood in the address space. Everything after that has to come out by itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from allocator.common.throw import Death
from allocator.contiguous.mem import System
from allocator.contiguous.recorded import Recorded, RecordedMismatch, parse_answer
from allocator.contiguous.systems import new_system
from allocator.kernels.address_space import Range
from allocator.kernels.machine import Machine

CALLS = Path(__file__).parents[2] / "data" / "os_calls"

LINUX_386 = Machine(high=0xFFFF_E000, image_start=0x0804_8000)
EMULATED_32 = Machine(high=0x4000_0000)
EMULATED_64 = Machine(top_down=False)
# The gaps of a 32-bit process there: the first at 0x3f0000, the largest 623 MB.
WINDOWS_386 = Machine(
    high=0x7FFF_0000,
    taken=(
        Range(0x1_0000, 0x3F_0000),
        Range(0x40_0000, 0x6D0_0000),
        Range(0x6D5_0000, 0x735_0000),
        Range(0x739_0000, 0x749_0000),
        Range(0x2754_0000, 0x42E7_0000),
        Range(0x6800_0000, 0x7FFF_0000),
    ),
)
WINDOWS_AMD64 = Machine(taken=(Range(0x1_0000, 0x16_0000), Range(0x20_0000, 0x73E_0000)))

# What differs from run to run: where the first sysAlloc landed, limits, neighbours.
MACHINES: dict[str, tuple[Machine, dict[str, Any]]] = {
    "linux-386.mixed.stw": (LINUX_386, {"mmap_base": 0xF7F5_9000}),
    "linux-386.ulimit-1g.off": (LINUX_386, {"mmap_base": 0xF7FA_0000, "ulimit_v": 1_024_000_000}),
    "linux-amd64.conflict.off": (
        Machine(),
        {"mmap_base": 0x7F71_4AAF_B000 + 0x10_0000, "taken": (Range(0xC4_227F_0000, 0xC4_227F_1000),)},
    ),
    "linux-amd64.gcprog.stw": (Machine(), {"mmap_base": 0x7F1D_944F_5000}),
    "linux-amd64.mixed.off": (Machine(), {"mmap_base": 0x7F6B_45B6_2000}),
    "linux-amd64.std.stw": (Machine(), {"mmap_base": 0x7FB0_1088_6000}),
    "linux-amd64.trees-free.conc": (Machine(), {"mmap_base": 0x7FA0_4A1D_3000}),
    "linux-arm.stacks.conc": (EMULATED_32, {"mmap_base": 0x3FFF_F000}),
    "linux-arm64.mixed-free.stw": (EMULATED_64, {"mmap_base": 0x55_0080_2000}),
    "linux-mips.std.off": (EMULATED_32, {"mmap_base": 0x3FFF_F000}),
    "linux-ppc64le.tiny.off": (EMULATED_64, {"mmap_base": 0x40_0080_2000}),
    "linux-s390x.large.conc": (EMULATED_64, {"mmap_base": 0x40_0080_2000}),
    "windows-386.exhaust.off": (WINDOWS_386, {}),
    "windows-386.std.conc": (WINDOWS_386, {}),
    "windows-amd64.mixed-free.conc": (WINDOWS_AMD64, {}),
}
DEATHS = [
    "linux-386.ulimit-1g.off",
    "linux-amd64.conflict.off",
    "windows-386.exhaust.off",
]


class Recording(NamedTuple):
    header: dict[str, Any]
    records: list[list[str]]
    death: dict[str, Any] | None

    @property
    def goos(self) -> str:
        return str(self.header["platform"]).split("/")[0]

    @property
    def ptr_size(self) -> int:
        return 4 if str(self.header["platform"]).split("/")[1] in ("386", "arm", "mips") else 8


def read(name: str) -> Recording:
    header, *lines = (CALLS / f"{name}.txt").read_text().splitlines()
    death = json.loads(lines.pop()[2:]) if lines[-1].startswith("! ") else None
    return Recording(json.loads(header), [line.split() for line in lines], death)


def drive(system: System, recording: Recording) -> None:
    """Asks everything that the recorded runtime asked, and wants the recorded answers."""
    reserved = False
    for fields in recording.records:
        kind, *rest = fields
        if kind == "R":
            v, n, p = int(rest[0], 16), int(rest[1]), int(rest[2], 16)
            answer, really = system.sys_reserve(v, n)
            assert (answer, bool(really)) == (p, rest[3] == "1"), fields
            reserved = bool(really)
        elif kind == "Y":
            assert system.sys_alloc(int(rest[0]), rest[2]) == int(rest[1], 16), fields
        elif kind == "M":
            reserved = rest[2] == "1"
            system.sys_map(int(rest[0], 16), int(rest[1]), reserved)
        elif kind == "U":
            system.sys_unused(int(rest[0], 16), int(rest[1]))
        elif kind == "V":
            system.sys_used(int(rest[0], 16), int(rest[1]))
        elif kind == "O":
            system.sys_free(int(rest[0], 16), int(rest[1]))
        else:
            assert fields[:2] == ["F", "sysMap"]
            system.sys_map(int(rest[1], 16), int(rest[2]), reserved)


def test_every_recording_is_here() -> None:
    assert {path.stem for path in CALLS.glob("*.txt")} == set(MACHINES)
    assert [name for name in MACHINES if read(name).death] == DEATHS


@pytest.mark.parametrize("name", MACHINES)
def test_the_model_answers_as_recorded(name: str) -> None:
    recording = read(name)
    machine, particular = MACHINES[name]
    fields = {field: getattr(machine, field) for field in Machine.__slots__}
    system = new_system(
        recording.goos,
        Machine(**fields | {"data_end": recording.header["data_end"]} | particular),
        ptr_size=recording.ptr_size,
        huge_page_size=2 << 20 if recording.header["platform"] in ("linux/amd64", "linux/386") else 0,
    )
    if any(fields[0] == "F" for fields in recording.records):
        assert recording.death is not None
        with pytest.raises(Death) as death:
            drive(system, recording)
        assert death.value.words == recording.death["throw"]
        assert system.printed == recording.death["printed"]
    else:
        drive(system, recording)
        assert system.printed == []


def feed(system: Recorded, recording: Recording) -> None:
    for kind, *rest in recording.records:
        if kind == "R":
            system.feed_reserve(int(rest[0], 16), int(rest[1]), int(rest[2], 16), rest[3] == "1")
        elif kind == "Y":
            system.feed_alloc(int(rest[0]), int(rest[1], 16), rest[2])
        elif kind == "F":
            system.feed_failure(rest[0], int(rest[1], 16), int(rest[2]), parse_answer(rest[3]))


@pytest.mark.parametrize("name", MACHINES)
def test_recorded_answers_come_back(name: str) -> None:
    recording = read(name)
    system = Recorded(recording.goos, ptr_size=recording.ptr_size)
    feed(system, recording)
    if any(fields[0] == "F" for fields in recording.records):
        assert recording.death is not None
        with pytest.raises(Death) as death:
            drive(system, recording)
        assert (death.value.words, system.printed) == (recording.death["throw"], recording.death["printed"])
    else:
        drive(system, recording)
    assert not system.queue


@pytest.mark.parametrize("name", MACHINES)
def test_another_request_than_the_recorded_one_is_noticed(name: str) -> None:
    recording = read(name)
    for at, (kind, *rest) in enumerate(recording.records):
        if kind not in "RY":
            continue
        changed = [list(fields) for fields in recording.records]
        changed[at][1 if kind == "Y" else 2] = str(int(rest[0 if kind == "Y" else 1]) + 4096)
        system = Recorded(recording.goos, ptr_size=recording.ptr_size)
        feed(system, recording)
        with pytest.raises(RecordedMismatch) as mismatch:
            drive(system, recording._replace(records=changed))
        assert mismatch.value.size == int(changed[at][1 if kind == "Y" else 2])
        assert mismatch.value.expected is system.queue[0]


def test_more_requests_than_recorded() -> None:
    system = Recorded("linux", ptr_size=8)
    system.feed_alloc(65536, 0x7F00_0000_0000, "gc_sys")
    with pytest.raises(RecordedMismatch, match=r"sysReserve\(0xc000000000, 10\).*Alloc"):
        system.sys_reserve(0xC0_0000_0000, 10)
    with pytest.raises(RecordedMismatch, match=r"sysAlloc\(65536, other_sys\)"):
        system.sys_alloc(65536, "other_sys")
    assert system.sys_alloc(65536, "gc_sys") == 0x7F00_0000_0000
    with pytest.raises(RecordedMismatch, match="recorded next is nothing") as mismatch:
        system.sys_alloc(65536, "gc_sys")
    assert (mismatch.value.expected, mismatch.value.call, mismatch.value.stat) == (None, "sysAlloc", "gc_sys")


def test_a_failure_belongs_to_exactly_one_call() -> None:
    system = Recorded("windows", ptr_size=8)
    system.feed_failure("sysUsed", 0xC0_4200_0000, 8192, parse_answer("errno=1455"))
    system.sys_map(0xC0_4200_0000, 8192, True)
    system.sys_used(0xC0_4200_0000, 4096)
    system.sys_used(0xC0_4200_2000, 8192)
    with pytest.raises(Death, match="runtime: failed to commit pages"):
        system.sys_used(0xC0_4200_0000, 8192)
    assert system.printed == ["runtime: VirtualAlloc of 0 bytes failed with errno=1455"]
    system.sys_used(0xC0_4200_0000, 8192)


def test_the_runtimes_own_check_of_its_arguments_stays() -> None:
    system = Recorded("linux", ptr_size=8, phys_page_size=65536)
    system.sys_unused(0xC0_4201_0000, 65536)
    with pytest.raises(Death, match="unaligned sysUnused"):
        system.sys_unused(0xC0_4200_2000, 65536)


@pytest.mark.parametrize(
    "text", ["", "errno=", "errno=-1", "errno=1_0", "0x", "0x_1", "0x 1", "0xg", "12", "errno=١", "0x1\n"]
)
def test_answers_that_no_recording_has(text: str) -> None:
    with pytest.raises(ValueError, match="expected errno=N"):
        parse_answer(text)
