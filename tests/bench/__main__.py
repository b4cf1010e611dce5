"""All benchmarks, one after the other, each in a process of its own.

    python tests/bench [NAME ...]

NAME is a file of this folder without .py: startup, bench_machine, bench_today, bench_bulk, bench_traces,
bench_record.
Each prints its figures as ratios within its own run, with the machine and the versions, and says which
limits hold. Exits 1 where one of them is passed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ALL = {
    "startup": [],
    "bench_machine": [],
    "bench_today": [],
    "bench_bulk": [],
    "bench_traces": ["--scale"],
    "bench_record": [],
}


def main() -> int:
    """Runs those that are named, or all."""
    asked = sys.argv[1:] or list(ALL)
    unknown = [name for name in asked if name not in ALL]
    if unknown:
        print(__doc__ if set(unknown) & {"-h", "--help"} else f"no benchmark {unknown[0]}: {', '.join(ALL)}")
        return 2
    worst = 0
    for name in asked:
        print(f"\n{name}\n{'=' * len(name)}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, HERE / f"{name}.py", *ALL[name]]).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
