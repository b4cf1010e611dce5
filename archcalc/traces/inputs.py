"""The inputs of a recording: types, what the OS answered, and what the runtime was asked to do.

Two kinds of records need care. Persistent memory is handed out in the order of the file's
lines, whoever asks, so a `q` line is carried out when it is read and the machine is given the
result when it asks. And profile records (`f`, `p`) are made inside the allocation whose line
follows them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from allocator.common.throw import Death
from allocator.common.types import Type
from allocator.contiguous.fixalloc import FixAlloc
from allocator.contiguous.mcache import MCache
from allocator.contiguous.persistent import DEFAULT_ALIGN
from allocator.contiguous.recorded import RecordedMismatch, parse_answer
from allocator.contiguous.vocabulary import malloc_flags
from archcalc.reading.words import counted
from archcalc.traces.judgement import WRONG, Judgement
from archcalc.traces.outcome import Stop
from archcalc.traces.reader import address, decimal, parse_type, shorten
from archcalc.traces.requests import MallocRequest, Requests

MAX_ANSWERS = 1 << 16
STATS = (
    "heap_sys", "stacks_sys", "mspan_sys", "mcache_sys", "buckhash_sys", "gc_sys", "other_sys",
)  # fmt: skip

Handler = Callable[[str, list[str]], None]


class Inputs(Judgement):
    """Carries out inputs. `handlers` has a function for each record, which takes the line and its parts."""

    understood: Requests

    def __init__(self, path: Path, keep_going: bool) -> None:
        super().__init__(path, keep_going)
        self.zerobase_known = False
        self.requests: dict[str, MallocRequest] = {}  # those understood, while there can be allocations
        self.allocating = False
        self.specials: dict[str, tuple[FixAlloc, set[int]]] = {}  # short ways too, by an f record's start
        self.default_align = ""
        self.stacks: dict[int, int] = {}  # the stacks in use, and their sizes in bytes
        self._records: dict[str, set[int]] = {
            "mcache": set(),
            "specialfinalizer": set(),
            "specialprofile": set(),
        }
        # More of these, not among them yet: programs make thousands that nobody asks for.
        self.made: list[tuple[str, Sequence[int]]] = []
        self.last_line = 0  # the last that can be an event, by the header
        self.handlers: dict[str, Handler] = {
            "T": self._type, "R": self._reserve, "Y": self._alloc, "F": self._failure, "I": self._init,
            "m": self._malloc, "s": self._stack_alloc, "S": self._stack_free, "p": self._persistent,
            "f": self._fix_alloc, "x": self._fix_free,
        }  # fmt: skip

    # Before the first event.

    def _type(self, line: str, parts: list[str]) -> None:
        number, typ = parse_type(line, self.rt.config.ptr_size)
        if number != len(self.types) + 1 or self.system.queue:
            raise ValueError(
                f"found type {number}, expected type {len(self.types) + 1}, before the first event"
            )
        self.types[number] = typ

    def allow(self, allocating: bool) -> None:
        """Sets whether there can be allocations from now on; if not, none takes the short way."""
        self.allocating = allocating
        self.requests = self.understood.known if allocating else {}

    def _init(self, line: str, parts: list[str]) -> None:
        rt = self.rt
        rt.boot()
        self.booted = self.running = True
        self.last_line = 1 + len(self.types) + self.header.events
        self.allow(True)
        h = rt.heap
        self.same(
            "I",
            line,
            f"I {h.spans_start:x} {h.bitmap:x} {h.arena_start:x} {h.arena_used:x} {h.arena_end:x} "
            f"{h.arena_reserved:d}",
        )
        self.settle()

    # Answers of the OS.

    def _reserve(self, line: str, parts: list[str]) -> None:
        _, v, n, ret, reserved = parts
        if reserved not in ("0", "1"):
            raise ValueError(f"found {reserved!r}, expected reserved 0 or 1")
        self.system.feed_reserve(address(v), decimal(n), address(ret), reserved == "1")
        self._fed()

    def _alloc(self, line: str, parts: list[str]) -> None:
        _, n, ret, stat = parts
        if stat not in STATS:
            raise ValueError(f"found {shorten(stat)}, expected one of {', '.join(STATS)}")
        self.system.feed_alloc(decimal(n), address(ret), stat)
        self._fed()

    def _failure(self, line: str, parts: list[str]) -> None:
        _, call, v, n, answer = parts
        if call not in ("sysMap", "sysUsed"):
            raise ValueError(f"found {shorten(call)}, expected sysMap or sysUsed")
        self.system.feed_failure(call, address(v), decimal(n), parse_answer(answer))
        self._fed()

    def _fed(self) -> None:
        """Notes where the answer that was just read stands."""
        queue = self.system.queue
        record = queue[-1]
        self.answers_at[id(record)] = self.line
        if type(record.answer) is int and record.answer > self.rt.word:
            raise ValueError(f"{record.answer:#x} is not an address of {self.header.platform}")
        if len(queue) > MAX_ANSWERS:
            raise ValueError(f"{MAX_ANSWERS} answers of the OS that were not asked for")

    # What the runtime was asked to do.

    def cache(self, text: str) -> MCache:
        number = decimal(text)
        if number >= len(self.rt.caches):
            raise ValueError(f"mcache {number} was never made")
        return self.rt.caches[number]

    def request(self, parts: list[str]) -> tuple[int, Type | None, bool, int]:
        """Size, type, needzero and cache of an m record."""
        _, size, number, flags, cache = parts[:5]
        typ = None
        if number != "-":
            typ = self.types.get(decimal(number))
            if typ is None:
                raise ValueError(f"type {number} was never declared")
        return decimal(size), typ, "z" in flags, self.cache(cache).id

    def _malloc(self, line: str, parts: list[str]) -> None:
        """An m record whose fields are not understood, or the first without a size."""
        _, _, _, _, _, ret = parts
        size, typ, needzero, p = self.request(parts)
        rt = self.rt
        v = address(ret)
        if size == 0 and not self.zerobase_known:
            # The address of zerobase is the program's; the first one shows it.
            rt.zerobase = v
            self.zerobase_known = True
        v = rt.mallocgc(size, typ, needzero, p)
        self.settle()
        self._compare(line, size, typ, needzero, v)

    def allocate(self, request: MallocRequest, line: str, ret: str) -> None:
        """An allocation that takes the long way, mallocgc."""
        try:
            address(ret)
            rt = self.rt
            v = rt.mallocgc(request.size, request.typ, request.needzero, request.cache.id)
            self.settle()
            if f"{v:x}" != ret or rt.last_flags != request.flags:
                self._compare(line, request.size, request.typ, request.needzero, v)
        except WRONG as wrong:
            self.went_wrong("m", line, wrong)

    def _compare(self, line: str, size: int, typ: Type | None, needzero: bool, v: int) -> None:
        """Compares an m record with what mallocgc gave."""
        _, size_text, number, _, cache, _ = line.split(" ")
        flags = malloc_flags(typ is None or typ.noscan, needzero, self.rt.last_flags if size else "")
        self.same("m", line, f"m {size_text} {number} {flags} {cache} {v:x}", v)

    def learn(self, key: str) -> MallocRequest | None:
        """How allocations with these fields go; None where that is not known, or there can be none."""
        return self.understood.learn(key) if self.allocating else None

    def _stack_alloc(self, line: str, parts: list[str]) -> None:
        _, n, cache, _ = parts
        p = None if cache == "-" else self.cache(cache).id
        v = self.rt.stack_alloc(decimal(n), p)
        self.stacks[v] = decimal(n)
        self.settle()
        self.same("s", line, f"s {n} {cache} {v:x}", v)

    def _stack_free(self, line: str, parts: list[str]) -> None:
        _, v, n, cache = parts
        p = None if cache == "-" else self.cache(cache).id
        size = self.stacks.pop(address(v), None)
        if size == decimal(n):
            self.rt.stack_free(address(v), size, p)
        else:
            found = (
                "no stack in use begins there" if size is None else f"that stack has {counted(size, 'byte')}"
            )
            self.differs("S", line, found)
        self.settle()

    def persistent_ahead(self, line: str) -> str:
        """Carries out a q record when it is read; the machine will ask for it."""
        rt = self.rt
        _, size, align, stat, slot, ret = line.split(" ")
        if stat not in STATS:
            raise ValueError(f"found {shorten(stat)}, expected one of {', '.join(STATS)}")
        n, a = decimal(size), decimal(align) or DEFAULT_ALIGN
        if a == DEFAULT_ALIGN:
            # Recordings have the default as it was asked for (0) or as it was taken (8), each always so.
            self.default_align = self.default_align or align
            self.same("q", line, f"q {size} {self.default_align} {stat} {slot} {ret}")
        expected = f"q {n} {a} {stat} {slot} {ret}"
        self.system.ahead = True
        try:
            addr, taken_from = rt.persistent.alloc(n, a, stat, slot)
        except Death as death:
            self.differs("q", line, f"the runtime died: {death.words}")
            raise Stop from None
        except RecordedMismatch as wrong:
            self.answer_differs("q", wrong)
            return expected
        finally:
            self.system.ahead = False
        # Compared when the machine has asked for it: only then is it known whether the size was right.
        rt.ready.append((n, a, stat, addr, f"q {n} {a} {stat} {taken_from} {addr:x}"))
        return expected

    def _persistent(self, line: str, parts: list[str]) -> None:
        _, size, align, stat, slot, _ = parts
        if stat not in STATS:
            raise ValueError(f"found {shorten(stat)}, expected one of {', '.join(STATS)}")
        self.system.ahead = True
        try:
            addr, taken_from = self.rt.persistent.alloc(decimal(size), decimal(align), stat, slot)
        finally:
            self.system.ahead = False
        self.same("p", line, f"p {size} {align} {stat} {taken_from} {addr:x}")

    def _fix_alloc(self, line: str, parts: list[str]) -> None:
        _, which, _ = parts
        live = self._live_records(which)
        rt = self.rt
        most = rt.config.max_gomaxprocs
        if which == "mcache" and len(live) >= most:
            raise ValueError(f"there are {most} mcaches, so no more Ps than that")
        assert rt.log is not None
        # It may stand inside an allocation whose own events wait already. Only a q record right
        # in front of it is its own.
        outer = len(rt.log)
        waiting = rt.ready
        mine = 1 if self.pending and self.pending[-1][0] == "q" and waiting else 0
        rt.ready = deque([waiting.pop()] if mine else ())
        addr = rt.new_mcache().addr if which == "mcache" else rt.fix_alloc(which)
        waiting.extend(rt.ready)
        rt.ready = waiting
        found = rt.log[outer:]
        del rt.log[outer:]
        first = max(len(self.pending) - len(found), 0)
        if found != self.pending[first:]:
            self.settle_differently(found, self.pending[first:], self.pending_at[first:])
        del self.pending[first:], self.pending_at[first:]
        self.same("f", line, f"f {which} {addr:x}")
        live.add(addr)
        if which != "mcache":
            self.specials[f"f {which}"] = getattr(rt, f"{which}alloc"), live

    def _fix_free(self, line: str, parts: list[str]) -> None:
        _, which, ptr = parts
        live = self._live_records(which)
        addr = address(ptr)
        if addr in live:
            live.remove(addr)
            self.rt.fix_free(which, addr)
        else:
            self.differs("x", line, f"no {which} in use is there")

    def _live_records(self, which: str) -> set[int]:
        live = self.records.get(which)
        if live is None:
            raise ValueError(f"found {shorten(which)}, expected one of {', '.join(self.records)}")
        return live

    @property
    def records(self) -> dict[str, set[int]]:
        """The addresses of fixalloc's records in use, by kind."""
        for which, some in self.made:
            self._records[which].update(some)
        self.made.clear()
        return self._records
