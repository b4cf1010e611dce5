"""What recording a Go program costs, and how fast its recording is replayed beside one of version 1.

    python tests/bench/bench_record.py

The program does nothing but allocate: small objects with and without pointers, tiny ones, some large, of
which a ring is kept. It is built twice, as it is and with the recorder, and both run in turn; the best of
several rounds counts, in processor time of the program. Its recording and the recordings of version 1 of
ordinary programs are replayed as text, in turn, too: events a second. Without Go there is nothing to do.
Exits 1 where a limit is missed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from bench_traces import ORDINARY, TRACES, ordinarily, seconds
from golang import environment

from archcalc.reading.errors import UsageFault
from archcalc.recorder import run

COST = 3  # times the program's own time
SPEED = 0.1  # times the events a second of version 1, whose runs of allocations are compared all at once
WANTED = 0.7
ROUNDS = 5
PROGRAM = """package main

type node struct {
	left, right *node
	key         int
}

var ring [4096]*node
var rows [512][]byte
var sum int

func main() {
	for i := 0; i < 3000000; i++ {
		n := &node{left: ring[i*7%4096], key: i}
		n.left = nil
		ring[i%4096] = n
		if i%3 == 0 {
			rows[i%512] = make([]byte, 16+i%700)
		}
		if i%5 == 0 {
			b := new([2]uint16)
			b[0] = uint16(i)
			sum += int(b[0])
		}
		if i%50000 == 0 {
			rows[0] = make([]byte, 100000)
		}
	}
}
"""


def times(command: Path, log: Path | None) -> float:
    """Processor seconds of one run, with the log that it writes or without."""
    env = environment(GOMAXPROCS="1")
    if log is not None:
        log.unlink(missing_ok=True)
        env[run.VARIABLE] = str(log)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(command)], env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rate(paths: list[Path]) -> float:
    """Events a processor second of replaying these once."""
    found = [seconds(path, ordinarily) for path in paths]
    return sum(events for events, _ in found) / sum(taken for _, taken in found)


def main() -> int:
    """Both figures, with their limits."""
    env = environment()
    try:
        go = run.find_go(None, env)
    except UsageFault as fault:
        print(f"nothing is measured: {fault}")
        return 0
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "main.go").write_text(PROGRAM)
        (folder / "go.mod").write_text("module main\n\ngo 1.22\n")
        plain, recorded, log = folder / "plain", folder / "recorded", folder / "log"
        subprocess.run([str(go.command), "build", "-o", str(plain), "."], cwd=folder, env=env, check=True)
        run.build(go, str(folder), recorded, env, False)
        pairs = [(times(plain, None), times(recorded, log)) for _ in range(ROUNDS)]
        alone, with_log = (min(pair[i] for pair in pairs) for i in (0, 1))
        trace = folder / "x.trace.gz"
        events = run.write(log, recorded, go, trace, 0, target="main", force=True).events
        older = [path for path in sorted(TRACES.glob("*.gz")) if path.name.split(".")[1] in ORDINARY]
        rates = [(rate([trace]), rate(older)) for _ in range(3)]
        today, before = (max(pair[i] for pair in rates) for i in (0, 1))
    cost, speed = with_log / alone, today / before
    print(f"{go.release}, {os.uname().machine}, {events} events")
    print(f"recording costs {cost:.2f} times the program's own time   (at most {COST})")
    print(f"replaying: {today:.0f} events a second, {speed:.2f} times version 1's {before:.0f}")
    print(f"   (at least {SPEED}; {WANTED} are wanted)")
    ok = cost <= COST and speed >= SPEED
    print("ok" if ok else "MISSED")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
