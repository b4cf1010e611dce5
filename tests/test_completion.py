"""What a shell is offered: commands, options, and values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = [
    ("archcalc bo", {"boot"}),
    ("archcalc report linux/mips", {"linux/mips", "linux/mips64", "linux/mips64le", "linux/mipsle"}),
    ("archcalc explain _PageS", {"_PageShift", "_PageSize"}),
    ("archcalc report --only _PageS", {"_PageShift", "_PageSize"}),
    ("archcalc explain --go 1.27 heapArenaB", {"heapArenaBytes"}),
    ("archcalc report --go 1.21 --go 1.27 linux/ris", {"linux/riscv64"}),
    ("archcalc heap --go 1.27 linux/loo", {"linux/loong64"}),
    ("archcalc check --select layout.hint", {"layout.hints-in-reach"}),
    ("archcalc report --format j", {"json", "jsonl"}),
    ("archcalc map --format s", {"svg"}),
    ("archcalc map --after t", {"tiny", "trees"}),
    ("archcalc heap --after smoke:c", {"smoke:churn"}),
    ("archcalc heap plan9/a", {"plan9/amd64", "plan9/arm"}),
    ("archcalc heap one", {"one.trace.gz"}),
    ("archcalc schema prof", {"profile", "profile-show"}),
    ("archcalc smoke --workload tr", {"trees"}),
    ("archcalc profile v", {"validate"}),
    ("archcalc completion f", {"fish"}),
]


@pytest.mark.parametrize(("line", "offered"), CASES, ids=lambda part: part if isinstance(part, str) else "")
def test_bash_is_offered(line: str, offered: set[str], tmp_path: Path) -> None:
    (tmp_path / "one.trace.gz").touch()
    environment = {
        **os.environ,
        "_ARCHCALC_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "archcalc"], env=environment, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    words = {word.partition("\t")[0] for word in done.stdout.split()}
    assert offered <= words, done.stderr
    assert all(word.startswith(line.split()[-1]) for word in words)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_scripts_name_the_program(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", "completion", shell], capture_output=True, text=True, check=True
    )
    assert "_ARCHCALC_COMPLETE" in done.stdout
