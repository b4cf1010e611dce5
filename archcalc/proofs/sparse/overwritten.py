"""What a scavenge index without a reservation does: where it is mapped, and which programs that hits.

The machine's own growth runs on an unknown address. Which heaps reach into the program is
then a question to the solver: entries rise with the heap's address, so these heaps lie between two
bounds, which are searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from allocator.kernels.address_space import Range
from allocator.sparse.arena_hints import HeapLot, hint_addresses, usual_seed
from archcalc.proofs.judge import Judge
from archcalc.proofs.loops import Loops
from archcalc.proofs.paths import Explorer
from archcalc.proofs.sparse.process import Prepared, Process, explored
from archcalc.proofs.sparse.tables import first_entries
from archcalc.reading.words import counted

INDEX = "the scavenge index"  # what a refutation that is meant here is about
Number = Any  # an int, or a SymbolicWord in its place


def computed(subject: Prepared) -> Mapping[str, object]:
    """Where the first entries go, and which heaps and images that brings together."""
    config = subject.config
    found: dict[str, object] = {}
    hints = [p for p, user in hint_addresses(config, _usual(subject)) if not user]
    if hints:
        mapped = _mapped_for(subject, hints[0])
        if mapped is not None:
            found["usual_base"] = hints[0]
            found["mapped"] = {"address": mapped[0], "bytes": mapped[1]}
    bases = []
    ranges = []
    for image in subject.machine.occupied:
        if image.end > image.start:
            reached = _bases_that_reach(subject, image)
            if reached is not None:
                ranges.append(reached)
                bases.append({"image": [image.start, image.end], "from": reached[0], "to": reached[1]})
    found["heap_bases"] = bases
    if config.randomized_heap_base:
        arena = config.heap_arena_bytes
        end = 1 << config.random_address_bits
        drawn = sum(max(min(to, end) - low, 0) // arena for low, to in ranges)
        found["drawn_bases"] = {"overwriting": drawn, "all": end // arena}
    return {"overwritten": found}


def words(figures: Mapping[str, Any]) -> str:
    """The same in words."""
    found = figures["overwritten"]
    said = []
    if "mapped" in found:
        at, n = found["mapped"]["address"], found["mapped"]["bytes"]
        said.append(
            f"with the heap at {found['usual_base']:#x}, {counted(n, 'byte')} are mapped at "
            f"{at:#x}, over any program "
            f"that has code or data from there to {at + n:#x}"
        )
    for base in found["heap_bases"]:
        start, end = base["image"]
        said.append(
            f"this program, {start:#x} to {end:#x}, is overwritten where the heap begins from "
            f"{base['from']:#x} to {base['to']:#x}"
        )
    if not found["heap_bases"]:
        said.append("no place of the heap leads into this program")
    if found.get("drawn_bases", {}).get("overwriting"):
        drawn = found["drawn_bases"]
        said.append(f"{drawn['overwriting']} of the {drawn['all']} bases that can be drawn are such")
    return "; ".join(said)


def _usual(subject: Prepared) -> HeapLot:
    config = subject.config
    return HeapLot(usual_seed(config) if config.randomized_heap_base else 0)


def _asked(subject: Prepared, ask: Callable[[Explorer, Process, Number, Number, Number], Any]) -> list[Any]:
    """The answer to a question on each path of the first growth: base, address and bytes of the mapping."""
    engine = Explorer(8 * subject.config.ptr_size)
    judge = Judge(engine, frozenset())

    def run() -> Any:
        judge.begin()
        loops = Loops(engine)
        with explored(loops):
            process = Process(engine, judge, subject, loops, 0)
            base, v, n = first_entries(process)
            return None if v is None else ask(engine, process, base, v, n)

    return [answer for answer in engine.explore(run) if answer is not None]


def _mapped_for(subject: Prepared, address: int) -> tuple[int, int] | None:
    """Where the first entries of a heap at that address are mapped, and how many bytes.

    None where a process of the platform cannot have that address.
    """

    def ask(engine: Explorer, process: Process, base: Number, v: Number, n: Number) -> tuple[int, int]:
        engine.assume(base == subject.config.offset(address))
        engine.holds(False)
        return engine.number(v), engine.number(n)

    found: list[tuple[int, int]] = _asked(subject, ask)
    return found[0] if found else None


def _bases_that_reach(subject: Prepared, image: Range) -> tuple[int, int] | None:
    """The lowest heap base whose entries are mapped into the image, and the first after the highest."""
    config = subject.config

    def ask(engine: Explorer, process: Process, base: Number, v: Number, n: Number) -> Any:
        meets = (v < image.end) & (image.start < v + n)
        if engine.holds(~meets if not isinstance(meets, bool) else not meets):
            return None
        first, end = process.offsets()
        chunk = config.palloc_chunk_bytes

        def possible(low: int, high: int) -> bool:
            return not engine.holds(~(meets & (base >= low) & (base <= high)))

        lowest = _least(lambda k: possible(first, first + k * chunk), (end - first) // chunk)
        most = _least(lambda k: possible(end - k * chunk, end), (end - first) // chunk)
        return first + lowest * chunk, end - most * chunk + chunk

    found = _asked(subject, ask)
    if not found:
        return None
    begin = process_begin(subject)
    return min(low for low, _ in found) + begin, max(high for _, high in found) + begin


def process_begin(subject: Prepared) -> int:
    """The first address of the arena map, which may be below 0."""
    begin = subject.config.arena_base_offset
    bits = 8 * subject.config.ptr_size
    return begin - (1 << bits) if begin >> bits - 1 else begin


def _least(holds: Callable[[int], bool], most: int) -> int:
    """The least number up to `most` for which something holds that then holds for all above."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
