"""`explain` knows the runtime's last words and why VIRT is so large."""

from __future__ import annotations

from typing import Any


def test_last_words_are_explained(cli: Any) -> None:
    run = cli("explain", "cannot reserve arena")
    assert run.code == 0
    assert "malloc.go:352" in run.out and "what helps" in run.out
    document = cli("explain", "runtime: failed to commit pages", "--format", "json").json
    assert [row["site"] for row in document["throws"]] == ["mem_windows.go:74"]
    assert document["throws"][0]["incidents"] == ["windows-commit-limit"]


def test_what_is_not_modelled_says_why(cli: Any) -> None:
    run = cli("explain", "fatal error: stack overflow")
    assert run.code == 0
    assert "not modelled" in run.out


def test_vsz_of_a_platform(cli: Any) -> None:
    document = cli("explain", "vsz", "darwin/amd64", "linux/386", "--format", "json").json
    first, second = document["platforms"]
    assert first["virt"] > 528 << 30 and first["mapped"] < 8 << 20 and first["reserved"] is True
    assert second["platform"] == "linux/386"
    assert sum(part["held"] for part in second["parts"]) == second["virt"]
    assert "Watch RSS" in cli("explain", "vsz", "linux/amd64").out.replace("\n", " ")


def test_nonsense_is_still_a_mistake(cli: Any) -> None:
    run = cli("explain", "hello world")
    assert run.code == 2
    assert "no last words of the allocator: hello world" in run.err
    assert "unknown name hello_world" in cli("explain", "hello_world").err


def test_a_what_if_that_names_nothing_is_a_mistake(cli: Any) -> None:
    run = cli("report", "linux/amd64", "--set", "huge_page_size=_MAP_NOTHING")
    assert run.code == 2
    assert "undefined: _MAP_NOTHING" in run.err
