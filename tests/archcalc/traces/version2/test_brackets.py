"""Brackets found in columns are those that a walk along the records finds."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from archcalc.traces.columnar import WRITTEN_CODE
from archcalc.traces.version2.brackets import closings, depths
from archcalc.traces.version2.replayer import NOT_INSIDE

np = pytest.importorskip("numpy")

CODES = [WRITTEN_CODE[record] for record in "(())H@mb"]
THREADS = "012"


def walked(code: list[int], rows: list[int]) -> list[int]:
    """Which record closes each bracket whose records are all one thread's, side by side."""
    found = [0] * len(code)
    for at, record in enumerate(code):
        depth = 0
        for i in range(at, len(code)):
            if record != WRITTEN_CODE["("] or code[i] in {WRITTEN_CODE[one] for one in NOT_INSIDE}:
                break
            depth += (code[i] == WRITTEN_CODE["("]) - (code[i] == WRITTEN_CODE[")"])
            if not depth:
                if rows[i] - rows[at] == i - at:
                    found[at] = i
                break
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_bracket_ends_where_a_walk_finds_it(seed: int) -> None:
    draw = random.Random(seed)
    code = [draw.choice(CODES) for _ in range(60)]
    rows = np.cumsum([1 + (draw.random() < 0.1) for _ in code])
    assert closings(np, np.array(code, np.uint8), rows) == walked(code, rows.tolist())


@pytest.mark.parametrize("seed", range(20))
def test_depth_is_that_of_the_records_own_thread(seed: int) -> None:
    draw = random.Random(seed)
    code = [draw.choice(CODES) for _ in range(60)]
    switches = [draw.choice(THREADS) for _ in code]
    begun = {"0": 2, "2": 1}
    open_of = defaultdict(int, begun)
    thread, expected = "0", []
    for record, to in zip(code, switches, strict=True):
        if record == WRITTEN_CODE["@"]:
            thread = to
        open_of[thread] += (record == WRITTEN_CODE["("]) - (record == WRITTEN_CODE[")"])
        expected.append(open_of[thread])
    found = depths(np, np.array(code, np.uint8), begun, "0", switches.__getitem__)
    assert found.tolist() == expected
