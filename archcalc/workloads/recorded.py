"""A recorded program on any machine: the same requests in order, and the same deaths at each collection."""

from __future__ import annotations

from array import array

from allocator.common.types import Type
from allocator.interface import Allocator
from archcalc.traces.lives import Lives
from archcalc.workloads.driver import Driver
from archcalc.workloads.run import WorkloadRun, carried_out

RECORDING = "recording"  # what a table calls it


def run(rt: Allocator, platform: str, program: Lives, seed: int) -> WorkloadRun:
    """Runs a recorded program on a booted machine with words of the same size.

    Objects with pointers are pointers all over. Ps that the machine lacks are taken in turn for others.
    """
    driver = Driver(rt, len(program.sizes), seed)
    return carried_out(driver, platform, RECORDING, seed, lambda driver: _carry_out(driver, program))


def _carry_out(driver: Driver, program: Lives) -> None:
    rt = driver.rt
    pointers = Type.of_words("pointers", "p", rt.config.ptr_size)
    types = (None, pointers)
    placed: array[int] = array("Q")
    start = 0
    ends = zip([*program.collections, len(program.sizes)], [*program.dead(), None], strict=True)
    for end, dead in ends:
        for number in range(start, end):
            p = program.procs[number] % rt.procs
            placed.append(driver.malloc(program.sizes[number], types[program.pointers[number]], p=p))
        start = end
        if dead is not None:
            for number in dead:
                driver.live.pop(placed[number], None)
            rt.collect(list(driver.live))
