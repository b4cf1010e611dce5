"""/proc/PID/maps, as kernels write it and as they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.kernels.address_space import Range
from allocator.kernels.maps import MapsError, parse_maps, ranges

GOOD = """\
00400000-00452000 r-xp 00000000 08:02 173521                             /usr/bin/a program (deleted)
00651000-00652000 rw-p 00051000 08:02 173521                             /usr/bin/a program (deleted)
00652000-00655000 rw-p 00000000 00:00 0
7ffd3a5c0000-7ffd3a5e1000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_parse() -> None:
    image, data, bss, stack, vsyscall = parse_maps(GOOD)
    assert image == (0x40_0000, 0x45_2000, "r-xp", "/usr/bin/a program (deleted)")
    assert (bss.name, stack.name, vsyscall.end) == ("", "[stack]", 0xFFFF_FFFF_FF60_1000)
    assert [m.writable_private for m in (image, data, bss, stack)] == [False, True, True, False]


def test_ranges_are_joined_and_end_with_the_users_space() -> None:
    assert ranges(parse_maps(GOOD), 0x7FFD_3A5D_0000) == (
        Range(0x40_0000, 0x45_2000),
        Range(0x65_1000, 0x65_5000),
        Range(0x7FFD_3A5C_0000, 0x7FFD_3A5D_0000),
    )
    assert len(ranges(parse_maps(GOOD))) == 4


def test_nothing_and_no_last_newline() -> None:
    assert parse_maps("") == ()
    assert len(parse_maps(GOOD.rstrip("\n"))) == 5


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", ""),
        ("00400000-00452000", "00400000-00452000"),
        ("00400000-00452000 r-xz 00000000 08:02 1", "00400000-00452000 r-xz 00000000 08:02 1"),
        ("0x400000-0x452000 r-xp 00000000 08:02 1", "0x400000-0x452000 r-xp 00000000 08:02 1"),
        ("90452000-90400000 r-xp 00000000 08:02 1", "90452000-90400000"),
        ("90452000-90452000 r-xp 00000000 08:02 1", "90452000-90452000"),
        ("00654000-00656000 rw-p 00000000 00:00 0", "00654000"),
        ("00100000-00101000 rw-p 00000000 00:00 0", "00100000"),
        ("100000000-100000000000000000 rw-p 00000000 00:00 0", "100000000-100000000000000000 rw-p 0"),
        ("90400000-90452000 r-xp 00000000 08:02 1\r", "90400000-90452000 r-xp 00000000 08:02 1\r"),
        ("90400000-٩0452000 r-xp 00000000 08:02 1", "90400000-٩0452000 r-xp 00000000 08:02 1"),
    ],
)
def test_lines_that_no_kernel_writes(line: str, found: str) -> None:
    lines = GOOD.splitlines()
    lines[3:] = [line, lines[3]]
    with pytest.raises(MapsError) as fault:
        parse_maps("\n".join(lines))
    assert fault.value.line == 4
    assert fault.value.found.startswith(found)
    assert str(fault.value).startswith("line 4: found ")


def test_a_long_line_is_cut_in_the_message() -> None:
    with pytest.raises(MapsError) as fault:
        parse_maps("x" * 100_000)
    assert len(str(fault.value)) < 200


@given(st.text(alphabet="0123456789abcdefrwxp-: \n[]/", max_size=200))
def test_any_text_parses_or_names_its_line(text: str) -> None:
    try:
        mappings = parse_maps(text)
    except MapsError as fault:
        assert 1 <= fault.line <= text.count("\n") + 1
    else:
        assert len(mappings) == text.rstrip("\n").count("\n") + bool(text)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc here")
def test_this_process() -> None:
    mappings = parse_maps(Path("/proc/self/maps").read_text())
    assert any(m.start <= id(mappings) < m.end for m in mappings)
