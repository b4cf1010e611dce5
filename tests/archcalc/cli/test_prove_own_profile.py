"""A counterexample on a profile of the user's own names that profile, so that the machine can confirm it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PROFILE = Path(__file__).parents[3] / "examples" / "profiles" / "linux-riscv64.yaml"


def test_a_porters_counterexample_is_run_on_the_porters_profile(cli: Any, tmp_path: Path) -> None:
    pytest.importorskip("z3")
    found = tmp_path / "found"
    wanted = ("--property", "prove-hints-in-user-space", "--scenarios", found)
    run = cli("prove", "--profile", PROFILE, "linux/riscv64", *wanted, "--format", "json")
    assert run.code == 1
    (proof,) = run.json["proofs"]
    assert proof["holds"] is False and Path(proof["scenario"]).is_file()
    assert cli("run", found).code == 0
