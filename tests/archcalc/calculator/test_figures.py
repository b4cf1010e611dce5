"""Figures as others ask for them: what-ifs and explanations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import goexpr
from archcalc.calculator import figures
from archcalc.calculator.explanation import Mention
from archcalc.calculator.figures import Figures
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault

AMD64 = figures.compute(platforms.load("linux/amd64"))


def of(platform: str, **sets: int | bool | str) -> Figures:
    return figures.compute(platforms.load(platform), sets)


def test_figures_are_computed_once() -> None:
    assert figures.compute(platforms.load("linux/amd64")) is AMD64
    assert AMD64.platform == "linux/amd64"
    assert dict(AMD64.sets) == {}


# ---- what-ifs ----


def test_everything_downstream_follows() -> None:
    f = of("linux/amd64", _PageShift=14)
    assert dict(f.sets) == {"_PageShift": 14}
    assert (f.constants["_PageSize"], f.constants["_MaxMHeapList"], f.constants["_MHeapMap_Bits"]) == (
        16384,
        64,
        25,
    )
    assert f.size_classes.page_size == 16384
    assert f.constants["_NumSizeClasses"] == len(f.size_classes) == 70
    assert f.structs["mcache"].field("alloc").size == 70 * 8
    assert f.layout.spans_size == AMD64.layout.spans_size // 2
    assert AMD64.constants["_PageSize"] == 8192


@pytest.mark.parametrize(
    ("platform", "sets", "name", "value"),
    [
        ("linux/amd64", {"ptr_size": 4, "reg_size": 4}, "_MHeapMap_TotalBits", 32),
        ("linux/amd64", {"fact.cache_line_size": 128}, "sys.CacheLineSize", 128),
        ("linux/amd64", {"CacheLineSize": 256}, "mheap", 25576),
        ("linux/amd64", {"GOOS": "windows"}, "_MHeapMap_TotalBits", 35),
        ("linux/amd64", {"sys.GoosWindows": 1}, "_NumStackOrders", 2),
        ("linux/amd64", {"GOOS": "windows"}, "GOOS", "windows"),
        ("linux/amd64", {"stack_guard_multiplier": 2}, "_StackGuard", 1760),
        ("linux/amd64", {"_MHeapMap_TotalBits": "_MHeapMap_TotalBits + 1"}, "arena_size", 1 << 40),
        ("linux/amd64", {"_FixedStack0": "_StackMin * 3"}, "_FixedStack", 8192),
        ("linux/amd64", {"_MaxMem": "1<<30 - 1"}, "arena_size", 1 << 30),
        ("linux/amd64", {"arena_size": 1 << 30}, "bitmap_size", 1 << 25),
        ("linux/amd64", {"hint0": 0x10000}, "hint0", 0x10000),
        ("linux/amd64", {"hint0": 0x10000}, "hint1", 0x1C000000000),
        ("linux/amd64", {"minfunc": 32}, "pcbucketsize", 8192),
        ("linux/amd64", {"big_endian": True}, "sys.BigEndian", 1),
        ("linux/amd64", {"big_endian": "true"}, "sys.BigEndian", 1),
        ("linux/amd64", {"usesLR": "1 < 0"}, "usesLR", False),
        ("linux/386", {"_MSpanFree": "0xff"}, "_MSpanFree", 255),
        ("linux/amd64", {"_MAP_ANON": "0x1000"}, "_MAP_ANON", 0x1000),
        ("linux/386", {"data_end": "0x8000000"}, "hint0", 0x8100000),
    ],
)
def test_what_ifs(platform: str, sets: dict[str, Any], name: str, value: object) -> None:
    assert of(platform, **sets).value(name) == value


def test_later_sets_see_earlier_ones() -> None:
    f = of("linux/amd64", _PageShift=12, _MaxSmallSize="_PageSize * 4", smallSizeMax="_MaxSmallSize / 16")
    assert (f.constants["_MaxSmallSize"], f.constants["smallSizeMax"]) == (16384, 1024)


def test_set_facts_are_facts_of_the_profile_too() -> None:
    f = of("linux/amd64", phys_page_size=65536, ulimit_v="1<<30", mem="bsd", _MAP_ANON=1)
    assert f.profile.facts["mem"] == "bsd"
    assert (f.profile.machine["phys_page_size"], f.profile.machine["ulimit_v"]) == (65536, 1 << 30)
    assert str(f.profile.origins["mem"]).startswith("--set")
    assert f.base.facts["mem"] == "linux"


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ({"_pageshift": 1}, r"unknown name _pageshift; .*; did you mean '_PageShift'\?"),
        ({"cache_line": 1}, r"unknown name cache_line; .*; did you mean '(fact\.)?cache_line_size'\?"),
        ({"mspan": 3}, "mspan cannot be set"),
        ({"mspan.npages": 3}, r"mspan\.npages cannot be set"),
        ({"_MADV_FREE": 5}, "_MADV_FREE is not declared on linux/amd64"),
        ({"hint128": 5}, "unknown name hint128"),
        ({"_PageShift": "1 <<"}, "_PageShift set to 1 <<: column 5: the expression ends"),
        ({"_PageShift": "nothing"}, "column 1: undefined: nothing"),
        ({"_PageShift": "1.5"}, "_PageShift set to 1.5; expected an integer"),
        ({"_PageShift": '"a"'}, "expected an integer"),
        ({"_PageShift": True}, "expected an integer"),
        ({"big_endian": 3}, "expected true or false"),
        ({"mem": 3}, "expected text"),
        ({"_MaxMem": "1<<70"}, "expected a uintptr, 0 to 18446744073709551615"),
        ({"_MSpanFree": 256}, "expected a mSpanState, 0 to 255"),
        ({"ptr_size": 3}, "ptr_size set to 3; expected 4 or 8"),
    ],
)
def test_what_cannot_be_set(sets: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        of("linux/amd64", **sets)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(UsageFault) as caught:
        of("linux/amd64", nowhere=1, _PageShift="1 <<", ptr_size=5)
    assert [fault.id for fault in caught.value.faults] == ["unknown-name", "set-invalid", "set-invalid"]


@pytest.mark.parametrize(
    ("sets", "name", "words"),
    [
        ({"_MHeapMap_TotalBits": 65}, "_MaxMem",
         r"_MaxMem \(runtime/malloc\.go:151\): column 32 of uintptr\(.*\): constant \d+ overflows uintptr"),
        ({"_PageShift": 30}, "_MaxMHeapList", r"_MaxMHeapList \(.*\): .*: invalid negative shift count -10"),
        ({"_PageShift": 17}, "_NumSizeClasses", "no size classes: .* too big for power of two size 8"),
        ({"_NumSizeClasses": -1}, "mcache", r"mcache \(runtime/mcache\.go:16\): array bound .* negative: -1"),
        ({"_WorkbufSize": 8}, "workbuf",
         "workbuf: array length .*: column 15: constant -16 overflows uintptr"),
    ],
)  # fmt: skip
def test_a_what_if_that_the_compiler_would_refuse(sets: dict[str, Any], name: str, words: str) -> None:
    f = of("linux/amd64", **sets)
    with pytest.raises(UsageFault, match=words):
        f.value(name)


def test_a_what_if_with_a_million_stack_orders() -> None:
    with pytest.raises(UsageFault, match="at most 1024"):
        _ = of("linux/amd64", _NumStackOrders=1 << 20).layout


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(AMD64.constants) + sorted(AMD64.sys) + sorted(AMD64.base.facts)),
    st.integers(-10, 100) | st.integers(-(1 << 66), 1 << 66),
)
def test_any_what_if_gives_figures_or_a_usage_fault(name: str, value: int) -> None:
    try:
        f = of("linux/amd64", **{name: value})
        for part in ("constants", "sys", "structs", "layout", "size_classes"):
            getattr(f, part)
    except UsageFault as fault:
        assert fault.located


# ---- explanations ----


def test_a_constant_is_explained() -> None:
    e = AMD64.explain("_MaxMem")
    assert (e.name, e.kind, e.value, e.type, e.unit) == (
        "_MaxMem",
        "constant",
        (1 << 39) - 1,
        "uintptr",
        "bytes",
    )
    assert e.formula == "uintptr(1<<_MHeapMap_TotalBits - 1)"
    assert e.steps == (
        "uintptr(1<<39 - 1)",
        "uintptr(549755813888 - 1)",
        "uintptr(549755813887)",
        "549755813887",
    )
    assert e.mentions[0] == Mention("_MHeapMap_TotalBits", "39", "runtime/malloc.go:148")
    assert e.mentions[1].name == "fact.ptr_size" and e.mentions[1].origin.startswith(
        "platforms/arch/amd64.yaml:"
    )
    assert e.source == "runtime/malloc.go:151"
    assert e.dependents == ("arena_size",)
    assert e.reaches == (
        "arena_size", "bitmap_size", "bitmap_usable", "reservation_size", "spans_size", "spans_usable",
    )  # fmt: skip
    assert e.was is None


def test_a_constant_of_sys_is_found_without_its_package() -> None:
    assert AMD64.explain("PtrSize") == AMD64.explain("sys.PtrSize")
    assert AMD64.explain("runtime._PageSize") == AMD64.explain("_PageSize")


def test_a_fact_is_explained() -> None:
    e = AMD64.explain("cache_line_size")
    assert (e.name, e.kind, e.value) == ("fact.cache_line_size", "fact", 64)
    assert e.source.startswith("archcalc/generations/7aefdfded/facts/arch/amd64.yaml:")
    assert "sys.CacheLineSize" in e.what
    units = {"cache_line_size": "bytes", "user_address_bits": "bits", "data_end": "address", "mem": ""}
    assert {name: AMD64.explain(name).unit for name in units} == units
    assert e.dependents == ("sys.CacheLineSize",)
    assert e.reaches == ("mheap", "sys.CacheLineSize")


def test_a_named_constant_is_followed() -> None:
    e = AMD64.explain("ArchFamily")
    assert [m.name for m in e.mentions] == ["fact.arch_family", "sys.AMD64"]
    assert e.steps == ('named("AMD64")', "0")
    assert AMD64.explain("sys.AMD64").dependents == ("sys.ArchFamily",)


def test_a_size_is_explained_field_by_field() -> None:
    e = of("linux/386").explain("fixalloc")
    assert (e.kind, e.value, e.unit, e.source) == ("struct", 36, "bytes", "runtime/mfixalloc.go:27")
    assert e.steps[0] == "0: size uintptr, 4 bytes"
    assert e.steps[-3:] == ("32: zero bool, 1 byte", "33: 3 bytes of padding, to a multiple of 4", "36")
    assert AMD64.explain("hchan").steps[4] == "26: 2 bytes of padding"
    assert e.dependents == ("mheap",)


def test_a_field_is_explained() -> None:
    e = AMD64.explain("mheap.busy")
    assert (e.kind, e.value, e.source) == ("field", 2072, "runtime/mheap.go:34")
    assert e.steps == (
        "freelarge ends at 2056 + 16 = 2072",
        "busy [_MaxMHeapList]mSpanList, 2048 bytes, is aligned to 8: 2072",
        "2072",
    )
    # Only what comes before it counts.
    assert "_MaxMHeapList" in [m.name for m in e.mentions]
    assert "sys.CacheLineSize" not in [m.name for m in e.mentions]
    assert AMD64.value("workbuf.workbufhdr.nobj") == 16
    with pytest.raises(
        UsageFault, match=r"mspan has no field npage; expected one of .*; did you mean 'npages'\?"
    ):
        AMD64.explain("mspan.npage")


def test_the_layout_is_explained() -> None:
    e = AMD64.explain("reservation_size")
    assert e.kind == "layout"
    assert e.formula == "bitmap_size + spans_size + arena_size + _PageSize"
    assert e.steps[-1] == str(AMD64.layout.reservation_size)
    hint = AMD64.explain("hint3")
    assert hint.formula == "uintptr(3)<<40 | uintptrMask&(0x00c0<<32)"
    assert hint.steps[-2:] == ("3298534883328 | 824633720832", "4123168604160")
    assert "hint0..127" in AMD64.explain("uintptrMask").dependents
    assert of("linux/386").explain("reservation_size").formula == "ladder0"


def test_a_what_if_is_distinguished() -> None:
    f = of("linux/amd64", _PageShift=14)
    e = f.explain("_PageSize")
    assert (e.value, e.was) == (16384, 8192)
    assert e.mentions == (Mention("_PageShift", "14", "--set"),)
    e = f.explain("_PageShift")
    assert (e.value, e.was, e.steps) == (14, 13, ())
    assert f.explain("_MaxMem").was is None
    assert f.explain("mheap").was == AMD64.structs["mheap"].size
    assert f.explain("mheap.busy").was == 2072
    assert f.explain("mheap.lock").was is None


@pytest.mark.parametrize("platform", platforms.names())
def test_everything_can_be_explained(platform: str) -> None:
    f = figures.compute(platforms.load(platform))
    for name in f.names():
        e = f.explain(name)
        assert e.value == f.value(name)
        assert e.what and e.source
        if e.steps:
            assert e.steps[-1] == str(goexpr.untyped(e.value))
    for name, struct in f.structs.items():
        for field in struct.fields:
            if field.name != "_":
                assert f.explain(f"{name}.{field.name}").value == field.offset


def test_what_depends_on_what_is_the_same_read_backwards() -> None:
    for name in AMD64.names():
        for mention in AMD64.explain(name).mentions:
            if not mention.name.startswith("unsafe."):
                family = name.rstrip("0123456789")
                dependents = AMD64.explain(mention.name).dependents
                assert name in dependents or any(d.startswith(f"{family}0..") for d in dependents)


def test_unknown_names() -> None:
    with pytest.raises(UsageFault, match=r"unknown name _PageSise; .*; did you mean '_PageSize'\?"):
        AMD64.explain("_PageSise")
    with pytest.raises(UsageFault, match="_MEM_COMMIT is not declared on linux/amd64"):
        AMD64.explain("_MEM_COMMIT")
