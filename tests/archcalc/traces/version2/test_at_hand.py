"""Records at hand side by side are followed at once where all is as foreseen: with the same outcome."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import pytest
from effort import examples
from recordings2 import RECORDINGS, lines_of, other

from archcalc.reading.errors import UsageFault
from archcalc.traces.outcome import Replay
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.version2 import replayer
from archcalc.traces.version2.replayer import SparseReplayer
from archcalc.traces.version2.turns import AtHand, Turn

# What is in brackets, most of all in those of refills and sweeps.
INSIDE = frozenset("+-bQHDCE()XF")


def one_by_one(lines: list[str], first: int) -> Turn:
    """The same records, each with its number: all are asked for with care."""
    return Turn(deque(enumerate(lines[1:], first + 1)), first)


def outcome(lines: list[str], keep_going: bool) -> Replay | str:
    path = Path("changed")
    try:
        return SparseReplayer(
            path, lambda header: config_for(header, {}), keep_going, lambda _: iter([lines])
        ).run()
    except UsageFault as fault:
        return str(fault)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_a_change_is_told_as_with_care(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(path.name)
    lines = list(lines_of(path))
    inside = [at for at, line in enumerate(lines) if line[:1] in INSIDE]
    for keep_going in [False] * examples(4) + [True]:
        at = draw.choice(inside)
        mine = lines[:]
        how = draw.randrange(4)
        if how == 0:
            del mine[at]
        elif how == 1:
            mine.insert(at, mine[at])
        else:
            mine[at] = other(mine[at]) or mine[at]
        found = []
        for records in (AtHand, one_by_one):
            monkeypatch.setattr(replayer, "AtHand", records)
            result = outcome(mine, keep_going)
            if isinstance(result, Replay):
                result.seconds = 0
            found.append(result)
        assert found[0] == found[1], (how, at, lines[at])
