"""The comparison of outputs takes out how long something took, and nothing else."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

import pytest

from archcalc.library.replay import Replays
from archcalc.render import Page, render
from archcalc.traces.outcome import Replay

without_times = runpy.run_path(str(Path(__file__).with_name("same_output.py")))["without_times"]
ONE = Replay("some.trace.gz", "linux/386", events=17763, seconds=0.14)


def told(replay: Replay, form: str) -> str:
    text = "".join(render(Replays([replay]), form, Page()))
    return str(without_times(["replay", "some.trace.gz", "--format", form], text))


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "json", "jsonl", "yaml"])
def test_times_make_no_difference_and_anything_else_does(form: str) -> None:
    for seconds in (0.0, 1.5, 1234.56789):
        assert told(ONE, form) == told(dataclasses.replace(ONE, seconds=seconds), form)
    assert told(ONE, form) != told(dataclasses.replace(ONE, events=17764), form)
    assert told(ONE, form) != told(dataclasses.replace(ONE, platform="linux/arm"), form)
