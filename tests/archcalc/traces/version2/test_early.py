"""A chunk that the scavenger found because of what another thread did and had not written down yet."""

from __future__ import annotations

from collections import deque

import pytest

from archcalc.boot import boot
from archcalc.traces.version2.follow import Companion
from archcalc.traces.version2.turns import Placed, Turn


class Following:
    """A machine with free pages that have memory, which a companion follows by hand."""

    def __init__(self) -> None:
        self.rt = boot("linux/amd64", go="1.27")
        self.differences: list[Placed | None] = []
        self.rt.malloc(64 << 10, noscan=True)
        self.rt.collect(live=[])
        self.companion = Companion(
            lambda at, found: self.differences.append(at), lambda _: None, lambda *_: None
        )
        self.companion.core = self.rt
        self.companion.threads = lambda: ("0", "6")
        self.index = self.rt.pages.index
        found = self.index.look(True)
        assert found is not None
        self.chunk = found

    def line(self, chunk: tuple[int, int]) -> str:
        config = self.rt.config
        return f"c {config.address(chunk[0] << config.log_palloc_chunk_bytes):x} {chunk[1]}"

    def finds(self, line: str) -> tuple[tuple[int, int] | None, bool]:
        """The thread's `( scavenge` stands on line 4, what it found right behind it."""
        self.companion.now = Turn(deque([(5, line)]), 4)
        return self.companion.found(self.index.look(True), True)

    def frees(self, page: int, lines: int) -> None:
        """The other thread frees a page and writes that down, on a later line."""
        self.companion.now = Turn(deque([(lines, f"D - 1 heap {page}")]), lines - 1)
        self.companion.turn()
        self.index.alloc(self.chunk[0], 1)
        self.index.free(self.chunk[0], page, 1)
        self.companion.expect(f"D - 1 heap {page}")


@pytest.mark.parametrize("right", [True, False])
def test_what_was_found_early_must_be_so_by_the_next_change(right: bool) -> None:
    machine = Following()
    chunk, page = machine.chunk
    # Nothing was freed above that page as far as is known; the other thread is just doing that.
    told = (chunk, page + (3 if right else 4))
    assert machine.finds(machine.line(told)) == (told, True)
    assert machine.companion.unordered == 0 and machine.differences == []
    machine.frees(page + 3, 6)
    assert machine.companion.unordered == int(right)
    machine.frees(page + 3, 7)
    assert machine.differences == ([] if right else [(5, machine.line(told))])


def test_with_one_thread_nothing_is_found_early() -> None:
    machine = Following()
    machine.companion.threads = lambda: ("0",)
    chunk, page = machine.chunk
    found, early = machine.finds(machine.line((chunk, page + 3)))
    assert (found, early) == ((chunk, page), False)
    assert machine.differences == [(5, machine.line((chunk, page + 3)))]
