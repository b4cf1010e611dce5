"""What of the documentation follows from the program: the reference, the man page and the pictures.

python docs/generate.py            writes what has changed
python docs/generate.py --check    exits 1 and names what is not current
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import archcalc
from archcalc import checks, generations, schema
from archcalc.calculator import figures
from archcalc.cli import app
from archcalc.cli.command import build
from archcalc.library.map import atlases_of
from archcalc.machines.options import MachineOptions
from archcalc.pictures import film, heap_svg, history, map_svg
from archcalc.profiles import platforms
from archcalc.reading import faults
from archcalc.sweeps import table as sweep_table
from archcalc.traces import columnar
from archcalc.traces.records import PARTS, RECORDS, version2, version3
from archcalc.workloads import programs

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; not to be edited. -->\n\n"


def entries(
    known: tuple[app.CommandEntry, ...] = app.COMMANDS, group: str = ""
) -> Iterator[tuple[str, app.CommandEntry, Any]]:
    """Every command as it is typed, with what it was declared as and what it was built into."""
    for entry in known:
        if entry.commands:
            yield from entries(entry.commands, entry.name)
        else:
            yield f"{group} {entry.name}".strip(), entry, build(entry.name, entry.module(group))


def one_line(text: str) -> str:
    """Words without line ends."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """Text in a Markdown table."""
    return one_line(text).replace("|", "\\|")


def options(command: Any) -> Iterator[tuple[str, str]]:
    """A command's arguments and options, each with its help."""
    for param in command.params:
        if getattr(param, "hidden", False):
            continue
        if param.param_type_name == "argument":
            yield param.metavar or param.name.upper(), param.help or ""
        else:
            words = ", ".join([*param.opts, *param.secondary_opts])
            value = "" if getattr(param, "is_flag", False) else f" {param.metavar or 'TEXT'}"
            yield words + value, param.help or ""


COMMON = ("--format", "--output", "--force", "--color", "--quiet", "--verbose", "--debug", "--help")


def is_common(words: str) -> bool:
    """Whether nearly all commands have that option."""
    return any(re.search(rf"(^|, ){re.escape(name)}($|[ ,])", words) for name in COMMON)


def commands() -> str:
    """The commands with their options."""
    text = [NOTE, "# Commands\n"]
    text.append(
        "\nA PLATFORM is `goos/goarch`, a glob such as `'linux/*'`, or `all`; without one, `$GOOS`/`$GOARCH`, else the\n"
        "host's. Sizes are `64k`, `1.5g` or plain bytes; addresses begin with `0x`.\n"
    )
    text.append("\n| command | |\n|---|---|\n")
    found = list(entries())
    for name, entry, _ in found:
        text.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {cell(entry.help)} |\n")
    text.append(
        "\nCommands that print a result take `--format table|json|jsonl|csv|markdown|yaml` (`-f`; checks also "
        "`github|junit|sarif`,\npictures also `svg|html`), `--output FILE` (`-o`, written whole or not at all) and "
        "`--force` to replace it. All\ntake `--color auto|always|never`, `--quiet`, `--verbose`, `--debug`, "
        "`--help`.\n\n"
        "| exit code | |\n|---|---|\n| 0 | all held |\n| 1 | a check, an expectation or a replay failed |\n"
        "| 2 | the input or the usage was wrong |\n| 3 | a fault of archcalc itself |\n"
        "| 130 | interrupted; what was found so far is printed |\n"
    )
    for name, _, command in found:
        text.append(f"\n## {name}\n\n{(command.help or '').strip()}\n")
        own = [(words, help) for words, help in options(command) if not is_common(words)]
        if own:
            text.append("\n| | |\n|---|---|\n")
            text += [f"| `{words.replace('|', chr(92) + '|')}` | {cell(help)} |\n" for words, help in own]
    return "".join(text)


def check_list() -> str:
    """The checks, family by family, and the ids of faults."""
    text = [NOTE, "# Checks\n\nIds never change. `archcalc explain ID` tells the same on a terminal.\n"]
    for family, words in checks.FAMILIES.items():
        text.append(f"\n## {family}: {words}\n")
        for entry in checks.every().values():
            rule = entry.rule
            if rule.family == family:
                text.append(
                    f"\n### {rule.id}\n\n{rule.title} ({rule.severity.value}).\n\n{one_line(rule.explanation)}\n"
                )
    text.append(
        "\n## Faults of what is read\n\nThey end a command with exit code 2.\n\n| id | |\n|---|---|\n"
    )
    text += [f"| `{id}` | {cell(faults.meaning(id))} |\n" for id in faults.ids()]
    return "".join(text)


def kind_words(node: Mapping[str, Any]) -> str:
    """The permitted values, from a JSON Schema."""
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(kind_words(own) for own in node["anyOf"]))
    if "enum" in node:
        return "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    kind = node.get("type")
    if kind == "array":
        return f"a list of {kind_words(node.get('items', {}))}"
    if kind == "object":
        return "a mapping"
    if kind == "integer":
        low, high = node.get("minimum"), node.get("maximum")
        return "an integer" + (f", {low} to {high}" if low is not None and high is not None else "")
    words = {"string": "text", "boolean": "true or false", "number": "a number"}
    return words.get(str(kind), "anything")


def keys(node: Mapping[str, Any], path: str, told: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Every key below a schema: its path, what it may be, what it is. What was `told` elsewhere is not again."""
    for name, own in node.get("properties", {}).items():
        here = f"{path}{name}"
        words = own.get("description", "")
        form = json.dumps({key: value for key, value in own.items() if key != "description"}, sort_keys=True)
        known = told.setdefault(form, here) if '"properties"' in form else here
        if known != here:
            yield here, kind_words(own), f"{words}; its keys as under `{known}`"
        elif name == "profile" and own.get("type") != "string":
            yield here, kind_words(own), f"{words}; its keys as in [profiles](profile.md)"
        else:
            yield here, kind_words(own), words
            yield from keys(own, f"{here}.", told)
    for own in node.get("anyOf", ()):
        if own.get("type") in ("object", "array"):
            yield from keys(own, path, told)
    if isinstance(node.get("items"), dict):
        yield from keys(node["items"], f"{path.removesuffix('.')}[].", told)


def file_reference(name: str, title: str, lead: str) -> Callable[[], str]:
    """The keys of a file that archcalc reads."""

    def write() -> str:
        text = [NOTE, f"# {title}\n\n{lead}\n\n| key | is | what it says |\n|---|---|---|\n"]
        shown: set[str] = set()
        for path, kind, words in keys(schema.load(name), "", {}):
            if path not in shown:
                shown.add(path)
                text.append(f"| `{path}` | {cell(kind)} | {cell(words)} |\n")
        return "".join(text)

    return write


def outputs() -> str:
    """The JSON of the commands."""
    text = [
        NOTE,
        "# JSON of the commands\n\n`archcalc schema NAME` prints the JSON Schema of each. Keys in bold stay, with "
        "their types and meanings, as long as the\nfirst number of the version does; others may be added. "
        "Integers are exact, never strings or floats.\n",
    ]
    for name in schema.names():
        if name in schema.FILES:
            continue
        loaded = schema.load(name)
        text.append(f"\n## {name}\n\n`{loaded['title']}`\n\n| key | is | what it says |\n|---|---|---|\n")
        text += output_rows(loaded, "")
    return "".join(text)


def output_rows(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Rows of a table of keys, promised ones in bold."""
    promised = node.get("required", ())
    for key, own in node.get("properties", {}).items():
        here = f"`{path}{key}`"
        shown = f"**{here}**" if key in promised else here
        nullable = isinstance(own.get("type"), list) and "null" in own["type"]
        plain = {**own, "type": next((t for t in own["type"] if t != "null"), "")} if nullable else own
        if isinstance(own.get("type"), list) and not nullable:
            plain = {"anyOf": [{"type": t} for t in own["type"]]}
        yield f"| {shown} | {cell(kind_words(plain))}{', or null' * nullable} | {cell(own.get('description', ''))} |\n"
        inner: Mapping[str, Any] = own
        where = f"{path}{key}"
        if isinstance(own.get("items"), dict):
            inner, where = own["items"], f"{where}[]"
        elif isinstance(own.get("additionalProperties"), dict):
            inner, where = own["additionalProperties"], f"{where}.*"
        yield from output_rows(inner, f"{where}.")
    for own in node.get("anyOf", ()):
        yield from output_rows(own, path)


def trace_format() -> str:
    """The records of recordings."""
    text = [
        NOTE,
        "# Recordings\n\nA recording (`*.trace.gz`) is UTF-8 text, gzip'd or plain: a JSON header, then a record a line, its "
        "fields separated by one space.\nAddresses are hexadecimal without 0x; counts, sizes and indexes decimal. "
        "A *cache* is the number of an mcache in order of\nfirst use. The header has `format` (archtrace), "
        "`version` (1), `platform`, `data_end` (where the data segment ends),\n`phys_page_size`, `events` (records "
        "without T and Z), and how it was made: `workload`, `n`, `seed`, `gc`, `gomaxprocs`, and\n`ulimit_v` where "
        "there was a limit. `archcalc smoke --record FILE` writes such files, `archcalc replay` compares them.\n",
    ]
    for part, title in PARTS.items():
        text.append(f"\n## {title}\n\n| record | meaning |\n|---|---|\n")
        text += [f"| `{r.shape}` | {cell(r.meaning)} |\n" for r in RECORDS if r.part == part]
    text.append(VERSION_2)
    for part, title in version2.PARTS.items():
        text.append(f"\n### {title}\n\n| record | meaning |\n|---|---|\n")
        text += [f"| `{r.shape}` | {cell(r.meaning)} |\n" for r in version2.RECORDS if r.part == part]
    text.append(VERSION_3)
    for part, title in version3.PARTS.items():
        text.append(f"\n### {title}\n\n| record | meaning |\n|---|---|\n")
        text += [f"| `{r.shape}` | {cell(r.meaning)} |\n" for r in version3.RECORDS if r.part == part]
    text.append(COLUMNAR.split("TABLE\n")[0])
    text += [
        f"| `{name}` | {COLUMN_TYPES[name]} | {cell(what)} |\n" for name, what in columnar.COLUMNS.items()
    ]
    text.append(COLUMNAR.split("TABLE\n")[1])
    return "".join(text)


VERSION_2 = """
## Version 2

`archcalc record` makes recordings of programs built by Go 1.22 to 1.27. Lines, addresses and counts are as in version 1;
P is a P's id or `-`, and an mcache is named by its P. The header has `version` (2), `platform`, `go` (the release),
`experiment` (what GOEXPERIMENT changes, which the machine follows), `target`, `data_end`, `phys_page_size`,
`phys_huge_page_size` (0 for none), `zerobase` (the address of objects without bytes), `events`, and `whole`: whether the
end state was written. For a program that was killed, or that became another one (exec), it also has `cut`: the
records end before the first that was not written out.

The order of the lines is the order inside the critical sections of the runtime, over all threads. What an event made
the allocator do comes before the event; where that takes several steps, or other threads can interfere, brackets say
what it was done for: `( refill 0 5` opens, `) refill c000012000 0 0` closes, and they nest.
"""
VERSION_3 = """
## Version 3

What Go's own tracer reports about a program's heap (runtime/trace under GODEBUG=traceallocfree=1, since Go 1.23):
`archcalc trace import` writes such recordings, and `archcalc replay` checks them. The header has `version` (3), `platform`,
`go`, `trace_version`, `base` (the heap's first address), `ticks_per_second`, `events`, and `imported` with what the trace
does not tell. A record's first field is the time since the previous record in ticks, 0 where a thread's clock was behind.
Records are in a possible order: threads' clocks differ a little, so an object comes after the death of the one whose slot
it takes.
"""
COLUMN_TYPES = {
    "record": "dictionary of strings, never null", "request": "dictionary of strings",
    "address": "64-bit unsigned integer", "text": "string",
}  # fmt: skip
COLUMNAR = """
## In columns

`archcalc trace convert` writes a recording as a Parquet file (`*.trace.parquet`) and back. Every command that reads a
recording reads both forms, and recognises them by their first bytes, not by their names. The name of an output decides
its form: `*.parquet` is columns, `*.gz` is gzip'd text, anything else is plain text.

A row is a record, in the order of the text: row r, counted from 0, is line r + 2, since the header is line 1 there. The
file's metadata has the unchanged header under `archtrace.header`.

| column | type | what it holds |
|---|---|---|
TABLE
Request and address are null together, exactly where text is not: for the other records, and for lines with an unusual
spelling (`m 8 - n 0 C000`, say). So nothing is lost: converting text to columns and back gives the same text, byte for
byte, whatever is in its lines. A gzip'd file comes back with the same text, but not always with the same compressed
bytes. Rows are in groups of 262144, and both reading and writing hold one group at a time.

`archtrace.columns` in the metadata is the version of this form, 1. It is raised when a reader of the columns would
misread something; archcalc refuses versions that it does not know. The version of the records is in the header.

Any reader of Parquet will do. The fields of a request are separated by spaces, as in the tables above:

```python
import pyarrow.parquet as pq

table = pq.read_table("program.trace.parquet", columns=["record", "request", "address"])
header = table.schema.metadata[b"archtrace.header"]
```

```python
import pandas as pd

# Without the backend pandas makes floats of addresses, which lose their low bits.
frame = pd.read_parquet("program.trace.parquet", dtype_backend="pyarrow")
```

```sql
-- duckdb
SELECT CAST(split_part(request, ' ', 1) AS BIGINT) AS size, count(*) AS allocations
FROM 'program.trace.parquet' WHERE record = 'm' GROUP BY size ORDER BY allocations DESC;
```

In Python, `archcalc.traces.columnar.lines(path)` gives the lines of either form, some at a time.

## Imported

`archcalc trace import` turns logs of other tools into recordings. Their headers also have `imported`: `form`, which is
`allocfreetrace` or `sizes`, and `unknown`, a list of what the log does not tell and was assumed. They replay like all
others, since a machine has carried them out; their addresses are that machine's, not the log's.
"""


def sweep_file() -> str:
    """The keys of sweep files, and the columns of their tables."""
    file = schema.load("sweep-file")["properties"]
    point = file["points"]["items"]
    text = [NOTE, "# Sweeps\n\n", SWEEP, "\n\n| key | is | what it says |\n|---|---|---|\n"]
    text += [
        f"| `{key}` | {cell(kind_words(own))} | {cell(own['description'])} |\n" for key, own in file.items()
    ]
    text.append(
        "\nOf a point, and with lists of values of the grid:\n\n| key | is | what it says |\n|---|---|---|\n"
    )
    text += [f"| `{path}` | {cell(kind)} | {cell(words)} |\n" for path, kind, words in keys(point, "", {})]
    rows = "".join(f"| `{name}` | {cell(what)} |\n" for name, what in sweep_table.COLUMNS.items())
    text.append(SWEPT.replace("ROWS\n", rows))
    return "".join(text)


SWEEP = """A sweep file says which what-ifs to carry out. Under `grid` each key has a value or a list of values, and every
combination is a point; each of the `points` is one more, or one for each platform that its pattern matches. A point boots
its own machine, drives it by a workload of `smoke`, a histogram of sizes or a recording, and yields a row of figures.
`archcalc sweep FILE --output TABLE` runs it; `archcalc schema sweep-file` prints this for editors. The defaults are
linux/amd64, Go's own classes, `mixed`, 5000 allocations, seed 1, GOGC off, 7aefdfded or the release of `--go`. Several
releases under `go` share one table; the machine of each point's release counts its figures.

Paths are relative to the sweep file's folder. A histogram is a CSV of `size,count`, bytes and objects, with or without
that heading; lines that begin with # are ignored. Its objects have no pointers, are allocated in an order that the seed
shuffles, and stay alive. A recording is one of `archcalc record`, or of 2017, in either form: its allocations are made in
their order, by the Ps that made them, with collections where it has them, in each of which those objects die that its sweeps
found dead. So a point says what another machine would make of the same program. It needs words of the same size. A sweep has
at most a million points, and a point at most ten million objects."""
SWEPT = """
## The table

`--output` names it, and the name decides its form: `*.parquet`, `*.csv` or `*.json` (`{"sweep": NAME, "rows": [...]}`).
All three have the same rows in the order of the points, however many processes or workers made them and in what order; a
point that dies is a row, too. Cells are empty where a point does not say something, or where a machine did not boot.

| column | what it holds |
|---|---|
ROWS
In Parquet, numbers are 64-bit integers and `waste_share` is a float; a constant that is a number in some points and an
expression in others is text in all of them.

## The journal

While the sweep is under way, `TABLE.journal` lies beside the table: a line of JSON for each row, written through to the
disk as soon as the row is computed. Whatever ends the sweep, the same command continues with the rows that are missing;
once the table is written, the journal is removed. Another sweep's journal is refused, and so is that of the same file
once anything has changed that rows depend on: a point, a profile, a histogram, the version of archcalc. `--fresh` starts
over. While one process writes a journal, a second one is refused.

## Where it runs

A sweep runs on all cores, or in `--jobs N` processes. A process that dies is replaced, and its points are repeated; after
three deaths without a row in between the sweep ends. `--scheduler ADDRESS` runs it on a Dask cluster instead (the extra
`sweep`), whose workers need the same version of archcalc but no files: profiles, histograms and maps travel with the
points; recordings must be there under the same path. The cluster repeats what a lost worker was doing. Ctrl-C keeps the journal, says how many rows are done, and exits
130.
"""


def roff(text: str) -> str:
    """Text for a man page."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n"))


def man_page() -> str:
    """archcalc(1)."""
    lines = [
        f'.TH ARCHCALC 1 "" "archcalc {archcalc.__version__}" "User commands"',
        ".SH NAME",
        "archcalc \\- memory layout of Go's runtime: calculate, verify, boot",
        ".SH SYNOPSIS",
        ".B archcalc",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        roff(
            "Works out every constant, struct and region of the memory allocator of Go's runtime (commit "
            f"{generations.CURRENT}) for each of its ports and for ports of your own, boots the allocator in a "
            "simulated address space, drives it, and compares it with recordings of real programs."
        ),
        ".PP",
        roff(
            "A PLATFORM is goos/goarch, a glob such as 'linux/*', or all; without one, $GOOS/$GOARCH, else the "
            "host's. Sizes are 64k, 1.5g or plain bytes; addresses begin with 0x."
        ),
        ".SH COMMANDS",
    ]
    found = list(entries())
    for name, _, command in found:
        lines += [f".SS {roff(name)}", roff(one_line(command.help or ""))]
        for words, help in options(command):
            if not is_common(words):
                lines += [".TP", f".B {roff(words)}", roff(one_line(help))]
    lines.append(".SH COMMON OPTIONS")
    for words, help in options(next(command for name, _, command in found if name == "report")):
        if is_common(words):
            lines += [".TP", f".B {roff(words)}", roff(one_line(help))]
    lines.append(".SH EXIT STATUS")
    for code, words in (
        (0, "all held"), (1, "a check, an expectation or a replay failed"), (2, "wrong input or usage"),
        (3, "a fault of archcalc itself"), (130, "interrupted"),
    ):  # fmt: skip
        lines += [".TP", f".B {code}", words]
    lines.append(".SH ENVIRONMENT")
    for name, words in (
        ("GOOS, GOARCH", "the platform of commands that name none"),
        ("COLUMNS", "width of text"),
        ("NO_COLOR", "no colours unless --color=always"),
        ("LC_ALL, LC_CTYPE, LANG", "whether drawings use more than ASCII"),
    ):
        lines += [".TP", f".B {name}", roff(words)]
    lines += [
        ".SH FILES", ".TP", ".B archcalc.yaml", roff("or [tool.archcalc] in pyproject.toml: a project's defaults"),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def address_maps(*names: str, after: str | None = None, **machine: Any) -> Callable[[], str]:
    """A picture of address spaces."""

    def write() -> str:
        options = MachineOptions(**machine)
        drawn = [
            atlas
            for name in names
            for atlas in atlases_of(figures.compute(platforms.load(name)), options, after, 5000)
        ]
        return map_svg.draw(drawn)

    return write


def heap(name: str, workload: str, frames: int = 1) -> Callable[[], str]:
    """A picture of a heap."""
    assert workload in programs.WORKLOADS

    def write() -> str:
        taken = film.of_workload(figures.compute(platforms.load(name)), workload, 3000, 1, frames=frames)
        return heap_svg.draw(taken.frames, taken.subject)

    return write


def releases(
    draw: Callable[[list[figures.Figures]], str], platform: str = "linux/amd64"
) -> Callable[[], str]:
    """A picture of all releases whose heaps lie in arenas."""

    def write() -> str:
        names = [name for name in generations.known() if generations.said(name, "era") == "sparse"]
        return draw([figures.compute(platforms.load(platform, name)) for name in names])

    return write


def python_api() -> str:
    """The Python API: what programs and notebooks call, by signature and docstring."""
    from allocator import interface
    from allocator.common import types
    from allocator.common.many import ManyObjects
    from archcalc import api, boot

    doors = [
        ("archcalc.boot", "A machine in a program", [boot.boot]),
        (
            "allocator.interface.Allocator",
            "What a booted machine can do",
            [*public(interface.Allocator), ManyObjects.malloc_many],
        ),
        ("allocator.common.types.Type", "Types of objects", [types.Type, *public(types.Type)]),
        ("archcalc.api", "The commands as functions", public(api)),
    ]
    parts = [
        "# The Python API\n\nWritten by `python docs/generate.py`. Addresses and sizes are plain ints, in bytes."
        " Mistakes raise\n`archcalc.reading.errors.UsageFault`; where the simulated runtime dies,"
        " `allocator.common.throw.Death` has its words.\n"
    ]
    for module, title, members in doors:
        parts.append(f"## {title}\n\n`{module}`\n")
        for member in members:
            parts.append(
                f"### {member.__name__}\n\n```python\n{signature(member)}\n```\n\n{documentation(member)}\n"
            )
    return "\n".join(parts)


def public(owner: Any) -> list[Any]:
    """The functions that a module or a class defines itself for others, in the order of the source."""
    name = owner.__module__ if inspect.isclass(owner) else owner.__name__
    return [
        member
        for own, member in vars(owner).items()
        if inspect.isfunction(member) and not own.startswith("_") and member.__module__ == name
    ]


def signature(member: Any) -> str:
    """A call as Python code declares it, a parameter a line where it is long."""
    found = inspect.signature(member)
    kept = [one for one in found.parameters.values() if one.name != "self"]
    parameters = str(found.replace(parameters=kept)).replace("'", "")
    text = f"{member.__name__}{parameters}"
    if len(text) <= 100:
        return text
    each = [str(one).replace("'", "") for one in kept]
    star = next((at for at, one in enumerate(kept) if one.kind is one.KEYWORD_ONLY), None)
    if star is not None and not any(one.kind is one.VAR_POSITIONAL for one in kept):
        each.insert(star, "*")
    returned = text.rpartition(" -> ")[2] if " -> " in text else ""
    lines = "".join(f"    {one},\n" for one in each)
    return f"{member.__name__}(\n{lines})" + (f" -> {returned}" if returned else "")


def documentation(member: Any) -> str:
    """The docstring, which every public member has."""
    text = inspect.getdoc(member)
    assert text, f"{member.__qualname__} has no docstring"
    return text


GENERATED: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/checks.md": check_list,
    "reference/profile.md": file_reference(
        "profile", "Keys of a profile",
        "A profile has the facts about a port. Only `schema` and `platform` are required if it inherits the rest;\n"
        "`archcalc profile new` writes one to start from, `archcalc schema profile` prints this for editors.",
    ),
    "reference/scenario.md": file_reference(
        "scenario", "Keys of a scenario",
        "A scenario says what a machine is like, what is done on it, and what to expect. `archcalc run` runs\n"
        "it; `archcalc schema scenario` prints this for editors.",
    ),
    "reference/sweep.md": sweep_file,
    "reference/config.md": file_reference(
        "config", "Keys of archcalc.yaml",
        "A project's defaults, in `archcalc.yaml` or under `[tool.archcalc]` in `pyproject.toml`; the nearest\n"
        "folder upwards that has either of them counts.",
    ),
    "reference/traces.md": trace_format,
    "reference/json.md": outputs,
    "reference/python.md": python_api,
    "archcalc.1": man_page,
    "pictures/linux-amd64.svg": address_maps("linux/amd64", after="mixed"),
    "pictures/linux-386.svg": address_maps("linux/386", after="mixed"),
    "pictures/arm64-39-bit.svg": address_maps("linux/arm64", va_bits=39),
    "pictures/hint-taken.svg": address_maps("linux/amd64", taken=((0xC000000000, 0xC040000000),)),
    "pictures/heap.svg": heap("linux/amd64", "mixed"),
    "pictures/heap-film.svg": heap("linux/amd64", "trees", 8),
    "pictures/releases-start.svg": releases(history.starts),
    "pictures/releases-base.svg": releases(history.bases),
    "pictures/releases-record.svg": releases(history.records),
    "pictures/releases-page.svg": releases(lambda found: history.pages(found, 16)),
    "pictures/releases-way.svg": releases(lambda found: history.way(found[-1])),
    "pictures/releases-way-windows.svg": releases(lambda found: history.way(found[-1]), "windows/amd64"),
}  # fmt: skip


def outdated() -> Iterator[tuple[Path, str]]:
    """Files that are not as the program would write them, with what it would write."""
    for name, write in GENERATED.items():
        path = DOCS / name
        text = write()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield path, text


def main(arguments: list[str]) -> int:
    """Writes or checks."""
    found = list(outdated())
    for path, text in found:
        print(path.relative_to(DOCS.parent))
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if found and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
