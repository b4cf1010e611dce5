"""What a program's calls show after the runtime's own start: its packages and main allocate what they like.

How much that is only the calls tell. The machine is given it, as a heap that grows by so many pages, and
what follows from it is compared: where it grows, and which arenas and tables that takes. Pieces that the
runtime takes one at a time, when it happens to need them, are taken as given where their size is right.
Whatever else is asked for is nothing that the runtime does there, and remains a difference.
"""

from __future__ import annotations

from allocator.common.throw import Throw
from allocator.kernels.answers import Answers
from allocator.kernels.calls import Call
from allocator.sparse import mark_bits, persistentalloc
from allocator.sparse.runtime import BUCKETS, Runtime

AHEAD = 1000  # calls that a growth makes at most before it maps its pages: a record for each arena, and a few
SPAN_QUEUE = 1024  # spans that the first queue of a P has room for
QUEUE = "GC span queue"


class Onward:
    """A started machine, and the recorded calls that are left.

    `collects`: whether a collection may begin before the heap has grown, as with GOGC below 100.
    """

    def __init__(self, rt: Runtime, answers: Answers, collects: bool) -> None:
        self.rt = rt
        self.answers = answers
        self.config = rt.config
        self.collects = collects
        self.queues: set[tuple[int, int]] = set()  # address and bytes

    def run(self) -> None:
        """Goes through what is left, up to the first call that does not belong there.

        Raises Death where the machine dies of an answer, EndOfAnswers where it asks for something else.
        """
        while (call := self.answers.peek()) is not None:
            if self._begins_growth(call):
                self._grow(call)
            elif (piece := self._piece(call)) is not None:
                self._take(call, *piece)
            elif self._is_of_heap(call) or (call.address, call.size) in self.queues:
                self.answers.pass_over()
            elif call.size == self.rt.heap.next_allspans_bytes and self._is_new(call):
                self.rt.heap.grow_allspans()
            else:
                break

    # The heap grows.

    def _begins_growth(self, call: Call) -> bool:
        """Whether the heap begins to grow with that: new pages, or an arena, or on 32 bits its record."""
        if call.name != "map":
            return False
        if not call.fixed:
            return call.access == "-" and call.size % self.config.heap_arena_bytes == 0
        if call.access == "rw" and call.answer == self.rt.growth.base:
            return self._is_growth(call)
        return call.access == "rw" and call.answer == self.rt.arenas.heap_arena_alloc.mapped

    def _is_growth(self, call: Call) -> bool:
        granted = call.name == "map" and call.fixed and call.access == "rw" and isinstance(call.answer, int)
        return granted and call.size % self.config.palloc_chunk_bytes == 0

    def _grow(self, call: Call) -> None:
        pages = self._asked(call) >> self.config.page_shift
        if not self.rt.growth.grow(pages):
            raise Throw("out of memory")
        self.collects = True

    def _asked(self, first: Call) -> int:
        """Bytes that are asked for by a growth that begins with that call. What an old arena has left is
        mapped before them where a new one lies elsewhere. Where no room was found, a whole arena will do.
        """
        base, end = self.rt.growth.base, self.rt.growth.end
        arena = None
        for call in self.answers.ahead(AHEAD):
            if call.reserves:
                arena = call
            elif self._is_growth(call):
                if arena is None or arena.answer == end:
                    return call.size
                if call.answer != base or call.size != end - base:
                    return call.size
        return first.size

    # What the runtime takes piece by piece.

    def _is_new(self, call: Call) -> bool:
        return call.name == "map" and call.access == "rw" and not call.fixed and not call.address

    def _piece(self, call: Call) -> tuple[str, str] | None:
        """The counter and the name of what the runtime takes alone, if any of it has that size."""
        config = self.config
        if not self._is_new(call):
            return None
        if call.size == config.persistent_chunk_size:
            return "other_sys", persistentalloc.NAME
        if call.size == config.gc_bits_chunk_bytes:
            return mark_bits.STAT, mark_bits.NAME
        if call.size == config.buck_hash_size * config.ptr_size and not self.rt.stats.bytes["buckhash_sys"]:
            return "buckhash_sys", BUCKETS
        if self._is_queue(call.size):
            return mark_bits.STAT, QUEUE
        return None

    def _is_queue(self, size: int) -> bool:
        """Whether a collection takes so many bytes for a queue of spans (newSpanSPMC)."""
        config = self.config
        least = max(SPAN_QUEUE * config.ptr_size, config.phys_page_size)
        if not self.collects or not config.inline_mark_bits or not config.span_queue_mask:
            return False
        return size >= least and size & size - 1 == 0

    def _take(self, call: Call, stat: str, name: str) -> None:
        v = self.rt.mem.sys_alloc(call.size, stat, name)
        if not v:
            raise Throw("runtime: cannot allocate memory")
        if name == QUEUE:
            self.queues.add((v, call.size))

    def _is_of_heap(self, call: Call) -> bool:
        """Whether it advises pages of the heap: they are used, or given back."""
        config = self.config
        if call.name != "advise" or (call.address | call.size) & config.phys_page_size - 1:
            return False
        ends = (call.address, call.address + call.size - 1)
        return all(config.arena_index(p) in self.rt.arenas.by_index for p in ends)
