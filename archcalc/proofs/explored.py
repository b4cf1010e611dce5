"""One exploration from its beginning to its end: a piece of code, the properties asked on its way."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from archcalc.proofs.judge import Judge
from archcalc.proofs.paths import MOST_PATHS, Explorer
from archcalc.proofs.proof import Refuted, Tally
from archcalc.proofs.words import Undecided


def explore(
    bits: int,
    wanted: frozenset[str],
    run: Callable[[Explorer, Judge], object],
    until_refuted: bool = False,
    most: int = MOST_PATHS,
) -> tuple[list[object], Refuted, Tally]:
    """Runs code on all its paths: the results, what was refuted, and what that took.

    It ends where all that is wanted is refuted; `until_refuted` ends it with the first refutation. A bound
    that is reached is in the tally.
    """
    engine = Explorer(bits, most)
    judge = Judge(engine, wanted)

    def one() -> object:
        judge.begin()
        return run(engine, judge)

    start = perf_counter()
    results: list[object] = []
    given_up = ""
    try:
        for result in engine.explore(one):
            results.append(result)
            if judge.refuted and (until_refuted or judge.refuted.keys() >= wanted):
                break
    except Undecided as reason:
        given_up = str(reason)
    tally = Tally(engine.paths, perf_counter() - start, dict(judge.asked), dict(judge.seconds), given_up)
    return results, judge.refuted, tally
