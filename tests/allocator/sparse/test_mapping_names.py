"""What linux is told of mappings: which, in what words, and when no longer (set_vma_name_linux.go)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from allocator.kernels.calls import Call
from allocator.kernels.machine import Machine
from allocator.kernels.maps import parse_maps
from allocator.kernels.system import Errno
from allocator.sparse.mem_linux import Debug, MemLinux
from allocator.sparse.runtime import Runtime
from allocator.sparse.systems import kernel_of
from archcalc import machines
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms

MAPS = Path(__file__).parents[2] / "data" / "maps"
MB = 1 << 20


def started(platform: str = "linux/amd64", go: str = "1.27", **options: Any) -> Any:
    """A machine that has come to main."""
    found = figures.compute(platforms.of(platform, go), {}, go)
    return machines.boot(found, MachineOptions(**options))


def names(rt: Any) -> list[Call]:
    return [call for call in rt.kernel.log if call.name == "name"]


def test_every_mapping_is_named_once_it_is_made() -> None:
    log = started().kernel.log
    named = [(made, name) for made, name in pairwise(log) if name.name == "name"]
    assert len(named) == sum(call.name == "map" for call in log)
    for made, name in named:
        assert (name.address, name.size) == (made.answer, made.size)
        assert name.access.startswith(" Go: ")


@pytest.mark.parametrize(
    ("platform", "go", "options"),
    [
        ("linux/amd64", "1.24", {}),
        ("linux/amd64", "1.27", {"godebug": (("decoratemappings", 0),)}),
        ("freebsd/amd64", "1.27", {}),
    ],
)
def test_who_does_not_name_does_not(platform: str, go: str, options: dict[str, Any]) -> None:
    rt = started(platform, go, **options)
    assert not names(rt)
    assert not any(one.name for one in getattr(rt.kernel, "maps", list)())


def test_android_names_nothing_before_it_has_read_its_environment() -> None:
    rt = started("android/arm64")
    before = names(rt)
    rt.malloc(4 * MB, noscan=True)
    assert not before
    assert names(rt)[0].access == " Go: heap"


@pytest.mark.parametrize("go", ["1.25", "1.26", "1.27"])
def test_a_kernel_that_keeps_no_names_is_asked_once(go: str) -> None:
    found = figures.compute(platforms.of("linux/amd64", go), {}, go)
    machine = replace(machines.system_of(found), names_kept=False)
    rt = machines.boot(found, system=machine)
    (only,) = names(rt)
    assert rt.kernel.log.index(only) == 1
    assert only.answer == Errno(22)
    assert not any(one.name for one in rt.kernel.maps())


@pytest.mark.parametrize("answer", [9, 11, 12])
def test_other_errors_are_ignored(answer: int) -> None:
    class Refusing:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def mmap(self, v: int, n: int, access: bool, fixed: bool = False) -> int:
            return v or 4096

        def name_mapping(self, v: int, n: int, name: str) -> Errno:
            self.asked.append(name)
            return Errno(answer)

    kernel: Any = Refusing()
    config = started().config
    os = MemLinux(config, kernel, Debug(decoratemappings=True, harddecommit=True))
    os.alloc(4096, "gc bits")
    os.used(8192, 4096)
    os.reserve(0, 4096, "heap reservation")
    assert kernel.asked == [" Go: gc bits", " Go: used", " Go: heap reservation"]


def test_memory_that_is_given_back_for_good_is_unused() -> None:
    rt = started(godebug=(("harddecommit", 1),))
    p = rt.malloc(4 * MB, noscan=True)
    rt.kernel.log.clear()
    rt.mem.sys_unused(p, 4 * MB)
    rt.mem.sys_used(p, 4 * MB, 4 * MB)
    assert [call.access for call in names(rt)] == [" Go: unused", " Go: used"]


@pytest.mark.parametrize("go", ["1.25", "1.26", "1.27"])
def test_mappings_are_those_of_a_real_program(go: str) -> None:
    real = parse_maps((MAPS / f"names-go{go}.txt").read_text())
    own = [one for one in real if one.name.startswith("[anon: Go: ")]
    heap = next(one.start for one in own if one.name == "[anon: Go: heap]")
    found = figures.compute(platforms.of("linux/amd64", go), {}, go)
    config = machines.config_of(found)
    # Where the system and a lot put things is the program's; all else follows.
    machine: Machine = replace(machines.system_of(found), mmap_base=own[-1].end)
    rt = Runtime.__new__(Runtime)
    rt.prepare(config, kernel_of(config, machine), heap_base=heap if config.randomized_heap_base else None)
    rt.start()
    assert rt.kernel.maps() == own
