"""How hard the property tests try: `ARCHCALC_EFFORT=20 pytest` runs twenty times the examples, at random.

Without it they are few and always the same, and a failure is told as it was found: looking for a
smaller one takes its time with whole machines, and is done where effort is wanted.
"""

from __future__ import annotations

import os

from hypothesis import Phase

EFFORT = int(os.environ.get("ARCHCALC_EFFORT", "1"))


def examples(n: int) -> int:
    """So many examples, times the effort."""
    return n * EFFORT


def phases() -> list[Phase]:
    """What to do with examples."""
    return [Phase.explicit, Phase.generate, *([Phase.shrink] if EFFORT > 1 else [])]
