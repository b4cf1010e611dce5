"""The machine that a recording of version 2 ends with, compared with the one that replayed it, row by row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from allocator.common.types import Type
from allocator.sparse.mspan import IN_USE, MSpan
from archcalc.traces.reader import fault, shorten

if TYPE_CHECKING:
    from allocator.sparse.heap_bits import ObjectType
    from allocator.sparse.runtime import Runtime
    from archcalc.traces.version2.turns import Placed

ROWS = ("Za", "Zh", "Zc", "Zs", "Zv", "Zb", "Zt")
END = (*ROWS, "Z")


class Replaying(Protocol):
    """What replays the recording: where it is, its machine, the types by number."""

    name: str
    line: int
    core: Runtime | None
    types: dict[str, Type]

    def differs(self, placed: Placed | None, found: str) -> None:
        """Notes a difference."""

    def ends(self) -> None:
        """The run is over: what is known of the machine is written into its spans."""


class EndOfHeap:
    """The records of the end state. Each kind's rows are made when the first of it comes."""

    def __init__(self, replayer: Replaying) -> None:
        self.replayer = replayer
        self._rows: dict[str, Iterator[str]] = {}
        self._seen: Counter[str] = Counter()
        self._numbers: dict[int, str] = {}
        self._differs = False  # some row did

    def pass_rows(self, lines: list[str], at: int) -> int:
        """How many lines from `at` on are rows that are all as the machine has them; 0 where one is not."""
        if self.replayer.core is None or self._differs:
            return 0
        told: dict[str, list[str]] = {kind: [] for kind in ROWS}
        end = at
        for line in islice(lines, at, None):
            rows = told.get(line[:2])
            if rows is None or line[2:3] != " ":
                break
            rows.append(line)
            end += 1
        found = {kind: list(islice(self._rows_of(kind), len(rows))) for kind, rows in told.items() if rows}
        self._differs = any(told[kind] != rows for kind, rows in found.items())
        for kind, rows in found.items():
            if self._differs:
                self._rows[kind] = chain(rows, self._rows[kind])
            else:
                self._seen[kind] += len(rows)
        return 0 if self._differs else end - at

    def _rows_of(self, kind: str) -> Iterator[str]:
        if not self._rows:
            self.replayer.ends()
        rows = self._rows.get(kind)
        if rows is None:
            rows = self._rows[kind] = getattr(self, f"_{kind.lower()}")()
        return rows

    def record(self, line: str) -> None:
        """One record."""
        replayer = self.replayer
        kind = line.partition(" ")[0]
        if kind not in END:
            raise fault(replayer.name, replayer.line, shorten(line), "a record of the end state")
        if replayer.core is None:
            raise fault(replayer.name, replayer.line, shorten(line), "mallocinit before the end")
        if kind == "Z":
            if not self._rows:
                replayer.ends()
            self._seen[kind] += 1
            self._whole(line)
            return
        rows = self._rows_of(kind)
        self._seen[kind] += 1
        found = next(rows, "nothing")
        if found != line:
            replayer.differs((replayer.line, line), found)

    def finish(self) -> None:
        """Tells what the recording does not have."""
        replayer = self.replayer
        if not self._seen["Z"]:
            raise fault(replayer.name, replayer.line, "the end of the file", "the end state (Z)")
        for kind in ROWS:
            rows = self._rows.get(kind) or getattr(self, f"_{kind.lower()}")()
            left = next(rows, None)
            if left is not None:
                replayer.differs(None, left)

    def _whole(self, line: str) -> None:
        core = self.replayer.core
        assert core is not None
        told = json.loads(line[2:])
        config = core.config
        shift = config.log_palloc_chunk_bytes
        pages = core.pages
        growth = core.growth
        found = {
            "sweepgen": core.heap.sweepgen,
            "pages_in_use": core.heap.pages_in_use,
            "heap_live": core.pacer.heap_live,
            "cur_arena_base": growth.base,
            "cur_arena_end": growth.end,
            "search_addr": config.address(pages.search_addr),
            "start_chunk": pages.start,
            "end_chunk": pages.end,
            "mapped_ready": core.stats.mapped_ready,
        }
        assert shift
        for key, value in found.items():
            if key in told and told[key] != value:
                self.replayer.differs((self.replayer.line, f"Z {key} {told[key]}"), f"Z {key} {value}")

    def _za(self) -> Iterator[str]:
        core = self.replayer.core
        assert core is not None
        for index in core.arenas.heap_list:
            arena = core.arenas.by_index[index]
            yield f"Za {core.config.arena_base(index):x} {arena.zeroed_base} {arena.address:x}"

    def _zh(self) -> Iterator[str]:
        core = self.replayer.core
        assert core is not None
        for hint in core.arenas.hints:
            yield f"Zh {hint.addr:x} {int(hint.down)} {hint.record:x}"

    def _zc(self) -> Iterator[str]:
        core = self.replayer.core
        assert core is not None
        config = core.config
        shift = config.log_palloc_chunk_bytes
        size = (1 << config.log_palloc_chunk_pages) // 8
        for base, limit in core.pages.in_use:
            for ci in range(base >> shift, limit >> shift):
                chunk = core.pages.chunks[ci]
                bits, scavenged = (x.to_bytes(size, "little").hex() for x in (chunk.bits, chunk.scavenged))
                yield f"Zc {config.address(ci << shift):x} {bits} {scavenged}"

    def _zs(self) -> Iterator[str]:
        core = self.replayer.core
        assert core is not None
        for s in core.heap.allspans:
            large = (
                "-"
                if s.large_type is None or s.spanclass or s.state != IN_USE
                else self._number(s.large_type)
                if s.unrolled is None
                else f"*{s.unrolled.base:x}"
            )
            yield (
                f"Zs {s.base:x} {s.npages} {s.state} {s.spanclass} {s.nelems} {s.alloc_count} {s.free_index} "
                f"{s.needzero} {s.sweepgen} {s.elemsize} {s.limit:x} {large} {s.self_addr:x}"
            )

    def _in_use(self) -> Iterator[MSpan]:
        core = self.replayer.core
        assert core is not None
        return (s for s in core.heap.allspans if s.state == IN_USE)

    def _zv(self) -> Iterator[str]:
        for s in self._in_use():
            yield f"Zv {s.base:x} {s.alloc_bits.to_bytes((s.nelems + 7) // 8, 'little').hex()}"

    def _zb(self) -> Iterator[str]:
        core = self.replayer.core
        assert core is not None
        ptr = core.config.ptr_size
        for s in self._in_use():
            if s.spanclass < 2 or not core.layout[s.spanclass].bits_in_span:
                continue
            size = (s.npages << core.config.page_shift) // ptr // 8
            if s.spanclass == 2 and ptr == 8 and core.config.one_word_is_pointer:
                bits = (1 << 8 * size) - 1
            else:
                bits = _side_by_side(s.types or [], s.elemsize // ptr)
            yield f"Zb {s.base:x} {bits.to_bytes(size, 'little').hex()}"

    def _zt(self) -> Iterator[str]:
        core = self.replayer.core
        assert core is not None
        last, number = None, "-"
        for s in self._in_use():
            if s.spanclass < 2 or s.spanclass & 1 or core.layout[s.spanclass].bits_in_span:
                continue
            types = s.types if s.types is not None else [None] * s.nelems
            for i, allocated in enumerate(format(s.allocated(), "b")[::-1]):
                if allocated == "1":
                    what = types[i]
                    if what is not last:
                        last, number = what, self._number(what)
                    yield f"Zt {s.base + i * s.elemsize:x} {number}"

    def _number(self, what: object) -> str:
        """The number that the recording has for a type."""
        if not self._numbers:
            self._numbers = {id(typ): number for number, typ in self.replayer.types.items()}
        return self._numbers.get(id(what), "-") if isinstance(what, Type) else "-"


def _side_by_side(types: Sequence[ObjectType | None], words: int) -> int:
    """The pointer bits of objects of so many words each; those that have none, or a type, are clear."""
    first = types[0] if types else 0
    if types.count(first) == len(types):
        each = first if isinstance(first, int) else 0
        return each * (((1 << words * len(types)) - 1) // ((1 << words) - 1))
    texts = {what: format(what if isinstance(what, int) else 0, f"0{words}b") for what in set(types)}
    return int("".join(map(texts.__getitem__, reversed(types))), 2)
