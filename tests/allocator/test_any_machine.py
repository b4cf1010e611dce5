"""Any history of any machine, by what the interface offers: nothing is handed out twice, and audits hold.

The same rules drive the machine of 2017 and those of later releases, on ports of either word size.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator.common.types import Type
from allocator.interface import FREE, IN_USE, Allocator
from archcalc.boot import boot

MACHINES = [
    (None, "linux/amd64"),
    (None, "linux/386"),
    ("1.22", "linux/amd64"),
    ("1.25", "linux/arm"),
    ("1.27", "linux/amd64"),
    ("1.27", "linux/386"),
    ("1.27", "windows/amd64"),
    ("1.27", "openbsd/arm64"),
]
SIZES = st.one_of(
    st.integers(1, 40),
    st.integers(1, 3000),
    st.sampled_from([32760, 32768, 32769, 40_000, 100_000, 1 << 20, 1 << 21, 3 << 20]),
)


class AnyMachine(RuleBasedStateMachine):
    """Objects by address with the bytes asked for, stacks by address with their bytes."""

    @initialize(which=st.sampled_from(MACHINES), procs=st.integers(1, 3), gogc=st.sampled_from([-1, 20, 100]))
    def begin(self, which: tuple[str | None, str], procs: int, gogc: int) -> None:
        go, platform = which
        self.rt: Allocator = boot(platform, go=go, procs=procs, gogc=gogc)
        self.rt.watch()
        self.procs = procs
        ptr = self.rt.config.ptr_size
        self.types = [
            Type.of_words(f"t{words}", words, ptr) for words in ("p", "p.", ".pp", "p" * 70, "p" + "." * 30)
        ]
        self.objects: dict[int, int] = {}
        self.stacks: dict[int, int] = {}
        self.booted = self.rt.totals().objects

    # What programs do.

    def keep(self, v: int, size: int) -> None:
        assert v not in self.objects
        self.objects[v] = size

    @rule(size=SIZES, p=st.integers(0, 2))
    def malloc(self, size: int, p: int) -> None:
        self.keep(self.rt.malloc(size, p=p % self.procs), size)

    @rule(size=st.integers(1, 2000), n=st.integers(2, 60), p=st.integers(0, 2))
    def malloc_in_a_row(self, size: int, n: int, p: int) -> None:
        for _ in range(n):
            self.keep(self.rt.malloc(size, p=p % self.procs), size)

    @rule(kind=st.integers(0, 4), n=st.integers(1, 200), p=st.integers(0, 2))
    def newarray(self, kind: int, n: int, p: int) -> None:
        typ = self.types[kind]
        self.keep(self.rt.newarray(typ, n, p % self.procs), typ.size * n)

    @rule(order=st.integers(0, 6), p=st.integers(0, 2))
    def stack(self, order: int, p: int) -> None:
        n = self.rt.config.fixed_stack << order
        v = self.rt.stack_alloc(n, p % self.procs)
        assert v not in self.stacks
        self.stacks[v] = n

    @precondition(lambda self: self.stacks)
    @rule(data=st.data(), p=st.integers(0, 2))
    def drop_stack(self, data: st.DataObject, p: int) -> None:
        v = data.draw(st.sampled_from(sorted(self.stacks)))
        self.rt.stack_free(v, self.stacks.pop(v), p % self.procs)

    # What the collector does.

    @rule(every=st.integers(1, 5), mode=st.sampled_from(["block", "force", "background"]))
    def collect(self, every: int, mode: str) -> None:
        if mode == "background" and self.rt.gogc < 0:
            mode = "force"  # with GOGC off no concurrent cycle begins
        live = {v: n for i, (v, n) in enumerate(self.objects.items()) if i % every == 0}
        self.rt.collect(list(live), mode=mode)
        # What shares a tiny block with what lives lives, too.
        self.objects = live
        if mode == "block":
            # A tiny block that is open may live besides (gcMarkTinyAllocs).
            kept = self.rt.totals().objects - len({self.slot(v) for v in live})
            assert 0 <= kept <= self.procs

    def slot(self, v: int) -> int:
        """The block that an object lies in."""
        return v & -16 if self.objects[v] < 16 else v

    @rule()
    def sweep_one(self) -> None:
        self.rt.sweepone()

    @rule()
    def scavenge(self) -> None:
        assert self.rt.scavenge() >= 0

    @rule()
    def memstats(self) -> None:
        stats: dict[str, Any] = self.rt.memstats()
        assert stats["Mallocs"] - stats["Frees"] == stats["HeapObjects"]
        assert stats["HeapIdle"] >= stats["HeapReleased"]

    # What holds always.

    @invariant()
    def objects_lie_apart(self) -> None:
        end = 0
        for v, n in sorted((*self.objects.items(), *self.stacks.items())):
            assert end <= v
            end = v + n

    @invariant()
    def runs_tile_what_is_used(self) -> None:
        end = 0
        for run in self.rt.runs():
            assert run.base >= end
            assert run.released <= run.pages
            assert run.objects <= run.slots or run.state != IN_USE
            end = run.base + run.pages * self.rt.config.page_size
            assert run.state != FREE or not run.objects

    @invariant()
    def audit_is_clean(self) -> None:
        assert self.rt.audit() == []


TestAnyMachine = AnyMachine.TestCase
TestAnyMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
