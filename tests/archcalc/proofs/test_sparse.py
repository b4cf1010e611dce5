"""What is found against the machine of today, and that what is shown is really shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import proved as proving
import pytest

pytest.importorskip("z3")

from archcalc.proofs.proof import Proof
from archcalc.proofs.properties import (
    ACCEPTED,
    COUNTERS,
    ENDS,
    FIXED,
    HINTS,
    INDEX,
    NOTICED,
    PAGES,
    PROGRAM,
    REACH,
    RECORDED,
    REFUSED,
    TWICE,
    WRAP,
)
from archcalc.scenarios.judge import carry_out
from archcalc.scenarios.load import load

UNREFUTED = frozenset({NOTICED, FIXED, PROGRAM, HINTS})
GROWTH = frozenset({WRAP, ACCEPTED, REFUSED, ENDS, TWICE, REACH, PAGES, COUNTERS, RECORDED})


def proved(platform: str, ids: frozenset[str] = UNREFUTED) -> dict[str, Proof]:
    return proving.proved(platform, "1.27", ids)


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


def test_a_hint_at_random_may_be_no_address(tmp_path: Path) -> None:
    """Prefixes count up and start over at 0: with some bases, one of the hints is address 0."""
    hints = proved("linux/amd64")[HINTS]
    assert hints.holds is False and hints.refutation is not None
    verdict = shown(hints, tmp_path)
    assert verdict.outcome.attempts[-1].hint == hints.refutation.figures["hint"]


def test_the_growth_of_arenas_is_proved() -> None:
    found = proved("linux/amd64", GROWTH)
    assert {id for id, proof in found.items() if proof.holds is not True} == set()


@pytest.mark.parametrize(("platform", "ids"), [("js/wasm", {NOTICED}), ("plan9/amd64", {NOTICED, INDEX})])
def test_a_system_that_has_but_a_break_is_gone_through(platform: str, ids: set[str], tmp_path: Path) -> None:
    """The heap's first memory leaves a hint from which it grows down, perhaps to 0, and that may be refused.

    Plan 9 on 64 bits may be refused the scavenge index, too, whose entries then lie in other tables.
    """
    found = proved(platform, frozenset())
    assert all(proof.holds is not None for proof in found.values())
    assert {id for id, proof in found.items() if not proof.holds} == ids
    for id in ids:
        shown(found[id], tmp_path)


def test_a_request_of_nearly_all_addresses_asks_for_nothing(tmp_path: Path) -> None:
    """32-bit: what a request is rounded up to wraps to 0 bytes, which go1.27 maps, and dies of."""
    found = proved("linux/386", frozenset({WRAP}))[WRAP]
    assert found.holds is False
    assert shown(found, tmp_path).outcome.death is not None


def test_a_refusal_at_a_hint_of_0_passes_for_success(tmp_path: Path) -> None:
    """A hint from which the heap grows down may end at 0, which is what a refusal is, too."""
    found = proved("linux/arm", frozenset({NOTICED}))[NOTICED]
    assert found.holds is False
    shown(found, tmp_path)


def shown(proof: Proof, folder: Path) -> Any:
    """What a run of the counterexample comes to."""
    file = folder / "found.yaml"
    file.write_text(proof.text)
    (scenario,) = load(file)
    verdict = carry_out(scenario)
    assert verdict.ok
    return verdict
