"""The driver of a workload: it knows what is alive, and remembers what was asked for."""

from __future__ import annotations

import random

from allocator.common.audit import Violation
from allocator.common.types import KIND_GC_PROG, Type
from allocator.interface import Allocator
from archcalc.traces.writer import Recorder


class Driver:
    """Drives one machine. `n` scales the workload: about so many allocations.

    `live` maps the address of every object that is kept to the bytes asked for.
    """

    def __init__(
        self, rt: Allocator, n: int, seed: int, audit_every: int = 0, recorder: Recorder | None = None
    ) -> None:
        self.rt = rt
        self.recorder = recorder
        self.last: tuple[int, Type | None, int] = (0, None, 0)  # the latest request
        self.n = n
        self.rng = random.Random(seed)
        self.audit_every = audit_every
        self.live: dict[int, int] = {}
        self.allocations = 0
        self.asked = 0
        self.finalizers_run = 0
        self.violations: list[Violation] = []
        self.types = types_for(rt.config.ptr_size)

    def malloc(self, size: int, typ: Type | None = None, keep: bool = True, p: int = 0) -> int:
        """An object; kept alive unless told otherwise."""
        self.last = size, typ, p
        v = self.rt.malloc(size, typ, p=p)
        self.allocations += 1
        if self.recorder is not None and self.allocations % 4096 == 0:
            self.recorder.flush()
        self.asked += size
        if keep:
            # Small objects without pointers share a block; the block is what lives.
            self.live[v] = size
        if self.audit_every and self.allocations % self.audit_every == 0:
            self.audit()
        return v

    def drop(self, share: float) -> None:
        """Drops about that share of the live objects."""
        for v in [v for v in self.live if self.rng.random() < share]:
            del self.live[v]

    def collect(self, mode: str = "block") -> None:
        """A collection in which `live` survives, and an audit after it."""
        self.rt.collect(list(self.live), mode=self.mode(mode))
        self.audit()

    def mode(self, mode: str) -> str:
        """The mode, or a forced collection in place of a concurrent one where GOGC is off."""
        return "force" if mode == "background" and self.rt.gogc < 0 else mode

    def audit(self) -> None:
        """Checks all invariants; keeps the first hundred violations."""
        if len(self.violations) < 100:
            self.violations += self.rt.audit()

    def size(self, low: int, high: int) -> int:
        """A size between the two, small ones as likely as large ones."""
        bits = self.rng.uniform(low.bit_length() - 1, high.bit_length() - 1)
        return min(max(int(2**bits), low), high)


def types_for(ptr_size: int) -> list[Type]:
    """Types as programs have them: a pointer, a string, a slice, records, a table with a GC program."""
    table_words = 3 * 128
    # Three words, two of them pointers; the same 126 times more; then the last two pointers.
    program = bytes((3, 0b011, 0x80 | 3, 126, 2, 0b11, 0))
    return [
        *(
            Type.of_words(name, words, ptr_size)
            for name, words in (
                ("*T", "p"),
                ("string", "p."),
                ("[]byte", "p.."),
                ("interface{}", "pp"),
                ("node", "ppp."),
                ("record", "..p.p..."),
                ("header", "p" + "." * 20),
                ("mixed", "p.pp..p.ppp" * 3),
            )
        ),
        Type(
            table_words * ptr_size,
            (table_words - 1) * ptr_size,
            25 | KIND_GC_PROG,
            ptr_size,
            program,
            "table",
        ),
    ]
