"""Real bugs of Go's allocator, put back one at a time, and what catches each.

A bug is a change of a line or two of the model, made for the length of one test: what the runtime
had before the commit that is cited mended it (commits and issues are golang/go's). What catches
it is the audit, by the invariant that is named; a recording of the real runtime that does not
replay any more, by the record that differs; or the runtime's own last words.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from allocator.common.throw import Death
from allocator.common.types import Type
from allocator.contiguous import (
    heap_bitmap,
    malloc,
    mcache,
    mcentral,
    mheap,
    runtime,
    scavenge,
    specials,
    stack,
    sweep,
)
from allocator.contiguous.core import Core
from allocator.contiguous.malloc import Malloc
from allocator.contiguous.mem_plan9 import MemPlan9
from allocator.contiguous.mem_windows import MemWindows
from allocator.contiguous.persistent import PersistentAlloc
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.traces.reader import Header
from archcalc.traces.replay import replay
from archcalc.workloads import run as running

TRACES = Path(__file__).parents[1] / "data" / "traces"
MB = 1 << 20

# What a bug shows itself by: "audit NAME", "replay RECORD" or "dies WORDS".
Signs = set[str]


def audited(platform: str, *names: str, n: int = 1500, seed: int = 1, **machine: Any) -> Callable[[], Signs]:
    """Workloads with the audit in between, on one platform."""

    def hunt() -> Signs:
        found: Signs = set()
        for name in names:
            try:
                rt = boot(platform, gogc=100 if name == "churn" else -1, **machine)
                run = running.run(rt, platform, name, n, seed, audit_every=100)
            except (IndexError, ValueError, KeyError) as broken:
                found.add(f"breaks {type(broken).__name__}")
                continue
            found |= {f"audit {violation.name}" for violation in run.violations}
            if run.death is not None:
                found.add(f"dies {run.death['throw']}")
        return found

    return hunt


def replayed(name: str) -> Callable[[], Signs]:
    """A recording of the real runtime."""

    def hunt() -> Signs:
        result = replay(TRACES / f"{name}.trace.gz", config_for, keep_going=False)
        return {f"replay {result.first.record}"} if result.first is not None else set()

    return hunt


def config_for(header: Header) -> Any:
    options = MachineOptions(believed_page_size=header.phys_page_size, data_end=header.data_end)
    return config_of(figures.compute(platforms.load(header.platform)), options)


def driven(platform: str, drive: Callable[[Runtime], None], **machine: Any) -> Callable[[], Signs]:
    """A few steps on one machine, and then an audit."""

    def hunt() -> Signs:
        rt = boot(platform, **machine)
        rt.watch()
        try:
            drive(rt)
        except Death as death:
            return {f"dies {death.words}"}
        return {f"audit {violation.name}" for violation in rt.audit()}

    return hunt


@dataclass(frozen=True)
class Bug:
    """A bug: where it was mended, what it was, the function it stood in, how that read, what catches it."""

    name: str
    cited: str
    owner: Any
    function: str
    changes: tuple[tuple[str, str], ...]
    hunt: Callable[[], Signs]
    sign: str

    def put_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Changes the function's source, and the function with it."""
        fixed: FunctionType = vars(self.owner)[self.function]
        source = textwrap.dedent(inspect.getsource(fixed))
        for old, new in self.changes:
            source = self._replaced(source, textwrap.dedent(old), textwrap.dedent(new))
        space: dict[str, Any] = {}
        exec(
            compile("from __future__ import annotations\n" + source, self.name, "exec"),
            fixed.__globals__,
            space,
        )
        monkeypatch.setattr(self.owner, self.function, space[self.function])

    def _replaced(self, source: str, old: str, new: str) -> str:
        """The source with one place changed; whole lines wherever they are indented to."""
        for depth in range(0, 24, 4) if "\n" in old else (0,):
            indent = " " * depth
            if source.count(textwrap.indent(old, indent)) == 1:
                return source.replace(textwrap.indent(old, indent), textwrap.indent(new, indent))
        raise AssertionError(f"{self.function} does not read like this any more: {old}")


# Drives.


def fill_crowded(rt: Runtime) -> None:
    """Fills the first reservation and goes on where the kernel answers below it."""
    for _ in range(532):
        rt.malloc(MB)
    rt.collect([])
    rt.malloc(30 * MB)


def fill_to_the_top(rt: Runtime) -> None:
    """The arena ends where no 256 MB are left below 4 GB."""
    for _ in range(540):
        rt.malloc(MB)
    rt.collect([])
    for _ in range(40):
        rt.malloc(30 * MB)


def out_of_range(rt: Runtime) -> None:
    """On the ladder, a 64-bit machine is given memory beyond what the bitmap describes."""
    while True:
        rt.malloc(32 * MB)


def two_reservations(rt: Runtime) -> None:
    """Free pages on both sides of a border of reservations go back to the system, and are wanted again."""
    while rt.heap.arena_used < 0x40A00000:
        rt.malloc(MB)
    rt.collect([])
    rt.scavenge()
    rt.malloc(257 * MB)


def brk_again(rt: Runtime) -> None:
    """What is freed in the middle of the segment is given out again, and no more than that."""
    system = rt.system
    first, second = system.sys_alloc(65536, "other_sys"), system.sys_alloc(65536, "other_sys")
    system.sys_free(first, 65536)
    again = [system.sys_alloc(65536, "other_sys") for _ in range(2)]
    if second in again:
        raise Death("the same memory twice")


def small_holes(rt: Runtime) -> None:
    """Every second one of objects of 40 KB dies: no hole has an aligned page of 64 KB."""
    live = [rt.malloc(40_000) for _ in range(25)]
    rt.collect(live[::2])
    rt.scavenge()


def aligned_records(rt: Runtime) -> None:
    """Pieces of odd sizes, each at a multiple of its alignment."""
    for i in range(200):
        v = rt.persistent_alloc_outside(3 + i % 7, 1 << i % 6, "other_sys")
        if v % (1 << i % 6):
            raise Death("persistent memory is misaligned")


def grow_behind_used(rt: Runtime) -> None:
    """The heap grows after memory that was used; both together are not fresh."""
    rt.malloc(900 << 10)
    rt.collect([])
    assert rt.log is not None
    rt.malloc(2 * MB)
    handed_out = [line.split() for line in rt.log if line.startswith("H ")][-1]
    if handed_out[-1] != "1":
        raise Death("used memory is taken for zeroed")


def one_pointer(rt: Runtime) -> None:
    """A pointer of 4 bytes has a block of two words to itself."""
    v = rt.malloc(4, Type.of_words("*T", "p", 4))
    if rt.bitmap(rt.heap.lookup(v))[0] & 0x33 != 0x11:
        raise Death("the bitmap has a pointer too many")


def tables_of_tails(rt: Runtime) -> None:
    """Counts what MemStats says of frees against what was allocated and what is left."""
    live = [rt.malloc(64) for _ in range(1000)][::3]
    rt.collect(live)
    stats = rt.memstats()
    if (stats["Mallocs"], stats["HeapObjects"]) != (1000, len(live)):
        raise Death("MemStats has other objects")


def stacks_and_sums(rt: Runtime) -> None:
    """MemStats' parts make up its Sys, stacks that the system gave itself included."""
    rt.sys_alloc_outside(65536, "stacks_sys")
    for _ in range(10):
        rt.stack_alloc(32768)
    stats = rt.memstats()
    parts = ("HeapSys", "StackSys", "MSpanSys", "MCacheSys", "BuckHashSys", "GCSys", "OtherSys")
    if sum(stats[part] for part in parts) != stats["Sys"]:
        raise Death("MemStats does not add up")


def stacks_in_marking(rt: Runtime) -> None:
    """Stacks freed while the collector marks leave their spans as they are until it is done."""
    rt.malloc(64)
    stacks = [rt.stack_alloc(32768) for _ in range(4)]
    rt.begin_mark(True)
    for v in stacks:
        rt.stack_free(v, 32768)
    if rt.stats.stacks_inuse < 4 * 32768:
        raise Death("a span changed its state while marking")
    rt.finish_mark()


def profile_and_finalizer(rt: Runtime) -> None:
    """A sampled object with a finalizer dies: the finalizer is queued, the object and its sample live on."""
    p = rt.malloc(64)
    rt.specials.profile(p, 64, "here")
    rt.set_finalizer(p)
    rt.collect([])
    (bucket,) = rt.specials.buckets.values()
    if bucket.frees:
        raise Death("the profile lost a live object")


CROWDED = {"taken": [(0x400000, 0x500000)]}
HIGH = {"taken": [(0x8180000, 0x8280000)]}
LIMITED = {"va_bits": 36, "taken": [(0x30000000, 0x30001000)]}

BUGS = (
    Bug(
        "overflow-of-arena-end",
        "commit f9357cdec1, #13143: the end of a larger arena was not checked for wrapping at 4 GB, so that "
        "addresses that cannot be were asked for, and answered elsewhere",
        mheap.MHeap,
        "_reserve_more",
        (("new_end < self.arena_end or ", ""),),
        driven("linux/386", fill_to_the_top, **HIGH),
        "dies heapBitsForSpan: base out of range",
    ),
    Bug(
        "refused-reservation",
        "commit 1d5251f707: a refused sysReserve was taken for memory at address 0",
        mheap.MHeap,
        "_reserve_more",
        (("if not p:\n    return False\nif p == self.arena_end:", "if p == self.arena_end:"),),
        driven("android/arm", fill_to_the_top, taken=[(0x31000000, 0xB0000000)]),
        "dies runtime: address space conflict",
    ),
    Bug(
        "stat-underflow",
        "commit 97dc591534, #13143: memory out of range was given back on the account of memory that was "
        "never charged",
        mheap.MHeap,
        "_reserve_more",
        (("rt.sys_free(p, size, None)", 'rt.sys_free(p, size, "buckhash_sys")'),),
        driven("linux/arm64", out_of_range, **LIMITED),
        "dies stat underflow",
    ),
    Bug(
        "bits-not-mapped",
        "commit 9a3112bcae: arena_used moved on one path before bitmap and spans were mapped up to it",
        mheap.MHeap,
        "sys_alloc",
        (
            (
                "self._map_bits(p + n)\nself._map_spans(p + n)\nself.arena_used = p + n",
                "self.arena_used = p + n",
            ),
        ),
        driven("linux/amd64", small_holes),
        "dies index out of range",
    ),
    Bug(
        "pages-in-use",
        "commit 61f56e925e: the pages of a grown heap were counted as asked for and uncounted as got",
        mheap.MHeap,
        "_grow",
        (("self.pages_in_use += ask >> shift", "self.pages_in_use += npages"),),
        audited("linux/amd64", "mixed"),
        "audit counters",
    ),
    Bug(
        "coalescing-forward",
        "commit 9ba551bb87: the length of the table of spans was mistaken, so that free spans were not "
        "joined with those behind them",
        mheap.MHeap,
        "_put_free",
        (("page + npages < self.spans_len", "page + npages < 1"),),
        audited("linux/amd64", "mixed", "stacks"),
        "audit coalescing",
    ),
    Bug(
        "needzero-lost",
        "the flag of commit 86e3cb8da5, forgotten when a used span is joined with a fresh one",
        mheap.MHeap,
        "_put_free",
        (
            (
                "released = spans.npreleased[t]\nspans.needzero[s] |= spans.needzero[t]",
                "released = spans.npreleased[t]\n",
            ),
        ),
        driven("linux/amd64", grow_behind_used, record=True),
        "dies used memory is taken for zeroed",
    ),
    Bug(
        "released-pages-lost",
        "mspan.npreleased, dropped when a free span takes over its neighbour behind",
        mheap.MHeap,
        "_put_free",
        (("released += spans.npreleased[t]", "released += 0"),),
        audited("linux/amd64", "large", "churn"),
        "audit released",
    ),
    Bug(
        "coalesced-with-a-stack",
        "commit d57056ba26, #9880: stack spans became free while others took them for in use; here a free "
        "span takes over a stack span",
        mheap.MHeap,
        "_put_free",
        (
            (
                "t = pages.get(page - 1)\nif t >= 0 and state[t] == FREE:",
                "t = pages.get(page - 1)\nif t >= 0 and state[t] in (FREE, STACK):",
            ),
        ),
        audited("linux/amd64", "stacks"),
        "dies MSpanList_Remove",
    ),
    Bug(
        "stack-span-freed-while-marking",
        "commit d57056ba26, #9880: a stack span went back to the heap in the middle of marking",
        stack.Stacks,
        "free",
        (("if rt.gc.phase == 0:", "if rt.gc.phase >= 0:"),),
        driven("linux/amd64", stacks_in_marking, gogc=100),
        "dies a span changed its state while marking",
    ),
    Bug(
        "stack-cached-twice",
        "commit d6d7170de4: the stack cache was flushed and used at once, so that a stack was in two places",
        stack.Stacks,
        "_cache_release",
        (("self._pool_free(stacks.pop(), order)", "self._pool_free(stacks[-1], order)"),),
        audited("linux/amd64", "stacks"),
        "audit stack-spans",
    ),
    Bug(
        "pages-of-64k-released-outward",
        "commit 2cdcb6f829, #9993: the scavenger marked 8 KB pages unused and the kernel rounded outward to "
        "its own pages",
        scavenge,
        "_scavenge_list",
        (
            ("start = (start + phys - 1) & -phys", "start &= -phys"),
            ("end &= -phys", "end = (end + phys - 1) & -phys"),
        ),
        driven("linux/ppc64", small_holes),
        "audit released",
    ),
    Bug(
        "vacuous-rounding",
        "commit 336dad2a07, #16644: a run shorter than a physical page was released with a negative length",
        scavenge,
        "_scavenge_list",
        (("if end <= start:", "if end == start:"),),
        driven("linux/ppc64", small_holes),
        "audit released",
    ),
    Bug(
        "reclaim-counts-spans",
        "commit 69001e404e, #9048: reclaiming counted spans instead of pages and swept more than was wanted",
        mheap.MHeap,
        "_reclaim_list",
        (("n += freed", "n += 1"),),
        replayed("linux-s390x.large.conc"),
        "replay H",
    ),
    Bug(
        "frees-overcounted",
        "commit d97625ae9e: all free objects of a swept span were counted as freed now",
        sweep.Sweeper,
        "sweep",
        (
            (
                "rt.cache.local_nsmallfree[sizeclass] += freed",
                "rt.cache.local_nsmallfree[sizeclass] += nelems - nalloc",
            ),
        ),
        driven("linux/amd64", tables_of_tails),
        "dies MemStats has other objects",
    ),
    Bug(
        "credit-not-reimbursed",
        "commit 7407d8e582: a span that was half full was paid for whole, and sweeping ran ahead",
        mcentral.MCentral,
        "cache_span",
        (("rt.sweeper.reimburse_credit(used)", "pass"),),
        replayed("windows-386.std.conc"),
        "replay b",
    ),
    Bug(
        "credit-of-one-object",
        "commit 6383fb6152: the sweeper was paid for one object and reimbursed for a span",
        mcentral.MCentral,
        "cache_span",
        (("rt.sweeper.deduct_credit(span_bytes, 0)", "rt.sweeper.deduct_credit(self.size, 0)"),),
        audited("linux/amd64", "churn", "mixed", n=4000),
        "dies spanBytesAlloc underflow",
    ),
    Bug(
        "sweepgen-off-by-one",
        "the class of commit 3590d9ce69: a span is free for allocation while its sweepgen says that it "
        "is being swept",
        mcentral.MCentral,
        "free_span",
        (
            (
                "spans.sweepgen[s] = rt.heap.sweepgen\nif spans.alloc_count[s]:",
                "spans.sweepgen[s] = rt.heap.sweepgen - 1\nif spans.alloc_count[s]:",
            ),
        ),
        audited("linux/amd64", "mixed"),
        "dies MHeap_FreeSpanLocked - invalid free",
    ),
    Bug(
        "tiny-block-kept",
        "commit 835c83b40d: a P's tiny block outlived the collection that freed it",
        mcache.MCache,
        "release_all",
        (("self.tiny = 0\nself.tiny_offset = 0\n", ""),),
        replayed("linux-arm64.mixed-free.stw"),
        "replay m",
    ),
    Bug(
        "tiny-block-never-saved",
        "commit d18167fefe: a new tiny block was saved only when it had less room than the old one",
        Malloc,
        "mallocgc",
        (("if size < cache.tiny_offset or not cache.tiny:", "if size < cache.tiny_offset and cache.tiny:"),),
        replayed("linux-amd64.gcprog.stw"),
        "replay m",
    ),
    Bug(
        "freeindex-past-the-end",
        "commit 44fe90d0b3, dev.garbage: the search for a free object ran past the span's last one",
        mcache.CachedSpan,
        "next_run",
        (("else:\n    length = nelems - index\n", "else:\n    length = nelems - index + 1\n"),),
        audited("linux/amd64", "mixed"),
        "audit cache-runs",
    ),
    Bug(
        "bitmap-not-cleared",
        "commit 266a842f55: bits of a former object were left in the bitmap of a span that was used again",
        Core,
        "init_span",
        (("spans.bits[s] = 0xFF if size == 8 == self.config.ptr_size else 0", "pass"),),
        replayed("linux-386.mixed.stw"),
        "replay Zb",
    ),
    Bug(
        "bitmap-of-long-tails",
        "commit a8ae93fd26: repeating a type with a long tail without pointers lost the bits behind it",
        heap_bitmap,
        "repeat",
        (
            (
                "out |= (out & ((1 << (period * step)) - 1)) << (period * have)",
                "out |= (out & ((1 << (period * step)) - 1)) << (period * have) if period < 64 else 0",
            ),
        ),
        replayed("linux-amd64.gcprog.stw"),
        "replay Zb",
    ),
    Bug(
        "one-pointer-on-32-bit",
        "commit c3c047a6a3: one pointer in a block of two words was written as two on 32-bit",
        malloc,
        "stamp",
        (("return Stamp(PAIR, clear=0x33, tail=0x11)", "return Stamp(PAIR, clear=0x33, tail=0x13)"),),
        driven("linux/386", one_pointer),
        "dies the bitmap has a pointer too many",
    ),
    Bug(
        "special-dropped-at-sweep",
        "commit bf606094ee: of a dead tiny block with a finalizer the profile record was freed, "
        "though the block lives on",
        specials.Specials,
        "sweep",
        (("if record.kind == FINALIZER or not finalized:", "if record.kind or not finalized:"),),
        driven("linux/amd64", profile_and_finalizer),
        "dies the profile lost a live object",
    ),
    Bug(
        "persistent-misaligned",
        "commit 86da989ee5's helper without its rounding: records that follow odd sizes are misaligned",
        PersistentAlloc,
        "alloc",
        (("off = (off + align - 1) & -align", "off = off"),),
        driven("linux/amd64", aligned_records),
        "dies persistent memory is misaligned",
    ),
    Bug(
        "bitmap-short-by-a-page",
        "commit 6dda7b2f5f, #12480: bitmap was mapped by 8 KB on kernels with larger pages",
        mheap.MHeap,
        "_map_bits",
        (("n = (n + phys - 1) & -phys", "pass"),),
        driven("linux/arm64", small_holes, page_size=65536),
        "dies runtime: address space conflict",
    ),
    Bug(
        "plan9-free-doubled",
        "commit 3c3848ad92, #9712: sysFree doubled what it gave back, and its neighbour was given out again",
        MemPlan9,
        "_mem_free",
        (("size = mem_round(n, self.ptr_size)", "size = 2 * mem_round(n, self.ptr_size)"),),
        driven("plan9/386", brk_again),
        "dies the same memory twice",
    ),
    Bug(
        "commit-across-reservations",
        "commit 1cb53ce36b, #12587: sysUsed died of a failed VirtualAlloc instead of trying smaller pieces",
        MemWindows,
        "used_at",
        (
            (
                'return self._piecewise(v, n, self._commit, self.planned("sysUsed", v, n))',
                'return self._commit(v, n, self.planned("sysUsed", v, n))',
            ),
        ),
        driven("windows/386", two_reservations),
        "dies runtime: failed to commit pages",
    ),
    Bug(
        "stacks-counted-twice",
        "commit 7c7cd69591: StackSys was overwritten, so that MemStats' parts did not add up",
        runtime,
        "memstats",
        (('"StackSys": stats.stacks_sys + stats.stacks_inuse', '"StackSys": stats.stacks_inuse'),),
        driven("linux/amd64", stacks_and_sums),
        "dies MemStats does not add up",
    ),
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_put_back_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bug.sign not in bug.hunt()
    bug.put_back(monkeypatch)
    assert bug.sign in bug.hunt()


def test_what_this_commit_itself_has_is_found_and_its_mending_is_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """#20259 was mended after this commit: arena_used must not move down. With that the death is gone."""
    hunt = driven("android/arm", fill_crowded, **CROWDED)
    assert hunt() == {"dies heapBitsForSpan: base out of range"}
    mend = Bug(
        "reservation-below-arena-used",
        "#20259",
        mheap.MHeap,
        "_reserve_more",
        (("elif self.arena_start <= p and", "elif self.arena_used <= p and"),),
        hunt,
        "",
    )
    mend.put_back(monkeypatch)
    assert "dies heapBitsForSpan: base out of range" not in hunt()


def test_a_hint_that_wraps_is_caught_by_a_check() -> None:
    """malloc.go masks its hints with uintptrMask, since `i<<40` could be beyond 64 bits."""
    from archcalc import checks

    computed = figures.compute(platforms.load("linux/amd64"))
    wrapped = (*computed.layout.hints[:-1], computed.layout.hints[0])

    class Wrapped:
        """The figures, but for the last hint."""

        layout = computed.layout._replace(hints=wrapped)

        def __getattr__(self, name: str) -> Any:
            return getattr(computed, name)

    check = checks.registry()["layout.hints-distinct"]
    assert not check.run(computed, check.rule.severity).findings
    assert check.run(Wrapped(), check.rule.severity).findings  # type: ignore[arg-type]


def test_a_wrong_class_for_32_kb_is_caught_by_a_check() -> None:
    """The last size of the table once had no class of its own: 32 KB must be small, and of class 66."""
    from archcalc import checks

    computed = figures.compute(platforms.load("linux/amd64"))
    classes = computed.size_classes
    short = replace(
        classes, size_to_class128=(*classes.size_to_class128[:-1], classes.size_to_class128[-1] - 1)
    )

    class Short:
        """The figures with the class below in the last place."""

        size_classes = short

        def __getattr__(self, name: str) -> Any:
            return getattr(computed, name)

    def failing(figures_: Any) -> set[str]:
        found = (
            checks.registry()[id].run(figures_, checks.registry()[id].rule.severity)
            for id in checks.registry()
            if id.startswith("sizeclasses.")
        )
        return {finding.id for case in found for finding in case.findings}

    assert failing(computed) == set()
    assert failing(Short())
