"""Address space for the heap, in arenas, and the tables that know them (mheap.sysAlloc, malloc.go).

The heap takes addresses a whole arena at a time: from the reservation of the 32-bit start, at a hint,
or wherever the system puts it. An arena has a record (heapArena) in a two-level map by its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw
from allocator.sparse.arena_hints import HeapLot, Hint, hint_addresses
from allocator.sparse.fixalloc import FixAlloc
from allocator.sparse.linear_alloc import LinearAlloc

if TYPE_CHECKING:
    from allocator.sparse.core import Core

STAT = "gc_misc_sys"


class HeapArena:
    """What the runtime keeps of one arena; `address` is the record's own, `index` the arena's number.

    `zeroed_base` is the first byte of the arena that was never used.
    """

    __slots__ = ("address", "index", "zeroed_base")

    def __init__(self, index: int, address: int) -> None:
        self.index = index
        self.address = address
        self.zeroed_base = 0


class Arenas:
    """The heap's address space. `by_index` has the arenas, `heap_list` their numbers as they came.

    `hints` and `user_hints` are the lists of hints, the next one first. `l2_maps` has the address of
    each second-level map by its place in the first. `attempts` are the reservations that growth
    tried: (address asked for, bytes, answer).
    """

    def __init__(self, core: Core, seed: int) -> None:
        config = core.config
        self.core = core
        self.lot = HeapLot(seed)
        self.hints: list[Hint] = []
        self.user_hints: list[Hint] = []
        self.hint_alloc = FixAlloc(core, config.sizeof["arenaHint"], "other_sys")
        self.heap_arena_alloc = LinearAlloc(core)  # records, on 32-bit
        self.meta = 0  # where those begin
        self.arena = LinearAlloc(core)  # arenas, on 32-bit
        self.by_index: dict[int, HeapArena] = {}
        self.heap_list: list[int] = []
        self.user_list: list[int] = []
        self.list_caps = {False: 0, True: 0}
        self.l2_maps: dict[int, int] = {}
        self.huge_pages = False  # arenasHugePages
        self.attempts: list[tuple[int, int, int]] = []

    def add_hints(self) -> None:
        """The hints of a 64-bit start. Go makes the last one first; each takes a record."""
        for address, user in reversed(hint_addresses(self.core.config, self.lot)):
            hint = Hint(address, self.hint_alloc.alloc())
            (self.user_hints if user else self.hints).insert(0, hint)

    def add_hint(self, address: int, *, user: bool = False, down: bool = False) -> None:
        """Adds a hint that is tried before all others."""
        (self.user_hints if user else self.hints).insert(0, Hint(address, self.hint_alloc.alloc(), down))

    def sys_alloc(self, n: int, *, user: bool = False) -> tuple[int, int]:
        """Reserved addresses for n bytes in whole arenas: the base and the bytes; (0, 0) when refused.

        Asks at the hints of the heap, or of `user` arenas. Throws as mheap.sysAlloc does.
        """
        core = self.core
        config = core.config
        mask = config.uintptr_mask
        n = (n + config.heap_arena_bytes - 1) & -config.heap_arena_bytes & mask
        if not user:
            v = self.arena.alloc(n, config.heap_arena_bytes, "heap_released", "heap")
            if v:
                self._add_arenas(v, n, user)
                return v, n
        # With -race user arenas lie among the heap's own, since there is no other room.
        v, size = self._at_hint(n, self.user_hints if user and not config.race else self.hints)
        if not size:
            if config.race:
                raise Throw("too many address space collisions for -race mode")
            # Every hint failed: any address will do.
            v, size = core.mem.sys_reserve_aligned(0, n, config.heap_arena_bytes, "heap")
            if not v:
                return 0, 0
            self.add_hint(v, down=True)
            self.add_hint(v + size)
        self._check(v, size)
        self._add_arenas(v, size, user)
        return v, size

    def _at_hint(self, n: int, hints: list[Hint]) -> tuple[int, int]:
        core = self.core
        config = core.config
        mask = config.uintptr_mask
        while hints:
            hint = hints[0]
            p = (hint.addr - n) & mask if hint.down else hint.addr
            if (p + n) & mask < p or config.arena_index((p + n - 1) & mask) >= 1 << config.arena_bits:
                v = 0  # not addresses that the heap can use, so not asked for
            else:
                v = core.mem.sys_reserve(p, n, "heap reservation")
                self.attempts.append((p, n, v))
            if v == p:
                hint.addr = p if hint.down else p + n
                return v, n
            if v:
                core.mem.sys_unreserve(v, n)
            self.hint_alloc.free(hints.pop(0).record)
        return 0, 0

    def _check(self, v: int, size: int) -> None:
        config = self.core.config
        limit = 1 << config.arena_bits
        bad = ""
        if v + size > config.uintptr_mask:
            bad = "region exceeds uintptr range"
        elif config.arena_index(v) >= limit:
            bad = "base outside usable address space"
        elif config.arena_index(v + size - 1) >= limit:
            bad = "end outside usable address space"
        if bad:
            raise Throw(
                "memory reservation exceeds address space limit",
                f"runtime: memory allocated by OS [{v:#x}, {v + size & config.uintptr_mask:#x}) "
                f"not in usable address space: {bad}",
            )
        if v & (config.heap_arena_bytes - 1):
            raise Throw("misrounded allocation in sysAlloc")

    # The tables.

    def _add_arenas(self, v: int, size: int, user: bool) -> None:
        config = self.core.config
        for index in range(config.arena_index(v), config.arena_index(v + size - 1) + 1):
            l1 = index >> config.arena_l2_bits if config.arena_l1_bits else 0
            if l1 not in self.l2_maps:
                self.l2_maps[l1] = self._new_l2()
            if index in self.by_index:
                raise Throw("arena already initialized")
            record = self._new_record()
            self._register(index, user)
            self.by_index[index] = HeapArena(index, record)

    def _new_l2(self) -> int:
        """A second-level map. No counter has it: only what is touched of it costs memory."""
        core = self.core
        size = core.config.ptr_size << core.config.arena_l2_bits
        l2 = core.mem.os.alloc(size, "heap index")
        if not l2:
            raise Throw("out of memory allocating heap arena map")
        if core.config.metadata_without_huge_pages:
            if self.huge_pages:
                core.mem.sys_huge_page(l2, size)
            else:
                core.mem.sys_no_huge_page(l2, size)
        return l2

    def _new_record(self) -> int:
        core = self.core
        size, align = core.config.sizeof["heapArena"], core.config.ptr_size
        record = self.heap_arena_alloc.alloc(size, align, STAT, "heap metadata")
        if not record:
            record = core.persistent.alloc(size, align, STAT)
            if not record:
                raise Throw("out of memory allocating heap arena metadata")
        return record

    def _register(self, index: int, user: bool) -> None:
        """Appends to the list of arenas, whose array doubles and leaves the old one behind."""
        config = self.core.config
        if user and not config.lists_user_arenas:
            return
        listed = self.user_list if user else self.heap_list
        if len(listed) == self.list_caps[user]:
            size = 2 * self.list_caps[user] * config.ptr_size or config.phys_page_size
            if not self.core.persistent.alloc(size, config.ptr_size, STAT):
                raise Throw("out of memory allocating allArenas")
            self.list_caps[user] = size // config.ptr_size
        listed.append(index)

    def enable_huge_pages(self) -> None:
        """mheap.enableMetadataHugePages, as far as the maps of arenas go."""
        if self.huge_pages:
            return
        self.huge_pages = True
        size = self.core.config.ptr_size << self.core.config.arena_l2_bits
        for l1 in sorted(self.l2_maps):
            self.core.mem.sys_huge_page(self.l2_maps[l1], size)
