"""What the runtime's last words mean: every throw, panic, exit and error print of the allocator's files.

The rows are in throws.yaml, one a place in the source. Tests lead the model to each place
that it has, and hold its words against the row's.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import NamedTuple

from archcalc.reading import strictyaml
from archcalc.reading.errors import UsageFault
from archcalc.reading.fields import Choice, Field, FixedKeys, Group, ListOf, Text, read_file

# The table of each family of machines.
FILES = {
    "contiguous": Path(__file__).with_name("throws.yaml"),
    "sparse": Path(__file__).with_name("throws_sparse.yaml"),
}
OLDEST = "contiguous"

KINDS = ("throw", "panic", "exit", "print")

_SITE = Text(r"[a-z0-9_]+\.(?:go|s):[0-9]+", "FILE.go:LINE")
_ROW = FixedKeys(
    {
        "site": Field(_SITE, "where it stands", True),
        "also": Field(ListOf(_SITE), "where the same words stand for the same reason"),
        "go": Field(Text(r"[0-9.]+", "a release"), "the last release that has it, if not the table's own"),
        "function": Field(Text(r"[A-Za-z0-9_.]+", "a function, TYPE.NAME of a method"), "in which it stands"),
        "kind": Field(Choice(KINDS), "throw without it"),
        "words": Field(Text(), "what it says, {} for a value", True),
        "printed": Field(ListOf(Text()), "the lines before it, {} for a value"),
        "model": Field(Text(r"[a-z_]+\.[a-z_0-9]+", "MODULE.FUNCTION"), "where the model dies of it"),
        "means": Field(Text(), "what it means"),
        "when": Field(Text(), "which conditions lead there"),
        "mends": Field(Text(), "what can be done"),
        "incidents": Field(ListOf(Text()), "files in examples/incidents"),
        "unreachable": Field(Text(), "why no input leads there"),
        "scope": Field(Text(), "why it is not modelled"),
    }
)
_FILE = FixedKeys(
    {"schema": Field(Choice((1,)), "version", True), "rows": Field(ListOf(_ROW), "the table", True)}
)


class LastWords(NamedTuple):
    """One place in the source where the runtime says its last words, or prints an error.

    `words` and `printed` have {} where a value stands. `also` are further places with the same words,
    `go` is the last release that has them where the table's own has not. `function` is Go's.
    """

    site: str
    also: tuple[str, ...]
    go: str
    function: str
    kind: str
    words: str
    printed: tuple[str, ...]
    model: str
    means: str
    when: str
    mends: str
    incidents: tuple[str, ...]
    unreachable: str
    scope: str

    @property
    def reachable(self) -> bool:
        """Whether an input of the model leads there."""
        return not self.unreachable and not self.scope

    def fits(self, words: str) -> bool:
        """Whether a line that a runtime printed could be these words."""
        return matches(self.words, words)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, template.split("{}"))))


@cache
def table(era: str = OLDEST) -> tuple[LastWords, ...]:
    """Every row of a family of machines, in the order of the source files."""
    file = FILES[era]
    document = strictyaml.Document(file.name, "throws", [])
    data = strictyaml.read_bytes(file, document)
    group = read_file(data, _FILE, document) if data is not None else None
    if group is None or document.faults:
        raise UsageFault(*document.faults)
    return tuple(_throw(row) for row in group["rows"])


def _throw(row: Group) -> LastWords:
    def text(key: str) -> str:
        return str(row.get(key, "")).strip()

    return LastWords(
        site=text("site"),
        also=tuple(row.get("also", ())),
        go=text("go"),
        function=text("function"),
        kind=row.get("kind", "throw"),
        words=text("words"),
        printed=tuple(row.get("printed", ())),
        model=text("model"),
        means=text("means"),
        when=text("when"),
        mends=text("mends"),
        incidents=tuple(row.get("incidents", ())),
        unreachable=text("unreachable"),
        scope=text("scope"),
    )


def by_site(site: str, era: str = OLDEST) -> LastWords:
    """The row of a place in the source; KeyError where there is none."""
    return _sites(era)[site]


@cache
def _sites(era: str = OLDEST) -> dict[str, LastWords]:
    """The rows by their places; of two releases' places with one name the table's own goes before."""
    rows = sorted(table(era), key=lambda row: not row.go)
    return {site: row for row in rows for site in (*row.also, row.site)}


# Finding them by what people paste.

_PREFIXES = ("fatal error: ", "panic: ", "runtime error: ")
_LIKE = 0.72  # how alike a word must be that is perhaps misspelt


def is_a_line(words: str) -> bool:
    """Whether words are a line that somebody pasted, and no name of anything."""
    return words.startswith(_PREFIXES) or len(words.split()) > 1


def find(words: str, era: str = OLDEST) -> list[LastWords]:
    """The rows that are perhaps meant by these words, the likeliest first; those of a site, FILE:LINE, too.

    A whole line that a process printed finds its row; a part of one, or with a letter wrong, does too.
    """
    asked = " ".join(words.split())
    if asked in _sites(era):
        return [by_site(asked, era)]
    pasted = asked.startswith(_PREFIXES)
    for prefix in _PREFIXES:
        asked = asked.removeprefix(prefix)
    exact = [row for row in table(era) if any(_says(text, asked) for text in (row.words, *row.printed))]
    if exact or len(asked.split()) < 2:
        return exact  # one word alone is more likely the name of something
    scored = [
        (score, row)
        for row in table(era)
        if (score := _score(asked, row)) >= _LIKE and (not pasted or _begins(asked, row))
    ]
    best = max((score for score, _ in scored), default=0.0)
    return [row for score, row in sorted(scored, key=lambda pair: -pair[0]) if score >= best - 0.05]


def matches(template: str, line: str) -> bool:
    """Whether a line is a template with values for its {}."""
    if not line.startswith(template.partition("{}")[0]):
        return False  # a pattern takes longer to make than all the rest
    return _pattern(template).fullmatch(line) is not None


def _says(template: str, line: str) -> bool:
    """Whether the line is what the template prints; one of values alone says nothing."""
    return len(template.replace("{}", "").strip()) > 3 and matches(template, line)


def _begins(asked: str, row: LastWords) -> bool:
    """Whether words begin as a row's do: a line that was pasted has its beginning, and no other's middle."""
    first = next(iter(_words(asked.removeprefix("runtime: "))), "")
    return any(
        _best(first, _words(text.removeprefix("runtime: "))[:1]) > 0 for text in (row.words, *row.printed)
    )


def _score(asked: str, row: LastWords) -> float:
    """How well the words that were asked for are found in a row, 0 to 1; numbers are not looked for."""
    wanted = [word for word in _words(asked) if not any(char.isdigit() for char in word)]
    if not wanted:
        return 0.0
    return max(sum(_best(word, there) for word in wanted) / len(wanted) for there in _texts(row))


@cache
def _texts(row: LastWords) -> tuple[tuple[str, ...], ...]:
    return tuple(_words(text) for text in (row.words, *row.printed))


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9_]+", text.lower()))[:40]


def _best(word: str, there: tuple[str, ...]) -> float:
    if word in there:
        return 1.0
    return max((_alike(word, other) for other in there), default=0.0)


@cache
def _alike(word: str, other: str) -> float:
    if min(len(word), len(other)) < 4:
        return 0.0
    ratio = SequenceMatcher(None, word, other).ratio()
    return ratio if ratio >= 0.75 else 0.0
