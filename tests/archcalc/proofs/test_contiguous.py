"""What is proved of the machine of 7aefdfded, and what is found against it."""

from __future__ import annotations

import inspect
import textwrap
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

pytest.importorskip("z3")

from allocator.contiguous import core, mallocinit, mheap
from archcalc import proofs
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.proofs import properties
from archcalc.proofs.contiguous import IDS
from archcalc.proofs.proof import Proof
from archcalc.scenarios.judge import carry_out
from archcalc.scenarios.load import load


def proved(platform: str, *ids: str, **machine: Any) -> dict[str, Proof]:
    computed = figures.compute(platforms.load(platform), {})
    wanted = frozenset(ids or IDS)
    return {p.id: p for p in proofs.prove(computed, MachineOptions(**machine), wanted)}


@cache
def whole(platform: str) -> dict[str, Proof]:
    return proved(platform)


def refuted(platform: str) -> set[str]:
    assert all(p.holds is not None for p in whole(platform).values())
    return {p.id for p in whole(platform).values() if not p.holds}


def run(proof: Proof, folder: Path) -> Any:
    file = folder / "counterexample.yaml"
    file.write_text(proof.text)
    (scenario,) = load(file)
    return carry_out(scenario)


def test_a_32_bit_port_dies_when_the_system_answers_below_its_arena(tmp_path: Path) -> None:
    """golang/go#20259, and mipsle's death in heapBitsForSpan: found, and nothing else."""
    assert refuted("linux/mipsle") == {properties.SPAN}
    verdict = run(whole("linux/mipsle")[properties.SPAN], tmp_path)
    assert verdict.ok
    assert verdict.outcome.death["throw"] == "heapBitsForSpan: base out of range"


def test_the_last_rung_may_leave_tables_unmapped(tmp_path: Path) -> None:
    """linux/386 under a 64-bit kernel: a last rung near 4 GB, and memory below it."""
    found = proved("linux/386", properties.TABLE)[properties.TABLE]
    verdict = run(found, tmp_path)
    assert verdict.ok
    assert verdict.outcome.death["throw"] == "index out of range"


def test_dragonfly_replaces_what_stands_in_the_way(tmp_path: Path) -> None:
    found = proved("dragonfly/amd64", properties.FIXED)[properties.FIXED]
    assert found.holds is False
    assert run(found, tmp_path).ok
    assert "overwritten" in found.text


def test_a_system_that_reserves_nothing_always_says_yes() -> None:
    assert refuted("freebsd/amd64") <= {properties.HINTS}


def put_back(monkeypatch: pytest.MonkeyPatch, owner: Any, function: str, old: str, new: str) -> None:
    """Changes a function's source for the length of a test, as historic_bugs does."""
    fixed: FunctionType = vars(owner)[function]
    source = textwrap.dedent(inspect.getsource(fixed))
    assert source.count(old) == 1
    space: dict[str, Any] = {}
    code = "from __future__ import annotations\n" + source.replace(old, new)
    exec(compile(code, inspect.getfile(fixed), "exec"), fixed.__globals__, space)
    monkeypatch.setattr(owner, function, space[function])


HISTORIC = [
    (
        "refused-reservation", "_reserve_more",
        "if not p:\n        return False\n    if p == self.arena_end:",
        "if p == self.arena_end:", "linux/mips", {}, properties.ANSWERED,
    ),
    ("bits-not-mapped", "sys_alloc",
     "self._map_bits(p + n)\n        self._map_spans(p + n)\n        self.arena_used = p + n",
     "self.arena_used = p + n", "linux/mips", {}, properties.TABLE),
    ("pages-in-use", "_grow", "self.pages_in_use += ask >> shift", "self.pages_in_use += npages",
     "linux/mips", {}, properties.COUNTERS),
    ("overflow-of-arena-end", "_reserve_more", "new_end < self.arena_end or ", "",
     "linux/386", {}, properties.REACH),
    ("stat-underflow", "_reserve_more", "rt.sys_free(p, size, None)", 'rt.sys_free(p, size, "buckhash_sys")',
     "linux/arm64", {}, properties.ENDS),
    ("bitmap-short-by-a-page", "_map_bits", "n = (n + phys - 1) & -phys", "pass",
     "linux/arm64", {"page_size": 65536}, properties.PAGES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "old", "new", "platform", "machine", "id"),
    [bug[1:] for bug in HISTORIC],
    ids=[bug[0] for bug in HISTORIC],
)
def test_a_historic_bug_put_back_is_found(
    function: str, old: str, new: str, platform: str, machine: dict[str, int],
    id: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert proved(platform, id, **machine)[id].holds is True
    put_back(monkeypatch, mheap.MHeap, function, old, new)
    assert proved(platform, id, **machine)[id].holds is False


def test_the_mended_code_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mending of #20259: nothing below arena_used is accepted any more, and every span stays inside."""
    old, new = "elif self.arena_start <= p and", "elif self.arena_used <= p and"
    put_back(monkeypatch, mheap.MHeap, "_reserve_more", old, new)
    assert proved("linux/mipsle", properties.SPAN)[properties.SPAN].holds is True


def test_mallocinit_itself_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    put_back(monkeypatch, mallocinit, "mallocinit", "p1 = word.round(p, page_size)", "p1 = p")
    monkeypatch.setattr(core, "mallocinit", mallocinit.mallocinit)
    assert proved("linux/386", "boot-page-rounding")["boot-page-rounding"].holds is False


def test_a_what_if_is_proved_too() -> None:
    """A ladder that begins with more than Plan 9's segment of 512 MB does not fit it."""
    computed = figures.compute(platforms.load("plan9/arm"), {})
    (found,) = proofs.prove(computed, MachineOptions(), frozenset({properties.LADDER}))
    assert found.holds is False
    assert found.text
