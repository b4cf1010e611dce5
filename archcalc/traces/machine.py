"""The machine that a recording is replayed on: its OS answers as recorded.

Persistent memory is handed out when a recording's line is read, and waits here until the allocator asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from allocator.contiguous.config import Config
from allocator.contiguous.mallocinit import mallocinit
from allocator.contiguous.mem import System
from allocator.contiguous.persistent import DEFAULT_ALIGN
from allocator.contiguous.recorded import Alloc, Recorded
from allocator.contiguous.runtime import Runtime

# Counters that parts of the runtime outside the allocator charge when they ask the OS themselves.
OUTSIDE = ("buckhash_sys", "stacks_sys", "other_sys")


class ReplayedSystem(Recorded):
    """Recorded answers, with those aside that other parts of the runtime asked for."""

    def __init__(self, goos: str, config: Config) -> None:
        super().__init__(goos, ptr_size=config.ptr_size, phys_page_size=config.phys_page_size)
        self.outside: Callable[[Alloc], None] = lambda record: None
        self.ahead = False

    def sys_alloc(self, n: int, stat: str) -> int:
        queue = self.queue
        if self.ahead and queue:
            # What is carried out when its line is read has its answer right in front of it;
            # those further ahead wait for the event that both belong to.
            record = queue[-1]
            if type(record) is Alloc and record.size == n and record.stat == stat:
                queue.pop()
                return record.answer
        while queue:
            record = queue[0]
            if type(record) is not Alloc or (record.size == n and record.stat == stat):
                break
            if record.stat not in OUTSIDE:
                break
            self.outside(record)
            queue.popleft()
        return super().sys_alloc(n, stat)

    def settle(self) -> Any:
        """Accounts for answers that nobody asked for; the first that the allocator should have."""
        queue = self.queue
        while queue:
            record = queue[0]
            if type(record) is not Alloc or record.stat not in OUTSIDE:
                return record
            self.outside(record)
            queue.popleft()
        return None


class ReplayedRuntime(Runtime):
    """A machine whose persistent allocations were carried out when their lines were read."""

    __slots__ = ("ready",)

    def __init__(self, config: Config, system: System) -> None:
        self.prepare(config, system)
        self.log = []
        self.ready: deque[tuple[int, int, str, int, str]] = deque()

    def boot(self) -> None:
        """mallocinit; the first mcache has a record of its own."""
        mallocinit(self)
        self.init_collector(-1)

    def persistent_alloc(self, size: int, align: int, stat: str) -> int:
        ready = self.ready
        if ready and ready[0][:3] == (size, align or DEFAULT_ALIGN, stat):
            _, _, _, addr, line = ready.popleft()
            assert self.log is not None
            self.log.append(line)
            return addr
        return super().persistent_alloc(size, align, stat)
