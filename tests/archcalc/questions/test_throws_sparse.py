"""The last words of today's runtime: every row has its place, its model and its incidents, and is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archcalc.questions import throws
from archcalc.questions.throws import LastWords

ROOT = Path(__file__).parents[3]
ROWS = throws.table("sparse")
ROOTS = [Path("/usr/local/go"), *Path("/usr/lib").glob("go-1.27*")]


def sources() -> Path | None:
    """The runtime of a Go 1.27 that is installed, if one is."""
    import importlib.util

    spec = importlib.util.find_spec("go")
    places = [*(Path(p) for p in (spec.submodule_search_locations or ())), *ROOTS] if spec else ROOTS
    for root in places:
        version = root / "VERSION"
        if version.is_file() and version.read_text().startswith("go1.27"):
            return root / "src" / "runtime"
    return None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.site)
def test_a_row_says_all_and_its_model_is_there(row: LastWords) -> None:
    assert row.means
    assert row.when
    assert row.mends
    for incident in row.incidents:
        assert (ROOT / "examples" / "incidents" / f"{incident}.yaml").is_file()
    if row.model:
        module, function = row.model.split(".")
        text = (ROOT / "allocator" / "sparse" / f"{module}.py").read_text()
        assert re.search(rf"def {function}\(", text)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.site)
def test_the_words_stand_in_the_source(row: LastWords) -> None:
    runtime = sources()
    if runtime is None:
        pytest.skip("no Go 1.27 is installed")
    file, line = row.site.split(":")
    assert f'throw("{row.words}")' in (runtime / file).read_text().splitlines()[int(line) - 1]


def test_what_a_process_printed_finds_its_row() -> None:
    (row,) = throws.find("fatal error: failed to reserve page summary memory", "sparse")[:1]
    assert row.site == "mpagealloc_64bit.go:81"
    line = "runtime: VirtualAlloc of 4294967296 bytes failed with errno=1455"
    assert "mem_windows.go:83" in {row.site for row in throws.find(line, "sparse")}


def test_no_place_stands_twice() -> None:
    assert len({row.site for row in ROWS}) == len(ROWS)
