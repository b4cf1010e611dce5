"""Plain English: phrases that a reader stumbles over stay out of messages, docstrings, comments and pages.

Each pattern has what to say instead. They are the worst that were found when everything was read aloud once;
they are not a grammar. A hit that is right is an exception, with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "docs/archcalc.1", "archcalc/**/*.py",
    "archcalc/**/*.yaml", "archcalc/**/*.txt", "archcalc/**/*.json", "archcalc/**/*.js", "allocator/**/*.py",
    "platforms/**/*.yaml", "examples/**/*.yaml", "examples/**/*.py",
)  # fmt: skip

INSTEAD = {
    r"(?<![Tt]here )\b(?:is|are|was|were) no (?!(?:longer|more|less|larger|smaller|faster)\b)": (
        "is not a; or subject first: there is no"
    ),
    r"\bTold is\b": "subject first: the output says",
    r"\b(?:be|been|is|are|was|were) had\b": "is available, is granted, fits; or: the system refuses it",
    r"\bfor ever\b": "forever",
    r"\banew\b": "again, from the start",
    r"\breckon(?:s|ed)?\b": "computes; uses",
    r"\bwithout a word\b": "silently",
    r"\b(?:came|comes|come) of\b": "the outcome; results from",
    r"\b(?:came|comes|come) to (?:stand|lie)\b": "lies",
    r"\bby lot\b": "at random",
    r"\bthat nobody has(?=[.,;:)]|$)": "that does not exist; that is free",
    r"\bone's own\b": "your own, its own",
    r"\b1 (?:bytes|pages|spans|objects|words|bits|calls|events|checks|platforms|files|lines)\b(?!,)": (
        "archcalc.reading.words.counted"
    ),
}

# The file and the words there that are right as they are.
RIGHT: dict[tuple[str, str], str] = {}


def texts() -> Iterator[tuple[str, int, str]]:
    """Each line of the project's texts, with its file and its number."""
    for glob in TEXTS:
        for path in sorted(ROOT.glob(glob)):
            name = path.relative_to(ROOT).as_posix()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield name, number, line


LINES = tuple(texts())


@pytest.mark.parametrize("pattern", INSTEAD)
def test_no_line_has_such_a_phrase(pattern: str) -> None:
    """The message says where, and what to say instead."""
    phrase = re.compile(pattern)
    found = [
        f"{file}:{number}: {line.strip()}"
        for file, number, line in LINES
        if phrase.search(line) and not any(file == at and words in line for at, words in RIGHT)
    ]
    assert not found, "\n".join((f"say instead: {INSTEAD[pattern]}", *found))


# Messages that count by themselves, and why.
COUNTS = {
    ("archcalc/checks/pages.py", "' + '.join(map(str, parts))"): "a sum, as it is written",
    ("archcalc/cli/replay.py", "', '.join(NAMES)"): "names, not a number",
    ("archcalc/cli/smoke.py", "procs"): "a number of Ps that is refused, so it is not 1",
    ("archcalc/goexpr/nodes.py", "len(function.parameters)"): "the room below the one with the helper",
    ("archcalc/profiles/profile_tools.py", "base.facts['ptr_size']"): "4 or 8",
}
NOUNS = re.compile(
    r" (?:more |free |whole )?(?:bytes|bits|words|pages|spans|objects|classes|arenas|chunks|hints|levels|"
    r"stacks|Ps|platforms|checks|findings|errors|warnings|records|events|lines|files|digits|items|keys|values|members|"
    r"arguments|calls|mappings|reservations|allocations|collections|sections|symbols|fields|entries|typelinks|"
    r"scenarios|points|paths|differences|releases|memories)\b"
)


def uncounted(path: Path) -> Iterator[tuple[str, int, str]]:
    """Numbers in messages with a plural behind them, whatever they are: file, line and expression.

    Constants in capitals are known not to be 1; what is printed in hexadecimal is seldom read as a count.
    """
    name = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, behind in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(behind, ast.Constant):
                number = ast.unparse(value.value)
                plain = value.format_spec is None and not number.isupper() and "counted(" not in number
                if plain and NOUNS.match(str(behind.value)):
                    yield name, node.lineno, number


def test_numbers_are_counted() -> None:
    """1 page, 2 pages: `archcalc.reading.words.counted` says so.

    Not in `allocator/`, which does not know that helper: what it prints are Go's words, and its audits name
    fields with their numbers.
    """
    found = [
        f"{name}:{line}: {number}"
        for path in sorted((ROOT / "archcalc").rglob("*.py"))
        for name, line, number in uncounted(path)
        if (name, number) not in COUNTS
    ]
    assert not found, "\n".join(("use archcalc.reading.words.counted:", *found))


def test_exceptions_are_still_there() -> None:
    """An exception whose reason has gone goes, too."""
    seen = {
        (name, number) for path in (ROOT / "archcalc").rglob("*.py") for name, _, number in uncounted(path)
    }
    assert COUNTS.keys() <= seen
    assert all(any(file == at and words in line for file, _, line in LINES) for at, words in RIGHT)
