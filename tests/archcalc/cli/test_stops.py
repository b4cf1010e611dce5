"""What would stop a machine that boots: each border is one, on the command line's own words."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from archcalc import generations
from archcalc.calculator.figures import compute
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.boot import try_boot
from archcalc.questions.stops import K, what_stops

MB = 1 << 20
SHELL = {"ulimit_v": "ulimit -v", "rlimit_data": "ulimit -d"}
MACHINES = [
    ("7aefdfded", "linux/amd64", {}),
    ("7aefdfded", "linux/386", {"ulimit_v": 900 * MB}),
    ("7aefdfded", "windows/386", {"commit_limit": 300 * MB}),
    ("7aefdfded", "nacl/arm", {}),
    ("7aefdfded", "plan9/386", {}),
    ("7aefdfded", "solaris/amd64", {}),
    ("1.27", "linux/amd64", {"ulimit_v": 1400 * MB}),
    ("1.27", "freebsd/386", {"rlimit_data": 500 * MB}),
]


@pytest.mark.parametrize(("go", "platform", "given"), MACHINES)
def test_each_is_a_border_of_the_machine(cli: Any, go: str, platform: str, given: dict[str, int]) -> None:
    release = generations.named(go)
    figures = compute(platforms.of(platform, release), {}, release)
    stops = what_stops(figures, MachineOptions(**given)).stops
    assert {"va_bits", "taken"} <= {stop.what for stop in stops} or platform.startswith(("plan9", "nacl"))
    said = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    for stop in stops:
        if stop.what in SHELL:
            assert (stop.line, stop.enough) == (f"{SHELL[stop.what]} {stop.stops // K}", stop.stops + K)
        if not stop.option:
            continue
        assert stop.stops != stop.enough
        option = shlex.split(stop.option)
        kept = [] if option[0] in said else said
        run = cli("boot", platform, "--go", go, *kept, *option, "--format", "json")
        (boot,) = run.json["boots"]
        assert boot["throw"] == stop.death or (boot["throw"] is None and not run.json["ok"]), stop
        if stop.what in MachineOptions.__dataclass_fields__ and stop.what not in ("taken", "ignore_hints"):
            overcommit = 2 if "--overcommit" in option else None
            near = replace(MachineOptions(**given), overcommit=overcommit, **{stop.what: stop.enough})
            boot_near = try_boot(figures, near)
            assert boot_near.death is None and not boot_near.unnoticed, stop


def test_the_limit_that_is_set_comes_first() -> None:
    release = generations.named("7aefdfded")
    figures = compute(platforms.of("linux/386", release), {}, release)
    (first, *_) = what_stops(figures, MachineOptions(ulimit_v=280 * MB)).stops
    assert (first.what, first.now) == ("ulimit_v", 280 * MB)


def test_people_and_programs_are_informed(cli: Any) -> None:
    run = cli("boot", "linux/386", "--ulimit-v", "900m", "--why", "--format", "json")
    (boot,) = run.json["boots"]
    assert run.code == 0 and "why" not in boot
    assert boot["stops"][0]["line"] == "ulimit -v 265587"
    assert "ulimit -v 265587" in cli("boot", "linux/386", "--ulimit-v", "900m", "--why").out
