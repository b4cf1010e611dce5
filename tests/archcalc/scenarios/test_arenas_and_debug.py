"""Scenarios with user arenas and with GODEBUG, and what of both a machine refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from allocator.interface import Cannot
from archcalc.boot import boot
from archcalc.machines.options import machine_options
from archcalc.reading.errors import ScenarioFault, UsageFault
from archcalc.scenarios import judge, load
from tests.support.sparse_heap import heap

FOLDER = Path(__file__).parents[3] / "examples" / "scenarios"
HEAD = "schema: 1\nabout: what is tried here\nplatform: linux/amd64\n"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_holds(path: Path) -> None:
    verdicts = [judge.carry_out(scenario) for scenario in load.load(path)]
    assert [e.message for verdict in verdicts for e in verdict.expectations if not e.ok] == []
    assert sum(len(verdict.expectations) for verdict in verdicts) > 4


def carried_out(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "s.yaml"
    file.write_text(HEAD + text)
    (scenario,) = load.load(file)
    return judge.carry_out(scenario)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('go: "1.27"\nsteps: [{free_arena: {arena: a}}]\nexpect: {audit: 0}\n', 5, "no arena is called a"),
        ("steps: [{arena: {as: a}}]\nexpect: {audit: 0}\n", 4, "this machine has no user arenas"),
        ("runtime: {godebug: {madvdontneed: 0}}\nexpect: {audit: 0}\n", 4, "follows only sbrk"),
        ("runtime: {gomemlimit: 64m}\nexpect: {audit: 0}\n", 4, "has no memory limit"),
        (
            'go: "1.27"\nruntime: {godebug: {gctrace: 1}}\nexpect: {audit: 0}\n',
            5,
            "follows decoratemappings, disablethp, harddecommit, madvdontneed, sbrk, updatemaxprocs",
        ),
    ],
)
def test_what_a_machine_does_not_follow_is_refused_where_it_stands(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(ScenarioFault) as refused:
        carried_out(tmp_path, text)
    (fault,) = refused.value.faults
    assert fault.line == line
    assert words in fault.found


def test_an_arena_that_is_freed_twice_panics(tmp_path: Path) -> None:
    text = (
        'go: "1.27"\nsteps: [{arena: {as: a}}, {free_arena: {arena: a}}, {free_arena: {arena: a}}]\n'
        "expect: {outcome: panic, throw: arena double free}\n"
    )
    assert carried_out(tmp_path, text).ok


# GODEBUG by itself.


@pytest.mark.parametrize(
    ("platform", "go", "settings"),
    [
        ("linux/amd64", "1.19", {"madvdontneed", "harddecommit", "sbrk"}),
        ("linux/amd64", "1.27", {"madvdontneed", "harddecommit", "disablethp", "sbrk"}),
        ("freebsd/amd64", "1.27", {"madvdontneed", "sbrk"}),
        ("freebsd/amd64", "1.19", {"sbrk"}),
        ("windows/amd64", "1.27", {"sbrk"}),
        ("darwin/arm64", "1.27", {"sbrk"}),
        ("linux/amd64", "7aefdfded", {"sbrk"}),
    ],
)
def test_each_system_follows_the_settings_that_its_file_reads(
    platform: str, go: str, settings: set[str]
) -> None:
    for name in ("madvdontneed", "harddecommit", "disablethp", "sbrk", "gctrace"):
        if name in settings:
            assert boot(platform, go=go, godebug={name: 1}).booted
        else:
            with pytest.raises(UsageFault, match=f"GODEBUG={name}=1"):
                boot(platform, go=go, godebug={name: 1})


@pytest.mark.parametrize(
    "text", ["sbrk", "=1", "sbrk=", "sbrk=x", "Sbrk=1", "sbrk=99999999999", "sbrk=2147483648"]
)
def test_a_text_that_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="NAME=VALUE"):
        machine_options({"godebug": text})


@pytest.mark.parametrize(("go", "first"), [("1.21", 0), ("1.24", 0), ("1.25", 1), ("1.27", 1)])
def test_huge_pages_are_advised_against_from_where_the_setting_is_known(go: str, first: int) -> None:
    """Before 1.25 GODEBUG was read after the first growth of the heap."""
    rt = boot("linux/amd64", go=go, godebug={"disablethp": 1})
    growths = [call for call in rt.kernel.log if call.fixed and call.size >= 4 << 20]
    advised = {call.address for call in rt.kernel.log if call.access == "MADV_NOHUGEPAGE"}
    assert (growths[0].address in advised) == bool(first)
    rt.malloc(64 << 20)
    last = [call for call in rt.kernel.log if call.fixed and call.size >= 4 << 20][-1]
    assert any(c.access == "MADV_NOHUGEPAGE" and c.address == last.address for c in rt.kernel.log)


def test_with_sbrk_nothing_comes_from_the_heap_nor_is_sampled_nor_collected() -> None:
    rt = boot("linux/amd64", go="1.27", godebug={"sbrk": 1}, mem_profile_rate=1, gogc=100)
    objects = [rt.malloc(size) for size in (1, 100, 100_000)]
    assert [rt.block_of(v) for v in objects] == [None] * 3
    assert rt.set_finalizer(objects[0])
    rt.collect(objects)
    assert rt.audit() == []
    assert rt.memstats()["HeapInuse"] == 0


@pytest.mark.parametrize("go", ["1.19", "1.27"])
def test_a_program_with_a_memory_limit_collects_before_it_grows_beyond(go: str) -> None:
    free, limited = (boot("linux/amd64", go=go, gomemlimit=limit) for limit in (None, "64m"))
    for rt in (free, limited):
        rt.liveness = []
        for _ in range(200):
            rt.malloc(1 << 20)
    assert free.memstats()["NumGC"] == 0
    stats = limited.memstats()
    assert stats["NumGC"] >= 3
    assert stats["Sys"] - stats["HeapReleased"] <= 64 << 20
    assert limited.audit() == []
    limited.set_memory_limit(32 << 20)  # debug.SetMemoryLimit
    assert limited.memstats()["NextGC"] < min(32 << 20, stats["NextGC"])


def test_offered_memory_may_keep_what_was_in_it() -> None:
    kept, dropped = (boot("freebsd/amd64", go="1.27", godebug={"madvdontneed": on}) for on in (0, 1))
    for rt, advice in ((kept, "MADV_FREE"), (dropped, "MADV_DONTNEED")):
        rt.collect([rt.malloc(1 << 20)][:0])
        rt.scavenge()
        assert {call.access for call in rt.kernel.log if call.name == "advise"} == {advice}


def test_a_heap_of_a_release_without_arenas_has_none() -> None:
    with pytest.raises(Cannot):
        heap(go="1.19").new_user_arena()
