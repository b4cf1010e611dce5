"""Every check holds on every port, and is seen to fire on figures that break just what it guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from allocator.common.sizeclasses import SizeClasses, compute
from archcalc import checks
from archcalc.calculator import figures
from archcalc.calculator.layout import HintFigure, Layout
from archcalc.profiles import platforms
from archcalc.results.findings import Severity

CLASSES = compute()


def changed(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])


def magic(classes: SizeClasses, index: int, **parts: int) -> tuple[Any, ...]:
    entries = list(classes.class_to_divmagic)
    entries[index] = entries[index]._replace(**parts)
    return tuple(entries)


def layout(**parts: Any) -> dict[str, Callable[[Layout], Layout]]:
    """Parts of the layout by value; `rung3` and `hint0` stand for parts of one of them."""

    def change(whole: Layout) -> Layout:
        own = {key: value for key, value in parts.items() if key not in ("rung0", "rung3", "hint1")}
        rungs = list(whole.rungs)
        for at in (0, 3):
            rungs[at] = rungs[at]._replace(**parts.get(f"rung{at}", {}))
        hints = list(whole.hints)
        if "hint1" in parts:
            hints[1] = HintFigure(parts["hint1"], "wholly")
        return whole._replace(**{"rungs": tuple(rungs), "hints": tuple(hints), **own})

    return {"layout": change}


def order(at: int, **parts: Any) -> dict[str, Callable[[Layout], Layout]]:
    def change(whole: Layout) -> Layout:
        orders = list(whole.stack_orders)
        orders[at] = orders[at]._replace(**parts)
        return whole._replace(stack_orders=tuple(orders))

    return {"layout": change}


TAKEN = [{"from": 0xC0_0000_0000, "to": 0xC0_1000_0000, "what": "a sanitizer"}]
BROKEN: dict[str, dict[str, Any]] = {
    "profile.phys-page-too-small": {"machine": {"phys_page_sizes": [2048]}},
    "profile.default-phys-page": {"machine": {"phys_page_sizes": [4096, 65536]}},
    "profile.segments-below-phys-page": {"machine": {"phys_page_sizes": [4096, 65536]}},
    "profile.image-in-arena": {"machine": {"image_start": 0xC0_0000_0000, "data_end": 0xC0_0010_0000}},
    "profile.hint-taken": {"machine": {"taken": TAKEN}},
    "profile.int64-alignment": {"platform": "nacl/amd64p32", "sets": {"fact.int64_align": 4}},
    "constants.page-size": {"sets": {"pageSize": 4096}},
    "constants.page-holds-physical": {"sets": {"minPhysPageSize": 16384}},
    "constants.word-size": {"constants": {"_64bit": 0}},
    "constants.total-bits": {"constants": {"_MHeapMap_Bits": 25}},
    "constants.address-bits": {"sets": {"fact.user_address_bits": 38}},
    "constants.heap-bitmap-scale": {"constants": {"heapBitmapScale": 16}},
    "constants.bitmap-masks": {"sets": {"heapBitsShift": 2}},
    "constants.tiny-class": {"sets": {"_TinySize": 32}},
    "constants.max-small-size": {"constants": {"_NumSizeClasses": 68}},
    "constants.objects-per-span": {"constants": {"maxObjsPerSpan": 1023}},
    "constants.heap-list": {"sets": {"_HeapAllocChunk": 2 << 20}},
    "constants.defer-sizes": {"sets": {"deferHeaderSize": 40}},
    "constants.channel-header": {"sets": {"hchanSize": 100}},
    "constants.min-legal-pointer": {"sets": {"_StackBig": 8192}},
    "structs.atomic-alignment": {"platform": "linux/386", "sets": {"_PageShift": 14}},
    "structs.alignment": {"structs": {"mspan": {"size": 150}}},
    "structs.overlap": {"structs": {"mspan": {"npages": {"offset": 2}}}},
    "structs.workbuf": {"structs": {"workbuf": {"size": 2056}}},
    "structs.gc-bits": {"constants": {"gcBitsHeaderBytes": 12}},
    "structs.finalizer-block": {"structs": {"finblock": {"size": 4104}}},
    "structs.fixalloc-fits": {"sets": {"_FixAllocChunk": 1024}},
    "structs.special-first": {"structs": {"specialprofile": {"special": {"offset": 8}}}},
    "structs.memstats-prefix": {"constants": {"_NumSizeClasses": 60}},
    "structs.mcache-arrays": {"constants": {"_NumStackOrders": 5}},
    "structs.central-padding": {"structs": {"mheap": {"central": {"size": 67 * 48}}}},
    "structs.division-magic": {"structs": {"mspan": {"divMul": {"size": 1}}}},
    "structs.alloc-count": {"structs": {"mspan": {"allocCount": {"size": 1}}}},
    "layout.bitmap-covers-arena": layout(bitmap_size=1 << 33),
    "layout.spans-cover-arena": layout(spans_size=(1 << 29) - 8192),
    "layout.reservation-holds-parts": layout(rung3={"reservation_size": 4096}),
    "layout.parts-aligned": layout(bitmap_size=(1 << 34) + 4096),
    "layout.parts-physical": {**layout(spans_size=(1 << 29) + 2048), "machine": {"phys_page_sizes": [4096]}},
    "layout.arena-within-max-mem": layout(arena_size=1 << 40),
    "layout.reservation-addressable": {"machine": {"address_high": 1 << 20}},
    "layout.first-hint-fits": {"platform": "android/arm64"},
    "layout.hints-in-reach": {"platform": "linux/s390x"},
    "layout.hints-distinct": layout(hint1=0xC0_0000_0000),
    "layout.ladder-descends": layout(rung3={"arena_size": 1 << 20}),
    "layout.tables-unused": {"platform": "linux/mips"},
    "layout.bitmap-chunk": {"platform": "linux/ppc64"},
    "sizeclasses.ascending": {"size_classes": {"class_to_size": changed(CLASSES.class_to_size, 5, 48)}},
    "sizeclasses.alignment": {"size_classes": {"class_to_size": changed(CLASSES.class_to_size, 40, 3000)}},
    "sizeclasses.tail-waste": {
        "size_classes": {"class_to_allocnpages": changed(CLASSES.class_to_allocnpages, 65, 5)}
    },
    "sizeclasses.rounding-waste": {
        "size_classes": {"class_to_size": changed(CLASSES.class_to_size, 50, 2000)}
    },
    "sizeclasses.lookup": {"size_classes": {"size_to_class8": changed(CLASSES.size_to_class8, 4, 4)}},
    "sizeclasses.division-magic": {"size_classes": {"class_to_divmagic": magic(CLASSES, 8, mul=292)}},
    "sizeclasses.base-mask": {"size_classes": {"class_to_divmagic": magic(CLASSES, 3, base_mask=0)}},
    "sizeclasses.count": {
        "size_classes": {"class_to_allocnpages": changed(CLASSES.class_to_allocnpages, 66, 256)}
    },
    "stacks.fixed-stack": {"constants": {"_FixedStack": 3072}},
    "stacks.orders-double": order(2, size=4096),
    "stacks.cache-holds-order": {"constants": {"_StackCacheSize": 24 * 1024}},
    "stacks.largest-order": {"constants": {"_NumStackOrders": 3}},
    "stacks.dead-order": {"platform": "darwin/arm"},
    "stacks.guard": {"sets": {"_StackGuard": 640}},
    "stacks.guard-fits": {"sets": {"sys.StackGuardMultiplier": 3}},
    "stacks.preempt-guard": {"constants": {"_StackFork": 0xFFFF_FFFF_FFFF_FADE}},
    "stacks.span-alignment": {"platform": "linux/arm64", **order(1, size=4100)},
}


def test_every_check_has_figures_that_break_it() -> None:
    assert list(BROKEN) == list(checks.registry())


@pytest.mark.parametrize("id", BROKEN)
def test_a_check_fires_on_what_it_guards(id: str, doctor: Callable[..., Any]) -> None:
    entry = checks.registry()[id]
    case = entry.run(doctor(**BROKEN[id]))
    assert case.findings
    assert {(finding.id, finding.severity) for finding in case.findings} == {(id, entry.rule.severity)}
    assert len({finding.fingerprint for finding in case.findings}) == len(
        {(finding.subject, finding.platform) for finding in case.findings}
    )


@pytest.mark.parametrize(
    "id", [id for id, entry in checks.registry().items() if entry.rule.severity is Severity.ERROR]
)
def test_an_error_is_found_on_none_of_go_s_own_ports(id: str) -> None:
    entry = checks.registry()[id]
    for name in platforms.names():
        assert entry.run(figures.compute(platforms.load(name))).findings == ()


@pytest.mark.parametrize(
    ("id", "where"),
    [
        ("stacks.dead-order", {"darwin/arm"}),
        ("profile.default-phys-page", {"linux/mips64", "linux/mips64le"}),
        ("layout.bitmap-chunk", {"linux/ppc64", "linux/ppc64le"}),
    ],
)
def test_oddities_are_found_on_just_the_ports_that_have_them(id: str, where: set[str]) -> None:
    entry = checks.registry()[id]
    found = {name for name in platforms.names() if entry.run(figures.compute(platforms.load(name))).findings}
    assert found == where


def test_mips_half_used_tables_are_found_with_their_figures() -> None:
    case = checks.registry()["layout.tables-unused"].run(figures.compute(platforms.load("linux/mips")))
    (finding,) = case.findings
    assert finding.severity is Severity.INFO
    assert 2 * int(finding.data["bitmap_usable"]) <= int(finding.data["bitmap_size"]) == 1 << 28
