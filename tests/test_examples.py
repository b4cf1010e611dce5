"""The example programs run, and print what they are meant to show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "api"
PRINTS = {
    "first_objects.py": """\
100 bytes at 0xc420000000, in a span of 73 objects of 112 bytes
3 and 5 bytes at 0xc420002000 and 0xc420002003
100000 bytes at 0xc420004000, 13 pages
after a collection: 2 objects, 1032192 bytes idle
""",
    "following_pointers.py": "500 of 1000 nodes are alive\n",
    "why_it_dies.py": """\
ulimit -v 819200: boots (770 MB at 0x8200000)
ulimit -v 512000: boots (770 MB refused, 514 MB refused, 386 MB at 0x8200000)
ulimit -v 204800: fatal error: runtime: cannot reserve arena virtual address space
""",
}


def run(name: str) -> str:
    return subprocess.run(
        [sys.executable, FOLDER / name], capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.parametrize("name", PRINTS)
def test_prints_what_it_shows(name: str) -> None:
    assert run(name) == PRINTS[name]


def test_waste_depends_on_the_page_size() -> None:
    pytest.importorskip("numpy")
    lines = re.findall(r"pages of (\d+): (\d+) bytes in spans, ([\d.]+)%", run("rounding_waste.py"))
    assert [int(size) for size, _, _ in lines] == [8192, 16384, 32768]
    assert all(int(inuse) > 38_000_000 and 5 < float(waste) < 15 for _, inuse, waste in lines)


def test_spread_survivors_hold_their_spans() -> None:
    """A million objects in 24 MB of spans: few that survive hold all of it where they are spread."""
    pytest.importorskip("numpy")
    rows = [line.split() for line in run("surviving_share.py").splitlines()[1:]]
    assert [row[0] for row in rows] == ["50%", "10%", "2%"]
    for share, objects, spread, spread_part, oldest, oldest_part in rows:
        part = float(share.rstrip("%")) / 100
        assert int(objects) == part * 1_000_000
        assert 24_000_000 <= int(spread) <= 24_100_000
        assert int(oldest) < 1.05 * part * int(spread)
        assert abs(float(spread_part.rstrip("%")) - 100 * part) <= 0.1
        assert float(oldest_part.rstrip("%")) > 97


def test_no_example_is_left_out() -> None:
    assert {path.name for path in FOLDER.glob("*.py")} == {
        *PRINTS, "rounding_waste.py", "surviving_share.py",
    }  # fmt: skip
