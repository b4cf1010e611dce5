"""The heap's place in the address space: mallocinit's figures on every port."""

from __future__ import annotations

import pytest

from archcalc.calculator import figures
from archcalc.calculator.layout import HintFigure, Layout, StackOrder
from archcalc.profiles import platforms

GB, MB = 1 << 30, 1 << 20
ALL = platforms.names()
WIDE = [p for p in ALL if figures.compute(platforms.load(p)).sys["PtrSize"] == 8]
NARROW = [p for p in ALL if p not in WIDE]


def of(platform: str, **sets: int | str) -> Layout:
    return figures.compute(platforms.load(platform), sets).layout


def test_linux_amd64_reserves_512_gb_and_its_tables() -> None:
    layout = of("linux/amd64")
    assert layout.contiguous
    assert (layout.arena_size, layout.bitmap_size, layout.spans_size) == (512 * GB, 16 * GB, 512 * MB)
    assert layout.reservation_size == 512 * GB + 16 * GB + 512 * MB + 8192
    assert (layout.bitmap_usable, layout.spans_usable) == (16 * GB, 512 * MB)
    assert [hint.address for hint in layout.hints[:3]] == [0xC000000000, 0x1C000000000, 0x2C000000000]
    # The last hint's arena would end beyond the 47 bits that a process has.
    assert layout.hints[126:] == (HintFigure(0x7EC000000000, "wholly"), HintFigure(0x7FC000000000, "partly"))


@pytest.mark.parametrize(
    ("platform", "arena", "hint"),
    [
        ("linux/arm64", 512 * GB, 0x4000000000),
        ("android/arm64", 512 * GB, 0x4000000000),
        ("darwin/arm64", 2 * GB, 0x130000000),
        ("windows/amd64", 32 * GB, 0xC000000000),
        ("linux/mips64", 512 * GB, 0xC000000000),
        ("linux/s390x", 512 * GB, 0xC000000000),
    ],
)
def test_arena_and_first_hint(platform: str, arena: int, hint: int) -> None:
    layout = of(platform)
    assert (layout.arena_size, layout.hints[0].address) == (arena, hint)


@pytest.mark.parametrize("platform", WIDE)
def test_64_bit_ports_try_128_hints(platform: str) -> None:
    layout = of(platform)
    assert layout.contiguous
    assert len(layout.hints) == 128
    assert {b.address - a.address for a, b in zip(layout.hints, layout.hints[1:], strict=False)} == {1 << 40}
    assert layout.bitmap_size * 32 == layout.arena_size
    assert layout.spans_size * 1024 == layout.arena_size
    # Refused everywhere, they climb down their own ladder: half the bitmap, twice the spans of 32 bits.
    assert [(r.bitmap_size, r.spans_size) for r in layout.rungs] == [(128 * MB, 4 * MB)] * 4
    assert layout.ladder == (675291136, 406855680, 272637952, 138420224)


@pytest.mark.parametrize("platform", NARROW)
def test_32_bit_ports_have_the_ladder_that_was_seen(platform: str) -> None:
    layout = of(platform)
    assert not layout.contiguous
    assert layout.ladder == (807411712, 538976256, 404758528, 270540800)
    assert [rung.arena_size for rung in layout.rungs] == [512 * MB, 256 * MB, 128 * MB, 0]
    assert (layout.arena_size, layout.bitmap_size, layout.spans_size) == (512 * MB, 256 * MB, 2 * MB)
    assert layout.reservation_size == layout.ladder[0]
    assert layout.hints == (layout.rungs[0].hint,)
    assert layout.bitmap_usable <= layout.bitmap_size and layout.spans_usable <= layout.spans_size


def test_the_hint_of_the_ladder_is_above_the_data_segment() -> None:
    # golang/go#19831: linux/arm asked for 807411712 bytes at 0x200000.
    assert of("linux/arm").hints[0].address == 0x200000
    assert of("linux/arm", data_end=0x1BFFFF).hints[0].address == 0x200000
    assert of("linux/arm", data_end=0x1C0001).hints[0].address == 0x300000


def test_mips_can_use_half_of_the_tables() -> None:
    layout = of("linux/mips", address_high=1 << 31)
    assert layout.bitmap_usable * 2 == layout.bitmap_size
    assert layout.spans_usable * 2 == layout.spans_size
    whole = of("linux/386", address_high=1 << 32)
    assert (whole.bitmap_usable, whole.spans_usable) == (whole.bitmap_size, whole.spans_size)


def test_which_hints_fit() -> None:
    """39-bit addresses: an arm64 heap begins inside, but 544 GB end outside; hint 1 is beyond."""
    narrow = of("linux/arm64", address_low=0x10000, address_high=1 << 39)
    assert [hint.fits for hint in narrow.hints[:3]] == ["partly", "no", "no"]
    wide = of("linux/arm64", address_high=1 << 48)
    assert {hint.fits for hint in wide.hints} == {"wholly"}
    edge = of("linux/amd64", address_high=0x7FC000000000 + of("linux/amd64").reservation_size)
    assert edge.hints[127].fits == "wholly"
    edge = of("linux/amd64", address_high=0x7FC000000000 + of("linux/amd64").reservation_size - 1)
    assert edge.hints[127].fits == "partly"
    assert of("linux/amd64", address_low=0xC000000001).hints[0].fits == "partly"


@pytest.mark.parametrize("platform", ALL)
def test_stack_orders(platform: str) -> None:
    f = figures.compute(platforms.load(platform))
    orders = f.layout.stack_orders
    assert [o.order for o in orders] == list(range(int(f.constants["_NumStackOrders"])))
    assert [o.size for o in orders] == [int(f.constants["_FixedStack"]) << o.order for o in orders]
    assert [o.cached for o in orders] == [o.size < int(f.constants["_StackCacheSize"]) for o in orders]
    # Only darwin/arm has 4 KB stacks and yet four orders: nothing ever asks for the 32 KB one.
    dead = [o for o in orders if o.dead]
    assert dead == ([StackOrder(3, 32768, False)] if platform == "darwin/arm" else [])


def test_without_the_stack_cache_all_orders_are_dead() -> None:
    assert all(order.dead for order in of("linux/amd64", stackCache=0).stack_orders)


def test_figures_wrap_at_the_word_size() -> None:
    """An arena of all 64 bits, rounded to a page, is none: uintptr arithmetic wraps."""
    layout = of("linux/amd64", _MHeapMap_TotalBits=64)
    assert (layout.arena_size, layout.reservation_size) == (0, 8192)
