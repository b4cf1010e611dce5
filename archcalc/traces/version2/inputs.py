"""The inputs of a recording of version 2 without brackets: types, and what the runtime was asked to do."""

from __future__ import annotations

import json
from collections.abc import Callable

from allocator.common.types import KIND_NO_POINTERS, Type
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.heap_bits import Plan, unrolled_pages
from allocator.sparse.mspan import MSpan
from archcalc.reading.words import counted
from archcalc.traces.reader import address, decimal, fault, shorten
from archcalc.traces.version2.judgement import NO_P, WRONG, SparseJudgement
from archcalc.traces.version2.turns import Placed

REPORTED = ("NextGC", "NumForcedGC", "PauseTotalNs")  # clocks and the pacer decide

# What an m record asks for: by which P, how many bytes, of which type, whether they must be zero, and how
# the machine lays it out where there is a short way.
Asked = tuple[int | None, int, Type | None, bool, Plan | None]
SLOWLY: Asked = (None, 0, None, False, None)


class SparseInputs(SparseJudgement):
    """Carries out inputs, each with the machine's answer compared."""

    def prepare(self) -> None:
        super().prepare()
        self.types: dict[str, Type] = {}
        self.asked: dict[str, Asked] = {}  # by an m record's fields but its address
        self.stacks_given: dict[str, str] = {}  # by thread, of the bracket that was closed last
        self.stacks_taken: dict[str, str] = {}
        # By thread: the span for the large object that comes next; the object, and pages, that wait for it.
        self.unrolled: dict[str, MSpan] = {}
        self.unrolling: dict[str, tuple[MSpan, int, Placed]] = {}
        self.specials: dict[str, FixAlloc] = {}
        self.specials_given: set[tuple[str, int]] = set()
        self.handlers: dict[str, Callable[[list[str], str], None]] = {
            "m": self._malloc, "s": self._stack, "S": self._stack_free, "p": self._persistent,
            "Y": self._sys_alloc, "y": self._sys_free, "f": self._fix_alloc, "x": self._fix_free,
            "E": self._flush, "=": self._memstats,
        }  # fmt: skip

    # Types.

    def _type(self, line: str) -> None:
        number, typ = self._read_type(line)
        self.types[number] = typ

    def _read_type(self, line: str) -> tuple[str, Type]:
        """A type and its number."""
        try:
            _, number, size, ptrdata, kind, align, mask, name = line.split(" ", 7)
            data = b"" if mask == "-" else bytes.fromhex(mask)
            noscan = KIND_NO_POINTERS if ptrdata == "0" else 0
            typ = Type(
                decimal(size),
                decimal(ptrdata),
                decimal(kind) | noscan,
                decimal(align),
                data,
                json.loads(name),
            )
            return number, typ
        except ValueError:
            raise fault(
                self.name, self.line, shorten(line), "T id size ptrdata kind align ptrmask name"
            ) from None

    # Requests.

    def _asked(self, key: str) -> Asked:
        """What m records with these fields ask for; SLOWLY where that is to be found out with each."""
        try:
            _, who, size, typ, flags = key.split(" ")
            if "l" in flags:
                return SLOWLY
            p = None if who == NO_P else decimal(who)
            what = self.types[typ] if typ != "-" else None
            core, n = self.core, decimal(size)
            usual = core is not None and p is not None and p < len(core.ps)
            return p, n, what, "z" in flags, core.short_way(n, what) if core is not None and usual else None
        except WRONG:
            return SLOWLY

    def _malloc(self, words: list[str], line: str) -> None:
        _, who, size, typ, flags, ret = words
        core = self.core
        assert core is not None
        if "l" in flags:
            self._large_is(words, line)
            return
        self._run_on(who)
        p = None if who == NO_P else core.current_p
        v = core.mallocgc(decimal(size), self.types[typ] if typ != "-" else None, "z" in flags, p)
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"{line.rpartition(' ')[0]} {v:x}")

    def _large_is(self, words: list[str], line: str) -> None:
        """The object of a span that its bracket took."""
        core = self.core
        assert core is not None
        _, who, _, typ, _, ret = words
        cache = self._run_on(who)
        s = core.heap.span_of(address(ret))
        if s is None or s.base != address(ret) or s.spanclass > 1:
            self.differs((self.line, line), "no large object there")
            return
        s.free_index = 1
        s.alloc_count = 1
        s.large_type = None
        if typ != "-" and self.types[typ].ptrdata:
            s.large_type = self.types[typ]
            self._unroll(s, self.types[typ], (self.line, line))
            cache.scan_alloc += s.elemsize

    def _unroll(self, s: MSpan, typ: Type, placed: Placed) -> None:
        """The span for a large object's GC program comes before its record in 1.22, and after it in 1.23."""
        core = self.core
        assert core is not None
        s.unrolled = self.unrolled.pop(self.thread, None)
        pages = unrolled_pages(core.config, typ)
        self._all_unrolled(self.thread)
        if pages and s.unrolled is None:
            self.unrolling[self.thread] = s, pages, placed
        elif pages != (s.unrolled.npages if s.unrolled is not None else 0):
            self.differs(placed, f"a GC program that takes {counted(pages, 'page')}")

    def _all_unrolled(self, *threads: str) -> None:
        """No object waits for the span of its GC program."""
        for thread in threads:
            waiting = self.unrolling.pop(thread, None)
            if waiting is not None:
                self.differs(waiting[2], "an object that gets no span for its GC program")

    def _stack(self, words: list[str], line: str) -> None:
        _, who, n, how, ret = words
        if how != "c":
            given = self.stacks_given.pop(self.thread, "no stack")
            if given != ret:
                self.differs((self.line, line), f"s {who} {n} {how} {given}")
            return
        core = self.core
        assert core is not None
        v = core.stack_heap.alloc(decimal(n), self._run_on(who))
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"s {who} {n} {how} {v:x}")

    def _stack_free(self, words: list[str], line: str) -> None:
        _, who, n, how, ptr = words
        if how == "c":
            core = self.core
            assert core is not None
            core.stack_heap.free(address(ptr), decimal(n), self._run_on(who))
            return
        taken = self.stacks_taken.pop(self.thread, "no stack")
        if taken != f"{n} {how} {ptr}":
            self.differs((self.line, line), f"S {who} {taken}")

    def _persistent(self, words: list[str], line: str) -> None:
        _, who, size, align, stat, ret = words
        core = self.core
        assert core is not None
        self._run_on(who)
        self.follower.outside = True
        v = core.persistent.alloc(decimal(size), decimal(align), stat)
        self.follower.outside = False
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"{line.rpartition(' ')[0]} {v:x}")

    def _sys_alloc(self, words: list[str], line: str) -> None:
        _, n, stat, ret = words
        core = self.core
        assert core is not None
        v = core.mem.sys_alloc(decimal(n), stat, "")
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"Y {n} {stat} {v:x}")

    def _sys_free(self, words: list[str], line: str) -> None:
        _, n, stat, ptr = words
        core = self.core
        assert core is not None
        core.mem.sys_free(address(ptr), decimal(n), stat)

    def _special(self, which: str) -> FixAlloc:
        found = self.specials.get(which)
        if found is None:
            core = self.core
            assert core is not None
            size, stat = self.header.extra["fixallocs"][which]
            found = self.specials[which] = FixAlloc(core, size, stat)
        return found

    def _fix_alloc(self, words: list[str], line: str) -> None:
        _, who, which, ret = words
        self._run_on(who)
        v = self._special(which).alloc()
        self.specials_given.add((which, v))
        if f"{v:x}" != ret:
            self.differs((self.line, line), f"f {who} {which} {v:x}")

    def _fix_free(self, words: list[str], line: str) -> None:
        which, v = words[1], address(words[2])
        if (which, v) not in self.specials_given:
            self.differs((self.line, line), f"no record of {which} there")
            return
        self.specials_given.discard((which, v))
        self._special(which).free(v)

    def _flush(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        caches = [p.page_cache for p in core.ps if f"{p.page_cache.base:x}" == words[1]]
        found = [f"E {cache.base:x} {cache.cache:x} {cache.scav:x}" for cache in caches]
        if line not in found:
            self.differs((self.line, line), found[0] if found else "no page cache there")
            return
        caches[found.index(line)].flush(core.pages)

    def _memstats(self, words: list[str], line: str) -> None:
        core = self.core
        assert core is not None
        told = json.loads(line[2:])
        steps, core.steps = core.steps, None
        found = core.memstats()
        core.steps = steps
        found["NumGC"] = core.heap.sweepgen >> 1
        self.result.memstats = {**found, **{key: told[key] for key in REPORTED if key in told}}
        for key, value in told.items():
            if key not in REPORTED and found[key] != value:
                self.differs((self.line, f"= {key} {value}"), f"= {key} {found[key]}")
