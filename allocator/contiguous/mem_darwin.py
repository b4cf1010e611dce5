"""mem_darwin.go. The whole arena is really reserved, so limits refuse it."""

from __future__ import annotations

from allocator.common.throw import Throw
from allocator.contiguous.mem_bsd import MemBsd
from allocator.kernels.system import ENOMEM, Answer, Errno


class MemDarwin(MemBsd):
    """The helpers of darwin."""

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        return self.reserve(v, n), True

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        p = self.mmap(v, n, True, True, self.planned("sysMap", v, n))
        return p if p >= 4096 else Errno(p)

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        if answer == v:
            return
        if answer == ENOMEM:
            raise Throw("runtime: out of memory")
        raise Throw("runtime: cannot map pages in arena address space")
