"""Changes of one line that break an invariant are refuted, and harmless ones are not; some of each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("z3")
sys.path.insert(0, str(Path(__file__).parent))

from mutate import Mutation, mutations, outcome

from archcalc.proofs import properties

QUICK = [mutation for mutation in mutations() if mutation.quick]


@pytest.mark.parametrize("mutation", QUICK, ids=str)
def test_a_change_is_noticed_where_it_breaks_something(mutation: Mutation) -> None:
    assert outcome(mutation).as_it_should_be


def test_the_list_is_long_enough_and_of_both_machines() -> None:
    """What `python tests/mutations` tries."""
    breaking = [mutation for mutation in mutations() if mutation.breaks]
    harmless = [mutation for mutation in mutations() if not mutation.breaks]
    assert len(breaking) >= 40 and len(harmless) >= 20
    for some in (breaking, harmless, QUICK):
        assert {mutation.file.split("/")[0] for mutation in some} >= {"contiguous", "sparse"}


@pytest.mark.parametrize("mutation", mutations(), ids=str)
def test_each_still_changes_a_line(mutation: Mutation) -> None:
    assert mutation.changed()[0] and mutation.old != mutation.new
    assert set(mutation.breaks) <= {*properties.IDS, *properties.BOOT}
