"""Every release's figures are what the Go type checker computes for the port from that release's own files.

The data have all ports of a release: constants of package runtime and of those beside it, and the structs,
by the gc compiler's rules. What systems' headers say (_PROT_NONE and its like) comes from the profiles.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archcalc import generations
from archcalc.calculator.figures import Figures, compute
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault

DATA = Path(__file__).parents[2] / "data" / "facts"
RELEASES = tuple(name for name in generations.known() if name.startswith("1."))


def checked(release: str) -> Iterator[dict[str, Any]]:
    """What the type checker says, port by port."""
    with lzma.open(DATA / f"go{release}.jsonl.xz", "rt") as lines:
        for line in lines:
            yield json.loads(line)


def plain(value: Any) -> Any:
    return value if isinstance(value, bool | str) else int(value)


@pytest.mark.parametrize("release", RELEASES)
def test_all_ports_constants_and_structs(release: str) -> None:
    generation = generations.load(release)
    ports = list(checked(release))
    assert sorted(port["platform"] for port in ports) == sorted(generation.ports)
    for port in ports:
        found = compute(platforms.load(port["platform"], release)).engine
        for own, path in generation.packages.items():
            if not generation.names(own):
                continue
            values = {name.partition(".")[2]: plain(one.value) for name, one in found.package(own).items()}
            assert values == port["constants"][path], (port["platform"], path)
        shown = [name for name in generation.reported_types if found.is_struct(name)]
        assert sorted(port["structs"]) == shown
        for name in shown:
            layout, expected = found.struct(name), port["structs"][name]
            fields = [{"name": f.name, "offset": f.offset, "size": f.size} for f in layout.fields]
            own_struct = {"size": layout.size, "align": layout.align, "fields": fields}
            assert own_struct == expected, (port["platform"], name)


@pytest.fixture(params=RELEASES)
def figures(request: pytest.FixtureRequest) -> Figures:
    return compute(platforms.load("linux/amd64", request.param))


def test_every_reported_constant_says_what_it_is_and_where_it_stands(figures: Figures) -> None:
    for package in figures.generation.packages:
        for name in figures.engine.package(package):
            row, source = figures.engine.row(name), figures.engine.source(name)
            assert row is not None and row.unit not in ("", "TODO"), name
            assert source is not None and (source.line > 0 or package == "goexperiment"), name


def test_a_derived_release_says_only_what_differs(figures: Figures) -> None:
    generation = figures.generation
    if generation.base is None:
        return
    for name, rows in generation.rows.items():
        theirs = generation.base.rows.get(name)
        if rows is not theirs and theirs is not None:
            own = [(row.type_name, row.formula, row.when, row.iota, row.reported) for row in rows]
            assert own != [(r.type_name, r.formula, r.when, r.iota, r.reported) for r in theirs], name


def test_packages_have_import_paths_of_the_release() -> None:
    def paths(go: str) -> list[str]:
        return list(compute(platforms.load("linux/amd64"), go=go).packages)

    assert "runtime/internal/sys" in paths("1.21")
    assert {"internal/runtime/gc", "internal/runtime/sys", "internal/goarch"} <= set(paths("1.27"))


def test_an_experiment_is_a_what_if_that_everything_follows() -> None:
    profile = platforms.load("linux/amd64")
    usual = compute(profile, go="1.27")
    without = compute(profile, {"GreenTeaGC": "false", "RandomizedHeapBase64": "false"}, "1.27")
    assert usual.constants["randomizeHeapBase"] is True
    assert without.constants["randomizeHeapBase"] is False
    assert without.packages["internal/goexperiment"]["GreenTeaGCInt"] == 0
    assert without.structs["spanInlineMarkBits"].size == 0 < usual.structs["spanInlineMarkBits"].size


def test_a_layout_in_one_piece_is_not_that_of_a_later_release() -> None:
    with pytest.raises(UsageFault, match="does not lie in one piece"):
        _ = compute(platforms.load("linux/amd64"), go="1.27").layout


@pytest.mark.parametrize("text", ["1.27", "go1.27", "go1.27.3", "1.27.0"])
def test_a_release_is_known_by_what_people_call_it(text: str) -> None:
    assert generations.named(text) == "1.27"


@pytest.mark.parametrize("text", ["7aefdfded", "7aefdfded022f9775eb463156eda3a25a658a0ae"])
def test_so_is_a_commit(text: str) -> None:
    assert generations.named(text) == "7aefdfded"


@pytest.mark.parametrize("text", ["1.28", "1.20", "", "go", "tip"])
def test_an_unknown_release_is_a_usage_fault(text: str) -> None:
    with pytest.raises(UsageFault, match="no generation"):
        generations.named(text)
