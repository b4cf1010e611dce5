"""Who holds what of a young process's address space."""

from __future__ import annotations

import pytest

from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions import vsz
from archcalc.questions.vsz import Footprint

GB = 1 << 30


def footprint(platform: str, **options: int) -> Footprint:
    return vsz.footprint(figures.compute(platforms.load(platform)), MachineOptions(**options))  # type: ignore[arg-type]


def test_linux_386_reserves_its_first_rung() -> None:
    found = footprint("linux/386")
    parts = {part.name: part for part in found.parts}
    assert parts["spans"].held + parts["bitmap"].held + parts["arena"].held == 807411712
    assert parts["bitmap"].planned == 268435456
    # 0x18500000 bytes of addresses, 16 to a byte of bitmap.
    assert parts["bitmap"].mapped == 0x18500000 // 16
    assert "24 MB are mapped at once" in vsz.story(found)


@pytest.mark.parametrize(
    ("platform", "reserves"),
    [("linux/amd64", False), ("freebsd/amd64", False), ("darwin/amd64", True), ("windows/amd64", True)],
)
def test_64_bit_systems_reserve_or_do_not(platform: str, reserves: bool) -> None:
    found = footprint(platform)
    arena = next(part for part in found.parts if part.name == "arena")
    assert (arena.held == arena.planned) is reserves
    assert arena.mapped == 1 << 20
    assert found.mapped < 8 << 20
    assert ("really reserves" in vsz.story(found)) is reserves


def test_the_sum_is_what_ulimit_v_would_count() -> None:
    found = footprint("linux/amd64")
    assert footprint("linux/amd64", ulimit_v=found.virt).death == ""
    assert footprint("linux/amd64", ulimit_v=found.virt - 4096).death != ""


@pytest.mark.parametrize("platform", platforms.names())
def test_every_platform_has_a_story(platform: str) -> None:
    found = footprint(platform)
    assert found.virt >= found.mapped > 0
    assert vsz.story(found)


def test_what_dies_has_none() -> None:
    found = footprint("linux/386", ulimit_v=1 << 20)
    assert found.death == "runtime: cannot reserve arena virtual address space"
    assert found.virt == 0


def test_a_reservation_is_not_free_on_windows_and_is_on_linux() -> None:
    told = {name: vsz.story(vsz.footprint(figures.compute(platforms.load(name)))) for name in NAMES}
    assert "charges the page tables" in told["windows/amd64"]
    assert "costs no memory" not in told["windows/amd64"]
    assert "costs no memory" in told["linux/386"]


def test_virt_of_a_mac_has_a_region_that_every_process_has() -> None:
    assert "2.3 to 2.4 GB" in vsz.story(vsz.footprint(figures.compute(platforms.load("darwin/amd64"))))


NAMES = ("windows/amd64", "linux/386")
