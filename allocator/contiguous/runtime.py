"""Runtime: the machine as a whole, booted from a Config on an operating system.

This is what other packages use, and the one place that says what can be done
with a machine: allocate, collect, scavenge, take stacks, set finalizers, store
pointers, and ask for the results.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from allocator.common.audit import Violation
from allocator.common.throw import BadRequest
from allocator.contiguous import survey, vocabulary
from allocator.contiguous.config import Config
from allocator.contiguous.end_state import end_state
from allocator.contiguous.gc import BACKGROUND, FORCE, FORCE_BLOCK, MARK, OFF, is_array
from allocator.contiguous.malloc import Malloc
from allocator.contiguous.mcache import CachedSpan
from allocator.contiguous.mem import System
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.mstats import memstats
from allocator.contiguous.scavenge import EVERYTHING, scavenge
from allocator.contiguous.watch import Watch
from allocator.interface import Allocator, BootCheck, Cannot, Live, PageRun, Region, Totals
from allocator.kernels.counts import Calls

if TYPE_CHECKING:
    from allocator.contiguous.bulk.many import Many

MODES = {"background": BACKGROUND, "force": FORCE, "block": FORCE_BLOCK}


class Runtime(Malloc, Allocator):
    """One simulated process's allocator.

    gogc: as the environment variable GOGC, below zero for off. procs: GOMAXPROCS. seed: of the
    heap profile's sampling, whose mean is mem_profile_rate bytes, 0 for none. record: keep in
    `log` every event in the words of the trace format. Raises Death where mallocinit dies; what
    was printed until then is in system.printed.
    """

    __slots__ = ()

    HEAP_FIGURES = vocabulary.HEAP
    EXTENT = vocabulary.EXTENT
    LANDMARKS = "arena"
    BOOT_COLUMNS = vocabulary.BOOT_COLUMNS

    def __init__(
        self,
        config: Config,
        system: System,
        *,
        gogc: int = -1,
        procs: int = 1,
        seed: int = 1,
        mem_profile_rate: int = 0,
        record: bool = False,
    ) -> None:
        self.prepare(config, system, seed=seed, mem_profile_rate=mem_profile_rate, record=record)
        self.start(gogc, procs)

    def set_debug(self, settings: Mapping[str, int]) -> None:
        for name, value in settings.items():
            if name != "sbrk":
                raise Cannot(f"GODEBUG={name}={value}: the machine of 2017 follows only sbrk")
            self.debug_sbrk = bool(value)

    @property
    def procs(self) -> int:
        """GOMAXPROCS: how many Ps there are."""
        return len(self.caches)

    @property
    def gogc(self) -> int:
        """GOGC in percent; -1 for off."""
        return self.gc.gcpercent

    def block_of(self, addr: int) -> tuple[int, int] | None:
        """Size class and bytes of the block that an address of the heap lies in; None where there is none."""
        s = self.heap.lookup_maybe(addr)
        return None if s < 0 else (self.spans.sizeclass[s], self.spans.elemsize[s])

    # Collections.

    def collect(
        self, live: Live | None = None, *, roots: Iterable[int] | None = None, mode: str = "block"
    ) -> None:
        """A whole collection (runtime.GC). `live`: addresses of what survives, a NumPy array for many,
        True for everything.

        With `roots` instead, what survives is found from them through the pointers that `store`
        put into the heap. mode `block` sweeps all at once, `force` leaves the sweeping to
        allocations and `sweepone`, `background` marks as a concurrent cycle does. Everything
        that is not alive is freed when its span is swept.
        """
        if (live is None) == (roots is None):
            raise BadRequest("a collection needs either live objects or roots")
        if mode not in MODES:
            raise BadRequest(f"mode {mode!r}; a collection is {', '.join(MODES)}")
        if self.gc.phase != OFF:
            raise BadRequest("a collection is already under way")
        if mode == "background":
            self._check_concurrent()
        if is_array(live):
            from allocator.contiguous.bulk.marking import check_live

            check_live(self, live)
        elif isinstance(live, Iterable):
            live = list(live)
            self._check_live(live)
        self.gc.start(MODES[mode], live, roots, force=True)
        if self.gc.phase == MARK:
            self.gc.finish()

    def _check_concurrent(self) -> None:
        if self.gc.gcpercent < 0:
            raise BadRequest("with GOGC off no concurrent cycle ever begins; collect by block or force")

    def _check_live(self, live: Iterable[int]) -> None:
        for p in live:
            if self.heap.lookup_maybe(int(p)) < 0 and p != self.zerobase and not self.debug_sbrk:
                raise BadRequest(f"{int(p):#x} is not an object of this heap")

    def begin_mark(self, live: Live | None = None, *, roots: Iterable[int] | None = None) -> None:
        """Begins a concurrent cycle and leaves it marking; allocations are black until `finish_mark`."""
        self._check_concurrent()
        self.gc.start(BACKGROUND, live, roots, force=True)

    def finish_mark(self) -> None:
        """Ends the mark phase of a concurrent cycle."""
        self.gc.finish()

    def scavenge(self, now: int | None = None, limit: int = 0) -> int:
        """mheap.scavenge: free runs idle for more than `limit` ns go back to the OS. Returns bytes.

        Without `now` as debug.FreeOSMemory does it: everything.
        """
        if now is None:
            now, limit = EVERYTHING
        released = scavenge(self, now, limit)
        if self.log_inputs:
            self.emit(f"v {now} {limit}")
        return released

    def free_os_memory(self, live: Live) -> int:
        """debug.FreeOSMemory: a collection, then everything free goes back to the OS."""
        self.collect(live)
        return self.scavenge()

    def many(self, needzero: bool) -> Many:
        """The machine as batches of objects see it."""
        from allocator.contiguous.bulk.many import Many

        return Many(self, needzero)

    # Stacks.

    def stack_alloc(self, n: int, p: int | None = 0) -> int:
        """A stack of n bytes for P number p; None: from the global pool."""
        cache = None if p is None else self.caches[p]
        if cache is not None:
            self.cache = cache
        return self.stacks.alloc(n, cache)

    def stack_free(self, v: int, n: int, p: int | None = 0) -> None:
        """Frees the stack of n bytes at v."""
        self.stacks.free(v, n, None if p is None else self.caches[p])

    # Finalizers.

    def set_finalizer(self, p: int) -> bool:
        """runtime.SetFinalizer on the object at p. False: it has one."""
        return self.specials.add_finalizer(p)

    def clear_finalizer(self, p: int) -> None:
        """runtime.SetFinalizer(p, nil)."""
        self.specials.remove_finalizer(p)

    def run_finalizers(self) -> list[int]:
        """Runs what is queued; the objects' addresses. They die at the next collection unless alive again."""
        return self.specials.run_finalizers()

    # The simulated heap's contents: pointers, for collections from roots.

    def store(self, addr: int, value: int) -> None:
        """Stores a pointer into a word of the heap."""
        if addr & (self.config.ptr_size - 1):
            raise BadRequest(f"{addr:#x} is not aligned to a word")
        if not 0 <= value <= self.config.uintptr_mask:
            raise BadRequest(f"{value:#x} does not fit a pointer of {self.config.ptr_size} bytes")
        was_empty = not self.memory
        self.memory.store(addr, value)
        if was_empty or not self.memory:
            self.phase_changed()

    def load(self, addr: int) -> int:
        """What `store` left in a word; 0 for memory never written."""
        return self.memory.load(addr)

    # Results.

    def memstats(self) -> dict[str, Any]:
        """runtime.ReadMemStats, under MemStats' own names; the caches are flushed for it as there."""
        return memstats(self)

    def audit(self) -> list[Violation]:
        """Checks every invariant of the live machine; the violations, none when all is well."""
        from allocator.contiguous.audit import audit

        return audit(self)

    def watch(self) -> None:
        """Notes every object from now on, so that `audit` can check bitmaps and identities. Costs time."""
        if self.watched is None:
            self.watched = Watch(self)
            self.phase_changed()

    def observe(self) -> Calls:
        """Counts what is asked of the system from now on; the counts go on growing."""
        if self.calls is None:
            self.calls = Calls()
        return self.calls

    def boot_checks(self) -> Iterator[BootCheck]:
        """What must hold of a machine that has just been started."""
        from allocator.contiguous.boot_checks import boot_checks

        return boot_checks(self)

    def end_state(self, whole: bool = True) -> Iterator[str]:
        """The machine row by row, as a recording ends."""
        return end_state(self, whole)

    # Where everything lies.

    def regions(self) -> list[Region]:
        """Spans, bitmap and arena, each in its mapped and its reserved part."""
        return list(survey.regions(self))

    def runs(self) -> Iterator[PageRun]:
        """Every span record that holds pages, in address order."""
        return survey.runs(self)

    def totals(self) -> Totals:
        """The heap in figures."""
        return survey.totals(self)

    def heap_figures(self) -> dict[str, int | bool]:
        """mheap_'s own, while it is as it is."""
        return survey.heap_figures(self)

    def counters(self) -> dict[str, Any]:
        """mstats."""
        return survey.counters(self)

    def in_use(self) -> list[int]:
        """The spans with heap objects, by place in allspans."""
        state = self.spans.state
        return [s for s in range(len(state)) if state[s] == IN_USE]

    @contextlib.contextmanager
    def during_malloc(self) -> Iterator[None]:
        """Code run inside is code that malloc itself is running: allocating there is a deadlock."""
        self.mallocing = True
        self.phase_changed()
        try:
            yield
        finally:
            self.mallocing = False
            self.phase_changed()

    def cached(self, sizeclass: int, p: int = 0) -> CachedSpan:
        """The place of a class in a P's mcache."""
        return self.caches[p].alloc[sizeclass]
