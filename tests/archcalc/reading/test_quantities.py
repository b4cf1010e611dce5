"""Sizes, addresses, ranges and what-ifs as people type them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.reading.errors import UsageFault
from archcalc.reading.quantities import (
    parse_address,
    parse_count,
    parse_debug,
    parse_limit,
    parse_range,
    parse_setting,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1_000", 1000),
        ("64k", 65536),
        ("64K", 65536),
        ("1.5g", 3 << 29),
        ("1gb", 1 << 30),
        ("1 GiB", 1 << 30),
        ("2t", 2 << 40),
        ("0x1000", 4096),
        ("8b", 8),
        ("0.5k", 512),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "1.5", "0.3k", "-1", "1e3", "1kk", "１k", "0x", "1" * 200, "1..5g", "one"]
)
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(UsageFault):
        parse_size(text)


@given(st.integers(0, 1 << 64))
def test_addresses_in_hexadecimal(address: int) -> None:
    if address < 1 << 64:
        assert parse_address(f"{address:#x}") == parse_address(f"0X{address:X}") == address
    else:
        with pytest.raises(UsageFault, match="64 bits"):
            parse_address(f"{address:#x}")


def test_an_address_without_0x_is_a_guess_that_is_only_offered() -> None:
    with pytest.raises(UsageFault) as caught:
        parse_address("c420000000")
    assert caught.value.faults[0].suggestion == "0xc420000000"


@given(st.integers(0, (1 << 64) - 2), st.integers(1, 1 << 40))
def test_ranges(start: int, size: int) -> None:
    end = start + size
    if end < 1 << 64:
        assert parse_range(f"{start:#x}-{end:#x}") == parse_range(f"{start:#x}+{size}") == (start, end)
    for wrong in (f"{end:#x}-{start:#x}", f"{start:#x}-{start:#x}", f"{start:#x}", f"{start:#x}+0"):
        with pytest.raises(UsageFault):
            parse_range(wrong)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("_PageShift=14", ("_PageShift", 14)),
        ("_TinySize = 8", ("_TinySize", 8)),
        ("_StackMin=4k", ("_StackMin", 4096)),
        ("x=-1", ("x", -1)),
        ("sys.GOOS=linux", ("sys.GOOS", "linux")),
        ("usesLR=true", ("usesLR", "true")),
        ("_MaxMem=1<<40 - 1", ("_MaxMem", "1<<40 - 1")),
        ("mask=0xff", ("mask", 255)),
    ],
)
def test_settings(text: str, setting: tuple[str, int | str]) -> None:
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["", "=1", "x=", "x", "1x=2", "a b=1"])
def test_what_sets_nothing(text: str) -> None:
    with pytest.raises(UsageFault):
        parse_setting(text)


@pytest.mark.parametrize(
    ("text", "share"), [("20%", 0.2), ("0.2", 0.2), ("12.5%", 0.125), ("0", 0.0), ("100%", 1.0)]
)
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


def test_twenty_is_not_a_share_but_offered_as_one() -> None:
    with pytest.raises(UsageFault) as caught:
        parse_share("20")
    assert caught.value.faults[0].suggestion == "20%"


@given(
    st.text(max_size=200), st.sampled_from([parse_size, parse_address, parse_range, parse_count, parse_share])
)
def test_any_text_is_read_or_refused(text: str, parse: Callable[[str], object]) -> None:
    try:
        parse(text)
    except UsageFault as fault:
        assert fault.faults[0].expected
        assert len(str(fault)) < 400


@pytest.mark.parametrize(
    ("text", "limit"),
    [("unlimited", (1 << 64) - 1), ("200000k", 204800000), ("4096", 4096), (" Unlimited ", (1 << 64) - 1)],
)
def test_a_limit_is_a_size_or_what_the_shell_shows(text: str, limit: int) -> None:
    assert parse_limit(text) == limit


def test_debug_settings_are_written_as_in_the_environment() -> None:
    assert parse_debug("sbrk=1") == [("sbrk", 1)]
    assert parse_debug("sbrk=1,madvdontneed=-2") == [("sbrk", 1), ("madvdontneed", -2)]
    for wrong in ("", "sbrk", "sbrk=1,", "sbrk=1,foo", "sbrk=x", f"sbrk={1 << 31}"):
        with pytest.raises(UsageFault):
            parse_debug(wrong)
