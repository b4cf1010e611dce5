"""The options that describe a machine, on `boot` and `smoke`; and what makes a smoke run fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from allocator import mheap

LADDER = [807411712, 538976256, 404758528, 270540800]


def booted(cli: Any, *words: object) -> dict[str, Any]:
    """The one boot of a command line that works."""
    run = cli("boot", *words, "--format", "json")
    assert (run.code, run.err) == (0, "")
    (boot,) = run.json["boots"]
    found: dict[str, Any] = boot
    return found


def smoked(cli: Any, *words: object) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the runs of a command line."""
    run = cli("smoke", *words, "--format", "json")
    return run.code, run.json["runs"]


# The machine.


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        (["--ulimit-v", "1g"], 1),
        (["--ulimit-v", "640m"], 2),
        (["--ulimit-v", "1g", "--image-size", "400m"], 2),
        (["--ulimit-v", "450m"], 3),
    ],
)
def test_less_room_takes_a_lower_rung(cli: Any, options: list[str], attempts: int) -> None:
    boot = booted(cli, "linux/386", *options)
    assert [a["size"] for a in boot["attempts"]] == LADDER[:attempts]


def test_taken_ranges_add_up(cli: Any) -> None:
    boot = booted(
        cli, "linux/amd64", "--taken", "0xc000000000-0xc000001000", "--taken", "0x1c000000000-0x1c000001000"
    )
    assert [a["answer"] for a in boot["attempts"]] == [0, 0, 0x2C000000000]


def test_a_maps_file_says_what_is_taken(cli: Any, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text("c000000000-c000100000 rw-p 00000000 00:00 0 \n")
    assert booted(cli, "linux/amd64", "--maps", maps)["attempts"][-1]["answer"] == 0x1C000000000
    maps.write_text("c000000000-c000100000 rw-p 00000000 00:00 0 \nnonsense\n")
    run = cli("boot", "linux/amd64", "--maps", maps)
    assert run.code == 2
    assert f"{maps}:2:1" in run.err
    assert cli("boot", "linux/amd64", "--maps", tmp_path / "none").code == 2


def test_the_data_segment_s_end_is_where_32_bits_ask(cli: Any) -> None:
    boot = booted(cli, "linux/386", "--data-end", "0x8300001")
    assert boot["attempts"][0]["hint"] == 0x8400000


def test_a_kernel_that_ignores_hints_puts_darwin_elsewhere(cli: Any) -> None:
    (attempt,) = booted(cli, "darwin/amd64", "--ignore-hints")["attempts"]
    assert attempt["answer"] not in (0, attempt["hint"])


def test_fewer_bits_of_address_leave_the_ladder(cli: Any) -> None:
    boot = booted(cli, "linux/amd64", "--va-bits", "39")
    assert len(boot["attempts"]) == 129
    assert [a["answer"] for a in boot["attempts"][:128]] == [0] * 128


def test_a_setting_is_followed_and_told(cli: Any) -> None:
    boot = booted(cli, "linux/amd64", "--set", "_MHeapMap_TotalBits=35")
    assert boot["set"] == {"_MHeapMap_TotalBits": 35}
    assert boot["arena"]["arena_end"] - boot["arena"]["arena_start"] == (32 << 30) + 8192


def test_smoke_follows_them_too(cli: Any) -> None:
    _, (one,) = smoked(cli, "linux/arm64", "-n", 200, "--taken", "0x4000000000-0x4000800000")
    assert one["arena"]["arena_start"] == 0x14420000000
    code, (one,) = smoked(cli, "linux/arm64", "-n", 300, "--page-size", "64k", "--audit-every", "50")
    assert (code, one["violations"]) == (0, [])


# How it is run.


def test_gogc_makes_cycles_of_its_own(cli: Any) -> None:
    collections = [
        smoked(cli, "linux/amd64", "-n", 1500, "-w", "large", *words)[1][0]["collections"]
        for words in ((), ("--gogc", "10"))
    ]
    assert collections[0] == 0
    assert collections[1] > 0


def test_more_ps_have_more_caches(cli: Any) -> None:
    spans = [
        smoked(cli, "linux/amd64", "-n", 400, "-w", "procs", "--procs", n)[1][0]["spans"]["in_use"]
        for n in (1, 8)
    ]
    assert spans[1] > spans[0]


@pytest.mark.parametrize("procs", ["0", "257"])
def test_a_gomaxprocs_that_cannot_be_is_a_mistake(cli: Any, procs: str) -> None:
    run = cli("smoke", "linux/amd64", "--procs", procs)
    assert (run.code, run.out) == (2, "")
    assert "GOMAXPROCS, which is 1 to 256" in run.err


def test_a_recording_is_of_one_run(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.trace.gz"
    for words in (["linux/386", "linux/arm"], ["linux/386", "-w", "all"]):
        run = cli("smoke", *words, "--record", path)
        assert run.code == 2
        assert "--record writes one run" in run.err
        assert not path.exists()


# What makes it fail.


def test_a_death_that_was_not_meant_fails(cli: Any) -> None:
    words = ("linux/386", "-w", "large", "-n", "20000", "--ulimit-v", "290m")
    code, (one,) = smoked(cli, *words)
    assert (code, one["ok"], one["death"]["kind"]) == (1, False, "throw")
    table = cli("smoke", *words)
    assert table.code == 1
    assert f"fatal error: {one['death']['throw']}" in table.out
    sarif = cli("smoke", *words, "--format", "sarif").json
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == ["smoke-death"]


def test_a_violation_fails_and_is_named(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = mheap.MHeap.alloc_stack

    def forgetful(heap: mheap.MHeap, npages: int) -> int:
        s = original(heap, npages)
        heap.rt.stats.stacks_inuse -= 8192
        return s

    monkeypatch.setattr(mheap.MHeap, "alloc_stack", forgetful)
    words = ("linux/amd64", "-w", "stacks", "-n", 40)
    code, (one,) = smoked(cli, *words)
    assert code == 1
    assert {v["name"] for v in one["violations"]} == {"counters"}
    assert one["violations"][0]["message"].startswith("stacks_inuse is ")
    found = cli("smoke", *words, "--format", "sarif").json
    assert {result["ruleId"] for result in found["runs"][0]["results"]} == {"smoke-audit"}
