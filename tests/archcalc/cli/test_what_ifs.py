"""What --set has set is said by every command in every format, and followed or refused by those that boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from archcalc.cli.main import main

SETTING = "_MaxMem=68719476735"
COMMANDS = {
    "boot": ["boot", "linux/amd64"],
    "map": ["map", "linux/amd64"],
    "smoke": ["smoke", "linux/amd64", "-w", "tiny", "-n", "50"],
    "heap": ["heap", "linux/amd64", "--after", "smoke:tiny", "-n", "50"],
    "diff": ["diff", "linux/amd64", "windows/amd64"],
    "sizeclass": ["sizeclass", "100", "--platform", "linux/amd64"],
    "check": ["check", "linux/amd64"],
    "report": ["report", "linux/amd64", "--only", "_MaxMem"],
}
EVERY = ("table", "json", "jsonl", "csv", "markdown", "yaml")
MORE = {
    "boot": ("github", "junit", "sarif"),
    "smoke": ("github", "junit", "sarif"),
    "check": ("github", "junit", "sarif"),
    "map": ("svg", "html"),
    "heap": ("svg", "html"),
}
CASES = [(name, format) for name in COMMANDS for format in (*EVERY, *MORE.get(name, ()))]


@pytest.mark.parametrize(("name", "format"), CASES)
def test_a_what_if_is_said(name: str, format: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([*COMMANDS[name], "--set", SETTING, "--format", format])
    out = capsys.readouterr().out
    if format in ("json", "yaml"):
        document = json.loads(out) if format == "json" else yaml.safe_load(out)
        assert document["set"] == {"_MaxMem": 68719476735}
    elif format == "jsonl":
        assert all(json.loads(line)["set"] == {"_MaxMem": 68719476735} for line in out.splitlines())
    elif format == "csv":
        header, *rows = out.splitlines()
        assert header.split(",")[-1] == "set"
        assert all(row.endswith(SETTING) for row in rows)
    elif format == "sarif":
        assert json.loads(out)["runs"][0]["properties"] == {"set": {"_MaxMem": 68719476735}}
    elif format == "junit":
        assert '<property name="set _MaxMem" value="68719476735"' in out
    else:
        assert f"What if {SETTING}" in out


@pytest.mark.parametrize("command", ["boot", "map", "smoke", "heap"])
@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ("stackDebug=1", "a figure that the machine reads"),
        ("pageSize=4096", "_PageSize"),
        ("GOOS=windows", "name"),
    ],
)
def test_what_no_machine_reads_is_refused(
    command: str, setting: str, instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMANDS[command], "--set", setting]) == 2
    err = capsys.readouterr().err
    assert setting.partition("=")[0] in err and instead in err


def test_a_recording_has_its_own_constants(capsys: pytest.CaptureFixture[str]) -> None:
    trace = next((Path(__file__).parents[2] / "data/traces").glob("*.gz"))
    assert main(["heap", str(trace), "--set", SETTING]) == 2


@pytest.mark.parametrize("setting", ["heapBitmapScale=0"])
def test_a_machine_that_cannot_be_is_a_mistake_of_the_users(
    setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["smoke", "linux/amd64", "-w", "tiny", "-n", "50", "--set", setting]) == 2
    assert f"what if {setting}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("fact.phys_page_size=0", "a power of two from 512"),
        ("phys_page_size=6144", "a power of two from 512"),
        ("user_address_bits=65", "an integer from 20 to 64"),
        ("data_end=-1", "an address from 0"),
    ],
)
@pytest.mark.parametrize("go", ["7aefdfded", "1.27"])
def test_a_fact_that_no_profile_may_say_is_refused(
    setting: str, expected: str, go: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["boot", "linux/amd64", "--go", go, "--set", setting]) == 2
    err = capsys.readouterr().err
    assert expected in err and setting.partition("=")[2] in err


@pytest.mark.parametrize("go", ["7aefdfded", "1.25", "1.27"])
@pytest.mark.parametrize("platform", ["linux/arm64", "linux/amd64", "windows/amd64"])
def test_fewer_bits_of_address_are_followed_as_by_the_option(
    go: str, platform: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def booted(*words: str) -> object:
        main(["boot", platform, "--go", go, "--format", "json", *words])
        found = json.loads(capsys.readouterr().out)["boots"][0]
        return found["outcome"], found["attempts"], found["arena"]

    assert booted("--set", "user_address_bits=36") == booted("--va-bits", "36") != booted()


def test_checks_see_where_fewer_bits_of_address_end(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["linux/riscv64", "--go", "1.25", "--set", "user_address_bits=38", "--format", "json"]
    main(["check", *words])
    found = {one["id"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert {"arenas.first-hint-fits", "arenas.hints-in-reach"} <= found


def test_stacks_without_a_cache_end_as_stackfree_does(capsys: pytest.CaptureFixture[str]) -> None:
    # A stack of 2 KB is then a span of no pages at all, and the page it lies on is entered for the free run.
    main(["smoke", "solaris/amd64", "-w", "stacks", "--set", "stackCache=0", "--format", "json"])
    death = json.loads(capsys.readouterr().out)["runs"][0]["death"]
    assert death["throw"] == "bad span state"
    base, v = death["printed"][-1].split()
    assert base == v and int(v, 16) % 8192 == 0


def test_no_size_of_a_footprint_is_negative(capsys: pytest.CaptureFixture[str]) -> None:
    for setting in ("layout.bitmap_size=34359738368", "reservation_size=8192"):
        assert main(["explain", "vsz", "darwin/amd64", "--set", setting, "--format", "json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["platforms"]
        assert all(part[key] >= 0 for part in found["parts"] for key in ("planned", "held", "mapped"))
