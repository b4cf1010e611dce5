"""constraints.txt has a version of each package that pyproject.toml names, which .ci/run does without."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
NAMED = {re.split(r"[^\w-]", wanted)[0].lower() for group in WANTED for wanted in group} - {"archcalc"}


@pytest.mark.parametrize("package", sorted(NAMED))
def test_a_version_is_known_to_pass(package: str) -> None:
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    assert [line for line in lines if re.fullmatch(rf"{package}==[\w.]+", line)] != []


def test_the_check_of_every_change_takes_the_newest() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert not re.search(r"pip install.*constraints", script)
    assert "constraints" not in (ROOT / "README.md").read_text()
