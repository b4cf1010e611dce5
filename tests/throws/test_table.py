"""The table of last words has no gap, and says what the tests show."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from archcalc.questions import throws

HERE = Path(__file__).parent
SITES = json.loads((HERE.parent / "data" / "throws" / "sites.json").read_text())
INCIDENTS = HERE.parents[1] / "examples" / "incidents"


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "table.py"))


def test_every_throw_of_the_source_has_a_row() -> None:
    known = {row.site for row in throws.table()}
    missing = [site for site, call in SITES if call in ("throw", "panic") and site not in known]
    assert missing == []


def test_every_print_of_the_source_belongs_to_a_row() -> None:
    """It is a row, or stands shortly before a throw or an exit, or goes on with another print."""
    rows = {row.site: row for row in throws.table()}

    def belongs(file: str, line: int) -> bool:
        after = (rows.get(f"{file}:{n}") for n in range(line, line + 18))
        before = (rows.get(f"{file}:{n}") for n in range(line - 29, line))
        return any(row is not None for row in after) or any(
            row is not None and row.kind in ("print", "exit") for row in before
        )

    lost = []
    for site, call in SITES:
        file, line = site.split(":")
        if call in ("print", "exit") and not belongs(file, int(line)):
            lost.append(site)
    assert lost == []


def test_no_row_is_without_its_place_in_the_source() -> None:
    # Those from elsewhere are what failed system calls of the allocator lead to, and follows early deaths.
    extra = {row.site for row in throws.table()} - {site for site, _ in SITES}
    assert extra == {"signal_unix.go:274", "panic.go:631"}


def test_every_row_that_can_be_reached_is_reached(generated: dict[str, Any]) -> None:
    reached = generated["reached_by"]()
    rows = {row.site: row for row in throws.table()}
    assert [site for site, row in rows.items() if row.reachable and site not in reached] == []
    assert [site for site in reached if not rows[site].reachable] == []


def test_rows_say_what_they_must() -> None:
    for row in throws.table():
        if row.reachable:
            assert row.model and row.means and row.when and row.mends, row.site
        else:
            assert bool(row.unreachable) != bool(row.scope), row.site
        for incident in row.incidents:
            assert (INCIDENTS / f"{incident}.yaml").is_file(), row.site


def test_the_document_is_up_to_date(generated: dict[str, Any]) -> None:
    assert generated["DOCUMENT"].read_text(encoding="utf-8") == generated["text"](), (
        "run tests/throws/table.py"
    )


@pytest.mark.parametrize(
    ("words", "site"),
    [
        ("cannot reserve arena", "malloc.go:352"),
        ("fatal error: runtime: cannot reserve arena virtual address space", "malloc.go:352"),
        ("canot resreve arena", "malloc.go:352"),
        ("malloc.go:352", "malloc.go:352"),
        ("runtime: out of memory: cannot allocate 65536-byte block (0 in use)", "mheap.go:781"),
        ("runtime: address space conflict: map(0xc421000000) = 0x7ffff7e5f000", "mem_linux.go:220"),
        ("address space conflict: map(0xc421000000) = 0x16", "mem_linux.go:220"),
        ("VirtualAlloc of 13631488 bytes failed with errno=487", "mem_windows.go:74"),
        ("base out of range", "mbitmap.go:343"),
        ("panic: runtime: allocation size out of range", "malloc.go:819"),
    ],
)
def test_words_are_found(words: str, site: str) -> None:
    assert site in [row.site for row in throws.find(words)]


@pytest.mark.parametrize("words", ["", "hello world", "_PageSize", "mspan", "{}", "0x16"])
def test_other_words_are_not(words: str) -> None:
    assert throws.find(words) == []
