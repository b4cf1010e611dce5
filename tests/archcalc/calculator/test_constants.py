"""Every constant of every port: equal to Go's own where those are at hand, and sound on the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import generations, goexpr
from archcalc.calculator import constants, figures, formulas
from archcalc.calculator.constants import Absent, Constants
from archcalc.calculator.figures import Figures
from archcalc.generations.tables import Row, Source
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault

ALL = platforms.names()
WITH_FACTS = [
    "android/386", "android/amd64", "android/arm", "darwin/386", "darwin/amd64", "darwin/arm64",
    "freebsd/386", "freebsd/amd64", "freebsd/arm", "linux/386", "linux/amd64", "linux/arm", "linux/arm64",
    "linux/mips", "linux/mips64", "linux/mipsle", "linux/ppc64le", "nacl/386", "nacl/arm",
    "netbsd/386", "netbsd/amd64", "openbsd/amd64", "openbsd/arm", "plan9/386", "plan9/arm", "windows/amd64",
]  # fmt: skip


def of(platform: str, **sets: int | str) -> Figures:
    return figures.compute(platforms.load(platform), sets)


def test_the_facts_are_of_26_ports(port_facts: dict[str, Any]) -> None:
    assert sorted(port_facts) == WITH_FACTS


@pytest.mark.parametrize("platform", WITH_FACTS)
def test_constants_are_go_s(platform: str, port_facts: dict[str, Any]) -> None:
    figures_of = of(platform)
    for package, computed in (("runtime", figures_of.constants), ("sys", figures_of.sys)):
        expected = port_facts[platform][package]
        assert dict(computed) == expected
        # True == 1 in Python, not in Go.
        assert {n: type(v) for n, v in computed.items()} == {n: type(v) for n, v in expected.items()}


@pytest.mark.parametrize("platform", WITH_FACTS)
def test_structs_are_the_compiler_s(platform: str, port_facts: dict[str, Any]) -> None:
    computed = {
        name: {
            "size": struct.size,
            "align": struct.align,
            "fields": [{"name": f.name, "offset": f.offset, "size": f.size} for f in struct.fields],
        }
        for name, struct in of(platform).structs.items()
    }
    assert computed == port_facts[platform]["structs"]


# Read off the source by hand for ports whose facts are not at hand.
OTHERS: dict[str, dict[str, object]] = {
    # StackSystem is 1024: 3072 rounds to 4096, but _NumStackOrders stays 4.
    "darwin/arm": {"_FixedStack0": 3072, "_FixedStack": 4096, "_NumStackOrders": 4, "_StackGuard": 1904},
    "darwin/amd64": {"_FixedStack": 2048, "_MHeapMap_TotalBits": 39},
    "android/arm64": {"_MHeapMap_TotalBits": 39, "_RLIMIT_AS": 9, "usesLR": True},
    "dragonfly/amd64": {"_MADV_FREE": 5, "_MAP_ANON": 0x1000, "_RLIMIT_AS": 10, "_MHeapMap_TotalBits": 39},
    "linux/mips64le": {"_MAP_ANON": 0x800, "_RLIMIT_AS": 6, "_MHeapMap_Bits": 26},
    "linux/ppc64": {"_RLIMIT_AS": 9, "_MHeapMap_TotalBits": 39, "usesLR": True},
    "linux/s390x": {"_MADV_HUGEPAGE": 14, "usesLR": True, "_StackFork": (1 << 64) - 1234},
    # 32-bit pointers: no 39 bits, a 32-bit uintptr, half the random bytes.
    "nacl/amd64p32": {
        "_64bit": 0,
        "_MHeapMap_TotalBits": 32,
        "_MaxMem": (1 << 32) - 1,
        "hashRandomBytes": 64,
    },
    "netbsd/arm": {"_MADV_FREE": 6, "_MaxMem": (1 << 32) - 1},
    "openbsd/386": {"_MADV_FREE": 6, "usesLR": False, "_StackPreempt": (1 << 32) - 1314},
    "plan9/amd64": {
        "_FixedStack": 4096,
        "_NumStackOrders": 3,
        "_StackSystem": 512,
        "_MHeapMap_TotalBits": 39,
    },
    "solaris/amd64": {"_MAP_ANON": 0x100, "_MADV_FREE": 5, "_RLIMIT_AS": 10},
    # 512*4 of the system's: 4096; one order less, but all 32 bits.
    "windows/386": {
        "_FixedStack": 4096,
        "_NumStackOrders": 3,
        "_StackGuard": 2928,
        "_MHeapMap_TotalBits": 32,
    },
}
OTHERS_SYS: dict[str, dict[str, object]] = {
    "darwin/arm": {"GoosDarwin": 1, "GoarchArm": 1, "DefaultPhysPageSize": 65536, "SpAlign": 1},
    "android/arm64": {"GoosAndroid": 1, "GoosLinux": 0, "SpAlign": 16, "ArchFamily": 2},
    "linux/mips64le": {"BigEndian": 0, "DefaultPhysPageSize": 16384, "ArchFamily": 5},
    "linux/ppc64": {"BigEndian": 1, "CacheLineSize": 128, "MinFrameSize": 32, "GoarchPpc64": 1},
    "linux/s390x": {"BigEndian": 1, "CacheLineSize": 256, "PCQuantum": 2, "ArchFamily": 7, "MinFrameSize": 8},
    "nacl/amd64p32": {
        "PtrSize": 4,
        "RegSize": 8,
        "Int64Align": 8,
        "DefaultPhysPageSize": 65536,
        "ArchFamily": 0,
    },
    "windows/386": {"HugePageSize": 1 << 21, "GoosWindows": 1, "Goarch386": 1},
}


@pytest.mark.parametrize("platform", sorted({*OTHERS, *OTHERS_SYS}))
def test_the_other_ports(platform: str) -> None:
    figures_of = of(platform)
    runtime, sys = OTHERS.get(platform, {}), OTHERS_SYS.get(platform, {})
    assert {name: figures_of.constants[name] for name in runtime} == runtime
    assert {name: figures_of.sys[name] for name in sys} == sys


def test_struct_sizes_of_the_other_ports() -> None:
    p32 = of("nacl/amd64p32").structs
    # 8-byte values are aligned to registers, not to pointers: holes that 386 does not have.
    assert (p32["lfnode"].size, p32["lfnode"].align) == (16, 8)
    assert (p32["mspan"].field("unusedsince").offset, p32["mspan"].size) == (72, 96)
    assert of("linux/386").structs["mspan"].field("unusedsince").offset == 68
    assert of("linux/386").structs["mspan"].size == 92
    assert p32["workbuf"].size == 2048
    # 256-byte cache lines between the mcentrals.
    assert of("linux/s390x").structs["mheap"].size == of("linux/amd64").structs["mheap"].size + 67 * (
        256 - 64
    )
    assert of("darwin/arm").structs["mcache"].size == of("linux/arm").structs["mcache"].size


@pytest.mark.parametrize("platform", ALL)
def test_figures_agree_with_each_other(platform: str) -> None:
    f = of(platform)
    c, s = f.constants, f.sys
    assert sum(int(v) for n, v in s.items() if n.startswith("Goos")) == 1
    assert sum(int(v) for n, v in s.items() if n.startswith("Goarch")) == 1
    assert c["GOOS"] == s["GOOS"] and f"{s['GOOS']}/{s['GOARCH']}" == platform
    fixed = int(c["_FixedStack"])
    assert fixed & (fixed - 1) == 0 and fixed >= int(c["_FixedStack0"]) > fixed // 2
    assert c["uintptrMask"] == (1 << (8 * int(s["PtrSize"]))) - 1
    assert c["_MaxMem"] == (1 << int(c["_MHeapMap_TotalBits"])) - 1 <= int(c["uintptrMask"])
    assert c["deferHeaderSize"] == f.structs["_defer"].size
    assert int(c["minDeferAlloc"]) % 16 == 0 and c["minDeferArgs"] == int(c["minDeferAlloc"]) - int(
        c["deferHeaderSize"]
    )
    assert f.structs["gcBits"].size == c["gcBitsChunkBytes"]
    assert f.structs["workbuf"].size == c["_WorkbufSize"]
    assert f.structs["finblock"].size <= int(c["_FinBlockSize"])
    assert int(c["hchanSize"]) % 8 == 0 and 0 <= int(c["hchanSize"]) - f.structs["hchan"].size < 8
    assert c["_NumSizeClasses"] == len(f.size_classes) == 67
    assert ("deBruijn32" in s) == (s["GOARCH"] != "386")
    assert ("pollBlockSize" in c) == (s["GOOS"] != "plan9")


@pytest.mark.parametrize("platform", ["linux/amd64", "darwin/arm", "nacl/amd64p32"])
def test_shared_values_are_those_computed_alone(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other ports left in the memory of evaluated formulas changes nothing."""
    before = of(platform)
    expected = dict(before.constants), dict(before.sys), before.layout
    for name in ("_CONDITIONS", "_LAYOUTS", "_FAMILIES"):
        monkeypatch.setattr(constants, name, {})
    for formula in formulas._FORMULAS.values():
        monkeypatch.setattr(formula, "values", {})
    profile = platforms.load(platform)
    engine = Constants(generations.load(), profile.goos, profile.goarch, profile.facts)
    alone = Figures(profile, generations.load(), engine)
    assert (dict(alone.constants), dict(alone.sys), alone.layout) == expected


@given(st.integers(10, 16), st.sampled_from(ALL))
def test_page_size_what_ifs_do_not_leak(shift: int, platform: str) -> None:
    assert of(platform, _PageShift=shift).constants["_PageSize"] == 1 << shift
    assert of(platform).constants["_PageSize"] == 8192


def test_an_absent_constant_is_absent() -> None:
    engine = of("linux/amd64").engine
    assert not engine.has("runtime._MADV_FREE")
    assert not engine.has("runtime._MEM_COMMIT")
    with pytest.raises(Absent, match=r"runtime\._MEM_COMMIT"):
        engine.value("runtime._MEM_COMMIT")
    with pytest.raises(Absent):
        engine.value("runtime.nowhere")
    with pytest.raises(Absent):
        engine.value("fact.nowhere")


def test_an_architecture_of_a_family_that_this_go_does_not_know() -> None:
    profile = platforms.load("linux/arm64")
    facts = {**profile.facts, "arch_family": "RISCV64"}
    engine = Constants(generations.load(), "linux", "riscv64", facts)
    assert not engine.has("sys.ArchFamily")
    assert engine.value("runtime._MHeapMap_TotalBits").value == 39


def test_names_are_found_in_their_package() -> None:
    engine = of("linux/amd64").engine
    assert engine.resolve("runtime", "_PageSize") == "runtime._PageSize"
    assert engine.resolve("runtime", "PtrSize") is None
    assert engine.resolve("sys", "PtrSize") == "sys.PtrSize"
    assert engine.resolve("runtime", "sys.PtrSize") == "sys.PtrSize"
    assert engine.resolve("layout", "_PageSize") == "runtime._PageSize"
    assert engine.resolve("layout", "hint5") == "layout.hint5"
    assert engine.resolve("runtime", "arena_size") is None


def test_typed_constants_have_their_types() -> None:
    engine = of("linux/386").engine
    types = {
        "runtime._MSpanInUse": "mSpanState",
        "runtime._MaxMem": "uintptr",
        "runtime.minLegalPointer": "uintptr",
        "runtime.GOOS": "string",
        "sys.ArchFamily": "ArchFamilyType",
        "runtime._PageSize": "untyped int",
        "runtime.usesLR": "untyped bool",
    }
    assert {name: engine.value(name).type.name for name in types} == types


def test_every_row_is_go_and_tells_what_it_is() -> None:
    generation = generations.load()
    rows = [
        row for table in (generation.rows, generation.families) for rows in table.values() for row in rows
    ]
    for row in rows:
        goexpr.parse(row.formula.replace("{i}", "0"))
        if row.when:
            goexpr.parse(row.when)
        assert row.what and row.unit and row.source.file.endswith(".go")
    assert len(generation.reported_types) == 36


@pytest.mark.parametrize(
    ("name", "platform", "source"),
    [
        ("runtime._MaxMem", "linux/amd64", "runtime/malloc.go:151"),
        ("runtime._MAP_ANON", "linux/amd64", "runtime/defs_linux_amd64.go:16"),
        ("runtime._MAP_ANON", "android/arm", "runtime/defs_linux_arm.go:14"),
        ("runtime._MAP_ANON", "linux/mips64le", "runtime/defs_linux_mips64x.go:16"),
        ("runtime._MAP_ANON", "nacl/amd64p32", "runtime/os2_nacl.go:148"),
        ("runtime._MEM_COMMIT", "windows/386", "runtime/mem_windows.go:12"),
        ("runtime._RLIMIT_AS", "linux/s390x", "runtime/os_linux_be64.go:18"),
        ("runtime.GOOS", "linux/arm", "runtime/extern.go:247"),
        ("sys.GOOS", "linux/arm", "runtime/internal/sys/zgoos_linux.go:7"),
        ("sys.GoosWindows", "plan9/arm", "runtime/internal/sys/zgoos_plan9.go:17"),
        ("sys.CacheLineSize", "linux/s390x", "runtime/internal/sys/arch_s390x.go:10"),
        ("layout.hint7", "linux/arm64", "runtime/malloc.go:291"),
        ("layout.hint7", "darwin/arm64", "runtime/malloc.go:289"),
    ],
)
def test_where_a_constant_stands(name: str, platform: str, source: str) -> None:
    assert str(of(platform).engine.source(name)) == source


# ---- rows that are wrong ----


def with_row(formula: str, when: str = "") -> Constants:
    """linux/amd64 with one row more."""
    engine = of("linux/amd64").engine
    row = Row(
        "runtime", "odd", "", formula, when, "", Source("runtime/odd.go", 7), None, "count", "odd", True
    )
    generation = replace(engine.generation, rows={**engine.generation.rows, "runtime.odd": (row,)})
    return Constants(generation, "linux", "amd64", engine.facts)


@pytest.mark.parametrize(
    ("formula", "when", "words"),
    [
        ("nowhere + 1", "", r"odd \(runtime/odd.go:7\): column 1 of nowhere \+ 1: undefined: nowhere"),
        ("_PageSize + sys.Nothing", "", r"odd \(runtime/odd.go:7\): column 13 of .*undefined: sys.Nothing"),
        ("_PageSize(3)", "", r"odd \(runtime/odd.go:7\): .*_PageSize"),
        ("2", "nowhere > 3", r"odd \(runtime/odd.go:7\): nowhere > 3: column 1: undefined: nowhere"),
        # Only DragonFly has this one.
        ("stackSystem + 1", "", r"odd \(runtime/odd.go:7\): it follows from runtime\.stackSystem"),
        (
            "2",
            "stackSystem == 0",
            r"odd \(runtime/odd.go:7\): stackSystem == 0: it follows from runtime\.stackSystem",
        ),
    ],
)
def test_a_name_that_a_row_cannot_have_is_a_fault_at_its_place(formula: str, when: str, words: str) -> None:
    engine = with_row(formula, when)
    for asked in (lambda: engine.value("runtime.odd"), lambda: engine.package("runtime")):
        with pytest.raises(UsageFault, match=words) as caught:
            asked()
        assert caught.value.faults[0].id == "constant-invalid"


def test_what_follows_from_a_fact_that_the_system_lacks_is_absent_with_it() -> None:
    engine = with_row("fact._MEM_COMMIT + 1")
    assert "runtime.odd" not in engine.package("runtime") and not engine.has("runtime.odd")
