"""Whether `archcalc prove` notices changes of one line to mallocinit and to growth (mutations.yaml).

    python tests/mutations [WORD ...]

Tries all, which takes some minutes on one core, or those whose file, lines, reason or port has one of
the words, and tells what each refutes. Exits 1 where something is not as it should be: at least 95 of 100
changes that break an invariant are refuted, and no harmless one is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from mutate import Mutation, Outcome, mutations, outcome

ENOUGH = 0.95


def said(found: Outcome) -> str:
    """What came of a change."""
    if found.refuted:
        return "refutes " + ", ".join(found.refuted)
    return "leaves undecided " + ", ".join(found.undecided) if found.undecided else "refutes nothing"


def chosen(words: Sequence[str]) -> list[Mutation]:
    """Those that one of the words names; all without any."""
    return [m for m in mutations() if not words or any(word in f"{m} {m.old}" for word in words)]


def main(words: Sequence[str]) -> int:
    """Tells of each, and counts."""
    found = []
    begin = time.process_time()
    for mutation in chosen(words):
        found.append(outcome(mutation))
        mark = "ok " if found[-1].as_it_should_be else "NOT"
        print(f"{mark} {mutation}: {said(found[-1])}", flush=True)
    breaking = [one for one in found if one.mutation.breaks]
    harmless = [one for one in found if not one.mutation.breaks]
    refuted = sum(one.as_it_should_be for one in breaking)
    left = sum(one.as_it_should_be for one in harmless)
    print(f"{refuted} of {len(breaking)} changes that break an invariant are refuted, ", end="")
    print(f"{len(harmless) - left} of {len(harmless)} harmless ones; {time.process_time() - begin:.0f} s")
    return int(refuted < ENOUGH * len(breaking) or left < len(harmless))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
