"""Figures side by side: their types, and which ones words ask for."""

from __future__ import annotations

import pytest

from archcalc.calculator import figures
from archcalc.calculator.inventory import Inventory, Selection, entries
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.results.tables import Bytes, Hex, NotApplicable

AMD64 = figures.compute(platforms.load("linux/amd64"))
MIPS = figures.compute(platforms.load("linux/mips"))


@pytest.mark.parametrize("name", platforms.names())
def test_names_are_unique_in_their_section_and_every_entry_is_reported(name: str) -> None:
    found = list(entries(figures.compute(platforms.load(name))))
    assert len({entry.key for entry in found}) == len(found)
    assert all(entry.what and entry.unit for entry in found)


def test_values_have_the_types_of_their_units() -> None:
    found = {entry.name: entry.value for entry in entries(AMD64)}
    assert type(found["uintptrMask"]) is Hex and type(found["hint0"]) is Hex
    assert type(found["_PageSize"]) is Bytes and type(found["mspan"]) is Bytes
    assert type(found["_NumSizeClasses"]) is int and found["usesLR"] is False


def test_a_figure_that_a_platform_lacks_does_not_apply_there() -> None:
    windows = Inventory((AMD64, figures.compute(platforms.load("windows/amd64"))))
    absent, present = windows.values["constants", "_MEM_COMMIT"]
    assert isinstance(absent, NotApplicable) and present == 0x1000
    assert ("constants", "_MEM_COMMIT") in windows.differing()
    assert ("constants", "_PageSize") not in windows.differing()


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        (["_PageSize"], ("constants", "_PageSize"), ("constants", "_PageMask")),
        (["PtrSize"], ("sys", "PtrSize"), ("constants", "_PageSize")),
        (["sys.PtrSize"], ("sys", "PtrSize"), ("sys", "RegSize")),
        (["_Page*,mspan"], ("structs", "mspan"), ("structs", "mheap")),
        (["layout"], ("layout", "bitmap_size"), ("constants", "_PageSize")),
    ],
)
def test_words_ask_for_names_globs_and_sections(
    words: list[str], wanted: tuple[str, str], unwanted: tuple[str, str]
) -> None:
    selection = Selection(words, (AMD64, MIPS))
    assert selection.wants(wanted) and not selection.wants(unwanted)


def test_what_only_explain_knows_is_asked_for_as_well() -> None:
    selection = Selection(["hint7", "mspan.sweepgen"], (AMD64, MIPS))
    assert selection.extra["mspan.sweepgen"] == [88, 48]
    first, second = selection.extra["hint7"]
    assert first == 0x7C0_0000_0000 and isinstance(second, NotApplicable)
    with pytest.raises(UsageFault):
        Selection(["hint700"], (AMD64, MIPS))
