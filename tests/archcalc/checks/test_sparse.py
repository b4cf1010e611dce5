"""Every check of a heap in arenas holds on every port of every release, and is seen to fire."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc import checks, generations
from archcalc.calculator import figures
from archcalc.checks import SPARSE
from archcalc.profiles import platforms
from archcalc.results.findings import Severity

RELEASES = [name for name in generations.known() if name != generations.CURRENT]
NEWEST = RELEASES[-1]


def changed(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])


CLASSES = figures.compute(platforms.load("linux/amd64", NEWEST)).size_classes
FIXED = {"RandomizedHeapBase64": False}
# A port and what is not as it should be there: settings, facts of the machine, size classes, structs.
BROKEN: dict[str, dict[str, Any]] = {
    "arenas.map-is-the-space": {"sets": {"arenaL2Bits": 21}},
    "arenas.map-covers-addresses": {"sets": {"arenaL2Bits": 21}},
    "arenas.base-offset": {"sets": {"arenaBaseOffset": 4096}},
    "arenas.user-addresses": {"platform": "aix/ppc64"},
    "arenas.hints-in-map": {"platform": "linux/arm64", "sets": {**FIXED, "heapAddrBits": 40}},
    "arenas.first-hint-fits": {"sets": FIXED, "machine": {"address_high": 1 << 39}},
    "arenas.hints-in-reach": {"platform": "linux/mips64", "sets": FIXED},
    "arenas.hints-apart": {"sets": {**FIXED, "logHeapArenaBytes": 41}},
    "arenas.random-base-in-reach": {"platform": "linux/mips64"},
    "arenas.random-base-in-map": {"platform": "aix/ppc64"},
    "arenas.metadata-fits": {"platform": "linux/386", "machine": {"address_high": 1 << 23, "address_low": 0}},
    "arenas.ladder-descends": {"platform": "linux/386", "sets": {"logHeapArenaBytes": 28}},
    "arenas.parts-divide": {"sets": {"pagesPerReclaimerChunk": 500}},
    "arenas.user-chunks": {"sets": {"userArenaChunkBytes": 12 << 20}},
    "pages.page-size": {"sets": {"minPhysPageSize": 16384}},
    "pages.summaries-cover-map": {"sets": {"summaryLevels": 4, "summaryL0Bits": 14}},
    "pages.summary-fits-word": {"sets": {"logPallocChunkPages": 10}},
    "pages.chunks-divide-arena": {"sets": {"pallocChunkBytes": 3 << 20}},
    "pages.chunk-map": {"sets": {"pallocChunksL1Bits": 12, "pallocChunksL2Bits": 13}},
    "pages.scavenge-index": {"sets": {"layout.scavenge_index_entries": 1 << 25}},
    "pages.cache-is-a-word": {"sets": {"pageCachePages": 32}},
    "pages.phys-page-range": {"machine": {"phys_page_sizes": [2048]}},
    "pages.huge-page-known": {"platform": "linux/loong64"},
    "objects.classes-ascend": {"size_classes": {"class_to_size": changed(CLASSES.class_to_size, 5, 64)}},
    "objects.tiny-class": {"sets": {"gc.TinySize": 32}},
    "objects.header-is-a-class": {"sets": {"gc.MinSizeForMallocHeader": 500}},
    "objects.headerless-one-page": {
        "size_classes": {"class_to_allocnpages": changed(CLASSES.class_to_allocnpages, 9, 2)}
    },
    "objects.heap-bits-fit-word": {"sets": {"gc.MinSizeForMallocHeader": 1024}},
    "objects.inline-marks": {"structs": {"spanInlineMarkBits": {"marks": {"size": 32}}}},
    "objects.smallest-stack": {"sets": {"fixedStack": 3072}},
    "objects.stack-cache": {"sets": {"_StackCacheSize": 24 * 1024}},
    "records.atomics-aligned": {"structs": {"gcControllerState": {"heapLive": {"offset": 100}}}},
    "records.arena-has-its-pages": {"structs": {"heapArena": {"pageInUse": {"size": 512}}}},
    "records.fixalloc-fits": {"sets": {"_FixAllocChunk": 128}},
    "records.gc-bits-block": {
        "sets": {"gcBitsChunkBytes": 32768},
        "structs": {"gcBitsArena": {"size": 65536}},
    },
}


def test_every_check_has_figures_that_break_it() -> None:
    assert list(BROKEN) == list(checks.registry(SPARSE))


@pytest.mark.parametrize("id", BROKEN)
def test_a_check_fires_on_what_it_guards(id: str, doctor: Any) -> None:
    case = checks.registry(SPARSE)[id].run(doctor(go=NEWEST, **BROKEN[id]))
    assert case.findings
    assert {finding.id for finding in case.findings} == {id}
    assert len({finding.fingerprint for finding in case.findings}) == len(case.findings)


@pytest.mark.parametrize("go", RELEASES)
def test_an_error_is_found_on_none_of_gos_own_ports(go: str) -> None:
    entries = [one for one in checks.registry(SPARSE).values() if one.rule.severity is Severity.ERROR]
    for name in platforms.names(go):
        own = figures.compute(platforms.load(name, go))
        assert [one.rule.id for one in entries if one.run(own).findings] == [], (go, name)


@pytest.mark.parametrize(
    ("go", "id", "where"),
    [
        ("1.22", "arenas.hints-in-map", {"ios/arm64", "js/wasm", "wasip1/wasm"}),
        ("1.27", "arenas.hints-in-map", set()),
        ("1.19", "arenas.metadata-fits", {"plan9/arm"}),
        ("1.27", "arenas.user-addresses", {"aix/ppc64", "openbsd/ppc64"}),
        (
            "1.27",
            "arenas.random-base-in-reach",
            {"android/arm64", "ios/arm64", "linux/mips64", "linux/mips64le", "openbsd/arm64",
             "openbsd/riscv64"},
        ),
        ("1.25", "arenas.random-base-in-reach", set()),
        ("1.27", "arenas.random-base-in-map", {"aix/ppc64"}),
        ("1.25", "arenas.random-base-in-map", set()),
    ],
)  # fmt: skip
def test_oddities_are_found_on_just_the_ports_that_have_them(go: str, id: str, where: set[str]) -> None:
    entry = checks.registry(SPARSE)[id]
    names = platforms.names(go)
    assert {n for n in names if entry.run(figures.compute(platforms.load(n, go))).findings} == where


def test_checks_of_one_era_are_not_run_on_another() -> None:
    targets = [figures.compute(platforms.load("linux/amd64", go)) for go in (generations.CURRENT, NEWEST)]
    cases = checks.run(list(checks.every().values()), targets)
    assert len(cases) == len(checks.registry()) + len(checks.registry(SPARSE))
