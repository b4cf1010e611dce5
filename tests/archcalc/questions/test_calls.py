"""What machines ask for is what real programs asked for, and a change in their files is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import generations
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.boot import try_boot
from archcalc.questions.calls import compare
from archcalc.questions.why import Why, explain_failure
from archcalc.reading import callsfile

FILES = sorted((Path(__file__).parents[2] / "data" / "oscalls").glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_call_is_as_recorded(file: Path) -> None:
    compared = compare(callsfile.load(file))
    assert compared.differences == 0, compared.first
    assert len(compared.made) == len(compared.program.calls)


def test_there_are_files_of_all_kinds() -> None:
    programs = [callsfile.load(file) for file in FILES]
    assert {"linux/386", "linux/amd64", "linux/arm", "linux/s390x"} <= {one.platform for one in programs}
    assert {"1.19", "1.21", "1.24", "1.27"} <= {".".join(one.release[2:].split(".")[:2]) for one in programs}


NAMED = next(file for file in FILES if file.stem == "measured-go1.27.3-linux-amd64-named")


def test_names_are_compared_where_the_file_has_them(tmp_path: Path) -> None:
    def change(calls: list[list[Any]]) -> None:
        place = next(i for i, call in enumerate(calls) if call[3] == " Go: heap")
        calls[place][3] = " Go: heap reservation"

    compared = compare(callsfile.load(changed(tmp_path, change, NAMED)))
    assert compared.differences == 1
    assert compared.first is not None
    assert compared.first.asked is not None
    assert compared.first.asked.access == " Go: heap"
    assert compare(
        callsfile.load(NAMED), options=MachineOptions(godebug=(("decoratemappings", 0),))
    ).differences


def test_names_that_do_not_say_of_what_are_not_compared(tmp_path: Path) -> None:
    def change(calls: list[list[Any]]) -> None:
        place = next(i for i, call in enumerate(calls) if call[0] == "name")
        calls[place] = ["name", "PR_SET_VMA"]

    program = callsfile.load(changed(tmp_path, change, NAMED))
    assert not program.told_names
    assert program.calls == callsfile.load(NAMED).unnamed
    assert compare(program).differences == 0


def changed(tmp_path: Path, change: Any, file: Path | None = None) -> Path:
    file = file or next(file for file in FILES if "1.27-linux-amd64" in file.name)
    document = json.loads(file.read_text())
    change(document["calls"])
    file = tmp_path / "calls.json"
    file.write_text(json.dumps(document))
    return file


def test_one_changed_size_is_one_difference(tmp_path: Path) -> None:
    def change(calls: list[list[Any]]) -> None:
        calls[8][2] += 4096

    compared = compare(callsfile.load(changed(tmp_path, change)))
    assert compared.differences == 1
    assert compared.first is not None
    assert compared.first.place == 8


def test_a_call_that_nobody_makes_is_a_difference(tmp_path: Path) -> None:
    def change(calls: list[list[Any]]) -> None:
        calls.append(["map", "0x0", 8192, "rw", "-", "0x7f0a00000000"])

    assert compare(callsfile.load(changed(tmp_path, change))).differences


def test_a_missing_call_is_a_difference(tmp_path: Path) -> None:
    def change(calls: list[list[Any]]) -> None:
        del calls[3]

    assert compare(callsfile.load(changed(tmp_path, change))).differences


def test_a_refused_summary_is_its_last_words(tmp_path: Path) -> None:
    def change(calls: list[list[Any]]) -> None:
        calls[5][5] = "ENOMEM"
        del calls[6:]

    compared = compare(callsfile.load(changed(tmp_path, change)))
    assert compared.death == "failed to reserve page summary memory"


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (["map", "0x0", "many", "rw", "-", "0x1000"], "calls[0]"),
        (["map", "0x0", 4096, "rwx", "-", "0x1000"], "calls[0]"),
        (["unmap", "0x0", 4096], "calls[0]"),
        (["flush", "0x0"], "calls[0]"),
    ],
)
def test_a_wrong_call_is_a_located_fault(tmp_path: Path, call: list[Any], place: str) -> None:
    def change(calls: list[list[Any]]) -> None:
        calls[0] = call

    with pytest.raises(callsfile.CallsFault) as caught:
        callsfile.load(changed(tmp_path, change))
    fault = caught.value.faults[0]
    assert fault.line
    assert fault.column
    assert place in str(fault)


# Borders: the same programs under RLIMIT_AS, from the model alone.

BORDERED = [file for file in FILES if callsfile.load(file).borders]
NEAR = 310  # KB on either side of a border, 3100 where it is one to "up"


def outcome(file: Path, limit_kb: int) -> str:
    program = callsfile.load(file)
    go = generations.named(program.release)
    options = MachineOptions(ulimit_v=limit_kb * 1024, image_size=program.image)
    booted = try_boot(figures.compute(platforms.of(program.platform, go), {}, go), options)
    if booted.death is None:
        return "up"
    return "\n".join([*booted.death["printed"], f"fatal error: {booted.death['throw']}"])


@pytest.mark.parametrize("file", BORDERED, ids=lambda file: file.stem)
def test_the_outcome_under_a_limit_is_that_of_the_program(file: Path) -> None:
    borders = callsfile.load(file).borders
    for row, following in zip(borders, (*borders[1:], None), strict=True):
        near = 3100 if row["outcome"] == "up" else NEAR
        least = row["from_kb"] + near
        most = following["from_kb"] - NEAR if following else least + 100_000
        if following and following["outcome"] == "up":
            most = following["from_kb"] - 400
        for limit in {least, (least + most) // 2, most} if least <= most else ():
            assert outcome(file, limit) == row["outcome"], limit


# RLIMIT_DATA, in KB, at which programs began to end with these words; bisected to 8 KB on linux 6.18.
WANTS_DATA = {
    ("1.19", "linux/amd64", 225280): (
        (488, "out of memory allocating heap arena map"),
        (33256, "out of memory allocating heap arena metadata"),
        (35368, "runtime: out of memory"),
        (39608, "pageAlloc: out of memory"),
    ),
    ("1.22", "linux/386", 212992): (
        (488, "pageAlloc: out of memory"),
        (4712, "runtime: cannot allocate memory"),
        (4840, "up"),
    ),
    ("1.27", "linux/amd64", 249856): (
        (504, "out of memory allocating heap arena map"),
        (33272, "out of memory allocating heap arena metadata"),
        (33352, "runtime: out of memory"),
        (37592, "pageAlloc: out of memory"),
        (38616, "runtime: cannot allocate memory"),
    ),
}


@pytest.mark.parametrize(
    ("program", "borders"), WANTS_DATA.items(), ids=lambda value: "-".join(map(str, value))
)
def test_the_outcome_under_a_limit_of_data_is_that_of_the_program(
    program: tuple[str, str, int], borders: tuple[tuple[int, str], ...]
) -> None:
    go, platform, data = program
    computed = figures.compute(platforms.of(platform, go), {}, go)

    def words(kb: int) -> str:
        death = try_boot(computed, MachineOptions(rlimit_data=kb << 10, image_data=data)).death
        return "up" if death is None else str(death["throw"])

    for (kb, here), below in zip(borders, ("", *(one for _, one in borders)), strict=False):
        assert words(kb + 24) == here
        assert words(kb - 24) != here
        assert below in ("", words(kb - 24))


def test_there_is_an_island_where_a_reservation_fails_unnoticed() -> None:
    figures_of = figures.compute(platforms.of("linux/amd64", "1.27"), {}, "1.27")

    def why(megabytes: int) -> Why | None:
        return explain_failure(figures_of, MachineOptions(ulimit_v=megabytes << 20, image_size=1568 << 10))

    within = why(900)
    assert within is not None
    assert within.throw is None
    (lost,) = within.unnoticed
    assert lost.size == 512 << 20
    assert lost.mapped == ((0x10180000, 4096),)
    above = why(1150)
    assert above is not None
    assert above.throw == "out of memory"
    assert not above.unnoticed
    assert {change.more > 0 for change in above.changes if change.what == "ulimit_v"} == {True, False}
    assert why(1400) is None


# Programs with C in them, and programs that allocate before main or in it.


def named(kind: str) -> list[Path]:
    return [file for file in FILES if file.stem.endswith(kind)]


@pytest.mark.parametrize("file", named("cgo"), ids=lambda file: file.stem)
def test_what_a_c_library_asks_for_is_not_the_runtimes(file: Path) -> None:
    program = callsfile.load(file)
    compared = compare(program)
    assert compared.others == len(program.calls) - len(compared.made)
    runtimes = compared.program.calls
    assert {call.name for call in runtimes} == {"map", "advise"}
    assert not compared.by_program
    stacks = [call.size for call in program.calls if call not in runtimes and call.size == (8 << 20) + 4096]
    assert len(stacks) >= 4  # a thread each: sysmon's, two more, that of the template


@pytest.mark.parametrize("file", named("large-objects"), ids=lambda file: file.stem)
def test_what_a_program_allocates_is_given_and_what_follows_is_compared(file: Path, tmp_path: Path) -> None:
    compared = compare(callsfile.load(file))
    assert 3 < compared.by_program < 10
    assert compared.landmarks["arenas"] >= 3
    document = json.loads(file.read_text())
    reserved = document["calls"].index(next(c for c in document["calls"] if c[2] == 128 << 20))
    for place, more in ((reserved, 64 << 20), (reserved + 1, 16), (reserved + 3, 4096)):
        document["calls"][place][2] += more
        (tmp_path / "calls.json").write_text(json.dumps(document))
        assert compare(callsfile.load(tmp_path / "calls.json")).differences
        document["calls"][place][2] -= more


@pytest.mark.parametrize("file", named("gogc-1"), ids=lambda file: file.stem)
def test_a_queue_of_spans_is_taken_only_where_collections_begin_early(file: Path, tmp_path: Path) -> None:
    assert not compare(callsfile.load(file)).differences
    document = json.loads(file.read_text())
    document["environment"] = {"GOGC": "100", "GODEBUG": "sbrk=0,unknown=1"}
    (tmp_path / "calls.json").write_text(json.dumps(document))
    compared = compare(callsfile.load(tmp_path / "calls.json"))
    assert compared.differences
    assert compared.collecting
    document["calls"][-1][2] += 8
    (tmp_path / "calls.json").write_text(json.dumps(document))
    assert not compare(callsfile.load(tmp_path / "calls.json")).collecting
