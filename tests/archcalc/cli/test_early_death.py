"""A throw before mheap.init has a second line, after its words (startpanic_m, panic.go)."""

from __future__ import annotations

import json

import pytest

from archcalc.cli.main import main

EARLY = "runtime: panic before malloc heap initialized"
# What strace and qemu show of real programs: everything that mallocinit throws before it has its heap.
DEATHS = {
    "boot linux/arm --ulimit-v 200m": [EARLY],
    "boot linux/amd64 --believed-page-size 0": [EARLY],
    "boot linux/386 --go 1.27 --believed-page-size 0": [EARLY],
    # mheap.init has begun where the page summaries, or the first mcache, cannot be allocated.
    "boot linux/amd64 --go 1.27 --ulimit-v 100m": [],
    "boot linux/386 --ulimit-v 808500000 --image-size 1m": [],
}


@pytest.mark.parametrize("line", DEATHS)
def test_what_stands_behind_the_words(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line.split(), "--format", "json"]) == 1
    (boot,) = json.loads(capsys.readouterr().out)["boots"]
    assert boot["outcome"] == "throw"
    assert boot["after"] == DEATHS[line]
    main(line.split())
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(f"fatal error: {boot['throw']}")
    assert (lines[at + 1] == EARLY) == bool(DEATHS[line])


def test_explain_knows_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", EARLY]) == 0
    assert "panic.go:631" in capsys.readouterr().out
