"""The options of all commands: one word for one thing, each can be said alone, and bytes take units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archcalc.cli import app
from archcalc.cli.command import build

DATA = Path(__file__).parents[2] / "data"
TRACE = DATA / "traces/linux-amd64.gcprog.stw.trace.gz"
BOTH = DATA / "execution/both-go1.27-linux-amd64.recording.trace.gz"
TRACED = DATA / "execution/both-go1.27-linux-amd64.trace.xz"

# Words that mean more than one thing, and why that is so.
SEVERAL = {
    "--go": "a release, several of them, or the go command that `record` builds with",
    "--format": "each command has its own list of formats",
    "--output": "where the file is the result itself, its name says the form too",
    "-n": "allocations of a workload, and records of a recording",
}


def commands(entries: tuple[app.CommandEntry, ...] = app.COMMANDS, group: str = "") -> Iterator[Any]:
    for entry in entries:
        if entry.commands:
            yield from commands(entry.commands, entry.name)
        else:
            yield f"{group} {entry.name}".strip(), build(entry.name, entry.module(group))


def options() -> list[tuple[str, Any]]:
    return [(name, p) for name, made in commands() for p in made.params if p.param_type_name == "option"]


OPTIONS = options()
NAMES = sorted({param.opts[0] for _, param in OPTIONS})


def parser_of(param: Any) -> Any:
    return param.type_descriptor.parameter_info.parser


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SEVERAL])
def test_a_word_means_one_thing(name: str) -> None:
    said = {
        (tuple(p.opts), p.metavar, p.help, p.multiple, getattr(parser_of(p), "__name__", None))
        for _, p in OPTIONS
        if p.opts[0] == name
    }
    assert len(said) == 1


def test_each_word_that_means_several_things_does() -> None:
    for name in SEVERAL:
        assert len({p.help for _, p in OPTIONS if p.opts[0] == name} | {
            p.metavar for _, p in OPTIONS if p.opts[0] == name
        }) > 2  # fmt: skip


SIZES = {"65536": 65536, "64k": 65536, "64KB": 65536, "64 kib": 65536, "1.5m": 1572864, "8b": 8}


@pytest.mark.parametrize("name", sorted({p.opts[0] for _, p in OPTIONS if p.metavar == "SIZE"}))
def test_what_takes_bytes_takes_units(name: str) -> None:
    (parser,) = {parser_of(p) for _, p in OPTIONS if p.opts[0] == name}
    assert {text: parser(text) for text in SIZES} == SIZES


def test_whatever_speaks_of_bytes_is_a_size() -> None:
    for _, param in OPTIONS:
        if "bytes" in (param.help or "").lower() or "size" in param.opts[0]:
            assert param.metavar == "SIZE", param.opts


# Each alone.

LINES = {
    "list": [], "report": ["linux/386"], "explain": ["_PageSize", "linux/386"],
    "diff": ["linux/386", "linux/arm"], "sizeclass": ["100"], "generations": [], "map": ["linux/386"],
    "heap": ["linux/386", "-n", "20"], "boot": ["linux/386"], "smoke": ["linux/386", "-n", "20"],
    "replay": [TRACE], "trace info": [TRACE], "trace head": [TRACE], "trace stats": [TRACE],
    "trace convert": [TRACE, "made.trace.parquet"], "trace import": ["sizes.log", "--platform", "linux/386"],
    "check": ["linux/386"], "list-checks": [], "verify": ["linux/386", "--goroot", "tree"],
    "drift": ["linux/386"], "prove": ["linux/386", "--property", "none.*"], "run": ["one.scenario.yaml"],
    "profile new": ["linux/sparc64"], "profile validate": ["own.yaml"], "profile show": ["linux/386"],
    "profile schema": [], "schema": [], "env": [], "completion": ["bash"], "sweep": ["sweep.yaml"],
    "record": ["prog.go"], "trace compare": [BOTH, TRACED],
}  # fmt: skip
# Those whose own files stand elsewhere among the tests, where a lone option is tried with them.
NEED_MORE = {"record", "verify", "sweep", "prove", "profile new", "run", "trace import"}
VALUES: dict[str, list[str]] = {
    "--after": ["tiny"], "--answer": ["sysMap:9"], "--at-event": ["1"], "--audit-every": ["10"],
    "--base": ["1.27"], "--baseline": ["known.json"], "--believed-page-size": ["4k"], "--binary": ["none"],
    "--calls": ["calls.json"], "--color": ["never"], "--commit-limit": ["1g"], "--data-end": ["0x8200000"],
    "--fail-on": ["never"], "--format": ["json"], "--frames": ["2"], "--go": ["1.27"], "--gogc": ["50"],
    "--godebug": ["madvdontneed=1"], "--gomemlimit": ["1g"],
    "--goroot": ["tree"], "--heap-base": ["0xc000000000"], "--html": ["made.html"], "--ignore": ["structs"],
    "--image-data": ["240k"],
    "--image-size": ["2m"], "--into": ["folder"], "--jobs": ["1"], "--like": ["linux/386"],
    "--maps": ["maps"], "--max-map-count": ["900"], "--near": ["1k"], "--only": ["_PageSize"],
    "--os": ["model"], "--output": ["made.out"], "--overcommit": ["1"], "--page-size": ["4k"],
    "--platform": ["linux/arm"], "--plot": ["made.svg"], "--plots": ["tiny"], "--procs": ["2"],
    "--profile": ["own.yaml"], "--property": ["none.*"], "--record": ["made.trace.gz"],
    "--refuse-after": ["900m"], "--refuse-chance": ["0%"], "--rlimit-data": ["unlimited"],
    "--scenarios": ["folder"], "--seed": ["3"], "--select": ["structs"], "--set": ["_FixAllocChunk=32k"],
    "--svg": ["made.svg"], "--taken": ["0x10000000-0x10001000"], "--ulimit-v": ["2g"], "--va-bits": ["32"],
    "--waste": ["20%"], "--workload": ["tiny"], "--write-baseline": ["made.json"], "-n": ["30"],
    "--exec": ["env"], "--log": ["made.log"], "--scheduler": ["nowhere"],
}  # fmt: skip
# Where something else has to be said for an option to make sense.
BESIDE: dict[tuple[str, str], list[Any]] = {
    ("sizeclass", "--waste"): [], ("sizeclass", "--near"): [],
    ("report", "--plots"): ["linux/386", "--html", "made.html"],
    **{("replay", name): [TRACE, "--os", "model"] for name in ("--image-size", "--taken", "--maps")},
    **{
        (name, option): ["linux/amd64", "--go", "1.27"]
        for name in ("boot", "smoke", "map", "heap", "prove")
        for option in ("--heap-base", "--godebug", "--gomemlimit")
    },
}  # fmt: skip
# What needs a file that does not exist here, and says which.
REFUSED = {
    ("boot", "--calls"): "calls.json: cannot be read",
    ("drift", "--goroot"): "tree is not a folder",
    ("profile validate", "--go"): "has no port to linux/own",
}


@pytest.fixture
def files(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("08048000-08200000 r-xp 00000000 00:00 0 \n")
    (tmp_path / "known.json").write_text('{"version": 1, "findings": []}')
    (tmp_path / "own.yaml").write_text(
        "schema: 1\nplatform: linux/own\ninherit: [arch/386, os/linux]\n"
        "machine: {address_high: 0xffffe000, mmap_base: 0xf7ffe000}\n"
    )


ALONE = [(name, param) for name, param in OPTIONS if name not in NEED_MORE]


@pytest.mark.parametrize(("name", "param"), ALONE, ids=[f"{n} {p.opts[0]}" for n, p in ALONE])
@pytest.mark.usefixtures("files")
def test_an_option_can_be_said_alone(name: str, param: Any, cli: Any) -> None:
    option = param.opts[0]
    words = [option] if param.is_flag else [option, *VALUES[option]]
    run = cli(*name.split(), *BESIDE.get((name, option), LINES[name]), *words)
    expected = REFUSED.get((name, option))
    assert run.code in ((2,) if expected else (0, 1)), run.err
    assert expected is None or expected in run.err
