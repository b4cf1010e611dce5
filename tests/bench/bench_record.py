"""What recording a Go program costs, and how fast its recording is replayed beside one of version 1.

    python tests/bench/bench_record.py

One program does nothing but allocate: small objects with and without pointers, tiny ones, some large, of
which a ring is kept. It is built twice, as it is and with the recorder, and both run in turn; the best of
several rounds counts, in processor time of the program.

Another does what those of the recordings `std` of version 1 do: JSON, maps, strings, regular expressions. It
is recorded once for each of them, on a port with words as large, with about so many events and as many
collections: with words twice as large a program fills twice as many spans, and each of four more collections
sweeps all. All are replayed as text in turn: what an event takes, and how much of that is reading the file.
The same with large words and four more collections stands beside them, and the first program's recording,
which takes or sweeps a span every twenty events. Without Go there is nothing to do. Exits 1 where a limit is
missed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from bench_traces import TRACES, ordinarily, process_time, reading, seconds
from golang import environment
from verdicts import Verdicts

from archcalc.reading.errors import UsageFault
from archcalc.recorder import run
from archcalc.recorder.overlay import Toolchain

COST = 3  # times the program's own time
# What an event of a recording may take, times one of version 1 of a like program, or of an ordinary one.
LIKE, ORDINARY = 2, 4
WANTED = 1 / 0.7
ROUNDS = 5
# Recordings of version 1, and what makes the library's program do about as much: the port, rounds, and when
# the collector runs.
OLDER = {
    "linux-amd64.std.stw": ("amd64", "175", "off"),
    "linux-mips.std.off": ("386", "130", "off"),
    "windows-386.std.conc": ("386", "900", "200"),
}
SWEPT_MORE = "amd64", "900", "100"  # five collections, where the one beside it has one
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


LIBRARY = """package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

type item struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	Tags  []string          `json:"tags"`
	More  map[string]string `json:"more"`
	Next  *item             `json:"next"`
}

var kept [64]*item
var sum int

func round(i int) {
	it := &item{Name: "name" + strconv.Itoa(i), Count: i, More: map[string]string{}}
	for j := 0; j < 20; j++ {
		it.Tags = append(it.Tags, fmt.Sprintf("tag-%d-%d", i, j))
		it.More["key"+strconv.Itoa(j)] = strings.Repeat("x", j)
	}
	it.Next = &item{Name: "inner"}
	data, err := json.Marshal(it)
	if err != nil {
		panic(err)
	}
	var back item
	if err := json.Unmarshal(data, &back); err != nil {
		panic(err)
	}
	kept[i%64] = &back
	words := strings.Fields(strings.ToUpper(string(data)))
	sort.Strings(words)
	re := regexp.MustCompile("tag-([0-9]+)-" + strconv.Itoa(i%7))
	found := re.FindAllStringSubmatch(string(data), -1)
	sum += len(found) + len(words)
	any := map[string]interface{}{}
	json.Unmarshal(data, &any)
	sum += len(any)
}

func main() {
	n := 30
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	for i := 0; i < n; i++ {
		round(i)
	}
	fmt.Println(sum)
}
"""


def times(command: Path, log: Path | None) -> float:
    """Processor seconds of one run, with the log that it writes or without."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_once([str(command)], log)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_once(command: list[str], log: Path | None, **more: str) -> None:
    """Runs a program, with the log that it writes or without."""
    env = environment(GOMAXPROCS="1", **more)
    if log is not None:
        log.unlink(missing_ok=True)
        env[run.VARIABLE] = str(log)
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)


def built(go: Toolchain, folder: Path, source: str, env: dict[str, str]) -> Path:
    """A program with the recorder in it."""
    folder.mkdir()
    (folder / "main.go").write_text(source)
    (folder / "go.mod").write_text("module main\n\ngo 1.22\n")
    run.build(go, str(folder), folder / "recorded", env, False)
    return folder / "recorded"


def like(folder: Path, port: str, rounds: str, collector: str) -> Path:
    """A recording of the library's program."""
    env = environment(GOARCH=port)
    go = run.find_go(None, env)
    trace = folder / f"std-{rounds}-{port}.trace.gz"
    library = folder / port / "recorded"
    if not library.exists():
        built(go, folder / port, LIBRARY, env)
    run_once([str(library), rounds], folder / "log", GOGC=collector)
    run.write(folder / "log", library, go, trace, 0, target="main", force=True)
    return trace


def cost(paths: list[Path]) -> float:
    """Processor seconds an event of replaying these once."""
    found = [seconds(path, ordinarily) for path in paths]
    return sum(taken for _, taken in found) / sum(events for events, _ in found)


def replays(verdicts: Verdicts, busy: Path, more: Path, pairs: list[tuple[Path, Path]]) -> None:
    """What an event takes, beside those of version 1."""
    groups = [[busy], [more], [new for new, _ in pairs], [old for _, old in pairs]]
    groups += [[path] for pair in pairs for path in pair]
    best = [
        min(costs) for costs in zip(*[[cost(paths) for paths in groups] for _ in range(ROUNDS)], strict=True)
    ]
    floors = []
    for new, _ in pairs:
        events = seconds(new, ordinarily)[0]
        floors.append(process_time(lambda new=new: reading(new)) / events)  # type: ignore[misc]
    for at, (new, beside) in enumerate(pairs):
        its, older = best[4 + 2 * at : 6 + 2 * at]
        name, older_name = (path.name.removesuffix(".trace.gz") for path in (new, beside))
        what = f"an event of {name}, replayed, beside {older_name}'s"
        verdicts.row(what, its / older, LIKE, WANTED, floors[at] / older)
    old = best[3]
    verdicts.row("all of these", best[2] / old, LIKE, WANTED, sum(floors) / len(floors) / old)
    words = "an event of the last, with words twice as large and five times the collections, beside it"
    verdicts.row(words, best[1] / best[-1], LIKE)
    words = f"an event of a program that does nothing but allocate; {1 / best[0]:,.0f} a second"
    verdicts.row(words, best[0] / old, ORDINARY)


def main() -> int:
    """All figures, with their limits."""
    env = environment()
    try:
        go = run.find_go(None, env)
    except UsageFault as fault:
        print(f"nothing is measured: {fault}")
        return 0
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        log = folder / "log"
        recorded = built(go, folder / "busy", PROGRAM, env)
        plain = folder / "plain"
        subprocess.run(
            [str(go.command), "build", "-o", str(plain), "."], cwd=folder / "busy", env=env, check=True
        )
        rounds = [(times(plain, None), times(recorded, log)) for _ in range(ROUNDS)]
        alone, with_log = (min(each[i] for each in rounds) for i in (0, 1))
        print(go.release)
        verdicts.row("a recorded program, beside the same alone", with_log / alone, COST)
        busy = folder / "busy.trace.gz"
        run.write(log, recorded, go, busy, 0, target="main", force=True)
        pairs = [(like(folder, *how), TRACES / f"{name}.trace.gz") for name, how in OLDER.items()]
        replays(verdicts, busy, like(folder, *SWEPT_MORE), pairs)
    return verdicts.exit_code


if __name__ == "__main__":
    sys.exit(main())
