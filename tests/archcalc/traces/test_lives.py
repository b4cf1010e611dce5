"""Which object of a recording dies in which collection."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.lives import NEVER, lives
from archcalc.traces.reader import Header
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.stats import stats

DATA = Path(__file__).parents[2] / "data"
RECORDINGS = sorted([*(DATA / "traces").glob("*.trace.gz"), *(DATA / "version2").glob("*.trace.gz")])


def machine_of(header: Header) -> object:
    return config_for(header, {})


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_as_many_die_as_the_recordings_statistics_count_and_none_before_it_lives(path: Path) -> None:
    found, counted = lives(path, machine_of), stats(path, machine_of)
    assert len(found.sizes) == counted.allocations
    assert sum(found.sizes) == counted.bytes
    assert len(found.collections) == counted.collections
    dead = [size for size, died in zip(found.sizes, found.died, strict=True) if died != NEVER]
    assert (len(dead), sum(dead)) == (counted.frees, counted.freed_bytes)
    for before, numbers in zip(found.collections, found.dead(), strict=True):
        assert all(number < before for number in numbers)


def test_an_execution_trace_says_no_sizes(tmp_path: Path) -> None:
    path = tmp_path / "imported.trace.gz"
    profile = platforms.load("linux/amd64", "1.27")
    config = config_of(figures.compute(profile, go="1.27"), MachineOptions())
    import_trace(DATA / "execution" / "go1.27-linux-amd64.trace.xz", config, {"go": "go1.27"}, path)
    with pytest.raises(UsageFault, match="no sizes"):
        lives(path, machine_of)
