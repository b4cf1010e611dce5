"""Addresses packed into one word with a count: which fit, and the last words where one does not."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.throw import Throw
from allocator.sparse.config import Config
from allocator.sparse.lfstack import LFStack, pack, unpack
from archcalc import generations, machines
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.profiles import platforms

# Up to where addresses fit, exclusively; on AIX from where on, inclusively.
FIT = {
    ("linux/amd64", "1.24"): 1 << 47,
    ("linux/amd64", "1.25"): 1 << 48,
    ("freebsd/amd64", "1.24"): 1 << 47,
    ("freebsd/amd64", "1.25"): 1 << 56,
    ("linux/arm64", "1.24"): 1 << 48,
    ("linux/arm64", "1.25"): 1 << 49,
    ("linux/riscv64", "1.22"): 1 << 56,
    ("linux/riscv64", "1.27"): 1 << 56,
    ("linux/386", "1.22"): 1 << 32,
    ("linux/386", "1.27"): 1 << 32,
    ("js/wasm", "1.27"): 1 << 49,
}
ALIGN = 512


@cache
def config_of(platform: str, go: str) -> Config:
    config = machines.config_of(figures.compute(platforms.of(platform, go), {}, go))
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(("platform", "go"), FIT)
@given(data=st.data())
def test_an_address_fits_below_its_bits(platform: str, go: str, data: st.DataObject) -> None:
    config, end = config_of(platform, go), FIT[platform, go]
    node = data.draw(st.integers(0, (end - 1) // ALIGN)) * ALIGN
    tag = data.draw(st.integers(0, config.uintptr_mask))
    packed = pack(config, node, tag)
    assert unpack(config, packed) == node
    assert packed & (1 << config.tag_bits) - 1 == tag & (1 << config.tag_bits) - 1


@pytest.mark.parametrize(("platform", "go"), [case for case in FIT if FIT[case] > 1 << 32])
def test_and_does_not_at_the_next(platform: str, go: str) -> None:
    end = FIT[platform, go]
    stack = LFStack(config_of(platform, go))
    stack.push(end - ALIGN)
    with pytest.raises(Throw):
        stack.push(end)
    assert stack.pop() == end - ALIGN and stack.pop() == 0


@pytest.mark.parametrize("go", ["1.22", "1.27"])
def test_on_aix_addresses_have_one_top_byte_or_the_next(go: str) -> None:
    stack = LFStack(config_of("aix/ppc64", go))
    stack.push(0xA << 56)
    stack.push((0xC << 56) - ALIGN)
    for node in ((0xA << 56) - ALIGN, 0xC << 56):
        with pytest.raises(Throw):
            stack.push(node)


def test_the_high_half_fits_on_amd64_too() -> None:
    config = config_of("linux/amd64", "1.24")
    assert unpack(config, pack(config, 0xFFFF_8000_0000_0000, 1)) == 0xFFFF_8000_0000_0000


def test_the_words_of_golang_issues_45017_and_49405() -> None:
    for platform, node, line in (
        (
            "aix/ppc64",
            0x70000002839E580,
            "node=0x70000002839e580 cnt=0x1 packed=0x800000141cf2c001 -> node=0xb0000002839e580",
        ),
        (
            "linux/amd64",
            0xFFFF842B5B40,
            "node=0xffff842b5b40 cnt=0x1 packed=0xffff842b5b400001 -> node=0xffffffff842b5b40",
        ),
    ):
        with pytest.raises(Throw, match=r"lfstack\.push") as died:
            LFStack(config_of(platform, "1.22")).push(node)
        assert died.value.before == (f"runtime: lfstack.push invalid packing: {line}",)


def test_from_1_25_on_packing_itself_looks() -> None:
    with pytest.raises(Throw, match="taggedPointerPack") as died:
        LFStack(config_of("linux/arm64", "1.25")).push(1 << 49)
    line = "ptr=0x2000000000000 tag=0x1 packed=0x1 -> ptr=0x0 tag=0x1"
    assert died.value.before == (f"runtime: taggedPointerPack invalid packing: {line}",)


def test_the_count_is_kept_in_the_node() -> None:
    stack = LFStack(config_of("linux/amd64", "1.24"))
    for count in (1, 2, 3):
        stack.push(0x1000)
        assert stack.counts[0x1000] == count
        assert len(stack) == 1
        stack.pop()


@pytest.mark.parametrize("go", [go for go in generations.known() if go != generations.CURRENT])
def test_a_machine_dies_of_it_when_it_gives_a_block_back(go: str) -> None:
    rt = boot("linux/amd64", go=go, va_bits=48)
    for _ in range(200):
        rt.malloc(100)

    def collect() -> None:
        for _ in range(3):
            rt.collect([])

    if rt.config.tag_bits - rt.config.tag_align_bits < 16:  # of 1.25 on
        collect()
        assert rt.audit() == []
    else:
        with pytest.raises(Throw, match=r"lfstack\.push"):
            collect()
