"""json, jsonl, csv and yaml, read back by independent readers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping

import pytest
import yaml
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.render import Page, render
from archcalc.render.json import lay_out
from archcalc.results.result import Listing, Result
from archcalc.results.tables import Bytes, Column, Hex, NotApplicable, plain

PAGE = Page(80)
BIG = 0xFFFF_FFFF_FFFF_FFFF
UNDONE = {"not_applicable": "none here"}


def text(result: Result, format: str, page: Page = PAGE) -> str:
    return "".join(render(result, format, page))


def exact(value: object) -> object:
    """The value with its types spelt out, so that 1, 1.0 and True are told apart."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value).__name__, value)


def test_json_is_the_document_with_exact_integers(figures: Result) -> None:
    read = json.loads(text(figures, "json"))
    assert exact(read) == exact(plain(figures.document()))
    assert type(read["platforms"][0]["constants"]["uintptrMask"]) is int
    assert read["platforms"][0]["constants"]["uintptrMask"] == BIG
    assert read["platforms"][0]["constants"]["usesLR"] is False
    assert read["platforms"][1]["hint"] == UNDONE


def test_jsonl_has_a_record_a_line(figures: Result) -> None:
    lines = text(figures, "jsonl").splitlines()
    assert [json.loads(line)["platform"] for line in lines] == ["linux/amd64", "linux/386"]
    assert json.loads(lines[0]) == plain(figures.document())["platforms"][0]  # type: ignore[index]


def test_csv_is_the_first_table_with_decimal_integers(figures: Result) -> None:
    rows = list(csv.reader(io.StringIO(text(figures, "csv"))))
    assert rows == [
        ["name", "linux/amd64", "linux/386", "why"],
        ["uintptrMask", str(BIG), str(0xFFFF_FFFF), "all bits of a pointer"],
        ["_PageSize", "8192", "8192", 'a "page", in bytes|kept'],
        ["usesLR", "false", "false", "no link register"],
        ["hint", str(0xC0_0000_0000), "", ""],
    ]


def test_yaml_is_the_document_too(figures: Result) -> None:
    assert exact(yaml.safe_load(text(figures, "yaml"))) == exact(plain(figures.document()))


def test_a_format_that_the_result_does_not_have_is_refused(figures: Result) -> None:
    with pytest.raises(ValueError, match="sarif"):
        text(figures, "sarif")


def test_a_listing_names_its_values_by_column() -> None:
    listing = Listing("things", (Column("name"), Column("bytes used", Bytes)), [("a", 1)], extra={"total": 1})
    assert json.loads(text(listing, "json")) == {"total": 1, "things": [{"name": "a", "bytes_used": 1}]}
    assert json.loads(text(listing, "jsonl")) == {"name": "a", "bytes_used": 1}


scalars = st.none() | st.booleans() | st.integers() | st.text() | st.integers().map(Hex)
documents = st.dictionaries(
    st.text(), st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)


@given(documents)
@settings(max_examples=examples(40), phases=phases())
def test_json_layout_never_changes_a_document(document: Mapping[str, object]) -> None:
    assert exact(json.loads("".join(lay_out(document, "")))) == exact(plain(document))


def test_json_writes_what_does_not_apply_wherever_it_stands() -> None:
    document = {
        "alone": NotApplicable("none here"),
        "listed": [NotApplicable("none here"), Hex(1)],
        "deep": [[Hex(2)]],
    }
    assert json.loads("".join(lay_out(document, ""))) == {
        "alone": UNDONE,
        "listed": [UNDONE, 1],
        "deep": [[2]],
    }
