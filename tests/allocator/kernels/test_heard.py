"""A machine that is answered as another one was ends as that one did."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.kernels.heard import Endings, Heard
from archcalc import generations, machines
from archcalc.calculator.figures import Figures, compute
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.boot import Boot, try_boot

MB = 1 << 20
PORTS = [
    ("1.27", "linux/amd64"),
    ("1.27", "linux/386"),
    ("1.27", "windows/amd64"),
    ("1.27", "plan9/386"),
    ("1.24", "wasip1/wasm"),
    ("1.22", "openbsd/arm64"),
    ("1.21", "aix/ppc64"),
]


def figures_of(go: str, platform: str) -> Figures:
    release = generations.named(go)
    return compute(platforms.of(platform, release), {}, release)


def kernel_of(figures: Figures, options: MachineOptions) -> Any:
    config = machines.config_of(figures, options)
    return machines.era(figures.generation).kernel(config, machine_of(figures.profile, options))


def ending(boot: Boot) -> str:
    return "" if boot.death is None else f"{boot.death['kind']} {boot.death['throw']} {boot.death['printed']}"


LIMITS = st.sampled_from(
    [
        MachineOptions(),
        MachineOptions(ignore_hints=True),
        *(MachineOptions(ulimit_v=n * MB) for n in (1, 40, 200, 600, 1197, 1198, 1300, 1400)),
        *(MachineOptions(rlimit_data=n * MB) for n in (1, 30, 39, 40, 50)),
        *(MachineOptions(commit_limit=n * MB, overcommit=2) for n in (1, 8, 30, 40, 80)),
        *(MachineOptions(max_map_count=n) for n in (2, 8, 15, 16, 17, 30)),
        *(MachineOptions(taken=((n * MB, 1 << 48),)) for n in (16, 300, 700, 1200, 2000)),
        *(MachineOptions(taken=((1 << n, 1 << 48),)) for n in (31, 36, 39, 44)),
    ]
)


@pytest.mark.parametrize(("go", "platform"), PORTS)
@settings(max_examples=25, deadline=None)
@given(tried=st.lists(LIMITS, min_size=2, max_size=8))
def test_what_is_foretold_is_what_a_boot_shows(go: str, platform: str, tried: list[MachineOptions]) -> None:
    figures = figures_of(go, platform)
    endings = Endings()
    for options in tried:
        told = endings.foretell(kernel_of(figures, options))
        heard = Heard(kernel_of(figures, options))
        end = ending(try_boot(figures, options, heard))
        assert told in (None, end)
        endings.learn(heard.heard, end)
        assert endings.foretell(kernel_of(figures, options)) == end


def test_a_limit_that_refuses_nothing_needs_no_boot() -> None:
    figures = figures_of("1.27", "linux/amd64")
    endings = Endings()
    heard = Heard(kernel_of(figures, MachineOptions()))
    try_boot(figures, MachineOptions(), heard)
    endings.learn(heard.heard, "booted")
    assert endings.foretell(kernel_of(figures, MachineOptions(ulimit_v=4 << 30))) == "booted"
    assert endings.foretell(kernel_of(figures, MachineOptions(ulimit_v=4 << 20))) is None
