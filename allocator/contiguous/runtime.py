"""Runtime: the machine as a whole, booted from a Config on an operating system.

This is what other packages use, and the one place that tells what can be done
with a machine: allocate, collect, scavenge, take stacks, set finalizers, store
pointers, and ask what came of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from allocator.common.throw import BadRequest, Death
from allocator.contiguous.config import Config
from allocator.contiguous.gc import BACKGROUND, FORCE, FORCE_BLOCK, MARK, OFF, Live, is_array
from allocator.contiguous.heap_bitmap import Type
from allocator.contiguous.malloc import Malloc
from allocator.contiguous.mcache import CachedSpan
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.mstats import memstats
from allocator.contiguous.scavenge import EVERYTHING, scavenge
from allocator.contiguous.watch import Watch
from allocator.kernels.system import System

MODES = {"background": BACKGROUND, "force": FORCE, "block": FORCE_BLOCK}


class Runtime(Malloc):
    """One simulated process's allocator.

    gogc: as the environment variable GOGC, below zero for off. procs: GOMAXPROCS. seed: of the
    heap profile's sampling, whose mean is mem_profile_rate bytes, 0 for none. record: keep in
    `log` every event in the words of the trace format. Raises Death where mallocinit dies; what
    was printed until then is in system.printed.
    """

    __slots__ = ()

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
        self._prepare(config, system, mem_profile_rate, seed)
        if record:
            self.log = []
            self.log_inputs = True
        self.start(gogc, procs)

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
            raise BadRequest("a collection wants either live objects or roots")
        if mode not in MODES:
            raise BadRequest(f"mode {mode!r}; a collection is {', '.join(MODES)}")
        if self.gc.phase != OFF:
            raise BadRequest("a collection is under way already")
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
            if self.heap.lookup_maybe(int(p)) < 0 and p != self.zerobase:
                raise BadRequest(f"{int(p):#x} is no object of this heap")

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

    def malloc_many(
        self,
        sizes: Any,
        noscan: bool | None = None,
        typ: Type | Sequence[Type] | None = None,
        types: Any = None,
        needzero: bool = True,
        p: Any = 0,
    ) -> Any:
        """Many objects at once: a NumPy array of sizes in, one of addresses out (see `bulk`)."""
        from allocator.contiguous.bulk import malloc_many

        return malloc_many(self, sizes, noscan, typ, types, needzero, p)

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
        was_empty = not self.memory
        self.memory.store(addr, value)
        if was_empty or not self.memory:
            self.phase_changed()

    def load(self, addr: int) -> int:
        """What `store` left in a word; 0 for memory never written."""
        return self.memory.load(addr)

    # What came of it all.

    def memstats(self) -> dict[str, Any]:
        """runtime.ReadMemStats, under MemStats' own names; the caches are flushed for it as there."""
        return memstats(self)

    def audit(self) -> list[Any]:
        """Checks every invariant of the live machine; the violations, none when all is well."""
        from allocator.contiguous.audit import audit

        return audit(self)

    def watch(self) -> None:
        """Notes every object from now on, so that `audit` can check bitmaps and identities. Costs time."""
        if self.watched is None:
            self.watched = Watch(self)
            self.phase_changed()

    def last_words(self, death: Death) -> dict[str, Any]:
        """How the runtime ended: its kind, its words, and every line printed before."""
        return last_words(self.system, death)

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


def last_words(system: System, death: Death) -> dict[str, Any]:
    """How a runtime on that system ended: its kind, its words, and every line printed before."""
    return {"kind": death.kind, "throw": death.words, "printed": [*system.printed, *death.before]}
