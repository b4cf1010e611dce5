"""What is found against the machine of today, and that what is shown is really shown."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("z3")

from archcalc import proofs
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.proofs.proof import Proof
from archcalc.proofs.properties import FIXED, HINTS, NOTICED, PROGRAM, TWICE
from archcalc.scenarios.judge import carry_out
from archcalc.scenarios.load import load

UNREFUTED = frozenset({NOTICED, FIXED, PROGRAM, HINTS})


@cache
def proved(platform: str) -> dict[str, Proof]:
    computed = figures.compute(platforms.load(platform, "1.27"))
    return {p.id: p for p in proofs.prove(computed, MachineOptions(), UNREFUTED)}


def test_a_refused_scavenge_index_is_found_and_shown(tmp_path: Path) -> None:
    found = proved("linux/arm64")[PROGRAM]
    assert found.holds is False and found.refutation is not None
    figures_of = found.refutation.computed["overwritten"]
    assert isinstance(figures_of, dict)
    assert figures_of["mapped"] == {"address": 0x80000, "bytes": 4096}
    (base,) = figures_of["heap_bases"]
    # An entry of 8 bytes stands for 4 MB of heap: the image's addresses times 1 << 19.
    assert (base["from"], base["to"]) == (0x10000 << 19, 0x174000 << 19)
    file = tmp_path / "found.yaml"
    file.write_text(found.text)
    (scenario,) = load(file)
    verdict = carry_out(scenario)
    assert verdict.ok and verdict.outcome.kind == "signal"
    assert verdict.outcome.runtime.system.overwritten


def test_an_index_far_from_the_program_replaces_nothing_of_it() -> None:
    found = proved("linux/amd64")
    assert found[NOTICED].holds is False
    assert found[PROGRAM].holds is not False


def test_what_no_run_can_show_is_not_told_as_shown() -> None:
    hints = proved("linux/amd64")[HINTS]
    assert hints.holds is None and not hints.text


def test_what_was_not_gone_through_is_not_proved() -> None:
    computed = figures.compute(platforms.load("linux/386", "1.27"))
    (found,) = proofs.prove(computed, MachineOptions(), frozenset({TWICE}))
    assert found.holds is None and "arenas" in found.reason
