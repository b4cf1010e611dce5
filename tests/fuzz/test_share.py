"""A share of the fuzzing with fixed seeds, for every run of the tests. The long run is in fuzzer.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

FUZZER: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("fuzzer.py")))
# How many inputs of each kind take a few seconds.
SHARE = {"profiles": 1500, "scenarios": 500, "traces": 700, "expressions": 1200, "options": 400, "maps": 3000}


@pytest.mark.parametrize("kind", SHARE)
def test_damaged_inputs_come_out_as_a_result_or_a_mistake_that_is_reported(kind: str) -> None:
    outcomes, findings = FUZZER["fuzz"](kind, 20170106, SHARE[kind])
    assert findings == []
    assert outcomes["mute"] == 0
    # Not all are refused at the door, or nothing behind it would be tried.
    assert len(outcomes) >= 2, outcomes


def test_what_breaks_is_found() -> None:
    """A feed that fails, and one that hangs, are findings."""

    def broken(rng: Any, folder: Path) -> str:
        raise KeyError("x")

    fuzz = FUZZER["fuzz"]
    fuzz.__globals__["KINDS"]["broken"] = lambda: broken
    outcomes, findings = fuzz("broken", 1, 3)
    assert outcomes["FOUND"] == 3 and "KeyError" in findings[0]
