"""Whether what commands print stays the same, byte by byte, between two trees of the project.

    python tests/same_output.py record OUT.json        # in each tree: what every command prints
    python tests/same_output.py compare A.json B.json  # which differ; exit 1 if any does

Used around changes that must not change any output, against the commit before; no test holds
the hashes, since outputs change on purpose all the time. Times are taken out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).parents[1]
TRACES = TREE / "tests" / "data" / "traces"
FORMATS = ("table", "json", "jsonl", "csv", "markdown", "yaml")
JUDGED = (*FORMATS, "github", "junit", "sarif")
TIMES = re.compile(r'("?seconds"?: ?|time=")[0-9.e-]+|\b[0-9.]+ (?:s|ms)\b|[0-9,]+ events/s')
# What stands between the cells of a row.
BETWEEN = {"table": re.compile(r" {2,}"), "csv": re.compile(","), "markdown": re.compile(r"\s*\|\s*")}
WORKLOADS = ("mixed", "tiny", "large", "stacks", "trees", "finalizers", "procs", "churn", "exhaust")


def commands() -> Iterator[list[str]]:
    """Every command line whose output is compared."""
    for form in FORMATS:
        yield ["list", "--format", form]
        yield ["report", "linux/amd64", "linux/386", "windows/386", "--format", form]
        yield ["diff", "linux/amd64", "linux/mips64", "--format", form]
        yield ["explain", "_MaxMem", "linux/*", "--format", form]
        yield ["sizeclass", "100", "33000", "--format", form]
        yield ["heap", "linux/amd64", "--after", "smoke:mixed", "--format", form]
        yield ["map", "linux/amd64", "linux/386", "--after", "smoke:tiny", "--format", form]
        yield ["trace", "stats", trace("linux-386.mixed"), "--format", form]
        yield ["trace", "info", trace("linux-386.mixed"), "--format", form]
        yield ["trace", "head", trace("linux-386.mixed"), "--format", form]
        yield ["list-checks", "--format", form]
        yield ["profile", "show", "linux/arm64", "--format", form]
    for form in JUDGED:
        yield ["check", "linux/*", "--format", form]
        yield ["boot", "linux/*", "windows/386", "--format", form]
        yield ["boot", "linux/amd64", "--ulimit-v", "100g", "--why", "--format", form]
        yield ["smoke", "linux/amd64", "plan9/386", "-w", "mixed", "-n", "2000", "--format", form]
        yield ["run", "examples/incidents", "--format", form]
        yield ["replay", trace("linux-386.mixed"), trace("windows-386.exhaust"), "--format", form]
        yield ["drift", "--format", form]
    yield ["report", "all", "--format", "json"]
    yield ["check", "all", "--format", "json"]
    yield ["boot", "all", "--format", "json"]
    for name in ("linux/amd64", "linux/386", "windows/amd64", "plan9/386", "darwin/amd64", "solaris/amd64"):
        yield ["smoke", name, "-w", "all", "-n", "1500", "--format", "json"]
        yield ["boot", name, "--ulimit-v", "400m", "--why", "--format", "json"]
        yield ["boot", name, "--va-bits", "39", "--why"]
        yield ["map", name, "--format", "json"]
        yield ["explain", "vsz", name]
    yield ["smoke", "linux/amd64", "-w", "mixed", "-n", "3000", "--audit-every", "500", "--format", "json"]
    for words in (
        "arena_size",
        "mspan",
        "mspan.freeindex",
        "boot-region-order",
        "profile.phys-page-too-small",
    ):
        yield ["explain", words, "linux/amd64", "linux/386"]
    yield ["explain", "runtime: cannot map pages in arena address space"]
    for workload in WORKLOADS[:-1]:
        yield ["heap", "linux/386", "--after", f"smoke:{workload}", "--frames", "4", "--format", "json"]
    yield ["heap", trace("linux-386.mixed"), "--frames", "3", "--format", "json"]
    yield ["heap", trace("linux-386.mixed"), "--at-event", "5000"]
    for path in sorted(TRACES.glob("*.gz")):
        yield ["replay", str(path), "--format", "json"]
        yield ["trace", "stats", str(path), "--format", "json"]
    yield ["env"]
    yield ["--help"]
    for name in ("report", "boot", "smoke", "heap", "map", "replay", "run", "sweep", "explain"):
        yield [name, "--help"]


FILES = {
    "map.svg": ["map", "linux/amd64", "linux/386", "--svg"],
    "map.html": ["map", "linux/amd64", "--html"],
    "heap.svg": ["heap", "linux/amd64", "--after", "smoke:churn", "--frames", "4", "--svg"],
    "heap.html": ["heap", "linux/386", "--after", "smoke:mixed", "--frames", "4", "--html"],
    "smoke.archtrace": ["smoke", "linux/386", "-w", "mixed", "-n", "1000", "--record"],
    "churn.archtrace": ["smoke", "linux/amd64", "-w", "churn", "-n", "1000", "--record"],
    "procs.archtrace": ["smoke", "linux/amd64", "-w", "procs", "-n", "1000", "--record"],
    "dies.archtrace": ["smoke", "linux/386", "-w", "exhaust", "-n", "1000", "--record"],
    "report.html": ["report", "linux/amd64", "linux/386", "--format", "html", "--output"],
    "boot.html": ["boot", "linux/amd64", "linux/386", "--format", "html", "--output"],
}


def trace(name: str) -> str:
    """A recording by the beginning of its name."""
    return str(
        next(path.relative_to(TREE) for path in sorted(TRACES.glob("*.gz")) if path.name.startswith(name))
    )


def record(out: Path) -> None:
    """Runs every command, and keeps a hash of what each printed, with its exit code."""
    found: dict[str, str] = {}
    environment = {
        **os.environ,
        "PYTHONPATH": str(TREE),
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "LANG": "C.UTF-8",
    }
    with tempfile.TemporaryDirectory() as scratch:
        for words in commands():
            found[" ".join(words).replace(str(TREE), "TREE")] = run(words, environment)
        for name, words in FILES.items():
            path = Path(scratch) / name
            said = run([*words, str(path)], environment, scratch)
            data = path.read_bytes().replace(str(TREE).encode(), b"TREE") if path.exists() else b"no file"
            found[" ".join(words)] = f"{said} {hashlib.sha256(data).hexdigest()[:16]}"
        for source in sorted((TREE / "examples" / "sweeps").glob("*.yaml")):
            path = Path(scratch) / f"{source.stem}.csv"
            run(["sweep", str(source), "--output", str(path)], environment)
            data = path.read_bytes() if path.exists() else b"no file"
            found[f"sweep {source.name}"] = hashlib.sha256(data).hexdigest()[:16]
    out.write_text(json.dumps(found, indent=1))


def run(words: list[str], environment: dict[str, str], scratch: str = "SCRATCH") -> str:
    """What a command says: its exit code, and a hash of both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", *words], cwd=TREE, env=environment, capture_output=True, text=True
    )
    text = without_times(words, done.stdout) + "\n--\n" + without_times(words, done.stderr)
    text = text.replace(str(TREE), "TREE").replace(scratch, "SCRATCH")
    return f"{done.returncode} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def without_times(words: list[str], text: str) -> str:
    """What a command printed, without how long it took, and without the room that this takes in a table."""
    text = TIMES.sub("TIME", text)
    form = next((form for form in BETWEEN if form in words), "")
    if words[0] != "replay" or not form:
        return text
    lines: list[str] = []
    heading: list[str] = []
    for line in text.splitlines():
        cells = BETWEEN[form].split(line.rstrip())
        heading = cells if "seconds" in cells else heading
        if len(cells) != len(heading):
            lines.append(line)
        else:
            if cells is not heading:
                cells[heading.index("seconds")] = "TIME"
            lines.append("|".join(cell.strip("-:") for cell in cells))
    return "\n".join(lines)


def main() -> int:
    """Records, or compares."""
    if sys.argv[1] == "record":
        record(Path(sys.argv[2]))
        return 0
    before, after = (json.loads(Path(name).read_text()) for name in sys.argv[2:4])
    differ = [words for words in before if before[words] != after.get(words)]
    print(*differ, f"{len(differ)} of {len(before)} differ", sep="\n")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main())
