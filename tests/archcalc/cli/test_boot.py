"""`boot` from the command line: outcomes, addresses, options, exit codes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from archcalc.profiles import platforms

HINT = 0xC000000000


def test_all_38_boot_and_every_invariant_holds(cli: Any) -> None:
    run = cli("boot", "all", "--format", "json")
    assert run.code == 0
    assert run.json["ok"] is True
    boots = {boot["platform"]: boot for boot in run.json["boots"]}
    assert sorted(boots) == platforms.names()
    assert len(boots) == 38
    for boot in boots.values():
        assert (boot["outcome"], boot["throw"]) == ("booted", None)
        assert set(boot["arena"]) == {
            *("spans_start", "bitmap", "arena_start", "arena_used", "arena_end", "reserved"),
        }
        assert boot["checks"]
        assert all(check["ok"] for check in boot["checks"])
        assert {"hint", "size", "answer"} <= set(boot["attempts"][-1])


def test_numbers_of_linux_amd64(cli: Any) -> None:
    (boot,) = cli("boot", "linux/amd64", "--format", "json").json["boots"]
    assert boot["attempts"] == [{"hint": HINT, "size": 567472562176, "answer": HINT, "reserved": False}]
    assert boot["arena"]["arena_start"] == 0xC420000000
    assert boot["arena"]["spans_start"] == HINT


def test_a_taken_hint_is_passed_over(cli: Any) -> None:
    run = cli("boot", "linux/amd64", "--taken", "0xc000000000-0xc000100000", "--format", "json")
    assert run.code == 0
    (boot,) = run.json["boots"]
    assert [a["hint"] for a in boot["attempts"]] == [HINT, 0x1C000000000]
    assert boot["attempts"][0]["answer"] == 0


def test_a_death_is_a_result_with_its_words(cli: Any) -> None:
    run = cli("boot", "linux/386", "--ulimit-v", "200m", "--format", "json")
    assert run.code == 1
    (boot,) = run.json["boots"]
    assert run.json["ok"] is False
    assert boot["outcome"] == "throw"
    assert boot["throw"] == "runtime: cannot reserve arena virtual address space"
    assert boot["arena"] is None
    assert [a["size"] for a in boot["attempts"]] == [807411712, 538976256, 404758528, 270540800]
    assert [a["answer"] for a in boot["attempts"]] == [0] * 4


@pytest.mark.parametrize(
    ("size", "words", "printed"),
    [
        ("0", "failed to get system page size", []),
        ("2k", "bad system page size", ["system page size (2048) is smaller than minimum page size (4096)"]),
        ("5000", "bad system page size", ["system page size (5000) must be a power of 2"]),
    ],
)
def test_the_page_sizes_that_mallocinit_refuses(size: str, words: str, printed: list[str], cli: Any) -> None:
    run = cli("boot", "linux/amd64", "--believed-page-size", size, "--format", "json")
    assert run.code == 1
    (boot,) = run.json["boots"]
    assert (boot["throw"], boot["printed"], boot["attempts"]) == (words, printed, [])


def test_one_death_among_many_is_exit_code_1(cli: Any) -> None:
    run = cli("boot", "linux/386", "linux/amd64", "--ulimit-v", "200m", "--format", "json")
    assert run.code == 1
    # On 64-bit linux sysReserve only looks whether 64 KB of the range are free, so no limit is met yet.
    assert [boot["outcome"] for boot in run.json["boots"]] == ["throw", "booted"]


def test_findings_for_build_servers(cli: Any) -> None:
    run = cli("boot", "linux/386", "--ulimit-v", "200m", "--format", "junit")
    assert run.code == 1
    (suite,) = ElementTree.fromstring(run.out).iter("testsuite")
    assert suite.get("failures") == "1"
    failed = [case for case in suite.iter("testcase") if case.find("failure") is not None]
    assert ["boot-outcome" in (case.get("name") or "") for case in failed] == [True]


def test_the_table_has_a_row_a_platform(cli: Any) -> None:
    run = cli("boot", "linux/*", "--format", "csv")
    assert run.code == 0
    assert run.out.count("booted") == len([name for name in platforms.names() if name.startswith("linux/")])


@pytest.mark.parametrize(
    "words",
    [
        ("boot", "linux/alpha"),
        ("boot", "linux/amd64", "--ulimit-v", "many"),
        ("boot", "linux/amd64", "--taken", "0x10"),
        ("boot", "linux/amd64", "--taken", "0x2000-0x1000"),
        ("boot", "linux/amd64", "--va-bits", "-3"),
        ("boot", "linux/amd64", "--maps", "missing"),
    ],
)
def test_mistakes_are_exit_code_2_with_one_message(words: tuple[str, ...], cli: Any) -> None:
    run = cli(*words)
    assert run.code == 2
    assert run.out == ""
    assert "Traceback" not in run.err
    assert run.err.strip()
