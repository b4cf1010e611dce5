"""OS answers from a recording: what the kernel said then, in the order in which it was asked.

Answers are fed as the recording has them (its R, Y and F records) and taken by the
calls that they belong to. What a runtime makes of an answer is up to
the recording's operating system.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from allocator.contiguous.mem import System
from allocator.contiguous.systems import new_system
from allocator.kernels.machine import Machine
from allocator.kernels.system import ENOMEM, Answer, Errno

_ANSWER = re.compile(r"-|errno=([0-9]{1,10})|0x([0-9a-f]{1,16})")


class Reserve(NamedTuple):
    """An R record: sysReserve(address, size) gave `answer` (0: refused), and whether it is reserved."""

    address: int
    size: int
    answer: int
    reserved: bool


class Alloc(NamedTuple):
    """A Y record: sysAlloc(size), charged to `stat`, gave `answer` (0: refused)."""

    size: int
    answer: int
    stat: str


class Failure(NamedTuple):
    """An F record: sysMap or sysUsed of [address, address+size) did not get what it asked for."""

    call: str
    address: int
    size: int
    answer: Answer


Record = Reserve | Alloc | Failure


class RecordedMismatch(Exception):
    """The runtime asked for what the recording does not have next.

    `expected` is the next record (None: there are no more), `call`, `address`, `size` and `stat`
    are what was asked.
    """

    def __init__(self, expected: Record | None, call: str, address: int, size: int, stat: str = "") -> None:
        asked = f"{call}({address:#x}, {size})" if call != "sysAlloc" else f"sysAlloc({size}, {stat})"
        super().__init__(f"asked for {asked}, but recorded next is {expected or 'nothing'}")
        self.expected = expected
        self.call = call
        self.address = address
        self.size = size
        self.stat = stat


def parse_answer(text: str) -> Answer:
    """The last field of an F record: `errno=N`, an address `0x...`, or `-` for no memory; else ValueError."""
    match = _ANSWER.fullmatch(text)
    if match is None:
        raise ValueError(f"found {text!r}, expected errno=N, an address 0x... or -")
    number, address = match.groups()
    if number is not None:
        return Errno(int(number))
    return ENOMEM if address is None else int(address, 16)


class Recorded(System):
    """A System of any GOOS whose kernel answers from records; `queue` holds those not yet taken."""

    def __init__(self, goos: str, *, ptr_size: int, phys_page_size: int = 4096) -> None:
        """`phys_page_size` in bytes, for what the runtime itself checks of its arguments."""
        super().__init__(name=goos)
        # Its kernel is never asked, only what the runtime makes of answers.
        self._policy = new_system(goos, Machine(), ptr_size=ptr_size, phys_page_size=phys_page_size)
        self._policy.printed = self.printed
        self.counts_failed_alloc = self._policy.counts_failed_alloc
        self.refusal = self._policy.refusal
        self.queue: deque[Record] = deque()

    def feed_reserve(self, address: int, size: int, answer: int, reserved: bool) -> None:
        """An R record."""
        self.queue.append(Reserve(address, size, answer, reserved))

    def feed_alloc(self, size: int, answer: int, stat: str) -> None:
        """A Y record."""
        self.queue.append(Alloc(size, answer, stat))

    def feed_failure(self, call: str, address: int, size: int, answer: Answer) -> None:
        """An F record; `call` is sysMap or sysUsed."""
        self.queue.append(Failure(call, address, size, answer))

    def sys_alloc(self, n: int, stat: str) -> int:
        queue = self.queue
        if queue:
            record = queue[0]
            if type(record) is Alloc and record.size == n and record.stat == stat:
                queue.popleft()
                return record.answer
        raise RecordedMismatch(queue[0] if queue else None, "sysAlloc", 0, n, stat)

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        queue = self.queue
        if queue:
            record = queue[0]
            if type(record) is Reserve and record.address == v and record.size == n:
                queue.popleft()
                return record.answer, record.reserved
        raise RecordedMismatch(queue[0] if queue else None, "sysReserve", v, n)

    def sys_free(self, v: int, n: int) -> None:
        """Recordings have no failures of sysFree."""

    def sys_map(self, v: int, n: int, reserved: bool) -> None:
        if self.queue:
            self.judge_map(v, n, reserved, self._answer("sysMap", v, n))

    def sys_used(self, v: int, n: int) -> None:
        if self.queue:
            self.judge_used(v, n, self._answer("sysUsed", v, n))

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        return self._answer("sysMap", v, n)

    def used_at(self, v: int, n: int) -> Answer:
        return self._answer("sysUsed", v, n)

    def _answer(self, call: str, v: int, n: int) -> Answer:
        """The recorded failure of exactly this call, else v: whatever is not recorded succeeded."""
        queue = self.queue
        if queue:
            record = queue[0]
            if type(record) is Failure and record.call == call and record.address == v and record.size == n:
                queue.popleft()
                return record.answer
        return v

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        self._policy.judge_map(v, n, reserved, answer)

    def judge_used(self, v: int, n: int, answer: Answer) -> None:
        self._policy.judge_used(v, n, answer)

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        self._policy.judge_unused(v, n, answer)
