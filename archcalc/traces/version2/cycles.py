"""Collections as a recording of version 2 tells them: phases, marks of pages, the pacer's figures."""

from __future__ import annotations

from typing import Any

from allocator.sparse.mem_linux import Debug
from allocator.sparse.runtime import Runtime
from archcalc.traces.reader import address, decimal
from archcalc.traces.records.version2 import GODEBUGS
from archcalc.traces.version2.inputs import SparseInputs


class SparseCycles(SparseInputs):
    """Carries out what the collector does at the borders of its phases."""

    def prepare(self) -> None:
        super().prepare()
        self._next_phase = 1
        self.handlers |= {
            "I": self._gc_init, "P": self._phase, "e": self._epoch, "n": self._next_gen,
            "K": self._page_marks, "g": self._sweep_begins, "r": self._ratio, "l": self._limits,
            "w": self._goal,
        }  # fmt: skip

    def _gc_init(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        core.sweeper.drained = True
        self._debug(core)

    def _debug(self, core: Runtime) -> None:
        """The program knows its GODEBUG from here on."""
        told = self.header.extra.get("godebug")
        if told is not None:
            system: Any = core.mem.os  # Linux' helpers
            system.debug = Debug(**{name: bool(told.get(name)) for name in GODEBUGS})

    def _phase(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        found = f"P {self._next_phase}"
        if found != line:
            self.differs((self.line, line), found)
        self._next_phase = (decimal(words[1]) + 1) % 3
        core.marking = words[1] != "0"
        core.phase_changed()

    def _epoch(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        for c in core.central:
            c.partial_unswept().reset()
            c.full_unswept().reset()
        self.follower.epoch()
        core.heap.marked.clear()
        core.gc_bits.next_epoch()

    def _next_gen(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        core.pages.index.next_gen()

    def _page_marks(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        base = address(words[1])
        first = base >> core.config.page_shift
        if base not in map(core.config.arena_base, core.arenas.heap_list):
            self.differs((self.line, line), "no arena there")
        bits = 0 if words[2] == "-" else int.from_bytes(bytes.fromhex(words[2]), "little")
        while bits:
            low = bits & -bits
            page = first + low.bit_length() - 1
            if page not in core.heap.in_use:
                self.differs((self.line, line), f"no span begins at page {page - first} of the arena")
            core.heap.marked.add(page)
            bits ^= low

    def _sweep_begins(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        core.sweeper.begin()
        self.follower.begins()
        core.pacer.heap_live = core.pacer.heap_marked = marked = decimal(words[4])
        found = f"g {core.heap.sweepgen} {marked} {core.heap.pages_in_use} {words[4]}"
        if found != line:
            self.differs((self.line, line), found)

    def _ratio(self, words: list[str], line: str) -> None:
        """The pages left to sweep for each byte up to the trigger, which is the pacer's own."""
        core = self.core
        assert core is not None
        told = float.fromhex(words[1])
        if not told:
            return
        swept = decimal(words[3])
        pages = core.heap.pages_in_use - swept
        bytes_left = round(pages / told)
        ratio = pages / bytes_left if bytes_left > 0 else 0.0
        found = f"r {ratio.hex()} {core.pacer.heap_live} {min(swept, core.heap.pages_swept)}"
        if found != line:
            self.differs((self.line, line), found)

    def _limits(self, words: list[str], line: str) -> None:
        """What the memory limit lets stay. The other goal follows from how much was marked for what."""
        core = self.core
        assert core is not None
        found = f"l {words[1]} {core.scavenger.goal_under(decimal(words[3]))} {words[3]}"
        if found != line:
            self.differs((self.line, line), found)

    def _goal(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        self.heap_goal = decimal(words[2])
        marked = core.pacer.heap_marked if core.heap.sweepgen else words[3]
        found = f"w {core.pacer.heap_live} {words[2]} {marked}"
        if found != line:
            self.differs((self.line, line), found)
