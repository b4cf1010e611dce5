"""The last words of today's runtime: every row has its place, its model and its incidents, and is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archcalc.questions import throws
from archcalc.questions.throws import LastWords

ROOT = Path(__file__).parents[3]
ROWS = throws.table("sparse")
ROOTS = [Path("/usr/local/go"), *Path("/usr/lib").glob("go-1.*")]


def sources(release: str = "1.27") -> Path | None:
    """The runtime of a release that is installed, if one is."""
    import importlib.util

    spec = importlib.util.find_spec("go")
    places = [*(Path(p) for p in (spec.submodule_search_locations or ())), *ROOTS] if spec else ROOTS
    for root in places:
        version = root / "VERSION"
        if version.is_file() and version.read_text().startswith(f"go{release}"):
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
    runtime = sources(row.go or "1.27")
    if runtime is None:
        pytest.skip(f"no Go {row.go or '1.27'} is installed")
    for site in (row.site, *row.also):
        file, line = site.split(":")
        lines = (runtime / file).read_text().splitlines()
        at = int(line) - 1
        said = row.words.partition("{}")[0].replace('"', '\\"')
        if row.kind == "exit":
            assert "exit(2)" in lines[at] and f'print("{said}\\n")' in lines[at - 1]
        else:
            assert re.search(rf"\b{row.kind}\(", lines[at]) and f'"{said}' in lines[at]
        assert site != row.site or row.function.rpartition(".")[2] in _function_at(lines, at)


def _function_at(lines: list[str], at: int) -> str:
    return next(line for line in reversed(lines[: at + 1]) if line.startswith("func "))


# What an allocator is made of, and what sweeps and marks it.
FILES = [
    "malloc",
    "mheap",
    "mpagealloc",
    "mpagealloc_32bit",
    "mpagealloc_64bit",
    "mpagecache",
    "mpallocbits",
    "mspanset",
    "mcentral",
    "mcache",
    "mbitmap",
    "mgcsweep",
    "mgcscavenge",
    "mfixalloc",
    "stack",
    "arena",
    "lfstack",
    "tagptr",
    "tagptr_64bit",
    "tagptr_32bit",
    "mem",
    "mem_linux",
    "mem_bsd",
    "mem_darwin",
    "mem_windows",
    "mem_plan9",
    "mem_wasm",
    "mem_sbrk",
    "mem_nonsbrk",
    "mem_aix",
    "mranges",
    "mstats",
    "mgcpacer",
    "malloc_stubs",
    "msize",
    "mgc",
    "mgcmark",
    "mgcmark_greenteagc",
    "mgcmark_nogreenteagc",
    "mgcwork",
    "mgclimit",
    "mfinal",
    "mcleanup",
    "mwbbuf",
    "mbarrier",
    "mcheckmark",
]


@pytest.mark.parametrize("name", FILES)
def test_every_throw_of_the_source_has_a_row(name: str) -> None:
    runtime = sources()
    if runtime is None:
        pytest.skip("no Go 1.27 is installed")
    path = runtime / f"{name}.go"
    said = re.compile(r"^\t.*\b(?:throw|fatal|panic|exit)\(")
    known = {site for row in ROWS if not row.go for site in (row.site, *row.also)}
    found = [
        f"{name}.go:{n}"
        for n, line in enumerate(path.read_text().splitlines() if path.is_file() else (), 1)
        if said.search(line.partition("// ")[0]) and not line.lstrip().startswith("//")
    ]
    assert [site for site in found if site not in known] == []


def test_what_a_process_printed_finds_its_row() -> None:
    (row,) = throws.find("fatal error: failed to reserve page summary memory", "sparse")[:1]
    assert row.site == "mpagealloc_64bit.go:81"
    line = "runtime: VirtualAlloc of 4294967296 bytes failed with errno=1455"
    assert "mem_windows.go:83" in {row.site for row in throws.find(line, "sparse")}


def test_no_place_stands_twice() -> None:
    places = [(site, row.go) for row in ROWS for site in (row.site, *row.also)]
    assert len(set(places)) == len(places)
