"""What drivers see of a machine, whichever generation of Go's allocator it is.

A driver (a boot, a workload, a recording's replay, a picture, a scenario, a proof) asks a machine
only for what is defined here. It never asks which generation it has, and never names a field of one:
regions, runs and totals say where everything lies, each under the name that the machine gives it.

Each generation's machine is a subclass of `Allocator`. It raises `Cannot` for what it cannot do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from allocator.common.audit import Violation
from allocator.common.many import ManyObjects
from allocator.common.sizeclasses import SizeClasses
from allocator.common.throw import BadRequest, Death
from allocator.common.types import Type
from allocator.common.vocabulary import NamedFigure
from allocator.kernels.counts import Calls

# States of regions. What lies between them is not the machine's.
RESERVED = "reserved"  # addresses only
MAPPED = "mapped"  # usable memory of the runtime's tables
USED = "used"  # what the page heap has taken so far: `runs` tile it

# States of runs.
IN_USE = "in use"  # a span of heap objects
STACK = "stack"  # a span of stacks, or of other memory that is managed by hand
FREE = "free"  # no span: pages that can be allocated

Live = bool | Iterable[int]
"""What survives a collection: addresses, a NumPy array for many, True for everything."""


class Cannot(BadRequest):
    """This machine's generation does not have what was asked for."""


# What a machine says whose heap cannot begin at a chosen base.
NO_LOT = "this machine's heap does not begin at random"


class Attempt(NamedTuple):
    """One reservation of address space at the start: what was asked for, and the answer (0: refused)."""

    hint: int
    size: int
    answer: int
    reserved: bool


class Unnoticed(NamedTuple):
    """A reservation of `size` bytes for some purpose that failed unnoticed.

    `mapped` are the pieces (address, bytes) that were mapped as if it had been granted at address 0.
    """

    what: str
    size: int
    mapped: tuple[tuple[int, int], ...]


class Region(NamedTuple):
    """`size` bytes of address space from `base` on that the machine uses or has reserved, for one purpose.

    `name` is the purpose in one word (spans, bitmap, arena, …), `what` in a few. Several regions
    may share a name; those of a machine never overlap.
    """

    name: str
    base: int
    size: int
    state: str
    what: str

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.base + self.size


class SpanWaste(NamedTuple):
    """Bytes of a span that no object takes: its tail, where no whole object fits, and its free objects."""

    tail: int
    unfilled: int


def waste(size: int, slots: int, objects: int, elemsize: int) -> SpanWaste:
    """The waste of a span of `size` bytes with `slots` slots of `elemsize` bytes, `objects` of them taken."""
    return SpanWaste(size - slots * elemsize, (slots - objects) * elemsize)


class PageRun(NamedTuple):
    """`pages` of the heap from `base` on that belong together: a span, or a run of free pages.

    A span in use has its `sizeclass` (0: one large object), objects of `elemsize` bytes, `objects` of
    `slots` allocated, and whether they have no pointers, where the generation keeps those apart. Of a free
    run, `released` pages were given back to the system.
    """

    base: int
    pages: int
    state: str
    sizeclass: int = 0
    elemsize: int = 0
    objects: int = 0
    slots: int = 0
    released: int = 0
    noscan: bool | None = None

    def waste(self, page_size: int) -> SpanWaste:
        """The part of a span in use that no object takes."""
        return waste(self.pages * page_size, self.slots, self.objects, self.elemsize)


class Totals(NamedTuple):
    """A heap counted from its runs, and the runtime's own counters beside it. Bytes, except the counts.

    `live` is what allocated objects take, rounded to their classes; `tails` is lost at the ends of spans;
    `unfilled` are free objects of spans in use. The `heap_…` and `stacks_inuse` are the runtime's own
    counters, which count stacks as in use or not.
    """

    live: int
    objects: int
    in_use: int
    stacks: int
    idle: int
    released: int
    tails: int
    unfilled: int
    spans_in_use: int
    spans_stack: int
    free_runs: int
    largest_free: int
    collections: int
    heap_sys: int
    heap_inuse: int
    heap_idle: int
    heap_released: int
    stacks_inuse: int


class BootCheck(NamedTuple):
    """One invariant of a machine that has just booted: its id, whether it held, and what was found."""

    id: str
    ok: bool
    seen: str


class Facts(Protocol):
    """What any machine's Config has. Sizes are bytes unless a name says otherwise."""

    @property
    def platform(self) -> str: ...
    @property
    def goos(self) -> str: ...
    @property
    def ptr_size(self) -> int: ...
    @property
    def is_64bit(self) -> bool: ...
    @property
    def page_size(self) -> int: ...  # the allocator's page
    @property
    def page_shift(self) -> int: ...
    @property
    def phys_page_size(self) -> int: ...
    @property
    def data_end(self) -> int: ...  # where the program's data ends
    @property
    def tiny_size(self) -> int: ...
    @property
    def max_small_size(self) -> int: ...
    @property
    def fixed_stack(self) -> int: ...  # the smallest stack
    @property
    def uintptr_mask(self) -> int: ...
    @property
    def size_classes(self) -> SizeClasses: ...


class Allocator(ManyObjects):
    """One simulated process's allocator.

    Every method may raise Death where the runtime dies, and BadRequest for what no program can ask for.
    `attempts` are the reservations of the start, in order; `printed` every line that the runtime
    printed, shared with `system`.
    """

    __slots__ = ()

    HEAP_FIGURES: ClassVar[tuple[NamedFigure, ...]] = ()  # what `heap_figures` tells
    EXTENT: ClassVar[tuple[str, str]]  # the two of them between which the heap has been used
    USUAL_PROCS: ClassVar[int] = 1  # GOMAXPROCS of a boot that says nothing of it
    LANDMARKS: ClassVar[str] = "heap"  # the key under which a boot tells them in JSON
    BOOT_COLUMNS: ClassVar[tuple[tuple[str, str], ...]]  # what a table of boots shows: titles and landmarks

    config: Any  # Facts, and what the generation has besides
    system: Any  # what it was prepared on
    kernel: Any  # the kernel that it asks; None where nothing is simulated
    printed: list[str]
    attempts: list[Attempt]
    log: list[str] | None
    type_ids: dict[Type, int]  # the numbers that the log names types by

    # From nothing to a program that runs.

    @classmethod
    def prepared(
        cls,
        config: Any,
        system: Any,
        *,
        seed: int = 1,
        mem_profile_rate: int = 0,
        record: bool = False,
        heap_base: int | None = None,
    ) -> Self:
        """A process before its first instruction: it has not asked the system for anything. Then `start` it.

        seed: seed of the heap profile's sampling, every mem_profile_rate bytes on average, 0 for none.
        record: keep every event in `log`, in the trace format.
        heap_base: where the heap begins, for releases that draw it at random.
        Raises Cannot where the machine has no log or no random base, BadRequest for an impossible base.
        """
        rt = cls.__new__(cls)
        rt.prepare(
            config,
            system,
            seed=seed,
            mem_profile_rate=mem_profile_rate,
            record=record,
            heap_base=heap_base,
        )
        return rt

    @abstractmethod
    def prepare(
        self,
        config: Any,
        system: Any,
        *,
        seed: int = 1,
        mem_profile_rate: int = 0,
        record: bool = False,
        heap_base: int | None = None,
    ) -> None:
        """Sets up everything before the runtime's first instruction; see `prepared`."""

    @abstractmethod
    def start(self, gogc: int = -1, procs: int = 1) -> None:
        """Boots: mallocinit, and everything up to main. gogc: GOGC, below zero for off; procs: GOMAXPROCS.

        If it dies, `attempts` and `printed` say how far it got. Raises Death.
        """

    def set_debug(self, settings: Mapping[str, int]) -> None:
        """GODEBUG of the process, before it starts: numbers by name.

        Raises Cannot for a setting that the release or the system does not have, and for one that
        changes nothing of what the machine has.
        """
        for name, value in settings.items():
            raise Cannot(f"GODEBUG={name}={value}: this machine follows no such setting")

    def set_memory_limit(self, limit: int) -> None:
        """GOMEMLIMIT of a process before it starts, debug.SetMemoryLimit of one that runs. In bytes."""
        raise Cannot(f"GOMEMLIMIT={limit}: this machine has no memory limit, which came with Go 1.19")

    @property
    @abstractmethod
    def booted(self) -> bool:
        """Whether mallocinit ran to its end."""

    @abstractmethod
    def procresize(self, procs: int) -> None:
        """runtime.GOMAXPROCS: there are so many Ps from now on.

        Those that go give back what they hold. Raises BadRequest while a collection marks, whose end
        the program would wait for, and for a number that no program can have.
        """

    @property
    @abstractmethod
    def gogc(self) -> int:
        """GOGC in percent; -1 for off."""

    # Objects.

    @abstractmethod
    def malloc(
        self,
        size: int,
        typ: Type | None = None,
        noscan: bool | None = None,
        needzero: bool = True,
        p: int = 0,
    ) -> int:
        """The address of a new object of `size` bytes, allocated by P number p (mallocgc).

        typ None: no pointers; with noscan=False: pointers throughout. A size of more than one
        typ.size makes an array, whatever is left over having no pointers (as growslice does).
        Raises Death where the runtime dies, BadRequest for a size or type that no program can
        ask for.
        """

    @abstractmethod
    def newarray(self, typ: Type, n: int, p: int = 0) -> int:
        """The address of an array of n values of a type (newarray). Raises Death where n is impossible."""

    @abstractmethod
    def block_of(self, addr: int) -> tuple[int, int] | None:
        """Size class and bytes of the block that an address of the heap lies in; None outside of blocks."""

    def new_user_arena(self) -> Any:
        """arena.NewArena: with `new(typ)`, `slice(typ, cap)` and `free()`."""
        raise Cannot("this machine has no user arenas")

    # Stacks.

    @abstractmethod
    def stack_alloc(self, n: int, p: int | None = 0) -> int:
        """The address of a stack of n bytes for P number p; p None: from the global pool (stackalloc)."""

    @abstractmethod
    def stack_free(self, v: int, n: int, p: int | None = 0) -> None:
        """Frees the stack of n bytes at v (stackfree)."""

    # Contents: pointers, for collections that find by themselves what is alive.

    @abstractmethod
    def store(self, addr: int, value: int) -> None:
        """Stores a pointer into a word of the heap."""

    @abstractmethod
    def load(self, addr: int) -> int:
        """What `store` left in a word; 0 for memory never written."""

    # Finalizers.

    def set_finalizer(self, p: int) -> bool:
        """runtime.SetFinalizer on the object at p. False if it already has one."""
        raise Cannot("this machine has no finalizers")

    def clear_finalizer(self, p: int) -> None:
        """runtime.SetFinalizer(p, nil)."""
        raise Cannot("this machine has no finalizers")

    def run_finalizers(self) -> list[int]:
        """Runs queued finalizers; returns the addresses of their objects.

        These die at the next collection unless they are reached again.
        """
        raise Cannot("this machine has no finalizers")

    def add_cleanup(self, p: int) -> None:
        """runtime.AddCleanup on the object at p, which may have several."""
        raise Cannot("this machine has no cleanups, which came with Go 1.24")

    def run_cleanups(self) -> list[int]:
        """Runs queued cleanups; returns where their objects were, which are gone."""
        raise Cannot("this machine has no cleanups, which came with Go 1.24")

    # Collections, whole and by steps.

    @abstractmethod
    def collect(
        self, live: Live | None = None, *, roots: Iterable[int] | None = None, mode: str = "block"
    ) -> None:
        """Runs a whole collection (runtime.GC). `live` survives, or everything that `roots` lead to.

        Mode `block` sweeps everything at once, `force` leaves sweeping to allocations and `sweepone`, and
        `background` marks as a concurrent cycle does.
        """

    @abstractmethod
    def begin_mark(self, live: Live | None = None, *, roots: Iterable[int] | None = None) -> None:
        """Begins a concurrent cycle and its mark phase; new objects are black until `finish_mark`."""

    @abstractmethod
    def finish_mark(self) -> None:
        """Ends the mark phase of a concurrent cycle."""

    @abstractmethod
    def sweepone(self) -> int:
        """Sweeps one span; returns the pages freed, or -1 when everything is swept."""

    @abstractmethod
    def scavenge(self, now: int | None = None, limit: int = 0) -> int:
        """Gives idle memory back to the system, by default all (debug.FreeOSMemory). Returns bytes."""

    # Where everything lies.

    @abstractmethod
    def regions(self) -> list[Region]:
        """The address space that the machine uses or has reserved, in address order."""

    @abstractmethod
    def runs(self) -> Iterator[PageRun]:
        """Every span and every run of free pages, in address order. Other pages are not the heap's."""

    @abstractmethod
    def totals(self) -> Totals:
        """The heap in figures, counted from its runs; asking changes nothing."""

    @abstractmethod
    def heap_figures(self) -> Mapping[str, int | bool]:
        """The page heap's own figures, those of HEAP_FIGURES; empty where there is no heap yet.

        Scenarios expect them, and grow heaps up to them; reading them changes nothing.
        """

    def landmarks(self) -> dict[str, int | bool]:
        """The best-known addresses of the heap's figures, which a boot shows."""
        found = self.heap_figures()
        marks = (named.name for named in self.HEAP_FIGURES if named.landmark)
        return {name: found[name] for name in marks if name in found}

    @abstractmethod
    def counters(self) -> Mapping[str, Any]:
        """memstats' counters while the machine runs, under mstats' own names; reading changes nothing."""

    # Results.

    @abstractmethod
    def memstats(self) -> dict[str, Any]:
        """runtime.ReadMemStats, under MemStats' own names."""

    @abstractmethod
    def audit(self) -> list[Violation]:
        """Checks every invariant of the live machine; returns the violations, none when all is well."""

    @abstractmethod
    def boot_checks(self) -> Iterable[BootCheck]:
        """The invariants of a machine that has just been started, checked."""

    @abstractmethod
    def watch(self) -> None:
        """Notes every object from now on, so that `audit` can check more. This costs time."""

    def refused(self) -> list[Attempt]:
        """What the system refused so far, in order."""
        return [attempt for attempt in self.attempts if not attempt.answer]

    def unnoticed(self) -> list[Unnoticed]:
        """Refusals that went unnoticed, and their consequences."""
        return []

    def system_calls(self) -> list[list[Any]] | None:
        """What the machine asked its system for, in the format of files of calls; None if not noted."""
        return None

    def observe(self) -> Calls:
        """Counts the calls of the system from now on; the returned counts keep growing."""
        raise Cannot("this machine does not count its calls")

    @abstractmethod
    def end_state(self, whole: bool = True) -> Iterator[str]:
        """The machine as a recording's end state: totals, every span, the pointer bits of those in use.

        Unless `whole`, as for a machine that died in the middle of something, only the totals.
        """

    def last_words(self, death: Death) -> dict[str, Any]:
        """How the runtime ended: its kind, its words, every line printed before, and those `after` them.

        After a fatal error's words startpanic_m (panic.go) says that there was no heap yet; the stacks of
        goroutines, which follow, are left out.
        """
        return {
            "kind": death.kind,
            "throw": death.words,
            "printed": [*self.printed, *death.before],
            "after": [TOO_EARLY] if death.kind == "throw" and not self.has_heap else [],
        }

    @property
    @abstractmethod
    def has_heap(self) -> bool:
        """Whether mheap.init has begun, so that mheap_.cachealloc has its size."""

    def during_malloc(self) -> AbstractContextManager[None]:
        """A context in which code runs as if malloc itself ran it: allocating there is a deadlock."""
        raise Cannot("this machine does not tell who allocates")


TOO_EARLY = "runtime: panic before malloc heap initialized"
