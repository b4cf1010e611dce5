"""Tables for people: what is right-aligned, how they are made to fit."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.render import Page
from archcalc.render.table import fitted, render, table_lines
from archcalc.results.result import Result
from archcalc.results.tables import Bytes, Column, Hex, NotApplicable, Prose, Table, Value, human, show


def lines(table: Table, width: int = 80) -> list[str]:
    return list(table_lines(table, Page(width)))


def test_hexadecimal_is_a_type_and_numbers_stand_right() -> None:
    table = Table(
        (Column("at", Hex), Column("size", Bytes), Column("name")), [(255, 8192, "a"), (16, 1, "bc")]
    )
    assert lines(table) == [
        "  at  size  name",
        "----  ----  ----",
        "0xff  8192  a",
        "0x10     1  bc",
    ]


def test_a_value_keeps_its_own_type_under_a_plain_column() -> None:
    table = Table((Column("name"), Column("value")), [("mask", Hex(15)), ("size", Bytes(15)), ("on", True)])
    assert lines(table)[2:] == ["mask  0xf", "size  15", "on    true"]


def test_what_does_not_apply_is_said_with_its_reason_once() -> None:
    why = NotApplicable("no hints on 32-bit")
    table = Table((Column("a"), Column("b", Hex), Column("c", Hex)), [("x", why, why), ("y", 1, 2)])
    assert lines(table) == [
        "a    b    c",
        "-  ---  ---",
        "x  n/a  n/a",
        "y  0x1  0x2",
        "n/a: no hints on 32-bit",
    ]


def test_an_empty_table_says_so() -> None:
    assert lines(Table((Column("a"),), [], title="Findings")) == ["Findings", "(none)"]


def test_a_wide_table_is_split_into_blocks_that_repeat_the_key() -> None:
    table = Table([Column("name"), *(Column(f"platform-{n}") for n in range(4))], [("_PageSize", 1, 2, 3, 4)])
    assert lines(table, 36) == [
        "name       platform-0  platform-1",
        "---------  ----------  ----------",
        "_PageSize           1           2",
        "",
        "name       platform-2  platform-3",
        "---------  ----------  ----------",
        "_PageSize           3           4",
    ]


def test_a_table_that_may_be_turned_is_turned_when_that_fits() -> None:
    columns = [Column("figure"), *(Column(f"linux/{n}", Bytes) for n in range(8))]
    table = Table(columns, [("_PageSize", *range(8))], turnable=True)
    assert lines(table, 40)[:3] == ["figure   _PageSize", "-------  ---------", "linux/0          0"]
    assert len(lines(table, 40)) == 10
    assert lines(table, 200)[2].startswith("_PageSize")


def test_only_wrapping_columns_are_folded() -> None:
    table = Table(
        (Column("id"), Column("what", wrap=True)), [("some-id", "one two three four five six seven")]
    )
    assert lines(table, 27) == [
        "id       what",
        "-------  ------------------",
        "some-id  one two three four",
        "         five six seven",
    ]


values: st.SearchStrategy[Value] = (
    st.integers(0, 1 << 64) | st.integers(0, 1 << 64).map(Hex) | st.text("ab \n", max_size=30) | st.none()
)


@given(st.data(), st.integers(40, 120))
def test_every_line_fits_when_every_column_can(data: st.DataObject, width: int) -> None:
    """Columns narrower than the page less the key always fit it, split or not."""
    count = data.draw(st.integers(1, 12))
    columns = [Column("key"), *(Column(f"c{n}", wrap=n % 3 == 0) for n in range(count))]
    row = st.tuples(st.just("k"), *(values.filter(lambda v: len(show(v)) <= 30) for _ in range(count)))
    table = Table(columns, data.draw(st.lists(row, min_size=1, max_size=4)))
    for line in lines(table, width):
        assert len(line) <= width


@given(st.integers(1, 30), st.integers(10, 60))
def test_splitting_shows_each_column_once(count: int, width: int) -> None:
    table = Table([Column("key"), *(Column(f"column {n}") for n in range(count))], [["k", *["x"] * count]])
    shown = [at for part in fitted(table, width) for at in part.columns if at]
    assert shown == list(range(1, count + 1))


def test_colour_changes_no_character(figures: Result) -> None:
    plain_text = "".join(render(figures, Page(80)))
    colored = "".join(render(figures, Page(80, color=True)))
    assert "\x1b" not in plain_text
    assert colored != plain_text
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain_text


def test_prose_is_wrapped_and_verbatim_text_is_not() -> None:
    prose = Prose("one two three four five six seven eight", indent=2)
    assert all(len(line) <= 20 for line in _text(prose, 20))
    assert " ".join(" ".join(_text(prose, 20)).split()) == prose.text
    assert _text(Prose("one   two\n  three", verbatim=True), 5) == ["one   two", "  three"]


def _text(prose: Prose, width: int) -> list[str]:
    from archcalc.render.table import prose_lines

    return list(prose_lines(prose, Page(width)))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, ""),
        (1023, ""),
        (1024, "1 KB"),
        (8192, "8 KB"),
        (1536, "1 KB + 512 B"),
        (807411712, "770 MB + 8 KB"),
        (1 << 40, "1 TB"),
        (-4096, "-4 KB"),
        ((1 << 64) - 1, ""),
    ],
)
def test_sizes_are_said_exactly_or_not_at_all(size: int, words: str) -> None:
    assert human(size) == words


@given(st.integers(0, 1 << 70))
def test_what_is_said_of_a_size_adds_up(size: int) -> None:
    unit = {"B": 0, "KB": 1, "MB": 2, "GB": 3, "TB": 4, "PB": 5, "EB": 6}
    words = human(size)
    if words:
        parts = [part.split() for part in words.split(" + ")]
        assert sum(int(count) * 1024 ** unit[name] for count, name in parts) == size


def test_prose_without_room_beside_its_row_stands_below() -> None:
    columns = (Column("name"), Column("value", int), Column("reads as"), Column("what", wrap=True))
    table = Table(columns, [("arena_size", 549755813888, "512 GB", "one two three four five")])
    assert lines(table, 42) == [
        "name               value  reads as",
        "----------  ------------  --------",
        "arena_size  549755813888  512 GB",
        "    one two three four five",
    ]
    assert lines(table, 80)[2].endswith("one two three four five")


def test_a_heading_of_several_lines_stands_above_its_column() -> None:
    table = Table((Column("figure"), Column("a,\nb"), Column("c")), [("x", "1", "2")])
    assert lines(table, 80)[:3] == ["figure  a,  c", "        b", "------  --  -"]
