"""Figures side by side: every value can be read back, and nothing equal is said twice."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.profiles import platforms
from archcalc.questions.side_by_side import by_platform, heading, parting, together
from archcalc.results.tables import Bytes, Hex, NotApplicable, Table, Value

EVERY = platforms.names()
MISSING = NotApplicable("not declared there")
VALUES: st.SearchStrategy[Value] = st.sampled_from(
    [0, 1, 2, True, False, "a", "b", Hex(2), Bytes(8192), MISSING]
)


def read_back(blocks: list[Table], names: list[str]) -> dict[tuple[str, str], Value]:
    """Each figure's value on each platform, as a reader takes it from the tables."""
    found: dict[tuple[str, str], Value] = {}
    for table in blocks:
        by_value = [column.title for column in table.columns] == ["figure", "value", "platforms"]
        if by_value:
            name, left = "", set()
            for figure, value, who in table.rows:
                if figure:
                    name, left = str(figure), set(names)
                for platform in told(str(who), names, left):
                    found[name, platform] = value
                    left.discard(platform)
            continue
        titles = [column.title.replace("\n", " ") for column in table.columns[1:]]
        others = set(names)
        for title in titles:
            if not title.startswith("the other"):
                others -= set(told(title, names, others))
        for figure, *values in table.rows:
            for title, value in zip(titles, values, strict=True):
                for platform in told(title, names, others):
                    found[str(figure), platform] = value
    return found


def told(text: str, names: list[str], others: set[str]) -> list[str]:
    """The platforms that a few words name."""
    if text.startswith("the other "):
        assert len(others) == int(text.removeprefix("the other "))
        return sorted(others)
    if text == f"all {len(names)}":
        return names
    words = text.split(", ")
    return [name for name in names if any(fnmatchcase(name, word) for word in words)]


@given(
    st.lists(st.sampled_from(EVERY), min_size=2, max_size=38, unique=True).flatmap(
        lambda names: st.tuples(
            st.just(names),
            st.dictionaries(
                st.sampled_from("abcdefgh"),
                st.lists(VALUES, min_size=len(names), max_size=len(names)),
                min_size=1,
            ),
        )
    )
)
def test_every_value_can_be_read_back(drawn: tuple[list[str], dict[str, list[Value]]]) -> None:
    names, rows = drawn
    blocks = [block for block in together(names, list(rows.items())) if isinstance(block, Table)]
    expected = {
        (figure, name): value
        for figure, values in rows.items()
        for name, value in zip(names, values, strict=True)
    }
    found = read_back(blocks, names)
    assert found == expected
    assert all(type(found[key]) is type(value) for key, value in expected.items())


def test_true_is_not_one_when_platforms_are_parted() -> None:
    assert parting([1, True, 1]).group == (0, 1, 0)


@pytest.mark.parametrize("names", [EVERY, ["linux/amd64"], ["a-profile-with-a-long-name/of-its-own", "b/c"]])
def test_a_heading_loses_no_name(names: list[str]) -> None:
    assert heading(names).replace(",\n", ", ").replace("\n", " ") == ", ".join(names)


def test_platforms_with_equal_values_share_a_row() -> None:
    table = by_platform(["a/x", "b/x", "c/x"], [("_PageSize", [8192, 8192, 4096])])
    assert [tuple(row) for row in table.rows] == [(8192, "a/x, b/x"), (4096, "c/x")]
