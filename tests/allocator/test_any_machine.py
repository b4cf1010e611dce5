"""Any history of any machine, by what the interface offers: nothing is handed out twice, and audits hold.

The same rules drive the machine of 2017 and those of later releases, on ports of either word size. Some have
so little memory that they die of it: what is known of them then can be looked at all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from typing import Any

import numpy as np
from effort import examples, phases
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator.common.throw import BadRequest, Death
from allocator.common.types import Type
from allocator.interface import FREE, IN_USE, Allocator, Cannot
from allocator.kernels.fault_plans import NthCall, install
from archcalc.boot import boot

MB = 1 << 20
# A release, a port, and what is particular of the computer. Limits are a little more than a start needs.
MACHINES: list[tuple[str | None, str, dict[str, Any]]] = [
    (None, "linux/amd64", {}),
    (None, "linux/386", {}),
    (None, "linux/ppc64", {}),
    (None, "linux/amd64", {"rlimit_data": 5 * MB}),
    (None, "linux/amd64", {"max_map_count": 7}),
    (None, "windows/386", {}),
    (None, "windows/amd64", {"commit_limit": 12 * MB}),
    (None, "plan9/386", {}),
    (None, "darwin/amd64", {}),
    (None, "solaris/amd64", {}),
    ("1.22", "linux/amd64", {}),
    ("1.23", "js/wasm", {}),
    ("1.24", "linux/arm64", {"page_size": 65536}),
    ("1.25", "linux/arm", {}),
    ("1.26", "aix/ppc64", {}),
    ("1.27", "linux/amd64", {}),
    ("1.27", "linux/386", {}),
    ("1.27", "linux/386", {"rlimit_data": 12 * MB}),
    ("1.27", "linux/amd64", {"rlimit_data": 46 * MB}),
    ("1.27", "linux/amd64", {"max_map_count": 24}),
    ("1.27", "linux/amd64", {"godebug": {"harddecommit": 1}}),
    ("1.27", "windows/amd64", {}),
    ("1.27", "windows/386", {"commit_limit": 30 * MB}),
    ("1.27", "plan9/amd64", {}),
    ("1.27", "openbsd/arm64", {}),
    ("1.27", "darwin/arm64", {}),
    ("1.27", "wasip1/wasm", {}),
]
SIZES = st.one_of(
    st.integers(1, 40),
    st.integers(1, 3000),
    st.sampled_from([32760, 32768, 32769, 40_000, 100_000, 1 << 20, 1 << 21, 3 << 20]),
)
PS = st.integers(0, 3)
POOL = st.one_of(st.none(), PS)
MODES = ("block", "force", "background")
POINTERS = ("p", "p.", "p" * 70, "p" + "." * 30)  # their first word is a pointer
NO_MEMORY = (
    "out of memory", "cannot allocate memory", "cannot map pages", "failed to commit", "failed to decommit",
    "failed to release", "cannot remap pages", "cannot disable permissions", "too many retries",
)  # fmt: skip
LIMITS = ("rlimit_data", "max_map_count", "commit_limit")
HELPERS = ("sysAlloc", "sysReserve", "sysMap", "sysUsed", "sysUnused", "sysFault", "sysFree")
SAMPLING = (0, 0, 0, 1, 512, 8192)  # MemProfileRate
# Records that the runtime attaches, besides those that programs ask for and those of the heap profile.
ATTACHED_OTHERWISE = frozenset(("finalizer", "cleanup", "profile"))


def step(
    when: Callable[[AnyMachine], Any] = lambda self: True, **drawn: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule for a machine that lives. It may die of it, for want of memory."""

    def of(act: Callable[..., None]) -> Callable[..., None]:
        @wraps(act)
        def lived(self: AnyMachine, **values: Any) -> None:
            try:
                act(self, **values)
            except Death as death:
                assert self.limited
                assert any(words in death.words for words in NO_MEMORY), death.words
                self.dead = True

        possible = precondition(lambda self: not self.dead and bool(when(self)))
        return possible(rule(**drawn)(lived))  # type: ignore[no-any-return]

    return of


class AnyMachine(RuleBasedStateMachine):
    """Objects by address with the bytes asked for, stacks by address with their bytes. `points` is what the
    first words of objects hold.
    """

    @initialize(
        which=st.sampled_from(MACHINES),
        procs=st.integers(1, 3),
        gogc=st.sampled_from([-1, 20, 100]),
        rate=st.sampled_from(SAMPLING),
    )
    def begin(self, which: tuple[str | None, str, dict[str, Any]], procs: int, gogc: int, rate: int) -> None:
        go, platform, machine = which
        self.limited = any(limit in machine for limit in LIMITS)
        self.rt: Allocator = boot(platform, go=go, procs=procs, gogc=gogc, mem_profile_rate=rate, **machine)
        self.rt.watch()
        ptr = self.rt.config.ptr_size
        self.types = [Type.of_words(f"t{words}", words, ptr) for words in (*POINTERS, ".pp")]
        self.objects: dict[int, int] = {}
        self.points: dict[int, int | None] = {}  # of objects whose first word is a pointer
        self.stacks: dict[int, int] = {}
        self.finalizers: set[int] = set()
        self.cleanups: Counter[int] = Counter()  # those that have not run, by the place of their object
        self.arenas: list[tuple[Any, list[tuple[int, int]]]] = []
        self.in_arenas: dict[int, int] = {}
        self.marking = False
        self.dead = False
        self.booted = self.rt.totals().objects

    # What programs do.

    def keep(self, v: int, size: int) -> None:
        assert v not in self.objects
        self.objects[v] = size
        self.finalizers.discard(v)

    @step(size=SIZES, noscan=st.sampled_from([None, True, False]), needzero=st.booleans(), p=PS)
    def malloc(self, size: int, noscan: bool | None, needzero: bool, p: int) -> None:
        self.keep(self.rt.malloc(size, None, noscan, needzero, p % self.rt.procs), size)

    @step(size=st.integers(1, 2000), n=st.integers(2, 60), p=PS)
    def malloc_in_a_row(self, size: int, n: int, p: int) -> None:
        for _ in range(n):
            self.keep(self.rt.malloc(size, p=p % self.rt.procs), size)

    @step(
        sizes=st.lists(SIZES, min_size=1, max_size=20),
        times=st.integers(1, 20),
        noscan=st.booleans(),
        ps=st.lists(PS, min_size=1, max_size=4),
    )
    def malloc_many(self, sizes: list[int], times: int, noscan: bool, ps: list[int]) -> None:
        if sum(sizes) * times > 30 * MB:
            times = 1
        asked = np.array(sizes * times)
        procs = np.resize(ps, asked.size) % self.rt.procs
        given = self.rt.malloc_many(asked, noscan=noscan, p=procs if len(ps) > 1 else int(procs[0]))
        for v, size in zip(given.tolist(), asked.tolist(), strict=True):
            self.keep(v, size)

    @step(kind=st.integers(0, 4), n=st.integers(1, 200), p=PS)
    def newarray(self, kind: int, n: int, p: int) -> None:
        typ = self.types[kind]
        v = self.rt.newarray(typ, n, p % self.rt.procs)
        self.keep(v, typ.size * n)
        if kind < len(POINTERS):
            self.points[v] = None

    @step(lambda self: self.points, data=st.data())
    def link(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(sorted(self.points)))
        target = data.draw(st.sampled_from(sorted(self.objects)))
        self.points[holder] = target
        self.rt.store(holder, target)
        assert self.rt.load(holder) == target

    @step(lambda self: self.objects, data=st.data(), again=st.booleans())
    def set_finalizer(self, data: st.DataObject, again: bool) -> None:
        v = data.draw(st.sampled_from(sorted(self.objects)))
        if self.objects[v] < 16:
            return  # it may share a block with others
        if again and v in self.finalizers:
            self.rt.clear_finalizer(v)
            self.finalizers.discard(v)
        assert self.rt.set_finalizer(v) == (v not in self.finalizers)
        self.finalizers.add(v)

    @step(lambda self: self.finalizers)
    def run_finalizers(self) -> None:
        run = set(self.rt.run_finalizers())
        assert run <= self.finalizers
        assert not run & self.objects.keys()

    @step(lambda self: self.objects, data=st.data(), times=st.integers(1, 3))
    def add_cleanup(self, data: st.DataObject, times: int) -> None:
        v = data.draw(st.sampled_from(sorted(self.objects)))
        with suppress(Cannot):
            for _ in range(times):
                self.rt.add_cleanup(v)
                self.cleanups[v] += 1

    @step(lambda self: self.cleanups)
    def run_cleanups(self) -> None:
        run = Counter(self.rt.run_cleanups())
        assert run <= self.cleanups
        self.cleanups -= run

    @step(lambda self: self.objects, data=st.data(), away=st.booleans())
    def attach(self, data: st.DataObject, away: bool) -> None:
        """What weak pointers, pins and bubbles attach, where the release has it."""
        specials: Any = self.rt.specials  # type: ignore[attr-defined]
        kinds = sorted(set(getattr(specials, "allocs", ())) - ATTACHED_OTHERWISE)
        if not kinds:
            return
        kind = data.draw(st.sampled_from(kinds))
        v = data.draw(st.sampled_from(sorted(self.objects)))
        added = specials.add(v, kind)
        if away or not added:
            assert specials.remove(v, kind)

    @step(order=st.integers(0, 8), p=POOL, n=st.integers(1, 20))
    def stack(self, order: int, p: int | None, n: int) -> None:
        size = self.rt.config.fixed_stack << order
        for _ in range(n):
            v = self.rt.stack_alloc(size, self.on(p))
            assert v not in self.stacks
            self.stacks[v] = size

    @step(lambda self: self.stacks, data=st.data(), p=POOL, n=st.integers(1, 20))
    def drop_stack(self, data: st.DataObject, p: int | None, n: int) -> None:
        first = data.draw(st.sampled_from(sorted(self.stacks)))
        for v in [v for v in self.stacks if v >= first][:n]:
            self.rt.stack_free(v, self.stacks.pop(v), self.on(p))

    def on(self, p: int | None) -> int | None:
        """A P that there is, or none."""
        return None if p is None else p % self.rt.procs

    @step(limit=st.sampled_from([3 * MB, 8 * MB, 64 * MB, (1 << 63) - 1]))
    def set_memory_limit(self, limit: int) -> None:
        with suppress(Cannot):
            self.rt.set_memory_limit(limit)

    @step(n=st.integers(1, 4))
    def procresize(self, n: int) -> None:
        if self.marking:
            # An assist may have ended the cycle.
            with suppress(BadRequest):
                self.rt.procresize(n)
        else:
            self.rt.procresize(n)
            assert self.rt.procs == n

    # User arenas, where there are any. A chunk that was not full is used again, and so is never left alone.

    @step()
    def new_arena(self) -> None:
        try:
            self.arenas.append((self.rt.new_user_arena(), []))
        except Cannot:
            return
        self.fill_arena(0, 0)

    @step(
        lambda self: self.arenas,
        kind=st.integers(0, 4),
        n=st.sampled_from([0, 1, 7, 2000, 100_000]),
        times=st.integers(1, 12),
    )
    def allocate_in_arena(self, kind: int, n: int, times: int) -> None:
        for _ in range(times):
            self.fill_arena(kind, n)

    def fill_arena(self, kind: int, n: int) -> None:
        arena, mine = self.arenas[-1]
        typ = self.types[kind]
        if n * typ.size > MB:
            n = MB // typ.size
        v = arena.slice(typ, n) if n else arena.new(typ)
        size = typ.size * max(n, 1)
        mine.append((v, size))
        self.in_arenas[v] = size

    @step(lambda self: self.arenas)
    def free_arena(self) -> None:
        arena, mine = self.arenas.pop(0)
        arena.free()
        for v, _ in mine:
            if v // (8 * MB) != mine[-1][0] // (8 * MB):
                del self.in_arenas[v]

    # What the collector does.

    def reached(self, roots: Iterable[int]) -> dict[int, int]:
        """Of the objects, what lives where these do."""
        found: dict[int, int] = {}
        todo = list(roots)
        while todo:
            v = todo.pop()
            if v not in found:
                found[v] = self.objects[v]
                target = self.points.get(v)
                if target is not None:
                    todo.append(target)
        return found

    def live(self, every: int) -> dict[int, int]:
        return self.reached(v for i, v in enumerate(self.objects) if i % every == 0)

    def only(self, live: dict[int, int]) -> None:
        """All other objects are gone. What shares a tiny block with what lives lives, too."""
        self.objects = live
        self.points = {v: to for v, to in self.points.items() if v in live}

    @step(
        lambda self: not self.marking,
        every=st.integers(1, 5),
        mode=st.sampled_from(MODES),
        told_as=st.sampled_from(("list", "array", "roots")),
    )
    def collect(self, every: int, mode: str, told_as: str) -> None:
        if mode == "background" and self.rt.gogc < 0:
            mode = "force"  # with GOGC off no concurrent cycle begins
        live = self.live(every)
        told = [*live, *self.in_arenas]
        if told_as == "roots":
            self.rt.collect(roots=told, mode=mode)
        else:
            self.rt.collect(np.array(told, np.uint64) if told_as == "array" else told, mode=mode)
        self.only(live)
        if mode == "block" and not self.finalizers and not self.in_arenas:
            # A tiny block that is open may live besides (gcMarkTinyAllocs).
            kept = self.rt.totals().objects - len({self.slot(v) for v in live})
            assert 0 <= kept <= self.rt.procs

    def slot(self, v: int) -> int:
        """The block that an object lies in."""
        return v & -16 if self.objects[v] < 16 else v

    @step(lambda self: not self.marking and self.rt.gogc >= 0, every=st.integers(1, 5))
    def begin_mark(self, every: int) -> None:
        live = self.live(every)
        self.rt.begin_mark([*live, *self.in_arenas])
        self.only(live)  # the others are gone when it ends
        self.marking = True

    @step(lambda self: self.marking)
    def finish_mark(self) -> None:
        # An assist may have ended the cycle.
        with suppress(BadRequest):
            self.rt.finish_mark()
        self.marking = False

    @step()
    def sweep_one(self) -> None:
        self.rt.sweepone()

    @step(now=st.integers(0, 3), limit=st.one_of(st.none(), st.integers(0, 4 * MB)))
    def scavenge(self, now: int, limit: int | None) -> None:
        given = self.rt.scavenge() if limit is None else self.rt.scavenge(now, limit)
        assert given >= 0

    # What the system does.

    @step(helper=st.sampled_from(HELPERS), nth=st.integers(1, 6), times=st.integers(1, 3))
    def refuse(self, helper: str, nth: int, times: int) -> None:
        """A call that comes is refused, and some after it."""
        system: Any = self.rt.system
        install(system, NthCall(helper, nth, system.refusal, times))
        self.limited = True

    @step()
    def grant_again(self) -> None:
        install(self.rt.system)

    @step()
    def memstats(self) -> None:
        stats: dict[str, Any] = self.rt.memstats()
        assert stats["Mallocs"] - stats["Frees"] == stats["HeapObjects"]
        assert stats["HeapIdle"] >= stats["HeapReleased"]

    @precondition(lambda self: self.dead)
    @rule()
    def look_at_the_dead(self) -> None:
        totals = self.rt.totals()
        assert totals.objects >= 0
        assert self.rt.regions()

    # What holds always.

    @invariant()
    def objects_lie_apart(self) -> None:
        end = 0
        for v, n in sorted((*self.objects.items(), *self.stacks.items(), *self.in_arenas.items())):
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
        assert self.dead or self.rt.audit() == []


TestAnyMachine = AnyMachine.TestCase
TestAnyMachine.settings = settings(
    max_examples=examples(60), stateful_step_count=30, deadline=None, phases=phases()
)
