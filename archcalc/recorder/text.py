"""From the raw log of a run to the lines of a recording: archtrace version 2."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archcalc.recorder.binary import ProgramFile
from archcalc.recorder.edits import BRACKETS
from archcalc.recorder.rawlog import RawLog
from archcalc.traces.records.version2 import ADVICE, ERRNO, GODEBUGS, KINDS, MADE, MEMSTATS, SETS, WAYS

# Key of a `#` record, and what it is.
DATA_END, TYPES, _ETYPES, PAGE, HUGE_PAGE, MHEAP, EMPTY_SPAN, MSPAN, ZEROBASE, TEXT, MCACHE0 = range(1, 12)
FIXALLOCS = 100
LINE_TABLE, GODEBUG = 12, 13
DONTNEED = 1  # GODEBUG's default
STATS = (
    "-",
    "stacks_sys",
    "mspan_sys",
    "mcache_sys",
    "buckhash_sys",
    "gc_misc_sys",
    "other_sys",
    "heap_released",
)
LARGE = 255
ALLOCATORS_OWN = frozenset(("spanalloc", "cachealloc", "arenaHintAlloc"))
IN_USE = 1
FIXED = 0x10
FLAGS = ((1, "n"), (2, "z"), (12, "t"), (8, "c"), (16, "l"), (32, "r"))
STATE = {
    1: "sweepgen", 2: "pages_in_use", 3: "heap_live", 4: "cur_arena_base", 5: "cur_arena_end",
    6: "search_addr", 7: "start_chunk", 8: "end_chunk", 9: "mapped_ready",
}  # fmt: skip
GO_EXIT = 101

# By what begins, or ends: the fields that the words of a raw record make, after the P.
OPENED: dict[str, Callable[[int, int, int], str]] = {
    "refill": lambda a, b, c: f"{a}",
    "large": lambda a, b, c: f"{a} {b}",
    "pinit": lambda a, b, c: f"{a}",
    "pdestroy": lambda a, b, c: f"{a}",
    "stackrefill": lambda a, b, c: f"{b}",
    "stackrelease": lambda a, b, c: f"{b}",
    "stackalloc": lambda a, b, c: f"{a} {WAYS[b]}",
    "stackfree": lambda a, b, c: f"{a} {WAYS[b]} {c:x}",
    "scavenge": lambda a, b, c: f"{a} {b}",
    "allocmanual": lambda a, b, c: f"{a} {KINDS[b]}",
    "freemanual": lambda a, b, c: f"{KINDS[b]} {a:x}",
    "reclaim": lambda a, b, c: f"{a}",
    "userfault": lambda a, b, c: f"{a:x}",
    "sweep": lambda a, b, c: f"{b} {a:x}",
}
CLOSED: dict[str, Callable[[int, int, int], str]] = {
    "pinit": lambda a, b, c: f"{a} {b:x}",
    "refill": lambda a, b, c: f"{a:x} {b} {c}",
    "large": lambda a, b, c: f"{a:x} {b} {c}",
    "stackalloc": lambda a, b, c: f"{a:x}",
    "allocmanual": lambda a, b, c: f"{a:x}",
    "userarena": lambda a, b, c: f"{a:x}",
    "sweepone": lambda a, b, c: f"{a if a < 1 << 31 else 'done'}",
    "scavenge": lambda a, b, c: f"{a}",
    "sweep": lambda a, b, c: f"{b} {a:x}",
}


def errno_name(number: int) -> str:
    """An error's name, as recordings have it."""
    return ERRNO.get(number, f"E{number}")


class Texts:
    """Makes a recording's lines of a raw log. `header` is known when the first records have been read."""

    def __init__(self, log: RawLog, image: ProgramFile, fixallocs: Sequence[str]) -> None:
        self.log = log
        self.image = image
        self.fixallocs = ("other", *fixallocs)
        self.meta: dict[int, int] = {}
        self.fixed: dict[str, tuple[int, str]] = {}  # the fixallocs: bytes of a record, the counter charged
        self.types: dict[int, int] = {}
        self.made: dict[int, tuple[int, ...]] = {}
        self.caches: dict[int, int] = {}
        self.events = 0
        self.exit: int | None = None
        self.ended = False
        self._others: dict[int, int] = {}
        self._pending: list[str] = []
        self._printed: dict[int, bytes] = {}  # by thread, what it printed since its last record
        self._memstats: dict[str, int] = {}
        self._state: dict[str, int] = {}
        self._parts: dict[tuple[str, int], bytearray] = {}
        self._tail: dict[str, list[str]] = {kind: [] for kind in ("Zs", "Zc", "Zv", "Zb", "Zt")}
        self._chunks: dict[int, str] = {}
        self._handlers: dict[str, Callable[[int, tuple[int, ...]], str | None]] = {
            "#": self._note, "m": self._malloc, "s": self._stack, "S": self._stack_free,
            "p": self._persistent, "Y": self._sys_alloc, "y": self._sys_free, "f": self._fix,
            "x": self._fix_free, "M": self._map, "O": self._unmap, "A": self._advise, "G": self._protect,
            "B": self._brk, "N": self._named, "H": self._span, "<": self._pool_gives, ">": self._pool_takes,
            "*": self._bits, "/": self._unused_bits,
            "Q": self._zeroed, "R": self._reclaims, "D": self._free_span,
            "C": self._to_cache, "E": self._flush, "+": self._push, "-": self._pop, "b": self._marks,
            "V": self._scavenge_takes, "v": self._scavenged, "u": self._no_more, "P": self._phase,
            "?": self._finds,
            "I": self._init, "e": self._epoch, "n": self._next_gen, "g": self._sweep_begins,
            "r": self._ratio, "l": self._limits, "w": self._goal, "J": self._lot, "(": self._open,
            ")": self._close, "=": self._stats, "!": self._death, "T": self._made, "z": self._word,
            "a": self._arena, "h": self._hint, "c": self._bytes, "K": self._bytes, "d": self._bytes,
            "i": self._bytes, "k": self._bytes, "j": self._record, "t": self._headed,
        }  # fmt: skip
        self._kind = ""
        self._last_printed = b""  # right before the record at hand
        self._wide = log.ptr_size == 8

    def header(self, **about: Any) -> dict[str, Any]:
        """The first line's keys, once all is read."""
        return {
            "format": "archtrace",
            "version": 2,
            **about,
            "data_end": self.meta.get(DATA_END, 0),
            "phys_page_size": self.meta.get(PAGE, 0),
            "phys_huge_page_size": self.meta.get(HUGE_PAGE, 0),
            "fixallocs": self.fixed,
            "zerobase": self.meta.get(ZEROBASE, 0),
            **({} if self.meta.get(GODEBUG, DONTNEED) == DONTNEED else {"godebug": self._godebug()}),
            "whole": self.ended,
            **({"cut": True} if self.log.cut else {}),
            "events": self.events,
        }

    def _godebug(self) -> dict[str, int]:
        """The settings by which memory is taken and given back."""
        return {name: self.meta[GODEBUG] >> i & 1 for i, name in enumerate(GODEBUGS)}

    def lines(self) -> Iterator[str]:
        """All lines but the header."""
        handlers = self._handlers
        last = 0
        for _, thread, kind, p, words in self.log.records():
            self._kind = kind
            if kind == "o":
                self._printed[thread] = self._printed.get(thread, b"") + self._text(words[2:], words[1])
                continue
            self._last_printed = self._printed.pop(thread, b"") if self._printed else b""
            line = handlers[kind](p, words)
            if self._pending:
                yield from self._pending
                self._pending.clear()
            if line is None:
                continue
            if thread != last:
                last = thread
                yield f"@ {thread}"
            self.events += line[0] not in "ZT"
            yield line
        yield from self._end()

    # What a field looks like.

    def _type(self, address: int) -> str:
        if not address:
            return "-"
        known = self.types.get(address)
        if known is None:
            known = self.types[address] = len(self.types)
            self._pending.append(self._type_line(known, address))
        return str(known)

    def _type_line(self, number: int, address: int) -> str:
        made = self.made.get(address)
        if made is not None:
            _, size, ptrdata, kind, align, _, *mask_words = made
            code = "Q" if self._wide else "I"
            mask = struct.pack(f"{self.log.order}{len(mask_words)}{code}", *mask_words)
            mask = mask[: (ptrdata // self.log.ptr_size + 7) // 8] if ptrdata <= 512 else b""
            mask = mask if any(mask) else b""
            return f'T {number} {size} {ptrdata} {kind} {align} {mask.hex() or "-"} "{MADE}"'
        t = self.image.type(address, self.meta[TYPES])
        return (
            f"T {number} {t.size} {t.ptrdata} {t.kind} {t.align} {t.mask.hex() or '-'} {json.dumps(t.name)}"
        )

    def _cache(self, address: int) -> str:
        p = self.caches.get(address)
        return "0" if p is None and address == self.meta.get(MCACHE0) else "-" if p is None else str(p)

    def _64(self, words: tuple[int, ...]) -> list[int]:
        """The 64-bit fields after a record's first word."""
        if self._wide:
            return list(words[1:])
        # The recorder writes the low half first on every machine.
        return [words[i] | words[i + 1] << 32 for i in range(1, len(words) - 1, 2)]

    def _text(self, words: tuple[int, ...], count: int) -> bytes:
        code = "Q" if self._wide else "I"
        return struct.pack(f"{self.log.order}{len(words)}{code}", *words)[:count]

    # Requests.

    def _note(self, p: int, w: tuple[int, ...]) -> None:
        if w[0] >= FIXALLOCS:
            self.fixed[self.fixallocs[w[0] - FIXALLOCS + 1]] = (w[1], STATS[w[2]])
        else:
            self.meta[w[0]] = w[1]
            if w[0] == LINE_TABLE:
                self.image.loaded(w[1])

    def _malloc(self, p: int, w: tuple[int, ...]) -> str:
        how, size, typ, ret = w
        flags = "".join(letter for bit, letter in FLAGS if how & bit)
        return f"m {p if p >= 0 else '-'} {size} {self._type(typ)} {flags or '.'} {ret:x}"

    def _stack(self, p: int, w: tuple[int, ...]) -> str:
        return f"s {p if p >= 0 else '-'} {w[1]} {WAYS[w[0]]} {w[2]:x}"

    def _stack_free(self, p: int, w: tuple[int, ...]) -> str:
        return f"S {p if p >= 0 else '-'} {w[1]} {WAYS[w[0]]} {w[2]:x}"

    def _persistent(self, p: int, w: tuple[int, ...]) -> str:
        own, size, align, stat, ret = w
        return f"{'q' if own else 'p'} {p if p >= 0 else '-'} {size} {align} {STATS[stat]} {ret:x}"

    def _sys_alloc(self, p: int, w: tuple[int, ...]) -> str:
        return f"Y {w[0]} {STATS[w[1]]} {w[2]:x}"

    def _sys_free(self, p: int, w: tuple[int, ...]) -> str:
        return f"y {w[1]} {STATS[w[2]]} {w[0]:x}"

    def _fix(self, p: int, w: tuple[int, ...]) -> str:
        which = self._fixalloc(w[0], w[2])
        if which in ALLOCATORS_OWN:
            return f"F {which} {w[1]:x}"
        self.fixed.setdefault(which, (w[3], STATS[w[4]]))
        return f"f {p if p >= 0 else '-'} {which} {w[1]:x}"

    def _fix_free(self, p: int, w: tuple[int, ...]) -> str:
        which = self._fixalloc(w[0], w[2])
        return f"{'X' if which in ALLOCATORS_OWN else 'x'} {which} {w[1]:x}"

    def _fixalloc(self, number: int, at: int) -> str:
        """A fixalloc's name: its field in the mheap, or a number where it is somebody else's."""
        return self.fixallocs[number] if number else f"other{self._others.setdefault(at, len(self._others))}"

    # The kernel.

    def _map(self, p: int, w: tuple[int, ...]) -> str:
        addr, n, prot, flags, ret = w
        answer = f"{ret:x}" if ret >= 4096 else errno_name(ret)
        return f"M {addr:x} {n} {'rw' if prot else '-'} {'fixed' if flags & FIXED else '-'} {answer}"

    def _unmap(self, p: int, w: tuple[int, ...]) -> str:
        return f"O {w[0]:x} {w[1]}"

    def _advise(self, p: int, w: tuple[int, ...]) -> str:
        ret = w[3] & 0xFFFFFFFF
        answer = "0" if not ret else errno_name((1 << 32) - ret if ret >> 31 else ret)
        return f"A {w[0]:x} {w[1]} {ADVICE.get(w[2], w[2])} {answer}"

    def _protect(self, p: int, w: tuple[int, ...]) -> str:
        return f"G {w[0]:x} {w[1]} {'rw' if w[2] else '-'}"

    def _brk(self, p: int, w: tuple[int, ...]) -> str:
        return f"B {w[0]:x}"

    def _named(self, p: int, w: tuple[int, ...]) -> str:
        name = self._text(w[4:], w[3]).decode("utf-8", "replace")
        return f"N {w[0]:x} {w[1]} {errno_name(w[2]) if w[2] else 0} {json.dumps(name)}"

    # Pages.

    def _span(self, p: int, w: tuple[int, ...]) -> str:
        npages, what, base, scav, self_addr = w
        kind, sizeclass, cached = what & 255, what >> 8 & 255, what >> 16
        how = "c" if cached else "h"
        return (
            f"H {p if p >= 0 else '-'} {npages} {KINDS[kind]} {sizeclass} {how} {base:x} {scav} {self_addr:x}"
        )

    def _pool_gives(self, p: int, w: tuple[int, ...]) -> str:
        return f"< {'large' if w[0] == LARGE else w[0]} {w[1]:x}"

    def _pool_takes(self, p: int, w: tuple[int, ...]) -> str:
        return f"> {'large' if w[0] == LARGE else w[0]} {w[1]:x}"

    def _bits(self, p: int, w: tuple[int, ...]) -> str:
        return f"* {w[0]:x}"

    def _unused_bits(self, p: int, w: tuple[int, ...]) -> str:
        return f"/ {w[0]:x}"

    def _zeroed(self, p: int, w: tuple[int, ...]) -> str:
        return f"Q {w[0]} {w[1]:x}"

    def _reclaims(self, p: int, w: tuple[int, ...]) -> str:
        return f"R {w[0]}"

    def _free_span(self, p: int, w: tuple[int, ...]) -> str:
        return f"D {p if p >= 0 else '-'} {w[1]} {KINDS[w[2]]} {w[0]:x}"

    def _to_cache(self, p: int, w: tuple[int, ...]) -> str:
        cache, scav = self._64(w)
        return f"C {p if p >= 0 else '-'} {w[0]:x} {cache:x} {scav:x}"

    def _flush(self, p: int, w: tuple[int, ...]) -> str:
        cache, scav = self._64(w)
        return f"E {w[0]:x} {cache:x} {scav:x}"

    def _push(self, p: int, w: tuple[int, ...]) -> str:
        return f"+ {w[0] & 255} {SETS[w[0] >> 8]} {w[2]} {w[1]:x} {w[3]:x}"

    def _pop(self, p: int, w: tuple[int, ...]) -> str:
        return f"- {w[0] & 255} {SETS[w[0] >> 8]} " + (f"{w[2]} {w[1]:x} {w[3]:x}" if len(w) > 1 else "-")

    def _marks(self, p: int, w: tuple[int, ...]) -> str:
        base, sizeclass, nalloc, nfreed, count = w[:5]
        data = self._text(w[5:], count)
        words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
        return f"b {base:x} {sizeclass} {nalloc} {nfreed} {','.join(f'{word:x}' for word in words)}"

    def _finds(self, p: int, w: tuple[int, ...]) -> str:
        return f"c {w[0]:x} {w[1]}" if w[0] else "c -"

    def _scavenge_takes(self, p: int, w: tuple[int, ...]) -> str:
        return f"V {w[1]} {w[0]:x}"

    def _scavenged(self, p: int, w: tuple[int, ...]) -> str:
        return f"v {w[1]} {w[0]:x}"

    def _no_more(self, p: int, w: tuple[int, ...]) -> str:
        return f"u {w[0]:x}"

    # The collector.

    def _init(self, p: int, w: tuple[int, ...]) -> str:
        return "I"

    def _phase(self, p: int, w: tuple[int, ...]) -> str:
        return f"P {w[0]}"

    def _epoch(self, p: int, w: tuple[int, ...]) -> str:
        return "e"

    def _next_gen(self, p: int, w: tuple[int, ...]) -> str:
        return "n"

    def _sweep_begins(self, p: int, w: tuple[int, ...]) -> str:
        live, in_use, marked = self._64(w)
        return f"g {w[0]} {live} {in_use} {marked}"

    def _ratio(self, p: int, w: tuple[int, ...]) -> str:
        bits, live, swept = self._64(w)
        (ratio,) = struct.unpack("<d", struct.pack("<Q", bits))
        return f"r {float(ratio).hex()} {live} {swept}"

    def _limits(self, p: int, w: tuple[int, ...]) -> str:
        percent, goal, limit = self._64(w)
        return f"l {percent} {goal} {limit}"

    def _goal(self, p: int, w: tuple[int, ...]) -> str:
        live, goal, marked = self._64(w)
        return f"w {live} {goal} {marked}"

    def _lot(self, p: int, w: tuple[int, ...]) -> str:
        return f"J {self._64(w)[0]:x}"

    # Brackets.

    def _open(self, p: int, w: tuple[int, ...]) -> str:
        what, a, b, c = w
        name = BRACKETS[what]
        mine = p if p >= 0 else "-"
        if name in ("release", "stackclear"):
            return f"( {name} {mine} {self._cache(a)}"
        told = OPENED.get(name)
        return f"( {name} {mine}" if told is None else f"( {name} {mine} {told(a, b, c)}"

    def _close(self, p: int, w: tuple[int, ...]) -> str:
        what, a, b, c = w
        name = BRACKETS[what]
        if name == "pinit":
            self.caches[b] = a
        told = CLOSED.get(name)
        return f") {name}" if told is None else f") {name} {told(a, b, c)}"

    def _stats(self, p: int, w: tuple[int, ...]) -> str | None:
        for index, value in enumerate(self._64(w)):
            self._memstats[MEMSTATS[w[0] + index]] = value
        if w[0] + 3 < len(MEMSTATS):
            return None
        found, self._memstats = self._memstats, {}
        return f"= {json.dumps(found)}"

    # The end.

    def _death(self, p: int, w: tuple[int, ...]) -> str | None:
        what = w[0]
        if what == GO_EXIT:
            self.exit = w[1]
            return None
        if what in (1, 2):
            words = self._text(w[2:], w[1]).decode("utf-8", "replace")
            printed = self._last_printed.decode("utf-8", "replace").splitlines()
            return f"! {json.dumps({'throw': words, 'printed': printed})}"
        if w[1] == 0:
            return None  # what ended it was said before
        return f"! {json.dumps({'panic': True} if w[1] == 1 else {'signal': w[1]})}"

    def _made(self, p: int, w: tuple[int, ...]) -> None:
        if self.made.get(w[0]) != w:
            self.made[w[0]] = w
            self.types.pop(w[0], None)

    def _word(self, p: int, w: tuple[int, ...]) -> None:
        self._state[STATE[w[0]]] = self._64(w)[0]
        self.ended = True

    def _arena(self, p: int, w: tuple[int, ...]) -> str:
        return f"Za {w[0]:x} {w[2]} {w[1]:x}"

    def _hint(self, p: int, w: tuple[int, ...]) -> str:
        return f"Zh {w[0]:x} {w[1]} {w[2]:x}"

    def _bytes(self, p: int, w: tuple[int, ...]) -> str | None:
        key, count, _, n = w[:4]
        part = self._parts.setdefault((self._kind, key), bytearray())
        part += self._text(w[4:], n)
        if len(part) < count:
            return None
        del self._parts[self._kind, key]
        if self.log.order == ">" and self._kind in "cdi":
            # Chunks have 64-bit words, heap bits the machine's.
            part = _swapped(part, self.log.ptr_size if self._kind == "i" else 8)
        if self._kind == "c":
            self._chunks[key] = part.hex()
            return None
        if self._kind == "K":
            return f"K {key:x} {part.rstrip(bytes(1)).hex() or '-'}"
        if self._kind == "d":
            return f"Zc {key:x} {self._chunks.pop(key)} {part.hex()}"
        return f"{'Zv' if self._kind == 'k' else 'Zb'} {key:x} {part.hex()}"

    def _record(self, p: int, w: tuple[int, ...]) -> str:
        (
            base,
            npages,
            state,
            sizeclass,
            nelems,
            allocs,
            free_index,
            needzero,
            sweepgen,
            elemsize,
            limit,
            me,
            large,
        ) = w
        if sizeclass or state != IN_USE:
            large = 0
        typ = f"*{large - 1:x}" if large & 1 else self._type(large)
        return (
            f"Zs {base:x} {npages} {state} {sizeclass} {nelems} {allocs} {free_index} {needzero} {sweepgen} "
            f"{elemsize} {limit:x} {typ} {me:x}"
        )

    def _headed(self, p: int, w: tuple[int, ...]) -> str:
        return f"Zt {w[0]:x} {self._type(w[1])}"

    def _end(self) -> Iterator[str]:
        if self.ended:
            yield f"Z {json.dumps({**self._state, 'exit': self.exit})}"


def _swapped(data: bytearray, width: int) -> bytearray:
    """Words of a big-endian machine with their low bytes first."""
    return bytearray(b"".join(bytes(data[i : i + width][::-1]) for i in range(0, len(data), width)))
