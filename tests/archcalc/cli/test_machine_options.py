"""The options that describe a machine and what its OS answers; and what makes a smoke run fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from allocator.contiguous import mheap
from archcalc import api
from archcalc.reading.errors import UsageFault

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


# What the OS answers.


def test_a_refused_call_kills_with_the_runtimes_words(cli: Any) -> None:
    """mallocinit's own sysMap calls come first; the third is the first piece of the heap."""
    for answer in ("sysMap:3", "sysMap:3=refused", "sysMap:3=errno=12", "sysMap:3-7"):
        code, (run,) = smoked(cli, "linux/amd64", "-n", 300, "--answer", answer)
        assert (code, run["ok"], run["death"]["throw"]) == (1, False, "runtime: out of memory")
    code, (run,) = smoked(cli, "linux/386", "-n", 300, "--answer", "sysReserve")
    assert (code, run["death"]["throw"]) == (1, "runtime: cannot reserve arena virtual address space")


def test_memory_may_run_out(cli: Any) -> None:
    code, (run,) = smoked(cli, "linux/amd64", "-n", 1000, "--refuse-after", "2m")
    assert (code, run["death"]["throw"]) == (1, "runtime: out of memory")
    assert 0 < run["allocations"] < 1000
    assert smoked(cli, "linux/amd64", "-n", 1000, "--refuse-after", "1g")[0] == 0


def test_an_address_may_be_answered(cli: Any) -> None:
    usual = smoked(cli, "linux/386", "-n", 100)[1][0]["arena"]["arena_used"]
    code, (run,) = smoked(cli, "linux/386", "-n", 100, "--answer", "sysReserve:1=0x50000000")
    assert code == 0
    assert run["arena"]["arena_used"] - usual == 0x50000000 - 0x8200000


def test_a_chance_is_the_same_for_the_same_seed(cli: Any) -> None:
    words = ("linux/amd64", "-n", 2000, "--refuse-chance", "20%", "--seed")
    deaths = [smoked(cli, *words, seed)[1][0]["death"] for seed in (1, 1, 2, 3, 4)]
    assert deaths[0] == deaths[1]
    assert any(death is not None for death in deaths)


def test_a_refusal_is_recorded_and_reproduced(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.trace.gz"
    for answer in ("sysMap:7", "sysAlloc:5", "sysReserve:1=0x7f0000000000"):
        run = cli("smoke", "linux/amd64", "--answer", answer, "--record", path, "--force")
        assert run.code in (0, 1) and "changed nothing" not in run.err
        assert cli("replay", path).code == 0


def test_an_answer_to_a_call_that_never_comes_is_noted(cli: Any) -> None:
    run = cli("smoke", "linux/amd64", "-n", 100, "--answer", "sysMap:400-500")
    assert run.code == 0
    assert "linux/amd64, mixed: --answer sysMap:400-500 changed nothing: there were " in run.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--answer", "sysmap"], "did you mean 'sysMap'?"),
        (["--answer", "sysMap:0"], "'0' names no calls of sysMap"),
        (["--answer", "sysMap:3-2"], "'3-2' names no calls of sysMap"),
        (["--answer", "sysMap:x"], "'x' is not a count"),
        (["--answer", "sysMap=no"], "'no' is not an answer"),
        (["--answer", "sysMap=errno=x"], "'x' is not a count"),
        (["--answer", "sysMap=0xq"], "0xq"),
        (["--refuse-after", "x"], "'x' is not a size"),
        (["--refuse-chance", "2"], "'2' is not a percentage or fraction"),
    ],
)
def test_answers_that_cannot_be_are_exit_code_2(words: list[str], told: str, cli: Any) -> None:
    run = cli("smoke", "linux/amd64", *words)
    assert run.code == 2 and run.out == ""
    assert told in run.err


# Heaps of such machines.


def test_a_heap_is_drawn_of_the_machine_that_is_described(cli: Any) -> None:
    usual = cli("heap", "linux/386", "-n", 200, "--format", "json").json["heaps"][0]["base"]
    found = cli("heap", "linux/386", "-n", 200, "--taken", "0x8200000-0x9000000", "--format", "json")
    smoke = smoked(cli, "linux/386", "-n", 200, "--taken", "0x8200000-0x9000000")[1][0]
    assert found.json["heaps"][0]["base"] == 0xD7FFC000 != usual
    assert found.json["heaps"][0]["totals"]["spans"] == smoke["spans"]["in_use"]
    refused = cli("heap", "linux/386", "--ulimit-v", "200m")
    assert refused.code == 2
    assert "does not boot: runtime: cannot reserve arena virtual address space" in refused.err
    assert "--ulimit-v changes nothing on windows" in cli("heap", "windows/386", "--ulimit-v", "1g").err


def test_a_recording_has_its_own_machine(cli: Any) -> None:
    trace = Path(__file__).parents[2] / "data" / "traces" / "linux-amd64.gcprog.stw.trace.gz"
    refused = cli("heap", trace, "--ulimit-v", "1g")
    assert refused.code == 2 and "a recording has its own machine" in refused.err


def test_the_api_describes_machines_of_heaps_too() -> None:
    heap = api.heap("linux/386", n=200, taken=[(0x8200000, 0x9000000)])
    assert heap.document()["heaps"][0]["base"] == 0xD7FFC000  # type: ignore[index]
    with pytest.raises(UsageFault, match="ulimit describes no machine"):
        api.heap("linux/386", ulimit=3)
