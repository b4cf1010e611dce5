"""Runtime: the machine as a whole, as drivers see it.

What it can do: allocate, collect, scavenge, take stacks, attach finalizers to objects,
store pointers, and ask for the results.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from allocator.common.audit import Violation
from allocator.common.many import ManyObjects
from allocator.common.throw import BadRequest
from allocator.interface import Cannot, Live, PageRun, Totals
from allocator.sparse import survey
from allocator.sparse.gc import BACKGROUND, BLOCK, FORCE, OFF
from allocator.sparse.malloc import Malloc
from allocator.sparse.mallocinit import mallocinit
from allocator.sparse.mstats import memstats
from allocator.sparse.pacer import NO_LIMIT
from allocator.sparse.specials import CLEANUP, FINALIZER
from allocator.sparse.user_arena import UserArena
from allocator.sparse.watch import Watch

if TYPE_CHECKING:
    from allocator.sparse.bulk.many import Many

MODES = {"background": BACKGROUND, "force": FORCE, "block": BLOCK}


class Heap(Malloc, ManyObjects):
    """A machine's heap with all that programs do to it; how a process gets there is in `startup`."""

    def start_heap(self, gogc: int = -1, procs: int = 1) -> None:
        """mallocinit, gcinit and procresize, without anything that a program allocates before main."""
        mallocinit(self)
        self.gcinit(gogc)
        self.procresize(procs)
        self.run_on(0)
        self.gc_enabled = True
        self.phase_changed()

    def gcinit(self, gogc: int) -> None:
        """gcinit: nothing needs sweeping in the first cycle."""
        self.sweeper.drained = True
        self.pacer.init(gogc, self.gomemlimit)

    def set_memory_limit(self, limit: int) -> None:
        """GOMEMLIMIT, or debug.SetMemoryLimit where the heap has started (gcControllerCommit)."""
        self.gomemlimit = limit
        if self.gc_enabled:
            self.pacer.memory_limit = limit
            self.pacer.commit_all()

    @property
    def gogc(self) -> int:
        """GOGC in percent; -1 for off."""
        return self.pacer.gc_percent

    def block_of(self, addr: int) -> tuple[int, int] | None:
        """Size class and bytes of the block that an address of the heap lies in; None where there is none."""
        s = self.heap.span_of_heap(addr)
        return None if s is None else (s.sizeclass, s.elemsize)

    # Collections.

    def collect(
        self, live: Live | None = None, *, roots: Iterable[int] | None = None, mode: str = "block"
    ) -> None:
        """A whole collection (runtime.GC), in which `live` survives, or with `roots` what they lead to.

        Mode `block` sweeps all at once, `force` leaves the sweeping to allocations and `sweepone`,
        `background` marks as a concurrent cycle does.
        """
        if mode not in MODES:
            raise BadRequest(f"mode {mode!r}; a collection is {', '.join(MODES)}")
        if mode == "background":
            self._check_concurrent()
        self._begin(live, roots)
        self.num_forced_gc += 1
        self.gc.finish(MODES[mode])

    def begin_mark(self, live: Live | None = None, *, roots: Iterable[int] | None = None) -> None:
        """Begins a concurrent cycle and leaves it marking; allocations are black until `finish_mark`."""
        self._check_concurrent()
        self._begin(live, roots)

    def finish_mark(self) -> None:
        """Ends the mark phase of a concurrent cycle."""
        self.gc.finish(BACKGROUND)

    def _check_concurrent(self) -> None:
        if self.pacer.gc_percent < 0 and self.pacer.memory_limit == NO_LIMIT:
            raise BadRequest("with GOGC off no concurrent cycle ever begins; collect by block or force")

    def _begin(self, live: Live | None, roots: Iterable[int] | None) -> None:
        if (live is None) == (roots is None):
            raise BadRequest("a collection needs either live objects or roots")
        if self.gc.phase != OFF:
            raise BadRequest("a collection is already under way")
        self.gc.start(live, roots)

    def start_collection(self) -> None:
        """The heap has reached its trigger: a cycle runs, in which `liveness` survives."""
        self.gc.start(self.liveness, None)
        self.gc.finish(BACKGROUND)

    def sweepone(self) -> int:
        """Sweeps one span: pages freed, or -1 when all is swept."""
        return self.sweeper.sweepone()

    def scavenge(self, now: int | None = None, limit: int = 0) -> int:
        """Gives memory back to the system: all that is free, or `limit` bytes as the background does.

        Bytes given back.
        """
        if now is None:
            return self.scavenger.scavenge_all()
        return self.scavenger.scavenge(limit, False)

    # Objects.

    @property
    def procs(self) -> int:
        """GOMAXPROCS: how many Ps there are."""
        return len(self.ps)

    def many(self, needzero: bool) -> Many:
        """The machine as batches of objects see it."""
        from allocator.sparse.bulk.many import Many

        return Many(self, needzero)

    def new_user_arena(self) -> UserArena:
        """arena.NewArena: an arena that a program allocates from and frees as a whole."""
        if not self.config.user_arenas:
            raise Cannot("this release has no user arenas")
        return UserArena(self)

    # Stacks.

    def stack_alloc(self, n: int, p: int | None = 0) -> int:
        """A stack of n bytes for P number p; None: from the global pool."""
        return self.stack_heap.alloc(n, None if p is None else self.run_on(p).mcache)

    def stack_free(self, v: int, n: int, p: int | None = 0) -> None:
        """Frees the stack of n bytes at v."""
        self.stack_heap.free(v, n, None if p is None else self.run_on(p).mcache)

    # Finalizers and cleanups.

    def set_finalizer(self, p: int) -> bool:
        """runtime.SetFinalizer on the object at p. False: it has one."""
        return self._hang(p, FINALIZER)

    def clear_finalizer(self, p: int) -> None:
        """runtime.SetFinalizer(p, nil)."""
        self._object_at(p)
        self.specials.remove(p, FINALIZER)

    def add_cleanup(self, p: int) -> None:
        """runtime.AddCleanup on the object at p, which may have many."""
        if CLEANUP not in self.specials.allocs:
            raise Cannot("this release has no cleanups, which came with Go 1.24")
        self._hang(p, CLEANUP, True)

    def run_finalizers(self) -> list[int]:
        """Runs what is queued; the objects' addresses. They die at the next collection unless alive again."""
        return self.specials.take(self.specials.finalizer_queue)

    def run_cleanups(self) -> list[int]:
        """Runs what is queued; the addresses of the objects that are gone."""
        return self.specials.take(self.specials.cleanup_queue)

    def _hang(self, p: int, kind: str, force: bool = False) -> bool:
        if self.debug_sbrk:
            return True  # nothing is ever freed
        self._object_at(p)
        return self.specials.add(p, kind, force)

    def _object_at(self, p: int) -> None:
        if self.heap.span_of_heap(p) is None:
            raise BadRequest(f"{p:#x} is not an object of this heap")

    # The simulated heap's contents: pointers, for collections from roots.

    def store(self, addr: int, value: int) -> None:
        """Stores a pointer into a word of the heap."""
        if addr & (self.config.ptr_size - 1):
            raise BadRequest(f"{addr:#x} is not aligned to a word")
        if not 0 <= value <= self.config.uintptr_mask:
            raise BadRequest(f"{value:#x} does not fit a pointer of {self.config.ptr_size} bytes")
        if self.marking:
            self.gc.shade(self.memory.load(addr), value)
        self.memory.store(addr, value)
        if self.unusual != (self.watched is not None or bool(self.memory)):
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
        from allocator.sparse.audit import audit

        return audit(self)

    def watch(self) -> None:
        """Notes every object from now on, so that `audit` can check types and identities. Costs time."""
        if self.watched is None:
            self.watched = Watch(self)
            self.phase_changed()

    def runs(self) -> Iterator[PageRun]:
        """Every span and every run of free pages, in address order."""
        return survey.runs(self)

    def totals(self) -> Totals:
        """The heap in figures, counted from its runs; asking changes nothing."""
        return survey.totals(self)

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
