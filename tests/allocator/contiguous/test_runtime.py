"""The machine as a whole: whatever is done to it, its own books and an independent model agree.

The model here knows nothing of spans and lists. It has the objects that were
handed out as intervals, the heap bitmap word by word, and the few sums that
the Go source names for memstats.

    ARCHCALC_EFFORT=50 pytest tests/allocator/test_runtime.py

tries much longer, and at random.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections import Counter

from effort import examples, phases
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from naive_bitmap import NaiveBitmap

from allocator.common.types import Type
from allocator.contiguous.mspan import FREE, IN_USE, STACK
from archcalc.boot import boot
from archcalc.profiles import platforms

SHAPES = (
    "p",
    "pp",
    "p.",
    ".p",
    "p..",
    "ppp.",
    "..p.p...",
    "p....",
    ".....p",
    "p" + "." * 20,
    "p.pp..p.ppp" * 3,
)
PAGE = 8192


def types_of(ptr: int) -> list[Type]:
    """Types of all shapes that share bitmap bytes differently; the last has a GC program."""
    # 5 words with pointers in the 1st and 4th, 7 times; then one pointer more.
    program = bytes((5, 0b01001, 0x80 | 5, 6, 1, 1, 0))
    return [
        *(Type.of_words(f"t{i}", words, ptr) for i, words in enumerate(SHAPES)),
        Type(40 * ptr, 36 * ptr, 25 | 1 << 6, ptr, program, "program"),
    ]


class Machine(RuleBasedStateMachine):
    """One machine under arbitrary use. `objects` maps live blocks to (type, data size, roots to it)."""

    @initialize(
        platform=st.sampled_from(platforms.names()),
        procs=st.integers(1, 4),
        gogc=st.sampled_from((-1, -1, 20, 100)),
        rate=st.sampled_from((0, 0, 0, 0, 1, 512, 4096)),
        watch=st.sampled_from((False, False, True)),
    )
    def start(self, platform: str, procs: int, gogc: int, rate: int, watch: bool) -> None:
        self.rt = rt = boot(platform, procs=procs, gogc=gogc, mem_profile_rate=rate)
        if watch:
            rt.watch()
        self.procs = procs
        self.ptr = rt.config.ptr_size
        self.types = types_of(self.ptr)
        # By address: type, size, and the block that it lies in.
        self.objects: dict[int, tuple[Type | None, int, tuple[int, int]]] = {}
        self.blocks: list[tuple[int, int]] = []  # [start, end) of every block in use, sorted
        self.stacks: list[tuple[int, int]] = []
        self.finalizers: set[int] = set()
        self.bitmap = NaiveBitmap(self.ptr)
        self.bitmap_known = True
        self.spans_seen: dict[int, tuple[int, int]] = {}
        self.marking = False
        self.doomed: set[int] = set()
        self.queue_before: set[int] = set()
        self.mallocs = 0  # objects ever handed out
        self.total = 0  # and the bytes of their blocks
        rt.liveness = True  # what cycles that allocations start find alive: everything

    # Helpers.

    def block_of(self, v: int) -> tuple[int, int]:
        """The block that an address lies in, found by its span's own numbers."""
        s = self.rt.heap.lookup(v)
        base, size = self.rt.spans.base[s], self.rt.spans.elemsize[s]
        start = base + (v - base) // size * size
        return start, start + size

    def handed_out(self, v: int, size: int, typ: Type | None) -> None:
        """Notes an object, which must lie apart from all others but for tiny ones that share a block."""
        self.mallocs += 1
        start, end = self.block_of(v)
        assert start <= v
        assert v + size <= end
        tiny = typ is None and size < 16
        if self.marking and self.rt.gc.phase == 0:
            # This allocation's help ended the cycle, and it may have a block in which all was to die.
            reused = {u for u in self.doomed if self.overlaps(u, start, end) and v == start}
            self.cycle_over(reused)
            # Spans may have come and gone at one place within this allocation; the model cannot see that.
            self.bitmap_known = False
        at = bisect_left(self.blocks, (start, end))
        if at < len(self.blocks) and self.blocks[at] == (start, end):
            assert tiny, "a block that is in use was handed out"
            for u, (other, length, _) in self.objects.items():
                if start <= u < end:
                    assert other is None
                    assert u + length <= v or v + size <= u, "tiny objects overlap"
        else:
            assert at == 0 or self.blocks[at - 1][1] <= start
            assert at == len(self.blocks) or end <= self.blocks[at][0]
            insort(self.blocks, (start, end))
            self.total += end - start
        self.objects[v] = typ, size, (start, end)

    def overlaps(self, u: int, start: int, end: int) -> bool:
        first, last = self.objects[u][2]
        return first < end and start < last

    def draw_bitmap(self, v: int, size: int, typ: Type | None, data_size: int) -> None:
        start, end = self.block_of(v)
        self.init_new_spans()
        if typ is None:
            if v == start:
                self.bitmap.set_noscan(start)
        else:
            self.bitmap.set_type(start, end - start, data_size, typ)

    def init_new_spans(self) -> None:
        """Spans that were made since the last look begin with a bitmap of their own."""
        spans = self.rt.spans
        now: dict[int, tuple[int, int]] = {}
        for s in range(len(spans)):
            if spans.state[s] == IN_USE:
                now[spans.base[s]] = spans.npages[s] * PAGE, spans.elemsize[s]
        for base, (length, size) in now.items():
            if self.spans_seen.get(base) != (length, size):
                self.bitmap.init_span(base, length, size)
        self.spans_seen = now

    def survive(self, live: set[int]) -> None:
        """Forgets what a collection has taken. A tiny block lives as long as one object in it."""
        kept = {self.block_of(v) for v in live}
        finalized = set(self.rt.specials.finalizer_queue)
        kept |= {self.block_of(v) for v in finalized}
        self.blocks = sorted(kept)
        self.objects = {v: known for v, known in self.objects.items() if known[2] in kept}

    def some_live(self, data: st.DataObject) -> set[int]:
        share = data.draw(st.sampled_from((0.0, 0.3, 0.7, 1.0)))
        chosen = data.draw(st.randoms(use_true_random=False))
        return {v for v in self.objects if chosen.random() < share}

    # What a program does.

    @rule(
        size=st.one_of(
            st.integers(0, 40), st.integers(0, 2100), st.integers(2000, 40_000), st.integers(1, 400_000)
        ),
        p=st.integers(0, 3),
        times=st.integers(1, 40),
    )
    def malloc_noscan(self, size: int, p: int, times: int) -> None:
        for _ in range(times if size < 3000 else 1):
            self.noscan(size, p % self.procs)

    def noscan(self, size: int, p: int) -> None:
        v = self.rt.malloc(size, p=p)
        if size == 0:
            assert v == self.rt.zerobase
        else:
            self.handed_out(v, size, None)
            self.draw_bitmap(v, size, None, size)

    def typed(self, size: int, typ: Type, p: int) -> None:
        v = self.rt.malloc(size, typ, p=p)
        self.handed_out(v, size, typ)
        self.draw_bitmap(v, size, typ, size)

    @rule(seed=st.integers(0, 1 << 32), times=st.integers(1, 120))
    def burst(self, seed: int, times: int) -> None:
        """Many small objects of all kinds, so that blocks are shared, used up and used again."""
        rng = random.Random(seed)
        for _ in range(times):
            p = rng.randrange(self.procs)
            kind = rng.random()
            if kind < 0.3:
                self.noscan(rng.randrange(1, 16), p)
            elif kind < 0.5:
                self.noscan(rng.choice((16, 17, 32, 48, 80, 1025)), p)
            else:
                typ = rng.choice(self.types[: 5 if kind < 0.8 else -1])
                self.typed(typ.size * rng.choice((1, 1, 1, 2, 3)), typ, p)

    @rule(
        which=st.integers(0, len(SHAPES)),
        count=st.sampled_from((1, 1, 1, 2, 3, 8, 200, 1500)),
        extra=st.sampled_from((0, 0, 1)),
        p=st.integers(0, 3),
        times=st.integers(1, 30),
    )
    def malloc_typed(self, which: int, count: int, extra: int, p: int, times: int) -> None:
        typ = self.types[which]
        size = typ.size * count + extra * self.ptr * (count > 1)
        program = bool(typ.kind & 1 << 6)
        if program and size <= 32768 and self.rt.config.size_classes.round_up_size(size) // self.ptr % 4:
            return  # the compiler makes no programs for types so small (heapBitsSetTypeGCProg throws)
        if program and extra:
            return
        if self.ptr == 4 and typ.size == 4 and size == 8 and extra:
            return
        for _ in range(times if size < 3000 else 1):
            self.typed(size, typ, p % self.procs)

    @rule(order=st.integers(0, 5), p=st.sampled_from((None, 0, 1)))
    def stack_alloc(self, order: int, p: int | None) -> None:
        n = self.rt.config.fixed_stack << order
        v = self.rt.stack_alloc(n, None if p is None else p % self.procs)
        for u, m in self.stacks:
            assert u + m <= v or v + n <= u, "stacks overlap"
        for start, end in self.blocks:
            assert end <= v or v + n <= start, "a stack lies on an object"
        self.stacks.append((v, n))

    @precondition(lambda self: self.stacks)
    @rule(which=st.integers(0, 1000), p=st.sampled_from((None, 0, 1)))
    def stack_free(self, which: int, p: int | None) -> None:
        v, n = self.stacks.pop(which % len(self.stacks))
        self.rt.stack_free(v, n, None if p is None else p % self.procs)

    @precondition(lambda self: self.objects)
    @rule(which=st.integers(0, 1 << 20))
    def set_finalizer(self, which: int) -> None:
        v = list(self.objects)[which % len(self.objects)]
        if v in self.doomed:
            return  # no program could: nothing points to it any more
        offset = v - self.rt.spans.base[self.rt.heap.lookup(v)]
        if offset < 1 << 16 and v not in self.finalizers:
            assert self.rt.set_finalizer(v)
            assert not self.rt.set_finalizer(v)
            self.finalizers.add(v)

    @rule()
    def run_finalizers(self) -> None:
        self.rt.run_finalizers()

    @rule(data=st.data(), mode=st.sampled_from(("block", "force", "background")))
    def collect(self, data: st.DataObject, mode: str) -> None:
        if self.marking:
            return
        live = self.some_live(data)
        before = set(self.rt.specials.finalizer_queue)
        live |= before  # what the queue holds is alive
        if mode == "background" and self.rt.gc.gcpercent < 0:
            mode = "force"
        if mode == "background":
            # A concurrent cycle keeps the tiny blocks that are being filled (gcMarkTinyAllocs).
            filling = {self.block_of(cache.tiny) for cache in self.rt.caches if cache.tiny}
            live |= {v for v, known in self.objects.items() if known[2] in filling}
        self.rt.collect(list(live), mode=mode)
        while self.rt.sweepone() >= 0:
            pass
        queued = [v for v in self.rt.specials.finalizer_queue if v not in before]
        assert set(queued) <= self.finalizers
        assert not set(queued) & live, "a finalizer of a live object was queued"
        self.finalizers -= set(queued)
        self.survive(live)
        self.init_new_spans()
        self.finalizers = {v for v in self.finalizers if v in self.objects}

    @rule(limit=st.sampled_from((0, 0, 1 << 40)))
    def scavenge(self, limit: int) -> None:
        if limit:
            self.rt.nanotime += 1 << 41
            released = self.rt.scavenge(self.rt.nanotime, limit)
        else:
            released = self.rt.scavenge()
        assert released >= 0
        if self.rt.config.phys_page_size <= PAGE and not limit:
            assert self.rt.stats.heap_released == self.rt.stats.heap_idle

    @precondition(lambda self: not self.marking and self.rt.gc.gcpercent >= 0)
    @rule(data=st.data())
    def begin_mark(self, data: st.DataObject) -> None:
        live = self.some_live(data) | set(self.rt.specials.finalizer_queue)
        self.doomed = set(self.objects) - live
        self.rt.begin_mark(list(live))
        self.marking = True
        self.queue_before = set(self.rt.specials.finalizer_queue)

    @precondition(lambda self: self.marking)
    @rule()
    def finish_mark(self) -> None:
        if self.rt.gc.phase == 1:
            self.rt.finish_mark()
        self.cycle_over(set())

    def cycle_over(self, reused: set[int]) -> None:
        """Sweeps, and forgets what the cycle took: what was to die, but for what shares a block with others.

        `reused` are doomed objects whose memory has a new owner already.
        """
        while self.rt.sweepone() >= 0:
            pass
        self.marking = False
        doomed, self.doomed = self.doomed, set()
        gone = {u for u, (_, _, block) in self.objects.items() if u in reused or not self.allocated(*block)}
        assert gone <= doomed, "an object that was alive, or new, was freed"
        for u in gone:
            del self.objects[u]
        self.blocks = sorted({block for _, _, block in self.objects.values()})
        self.finalizers -= (set(self.rt.specials.finalizer_queue) - self.queue_before) | gone
        self.init_new_spans()

    def allocated(self, start: int, end: int) -> bool:
        rt = self.rt
        s = rt.heap.lookup_maybe(start)
        if s < 0 or rt.spans.elemsize[s] != end - start:
            return False
        rt.sync_caches()
        index, rest = divmod(start - rt.spans.base[s], rt.spans.elemsize[s])
        return rest == 0 and bool(rt.allocated_mask(s) >> index & 1)

    # What must always hold.

    @invariant()
    def the_audit_is_clean(self) -> None:
        if hasattr(self, "rt"):
            assert self.rt.audit() == []

    @invariant()
    def every_live_object_is_where_it_was(self) -> None:
        if not hasattr(self, "rt"):
            return
        for v in [v for v in self.objects if v not in self.doomed][::7]:
            assert self.allocated(*self.objects[v][2])

    @precondition(lambda self: not self.marking)
    @rule()
    def memstats_are_a_recount(self) -> None:
        """mstats.go, recounted from the model and the spans' records."""
        rt = self.rt
        spans = rt.spans
        found = rt.memstats()
        in_use = [s for s in range(len(spans)) if spans.state[s] == IN_USE]
        by_state = Counter[int]()
        for s in range(len(spans)):
            by_state[spans.state[s]] += spans.npages[s] * PAGE
        queued = rt.specials.finalizer_queue
        blocks = {self.block_of(v) for v in self.objects} | {self.block_of(v) for v in queued}
        counted = sum(spans.alloc_count[s] for s in in_use)
        assert counted == len(blocks) if not queued and not self.finalizers else counted >= len(blocks)
        assert (
            found["HeapAlloc"]
            == found["Alloc"]
            == sum(spans.alloc_count[s] * spans.elemsize[s] for s in in_use)
        )
        assert found["HeapObjects"] == found["Mallocs"] - found["Frees"] == counted
        assert found["HeapInuse"] == by_state[IN_USE]
        assert found["StackInuse"] == by_state[STACK]
        assert found["HeapIdle"] == by_state[FREE]
        assert found["HeapSys"] == rt.stats.heap_sys - by_state[STACK]
        assert found["HeapReleased"] == sum(
            spans.npreleased[s] * PAGE for s in range(len(spans)) if spans.state[s] == FREE
        )
        assert found["MCacheInuse"] == self.procs * rt.config.sizeof_mcache
        live_spans = sum(state != 0 for state in spans.state)
        assert found["MSpanInuse"] == live_spans * rt.config.sizeof_mspan
        assert found["Mallocs"] == self.mallocs
        assert found["TotalAlloc"] == self.total
        parts = ("StackSys", "MSpanSys", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys", "HeapSys")
        assert found["Sys"] == sum(found[part] for part in parts)
        # BySize ends with class 60; mallocs less frees are the objects in use.
        per_class = Counter(spans.sizeclass[s] for s in in_use for _ in range(spans.alloc_count[s]))
        for sizeclass, row in enumerate(found["BySize"]):
            if sizeclass:
                assert row["Mallocs"] - row["Frees"] == per_class[sizeclass]

    @precondition(lambda self: self.bitmap_known)
    @rule()
    def the_bitmap_is_the_naive_one(self) -> None:
        self.init_new_spans()
        rt = self.rt
        for s in rt.in_use():
            length = rt.spans.npages[s] * PAGE
            assert rt.bitmap(s) == self.bitmap.bytes(rt.spans.base[s], length), rt.spans.describe(s)


Machine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, phases=phases())
TestMachine = Machine.TestCase
