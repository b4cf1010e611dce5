"""The BSDs: mem_bsd.go. For a 64-bit arena sysReserve asks nobody, so a neighbour shows only in sysMap."""

from __future__ import annotations

from allocator.common.throw import Throw
from allocator.kernels.address_space import MAPPED
from allocator.kernels.posix import ENOMEM, Posix
from allocator.kernels.system import Answer, Errno


class Bsd(Posix):
    """mem_bsd.go, as freebsd, netbsd and openbsd share it; the kernels' habits differ."""

    limit_counts_replaced = True
    map_fixed_unreserved = False  # only dragonfly insists where nothing was reserved
    reserves_nothing = False  # nacl: whatever the size

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        if self.reserves_nothing or (self.ptr_size == 8 and n > 1 << 32):
            return v, False
        p = self._reserve(v, n)
        return (p, True) if p else (0, None)

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        fixed = reserved or self.map_fixed_unreserved
        p = self._mmap(v, n, MAPPED, fixed=fixed, forced=self.planned("sysMap", v, n))
        return p if p >= 4096 else Errno(p)

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer == v:
            return
        p = answer.number if isinstance(answer, Errno) else answer
        if p == ENOMEM:
            raise Throw("runtime: out of memory")
        if reserved:
            raise Throw("runtime: cannot map pages in arena address space")
        self.printed.append(f"runtime: address space conflict: map({v:#x}) = {p:#x}")
        raise Throw("runtime: address space conflict")


class HeapAreaKept(Bsd):
    """freebsd's and dragonfly's mmap: no mapping goes where the C heap could grow to.

    The area is as large as the data limit. A hint within it counts as no hint, which is
    why a 32-bit arena does not follow the program's image there.
    """

    top_down = False
    taken_hint = "above"
    limits = frozenset({"ulimit_v", "rlimit_data"})

    def _search_base(self, top_down: bool) -> int:
        if top_down:
            return self.end
        image, limit = self.machine.image, self.machine.rlimit_data
        if limit is None:
            limit = 32 << 30 if self.ptr_size == 8 else 512 << 20  # MAXDSIZ
        end = max(image.end, self.machine.low) + limit
        return -(-end // self.page) * self.page

    def _round_hint(self, v: int) -> int:
        if not self._top_down and self.machine.image.start <= v < self._base:
            return self._base
        return super()._round_hint(v)


class FreeBSD(HeapAreaKept):
    """FreeBSD: vm_map_find from the hint, or from above the heap's area, upward."""

    name = "freebsd"


class NetBSD(Bsd):
    """NetBSD: uvm looks downward, from the hint or from below the stack."""

    name = "netbsd"
    taken_hint = "below"
    advise_failure_crashes = frozenset({"arm"})


class OpenBSD(Bsd):
    """OpenBSD: anonymous memory counts as data, so RLIMIT_DATA bounds the arena."""

    name = "openbsd"
    advise_failure_crashes = frozenset({"386", "arm"})
    limits = frozenset({"ulimit_v", "rlimit_data"})
    reservations_count = True  # whether a request without access counts; no longer since 6.x

    def _refusal(self, at: int, size: int, kind: int) -> int:
        limit = self.machine.rlimit_data if kind & MAPPED or self.reservations_count else None
        # What is held counts where it is accessible.
        if limit is not None and self.machine.image_data + self.space.total(MAPPED) + size > limit:
            return ENOMEM
        return super()._refusal(at, size, kind)
