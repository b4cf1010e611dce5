"""What a recording of version 2 has in brackets: requests in several steps, and those inside of others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from allocator.sparse.mallocinit import mallocinit
from allocator.sparse.mheap import SCALAR_BITS, WORK_BUF
from allocator.sparse.procs import P
from allocator.sparse.runtime import Runtime
from archcalc.reading.words import counted
from archcalc.traces.reader import address, decimal
from archcalc.traces.records.version2 import KINDS
from archcalc.traces.version2.cycles import SparseCycles
from archcalc.traces.version2.turns import Placed, Turn

# What waits for the request that it belongs to.
OWN = frozenset("MOAGNBqFXJHDCcVvu+-bQ*/<>R")


class Bracketed(SparseCycles):
    """Carries out requests with brackets. What closes one is compared, too."""

    def prepare(self) -> None:
        super().prepare()
        self.gone: set[int] = set()  # the Ps that were destroyed
        self.released: dict[str, str] = {}  # by thread, whose mcache it released last
        self.brackets: dict[str, Callable[[list[str]], None]] = {
            "init": self._init, "pinit": self._p_init, "pdestroy": self._p_destroy, "refill": self._refill,
            "large": self._large, "stackrefill": self._stack_refill, "stackrelease": self._stack_release,
            "stackalloc": self._stack_alloc, "stackfree": self._stack_give_back, "release": self._release,
            "stackclear": self._stack_clear, "sweepone": self._sweepone, "scavenge": self._scavenge,
            "allocmanual": self._alloc_manual, "freemanual": self._free_manual, "sweep": self._sweep,
            "freestackspans": self._free_stack_spans, "hugepages": self._huge_pages,
            "userarena": self._user_arena, "userfault": self._user_fault,
        }  # fmt: skip

    # From nothing to Ps that run, and back.

    def _init(self, words: list[str]) -> None:
        turn = self.follower.now
        seed = next((int(line[2:], 16) for _, line in turn.records if line[:2] == "J "), 0)
        kept = [placed for placed in turn.records if placed[1][:2] != "J "]
        turn.records.clear()
        turn.records.extend(kept)
        core = Runtime.__new__(Runtime)
        core.prepare(self.config, self.follower, heap_seed=seed)
        self.core = self.follower.core = core
        core.steps = self.follower
        core.zerobase = self.header.extra.get("zerobase", 0)
        if core.config.early_debug:
            self._debug(core)
        mallocinit(core)
        self._close("init")

    def _p_init(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        number = decimal(words[3])
        if number < len(core.ps):
            # It was there before: gone Ps stay in the list, with nothing in them.
            if number in self.gone:
                core.ps[number].mcache = core.new_mcache()
                self.gone.discard(number)
        elif number == len(core.ps):
            core.ps.append(P(number, core.mcache0 if number == 0 else core.new_mcache()))
        else:
            raise ValueError(f"P {number} comes before P {len(core.ps)}")
        self._close(f"pinit {number} {core.ps[number].mcache.address:x}")

    def _p_destroy(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        who, number = words[2], decimal(words[3])
        p = core.ps[number]
        expect = self.follower.expect
        # The collector's queues of this P, and its timers in the heap of the P that goes on.
        self._others()
        core.heap.clear_mspan_cache(p)
        if p.page_cache.cache:
            self.follower.flushing(p.page_cache)
            p.page_cache.flush(core.pages)
        expect(f"( release {who} {number}")
        p.mcache.release_all()
        expect(") release")
        expect(f"( stackclear {who} {number}")
        core.stack_heap.clear_cache(p.mcache)
        expect(") stackclear")
        core.cachealloc.free(p.mcache.address)
        self.gone.add(number)
        self._others()
        self._close("pdestroy")

    def _others(self) -> None:
        """What other parts of the runtime ask for in between."""
        while line := self.follower.next():
            bracket = line.startswith(("( refill ", "( large "))
            if not bracket and line[0] not in "OyxpYfMm":
                return
            placed = self.follower.now.take()
            assert placed is not None
            if bracket:
                self.nested(placed, deque())
            else:
                self.outside(placed)

    # Spans for objects.

    def _refill(self, words: list[str]) -> None:
        cache = self._run_on(words[2])
        spanclass = decimal(words[3])
        cache.alloc[spanclass].advance()  # to its end, or the refill is a difference
        cache.refill(spanclass)
        s = cache.alloc[spanclass].span
        self._close(f"refill {s.base:x} {s.alloc_count} {s.free_index}")

    def _large(self, words: list[str]) -> None:
        cache = self._run_on(words[2])
        s = cache.alloc_large(decimal(words[3]), words[4] == "1")
        self._close(f"large {s.base:x} {s.npages} {s.needzero}")

    # Stacks and caches.

    def _stack_refill(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        core.stack_heap.refill(self._run_on(words[2]), decimal(words[3]))
        self._close("stackrefill")

    def _stack_release(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        core.stack_heap.release(self._run_on(words[2]), decimal(words[3]))
        self._close("stackrelease")

    def _stack_alloc(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        v = core.stack_heap.alloc(decimal(words[3]), None)
        self.stacks_given[self.thread] = f"{v:x}"
        self._close(f"stackalloc {v:x}")

    def _stack_give_back(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        core.stack_heap.free(address(words[5]), decimal(words[3]), None)
        self.stacks_taken[self.thread] = " ".join(words[3:])
        self._close("stackfree")

    def _release(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        self.released[self.thread] = words[3]
        cache = core.ps[decimal(words[3])].mcache
        cache.release_all()
        cache.flush_gen = core.heap.sweepgen
        self._close("release")

    def _stack_clear(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        released = self.released.pop(self.thread, None)
        if released != words[3]:
            # A cache is flushed after its spans are given back.
            self.differs((self.line, " ".join(words)), f"( stackclear {words[2]} {released or 'of no cache'}")
        core.stack_heap.clear_cache(core.ps[decimal(words[3])].mcache)
        self._close("stackclear")

    # Sweeping and scavenging.

    def _sweepone(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        steps = core.steps
        assert steps is not None
        pages = core.sweeper._sweepone()
        steps.swept_one(pages)

    def _sweep(self, words: list[str]) -> None:
        """ensureSwept, which sweeps the span itself."""
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.heap.span_of(address(words[4]))
        self.follower.now.put_back(" ".join(words))
        if s is None or not core.sweeper.ensure_swept(s):
            self.differs((self.line, " ".join(words)), "nothing to sweep there")

    def _scavenge(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        self.follower.now.put_back(" ".join(words))
        core.scavenger.scavenge(decimal(words[3]), words[4] == "1")

    # Spans for others.

    def _alloc_manual(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        kind = KINDS.index(words[4])
        s = core.heap.alloc_manual(decimal(words[3]), kind)
        if kind == SCALAR_BITS and s is not None:
            waiting = self.unrolling.pop(self.thread, None)
            if waiting is None:
                self.unrolled[self.thread] = s
            else:
                waiting[0].unrolled = s
                if waiting[1] != s.npages:
                    self.differs(waiting[2], f"a GC program that takes {counted(waiting[1], 'page')}")
        self._close(f"allocmanual {0 if s is None else s.base:x}")

    def _free_manual(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.heap.span_of(address(words[4]))
        if s is None or s.base != address(words[4]):
            raise ValueError("no span begins there")
        core.heap.free_manual(s, WORK_BUF)
        self._close("freemanual")

    def _free_stack_spans(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        core.stack_heap.free_spans()
        self._close("freestackspans")

    def _huge_pages(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        core.enable_metadata_huge_pages()
        self._close("hugepages")

    def _user_arena(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.user_arenas.alloc_chunk()
        self._close(f"userarena {0 if s is None else s.base:x}")

    def _user_fault(self, words: list[str]) -> None:
        core = self.core
        assert core is not None
        self._run_on(words[2])
        s = core.heap.span_of(address(words[3]))
        if s is None or s.base != address(words[3]) or not s.is_user_arena_chunk or s.spanclass:
            raise ValueError("no chunk of a user arena begins there")
        core.user_arenas.set_to_fault(s)
        self._close("userfault")

    # Requests inside of others.

    def nested(self, placed: Placed, records: deque[Placed]) -> None:
        """A stack that grew inside another request, or memory for others than the allocator.

        `records` are what the system was asked for it.
        """
        core, follower = self.core, self.follower
        assert core is not None
        state = core.p, core.current_p
        words = placed[1].split(" ")
        if words[0] == "(":
            self.brackets[words[1]](words)
        else:
            outer, follower.now = follower.now, Turn(records)
            self.handlers[words[0]](words, placed[1])
            follower.now = outer
        core.p, core.current_p = state

    def outside(self, placed: Placed) -> None:
        """A request inside a sweep: finalizers and the like of what died."""
        waiting = self.follower.now
        kept: deque[Placed] = deque([placed])
        while kept[-1][1][0] in OWN:
            more = waiting.take()
            if more is None:
                break
            kept.append(more)
        line = kept.pop()
        self.follower.now = Turn(kept)
        words = line[1].split(" ")
        handler = self.handlers.get(words[0])
        if handler is None:
            self.differs(line, "nothing here")
        else:
            handler(words, line[1])
        self.follower.now = waiting
