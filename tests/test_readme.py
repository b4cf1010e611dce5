"""The README's commands print what it shows, and its two command lines are there to be pasted."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

spec = importlib.util.spec_from_file_location("documented", Path(__file__).parent / "documented.py")
assert spec and spec.loader
documented = importlib.util.module_from_spec(spec)
sys.modules["documented"] = documented
spec.loader.exec_module(documented)


def test_every_command_prints_what_is_shown() -> None:
    assert documented.differences(README) == []


def test_there_are_two_command_lines_of_one_line_each_before_anything_else() -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks[:2]] == ["sh", "sh"]
    run, test = (text.strip() for _, text in blocks[:2])
    for line in (run, test):
        assert "\n" not in line and "python3 -m venv" in line and "pip install" in line
    assert run.endswith("archcalc boot all") and "archcalc report all" in run
    assert test.endswith("pytest -n auto")


@pytest.mark.parametrize(("shown", "same"), [("38\n", True), ("39\n", False)])
def test_a_difference_would_be_seen(shown: str, same: bool, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```console\n$ archcalc list --format jsonl | wc -l\n{shown}```\n")
    assert (documented.differences(page) == []) is same
    documented.update(page)
    assert documented.differences(page) == []
