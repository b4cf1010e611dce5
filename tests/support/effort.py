"""How hard the property tests try: `ARCHCALC_EFFORT=20 pytest` runs twenty times the examples, at random.

Without it they are few and always the same.
"""

from __future__ import annotations

import os

EFFORT = int(os.environ.get("ARCHCALC_EFFORT", "1"))


def examples(n: int) -> int:
    """So many examples, times the effort."""
    return n * EFFORT
