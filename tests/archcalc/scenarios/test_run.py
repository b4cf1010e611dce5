"""The steps of scenarios do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.scenarios import judge, load
from archcalc.scenarios.judge import ScenarioVerdict
from archcalc.scenarios.run import survivors


def carried(folder: Path, text: str) -> ScenarioVerdict:
    path = folder / "it.yaml"
    path.write_text("schema: 1\nabout: a test\nplatform: linux/amd64\n" + text)
    (verdict,) = [judge.carry_out(scenario) for scenario in load.load(path)]
    assert [e.message for e in verdict.expectations if not e.ok] == []
    return verdict


@pytest.mark.parametrize(
    ("live", "left"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ("none", []),
        (0.5, [1, 3, 5]),
        (2, [2, 5]),
        (100, [0, 1, 2, 3, 4, 5]),
        (0.0, []),
    ],
)
def test_survivors_are_spread_evenly(live: str | int | float, left: list[int]) -> None:
    assert survivors([0, 1, 2, 3, 4, 5], live) == left


def test_objects_are_collected_by_share_and_by_name(tmp_path: Path) -> None:
    verdict = carried(
        tmp_path,
        "steps:\n"
        "  - malloc: {size: [100, 200], count: 10, as: small}\n"
        "  - malloc: {size: 64k, count: 4, noscan: false, as: large}\n"
        "  - collect: {live: none, keep: large}\n"
        "  - expect: {memstats: {HeapObjects: 4, HeapAlloc: 256k}, audit: 0}\n"
        "  - collect: {drop: large}\n"
        "expect: {allocated: 14, memstats: {HeapObjects: 0, NumGC: 2}, audit: 0}\n",
    )
    assert verdict.outcome.kind == "booted"


def test_types_stacks_finalizers_and_several_ps(tmp_path: Path) -> None:
    carried(
        tmp_path,
        "runtime: {procs: 2, gogc: 100}\n"
        "steps:\n"
        "  - malloc: {size: 48, count: 50, type: {size: 24, pointers: [0, 2], name: T}, p: 1}\n"
        "  - stacks: {size: 2k, count: 3}\n"
        "  - stacks: {size: 64k}\n"
        "  - expect: {memstats: {StackInuse: 96k}}\n"
        "  - free_stacks\n"
        "  - finalizers: {count: 10}\n"
        "  - collect: none\n"
        "  - expect: {memstats: {HeapObjects: 10}}\n"
        "  - run_finalizers\n"
        "  - collect: none\n"
        "expect: {outcome: booted, audit: 0, memstats: {HeapObjects: 0}}\n",
    )


def test_newarray_can_panic(tmp_path: Path) -> None:
    carried(
        tmp_path,
        "steps: [{newarray: {element: 8, count: 10}}, {newarray: {element: 8, count: -1}}]\n"
        'expect: {outcome: panic, throw: "runtime: allocation size out of range",\n'
        '         during: "step 2: newarray"}\n',
    )


def test_answers_of_the_system_by_chance_and_by_exhaustion(tmp_path: Path) -> None:
    carried(
        tmp_path,
        "steps:\n"
        "  - malloc: {size: 1m, count: 4}\n"
        "  - answers: [{after: 8m}]\n"
        "  - grow: {to: death}\n"
        'expect: {outcome: throw, throw: "runtime: out of memory", allocated: 11}\n',
    )
    carried(
        tmp_path,
        "os: [{call: sysReserve, chance: 1.0}]\n"
        'expect: {outcome: throw, throw: "runtime: cannot reserve arena virtual address space"}\n',
    )


def test_a_neighbour_can_come_later(tmp_path: Path) -> None:
    carried(
        tmp_path,
        "steps:\n"
        "  - malloc: {size: 1m}\n"
        "  - take: {from: 0xc420200000, to: 0xc420201000}\n"
        "  - grow: {to: death}\n"
        'expect: {outcome: throw, throw: "runtime: address space conflict", allocated: 2}\n',
    )


def test_growing_stops_at_a_figure(tmp_path: Path) -> None:
    carried(
        tmp_path,
        "steps: [{grow: {to: {heap_sys: 10m, arena_size: 5m}, size: 2m}}]\n"
        "expect: {outcome: booted, allocated: 5, memstats: {heap_sys: 10m}}\n",
    )
