"""Fuzzing all that a user can hand in: profiles, scenarios, recordings, expressions, options, maps files.

Inputs are ours, damaged: bytes changed, pieces cut, doubled, swapped or taken from another input, numbers
made absurd. Whatever comes in must come out as a result or as a user's mistake that is told, in a few
seconds; any other exception, and exit code 3, is a finding.

The long run, 100,000 inputs and more, in a quarter of an hour or so:

    python tests/fuzz/fuzzer.py --inputs 20000 --seed 1       # of each of the six kinds
    python tests/fuzz/fuzzer.py --kind traces --inputs 50000 --seed 2

A finding is printed with its kind, its number and the seed, which bring it back (`--only NUMBER`). The
tests run a share of it with fixed seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NoReturn

from allocator.kernels.maps import MapsError, parse_maps, ranges
from archcalc import config, generations
from archcalc.calculator import figures
from archcalc.cli.main import main as command_line
from archcalc.machines import config_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms, profile
from archcalc.questions.boot import try_boot
from archcalc.reading.errors import UsageFault
from archcalc.scenarios import judge, load
from archcalc.traces.replay import replay

ROOT = Path(__file__).parents[2]
SECONDS = 10  # what one input may take

ABSURD = (
    b"0",
    b"-1",
    b"1e308",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775808",
    b"99999999999999999999999999999999999999999",
    b"0x",
    b"0xffffffffffffffff",
    b"4294967296",
    b"1 << 200",
    b"nan",
    b".inf",
    b"~",
    b"null",
    b"true",
    b"yes",
    b"''",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"!!python/object:os.system",
    b"<<: ",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\t",
    b"\xe2\x80\xa8",
    b"%d",
    b"%s",
    b"../",
    b"/dev/null",
    b"64k",
    b"1.5g",
    b"1e",
    b"//",
    b"<<",
    b"&^",
    b"iota",
    b"(",
    b")",
    b",",
)


class TookTooLong(BaseException):
    """An input that hangs."""


def damaged(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """The data with a few things done to it."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(at + rng.choice((1, 1, 2, 4, 16, 200)), len(data))
        kind = rng.randrange(9)
        if kind == 0:
            data = data[:at] + bytes((rng.randrange(256),)) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:end] + data[at:end] * rng.choice((1, 2, 50)) + data[end:]
        elif kind == 3:
            data = data[:at] + rng.choice(ABSURD) + data[at:]
        elif kind == 4:
            data = data[:at] + rng.choice(ABSURD) + data[end:]
        elif kind == 5:
            lines = data.split(b"\n")
            a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[a], lines[b] = lines[b], lines[a]
            data = b"\n".join(lines)
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            data = data[:at] + other[start : start + rng.choice((4, 40, 400))] + data[end:]
        elif kind == 7:
            # A number becomes another one.
            words = data.split(b" ")
            numbers = [i for i, word in enumerate(words) if word.strip(b"{},\n").isdigit()]
            if numbers:
                words[rng.choice(numbers)] = rng.choice(ABSURD)
            data = b" ".join(words)
        else:
            data = data[:at]
    return data[: 1 << 20]


Feed = Callable[[random.Random, Path], str]


def _corpus(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(ROOT.glob(pattern))]


def profiles() -> Feed:
    """Profile files, as far as a boot."""
    corpus = _corpus("platforms/*.yaml") + _corpus("platforms/*/*.yaml") + _corpus("examples/**/*.yaml")

    def feed(rng: random.Random, folder: Path) -> str:
        path = folder / "profile.yaml"
        path.write_bytes(damaged(rng, rng.choice(corpus), corpus))
        found, faults = profile.read(path)
        if found is None:
            assert faults and all(fault.message for fault in faults)
            return "refused"
        return str(try_boot(figures.compute(found)).outcome)

    return feed


def scenarios() -> Feed:
    """Scenario files, carried out as far as they are small."""
    corpus = [data for data in _corpus("examples/incidents/*.yaml") if b"33000" not in data]

    def feed(rng: random.Random, folder: Path) -> str:
        path = folder / "scenario.yaml"
        data = damaged(rng, rng.choice(corpus), corpus)
        path.write_bytes(data)
        found = load.load(path)
        for scenario in found:
            if all(step.name not in ("grow", "malloc") or _small(step.value) for step in scenario.steps):
                judge.carry_out(scenario)
        return "loaded"

    return feed


def _small(said: dict[str, object]) -> bool:
    """Whether a step is over soon; a mistake in a count makes a run as long as it was told to be."""
    count = said.get("count", 1)
    return "to" not in said and isinstance(count, int) and count <= 2000


def traces() -> Feed:
    """Recordings, whole or only their beginnings, damaged before or after they are packed."""
    texts = []
    for path in sorted((ROOT / "tests" / "data" / "traces").glob("*.trace.gz")):
        lines = gzip.decompress(path.read_bytes()).split(b"\n")
        types = [line for line in lines if line.startswith(b"T ")][:10]
        events = [line for line in lines[1:] if not line.startswith(b"T ")]
        ends = [line for line in lines if line.startswith((b"Z ", b"! "))]
        texts.append(b"\n".join([lines[0], *types, *events[:120], *ends, b""]))

    def feed(rng: random.Random, folder: Path) -> str:
        path = folder / "x.trace.gz"
        data = rng.choice(texts)
        if rng.random() < 0.9:
            path.write_bytes(gzip.compress(damaged(rng, data, texts), 1))
        else:
            path.write_bytes(damaged(rng, gzip.compress(data, 1), texts))
        result = replay(path, _config, keep_going=rng.random() < 0.3)
        return "reproduced" if result.ok else "differs"

    return feed


def _config(header: object) -> object:
    from archcalc.traces.reader import Header

    assert isinstance(header, Header)
    options = MachineOptions(believed_page_size=header.phys_page_size, data_end=header.data_end)
    return config_of(figures.compute(platforms.load(header.platform)), options)


def expressions() -> Feed:
    """Go's constant expressions."""
    rows = (row for variants in generations.load().rows.values() for row in variants)
    corpus = sorted({row.formula.encode() for row in rows if row.formula})
    loaded = platforms.load("linux/amd64")
    names = ("_PageShift", "_MHeapMap_TotalBits", "_TinySize", "_NumStackOrders", "_MaxMem", "huge_page_size")

    def feed(rng: random.Random, folder: Path) -> str:
        text = damaged(rng, rng.choice(corpus), corpus)[:2000].decode("utf-8", "replace")
        found = figures.compute(loaded, {rng.choice(names): text})
        # What follows from an odd value may have none itself, and then says so.
        found.value(rng.choice(("_MaxMem", "bitmap_size", "hint0", "_NumSizeClasses")))
        return "evaluated"

    return feed


def maps() -> Feed:
    """/proc/PID/maps files."""
    own = Path("/proc/self/maps")
    text = b"""00400000-00487000 r-xp 00000000 fe:00 2254433                            /usr/bin/prog
c000000000-c000001000 rw-p 00000000 00:00 0
7fd9f2302000-7fd9f2552000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""
    corpus = [text, *([own.read_bytes()] if own.is_file() else [])]

    def feed(rng: random.Random, folder: Path) -> str:
        try:
            found = parse_maps(damaged(rng, rng.choice(corpus), corpus).decode("utf-8", "replace"))
        except MapsError as error:
            assert error.line >= 1 and error.expected
            return "refused"
        joined = ranges(found, 1 << 47)
        assert all(a.end < b.start for a, b in pairwise(joined))
        return "read"

    return feed


WORDS = (
    "list",
    "report",
    "explain",
    "diff",
    "sizeclass",
    "check",
    "list-checks",
    "boot",
    "run",
    "replay",
    "profile",
    "new",
    "validate",
    "show",
    "schema",
    "env",
    "--help",
    "--version",
    "linux/amd64",
    "linux/386",
    "windows/386",
    "plan9/arm",
    "linux/*",
    "nacl",
    "nothing",
    "",
    "--set",
    "_PageShift=14",
    "_MHeapMap_TotalBits=48",
    "_PageSize=0",
    "PtrSize=2",
    "_TinySizeClass=3",
    "_NumStackOrders=64",
    "x=",
    "=1",
    "_MaxMem=1<<70",
    "--ulimit-v",
    "--image-size",
    "--va-bits",
    "--taken",
    "--maps",
    "--page-size",
    "--data-end",
    "--commit-limit",
    "--max-map-count",
    "--ignore-hints",
    "--why",
    "--believed-page-size",
    "--overcommit",
    "0",
    "1",
    "-1",
    "47",
    "64",
    "200m",
    "1.5g",
    "0x400000",
    "0xc000000000-0xc040000000",
    "0xc000000000+1g",
    "64k",
    "99999999999999999999",
    "1e9",
    "--format",
    "json",
    "csv",
    "markdown",
    "yaml",
    "jsonl",
    "junit",
    "sarif",
    "github",
    "table",
    "--quiet",
    "--verbose",
    "--profile",
    "/dev/null",
    "/nowhere",
    "_PageSize",
    "mspan",
    "mspan.sweepgen",
    "hint0",
    "cannot reserve arena",
    "vsz",
    "--select",
    "--ignore",
    "layout",
    "layout.*",
    "--",
    "-",
    "-x",
    "--color",
    "never",
    "32768",
    "32769",
    "--os",
    "model",
    "\u2028",
    "\x00",
)


def options() -> Feed:
    """Command lines, in this process."""

    def feed(rng: random.Random, folder: Path) -> str:
        words = [rng.choice(WORDS[:20])] + [rng.choice(WORDS) for _ in range(rng.randrange(7))]
        if rng.random() < 0.2 and words:
            i = rng.randrange(len(words))
            words[i] = damaged(rng, words[i].encode(), [b"linux/amd64"]).decode("utf-8", "replace")[:300]
        if rng.random() < 0.6 and words[0] in ("report", "check", "boot"):
            words.insert(1, "linux/amd64")  # one platform is enough
        config.current.cache_clear()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(folder):
            code = command_line(words)
        assert code in (0, 1, 2), f"exit {code} of {words!r}: {err.getvalue()[-500:]}"
        assert code != 2 or err.getvalue(), f"exit 2 without a word of {words!r}"
        return f"exit {code}"

    return feed


KINDS: dict[str, Callable[[], Feed]] = {
    "profiles": profiles,
    "scenarios": scenarios,
    "traces": traces,
    "expressions": expressions,
    "options": options,
    "maps": maps,
}


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Ends what takes too long."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(kind: str, seed: int, inputs: int, only: int | None = None) -> tuple[Counter[str], list[str]]:
    """Feeds damaged inputs of one kind: how they came out, and the findings."""
    feed = KINDS[kind]()
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(inputs) if only is None else (only,):
            rng = random.Random(f"{kind} {seed} {number}")
            try:
                with time_limit():
                    outcomes[feed(rng, Path(name))] += 1
            except UsageFault as fault:
                # Every mistake is told in words.
                outcomes["told" if all(f.message for f in fault.faults) else "mute"] += 1
            except (Exception, TookTooLong):
                findings.append(f"{kind}, seed {seed}, number {number}:\n{traceback.format_exc(limit=-4)}")
                outcomes["FOUND"] += 1
    return outcomes, findings


def main() -> int:
    """The long run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these (repeatable)")
    parser.add_argument("--inputs", type=int, default=20_000, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the one input with this number")
    given = parser.parse_args()
    found = 0
    os.environ["NO_COLOR"] = "1"
    for kind in given.kind or KINDS:
        started = time.monotonic()
        outcomes, findings = fuzz(kind, given.seed, given.inputs, given.only)
        print(f"{kind}: {dict(outcomes.most_common())} in {time.monotonic() - started:.0f} s", flush=True)
        for finding in findings[:10]:
            print(finding)
        found += len(findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
