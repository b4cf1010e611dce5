"""Darwin: mem_darwin.go. The whole arena is really reserved, so limits refuse it."""

from __future__ import annotations

from allocator.common.throw import Throw
from allocator.kernels.address_space import MAPPED
from allocator.kernels.posix import ENOMEM, Posix
from allocator.kernels.system import Answer, Errno


class Darwin(Posix):
    """mem_darwin.go over mach's vm_map: from the hint upward, else from the bottom."""

    name = "darwin"
    top_down = False
    taken_hint = "above"
    limit_counts_replaced = False
    advise_failure_crashes = frozenset({"arm", "arm64"})

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        return self._reserve(v, n), True

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        p = self._mmap(v, n, MAPPED, fixed=True, forced=self.planned("sysMap", v, n))
        return p if p >= 4096 else Errno(p)

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer == v:
            return
        if answer == Errno(ENOMEM):
            raise Throw("runtime: out of memory")
        raise Throw("runtime: cannot map pages in arena address space")
