"""Rules that once had several places have one: each by the code that would write it again."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from imports import TREE, modules


class Rule(NamedTuple):
    """What is written in one place, how code looks that says it, and the files that may."""

    what: str
    code: str
    files: frozenset[str]


def rule(what: str, code: str, *files: str) -> Rule:
    return Rule(what, code, frozenset(files))


RULES = [
    rule("which grain a tiny object has", r"GRAINS = \(", "allocator/common/tiny.py"),
    # Said again where a call would cost as much as the allocation; and over arrays.
    rule(
        "where in a block a tiny object goes",
        r"\+ grain\)? ?& ?~ ?grain",
        "allocator/common/tiny.py",
        "allocator/contiguous/malloc.py",
        "allocator/sparse/malloc.py",
        "archcalc/traces/replayer.py",
        "archcalc/traces/tiny.py",
    ),
    rule(
        "how a recording writes the flags of an allocation",
        r"""\*\s*"n"|"n"\s*if|"nz"|"z"\s*if""",
        "allocator/contiguous/vocabulary.py",
    ),
    rule(
        "what of a span is no object's",
        r"\(\s*(?:\w+\.)?slots\s*-\s*(?:\w+\.)?objects\s*\)\s*\*",
        "allocator/interface.py",
    ),
    rule(
        "how many Ps there may be",
        r"""(?:MAX_\w*(?:CACHES|PROCS)|MOST_PROCS)\s*=|procs"?\s*(?:<=|:\s*Field\(Int\()[^)\n]*\d{3}""",
        "allocator/sparse/heap_core.py",  # a limit of ours: later releases have none
        "archcalc/workloads/programs.py",  # what a workload may ask for
    ),
    rule(
        "that a scope forwards what it does not know to another",
        r"return self\.\w+\.(?:struct|length|function)\(name\)(?! if)",
        "archcalc/goexpr/scope.py",
    ),
    rule("the words of a death without a heap", r"TOO_EARLY\s*=", "allocator/interface.py"),
    rule("how last words are put together", r"""\.printed,\s*\*death\.before""", "allocator/interface.py"),
    rule(
        "the numbers of errors with which systems refuse memory",
        r"(?m)^(?:ENOMEM|EACCES|EAGAIN|EPERM|EINVAL)\s*=\s*\d+|COMMITMENT_LIMIT\s*=|NOT_ENOUGH_MEMORY\s*=",
        "allocator/kernels/posix.py",
        "allocator/kernels/windows.py",
    ),
    rule(
        "what is larger than 64 bits reserve", r"LARGE\s*=\s*1\s*<<\s*32", "allocator/contiguous/mem_bsd.py"
    ),
    rule(
        "what an unknown heap's era is told by",
        r"""["']gcSweepBuf["']|["']pageAlloc["']""",
        "archcalc/goverify/era.py",
    ),
]


def saying(code: str, sources: dict[str, str]) -> set[str]:
    """The files whose code says something; comments do not."""
    pattern = re.compile(code)
    return {
        file
        for file, text in sources.items()
        if any(pattern.search(part) for part in (text, " ".join(text.split())))
    }


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.what)
def test_a_rule_stands_in_one_place(one: Rule) -> None:
    sources = {
        path.relative_to(TREE).as_posix(): re.sub(r"(?m)^\s*#.*$", "", path.read_text())
        for path in modules().values()
    }
    # Equal, and not only within: a rule that nothing states any more is not a rule.
    assert saying(one.code, sources) == one.files


@pytest.mark.parametrize(
    ("what", "again"),
    [
        ("flags", 'flags = ("n" if noscan else "") + ("z" if needzero else "")'),
        ("no object's", "row[3] += (run.slots - run.objects) * run.elemsize"),
        ("Ps", "MAX_CACHES = 256"),
        ("Ps", '    "procs": Field(Int(1, 256), "GOMAXPROCS"),'),
        ("scope", "        return self.package.struct(name)"),
        ("last words", '"printed": [*self.printed, *death.before],'),
        ("tiny object goes", "off = (cache.tiny_offset + grain) & ~grain"),
    ],
)
def test_a_rule_that_is_written_again_is_found(what: str, again: str) -> None:
    (one,) = (one for one in RULES if what in one.what)
    assert saying(one.code, {"archcalc/new.py": again}) == {"archcalc/new.py"}
