"""From the first instruction to main.main: what the runtime allocates for itself (proc.go).

Each object is named with what it is for, since its size decides which spans are made, and those how
often the system is asked. Some of it depends on the surroundings: the environment's strings, how many
processors there are, and which P a goroutine runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

from allocator.sparse.heap_core import check_procs
from allocator.sparse.mallocinit import mallocinit

if TYPE_CHECKING:
    from allocator.sparse.runtime import Runtime

KB = 1024
SIGNAL_STACK = 32 * KB
CRASH_STACK = 16 * KB
M_STACK = 16 * KB
CALLBACK_STACK = 4 * KB
PROFILE_FRAMES = 1 + 6 + 128  # a sentinel, frames to skip, profstackdepth
MALLOC_HEADER = 8
PADDED_M = 2 * KB - MALLOC_HEADER
WAITING, GOING_ON = 1, 2  # when a stack grows
# Where threads are started: before forcegchelper is, for a P that becomes busy with it, for the P that the
# main goroutine hands over while it waits, when the scavenger runs, and when the main goroutine goes on.
PLACES = EARLY, BUSY, HANDED_OVER, SCAVENGING, GONE_ON = range(5)
CHANNEL_ALIGN = 8  # maxAlign: elements begin behind an hchan at a multiple of it
MODULE_WORDS = 3
MASKS = 2300  # bytes of pointer masks of a small program's data and bss
BUCKET_FRAMES = 6
# Threads' stacks come from the system there, or lie on its own (mStackIsSystemAllocated, mpreinit).
STACKS_BY_SYSTEM = frozenset(("aix", "darwin", "ios", "illumos", "openbsd", "plan9", "solaris", "windows"))
NO_SIGNAL_STACK = frozenset(("windows",))
CALLED_BACK = frozenset(("windows",))  # threads that Go did not make call it there without any C in it
SINGLE_THREADED = frozenset(("js", "wasip1"))
# A fork with a hundred strings or with ten makes no other spans.
ENVIRONMENT = (14, 15, 18, 37, 54, 38, 14, 8, 49, 69, 27, 52, 23, 31, 7, 25, 48, 179, 16, 67)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a program finds, and what is random.

    `environment` are the bytes of each string, `arguments` counts the program's own name, `procs` is
    GOMAXPROCS. `sampled`: the heap profile takes one of the first objects, before the runtime knows that
    the program does not use it. `main_on` is the P on which the main goroutine comes back after it has
    handed over its own, `scavenger_on` the one on which the scavenger starts. `grown`: where the main
    goroutine's stack becomes too small, which depends on frames that the compiler made: 1 when it waits for
    the collector's goroutines, 2 when it goes on, 3 both. `threads`: at which of PLACES further ones are
    started, since those that there are have not found their work yet or have lost their P to a slow system
    call; None for the usual. `masks` are bytes of the pointer masks of the program's data and bss. `cgo`: the
    program has C in it, whose library makes the threads and their stacks. `profiles`: the program uses heap
    profiles, so that no early object is one because the rate has changed; `samples` says then, after each
    object, whether it is the first of the profile.
    """

    environment: tuple[int, ...] = ENVIRONMENT
    arguments: int = 1
    procs: int = 2
    sampled: bool = False
    main_on: int = 1
    scavenger_on: int = 0
    grown: int = 0
    threads: tuple[int, ...] | None = None
    masks: tuple[int, ...] = (MASKS,)
    cgo: bool = False
    profiles: bool = False
    samples: Callable[[], bool] | None = None


class StartUp:
    """One start of a machine in its surroundings."""

    def __init__(self, rt: Runtime, around: Surroundings) -> None:
        self.rt = rt
        self.config = rt.config
        self.around = around
        self.procs = around.procs
        self.sampled = around.sampled
        self.word = rt.config.ptr_size
        self.goroutines = self.room = 0  # len(allgs), cap(allgs)

    def run(self, gogc: int = -1) -> None:
        """All of it. gogc: GOGC, below zero for off. Raises Death where the runtime dies on the way."""
        self.schedinit(gogc)
        stack = self.new_goroutine()  # runtime.main
        self.main(stack)

    # What it allocates.

    @property
    def sudog(self) -> int:
        """Bytes of a goroutine's place in a channel's queue."""
        words = (14 if self.word == 4 else 11) + 2 * self.config.traceable_sudogs
        return words * self.word

    @property
    def timer(self) -> int:
        """Bytes of a timer."""
        config = self.config
        if self.word == 4:
            return 48 + 8 * config.timers_lock + 4 * config.timers_draw
        return 72 + 16 * config.timers_lock + 8 * config.timers_draw

    def channel(self, size: int) -> None:
        """A channel with a buffer of `size` bytes for what has no pointers."""
        self.object(-(-self.config.sizeof["hchan"] // CHANNEL_ALIGN) * CHANNEL_ALIGN + size, noscan=True)

    def appended(self, count: int, size: int, *, noscan: bool = False) -> int:
        """An array for at least `count` elements, as append makes it (growslice). Returns its room."""
        config = self.config
        asked = count * size
        header = 0
        if config.headers and not noscan and asked > config.min_size_for_malloc_header:
            header = config.malloc_header_size
        room = (config.size_classes.round_up_size(asked + header) - header) // size
        self.object(room * size, noscan=noscan)
        return room

    def object(self, size: int, *, noscan: bool = False) -> int:
        """An object of `size` bytes, on the P that runs, if any does."""
        rt = self.rt
        v = rt.mallocgc(size, None if noscan else rt.pointer_type, True, rt.current_p)
        if self.around.samples is not None and self.around.samples():
            rt.first_sample(v, size)
        return v

    def stack(self, size: int) -> int:
        """A stack, from the cache of the P that runs if it has one."""
        return self.rt.stack_alloc(size, self.rt.current_p)

    def new_g(self, stack: int) -> tuple[int, int]:
        """A goroutine's record, and the stack of so many bytes that it returns; 0 for none (malg)."""
        self.object(self.config.sizeof["g"])
        if not stack:
            return 0, 0
        # Room for what the system puts onto stacks makes a power of two again.
        size = 1 << (stack + self.config.stack_system - 1).bit_length()
        return self.stack(size), size

    def new_goroutine(self) -> tuple[int, int]:
        """newproc1: a goroutine, and its place in allgs. Returns where its stack is, and its bytes."""
        stack = self.new_g(self.config.stack_min)
        self.list_goroutine()
        return stack

    def list_goroutine(self) -> None:
        """allgadd."""
        if self.goroutines == self.room:
            self.room = self.appended(max(2 * self.room, 1), self.word)
        self.goroutines += 1

    def new_m(self) -> None:
        """allocm: a thread's record and its stacks."""
        self.object(PADDED_M if self.config.padded_m else self.config.sizeof["m"])
        self.init_m()
        by_system = self.around.cgo or self.config.goos in STACKS_BY_SYSTEM
        self.new_g(0 if by_system else M_STACK)

    def extra_m(self) -> None:
        """oneNewExtraM: a thread's record and a goroutine for calls from threads that C made."""
        self.new_m()
        self.new_g(CALLBACK_STACK)
        self.list_goroutine()

    def init_m(self) -> None:
        """mcommoninit."""
        if self.config.weak_m:
            self.object(self.word)
        if self.config.goos not in NO_SIGNAL_STACK:
            self.new_g(SIGNAL_STACK)
        if self.config.early_debug or self.goroutines:
            self.profile_stacks()

    def profile_stacks(self, sampled: bool = False) -> None:
        """mProfStackInit. The first of the two objects may be the one that the heap profile samples."""
        if self.config.profile_stacks:
            size = PROFILE_FRAMES * self.word
            v = self.object(size, noscan=True)
            if sampled:
                self.rt.first_sample(v, size)
            self.object(size, noscan=True)

    # Up to the first goroutine.

    def schedinit(self, gogc: int) -> None:
        """schedinit: from nothing to Ps that run."""
        rt = self.rt
        word = self.word
        if self.config.early_debug:
            rt.read_debug()
        mallocinit(rt)
        if rt.debug_text and not self.config.early_debug:
            self.object(len(rt.debug_text), noscan=True)  # a copy for internal/cpu
        self.cpu_options()
        self.init_m()
        self.object(MODULE_WORDS * word)
        self.object(word, noscan=not self.config.scans_modules)
        for size in self.around.masks:
            rt.persistent.alloc(size, 1, "other_sys")
        arguments = self.object(2 * word * self.around.arguments)
        if self.sampled:
            rt.first_sample(arguments, 2 * word * self.around.arguments)
        self.object(2 * word * max(len(self.around.environment), 1))
        for size in self.around.environment:
            self.object(size, noscan=True)
        self.object(2 * word)  # parsedebugvars
        if not self.config.early_debug:
            rt.read_debug()
        rt.gcinit(gogc)
        if self.config.crash_stack:
            self.stack(CRASH_STACK)
        # Where the program does not use profiles, the next object notices that the rate has
        # changed, and is sampled if there is an array for its stack already.
        self.profile_stacks(sampled=self.config.early_debug and not self.around.profiles)
        self.procresize()

    def cpu_options(self) -> None:
        """internal/cpu: what GODEBUG can switch off, a slice that grows twice where levels add to it."""
        option = 4 * self.word
        if self.config.goarch in ("amd64", "386"):
            room = self.config.cpu_options
            self.object(room * option)
            for _ in range(2):
                room = self.appended(2 * room, option)
        else:
            self.object(8 * option)

    def procresize(self) -> None:
        """Ps, each with an mcache; the first runs from then on."""
        check_procs(self.procs)
        self.object(self.procs * self.word)
        for _ in range(3 if self.config.span_queue_mask else 2):
            self.object(4 * ((self.procs + 31) // 32), noscan=True)
        for _ in range(self.procs):
            self.object(self.config.sizeof["p"])
            self.rt.add_p()
        self.rt.run_on(0)
        self.steal_order()

    def steal_order(self) -> None:
        """The numbers that have no factor in common with that of the Ps, a slice that grows one by one."""
        room = 0
        for count in range(1, 1 + sum(gcd(i, self.procs) == 1 for i in range(1, self.procs + 1))):
            if count > room:
                room = self.appended(max(2 * room, 1), 4, noscan=True)

    # Up to main.main.

    def main(self, stack: tuple[int, int]) -> None:
        """runtime.main on its stack, and the goroutines that it starts."""
        config = self.config
        threads = config.goos not in SINGLE_THREADED
        if self.around.cgo or config.goos in CALLED_BACK:
            self.extra_m()
        if threads:
            self.new_m()  # sysmon
        self.start_threads(EARLY)
        self.new_goroutine()  # forcegchelper
        self.start_threads(BUSY)
        self.channel(2 * self.word)
        for _ in ("bgsweep", "bgscavenge"):
            self.object(2 * self.word)
            self.new_goroutine()
        self.object(self.sudog)
        stack = self.grow(stack, WAITING)
        if threads:
            # The main goroutine waits for its own thread, which hands over its P and comes back with another.
            self.start_threads(HANDED_OVER)
            self.rt.run_on(min(self.around.main_on, self.procs - 1))
        here = self.rt.current_p
        self.rt.run_on(min(self.around.scavenger_on, self.procs - 1) if threads else 0)
        self.start_threads(SCAVENGING)
        self.object(self.timer)
        self.rt.run_on(here or 0)
        self.grow(stack, GOING_ON)
        self.start_threads(GONE_ON)
        if self.rt.updates_procs:
            self.new_goroutine()  # updateMaxProcsGoroutine
        self.channel(0)
        if self.around.cgo:
            self.new_m()  # startTemplateThread

    def start_threads(self, place: int) -> None:
        """The threads that are started there."""
        usual = (BUSY, HANDED_OVER) if self.procs > 1 else (HANDED_OVER,)
        threads = usual if self.around.threads is None else self.around.threads
        if self.config.goos not in SINGLE_THREADED:
            for _ in range(threads.count(place)):
                self.new_m()

    def grow(self, stack: tuple[int, int], when: int) -> tuple[int, int]:
        """newstack, if the goroutine's stack is too small then. Returns the stack that it has."""
        if not self.around.grown & when:
            return stack
        old, size = stack
        found = self.stack(2 * size)
        self.rt.stack_free(old, size, self.rt.current_p)
        return found, 2 * size
