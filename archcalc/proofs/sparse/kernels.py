"""Kernels that may answer anything that their contract allows, for the calls of today's runtime.

Each takes the place of the machine's kernel. It remembers what it has given: a
reservation is what a mapping at a fixed address must lie in, and memory that is in use is what it must
not lie over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from allocator.kernels.address_space import RESERVED, AddressSpace
from allocator.kernels.brk import Break
from allocator.kernels.calls import Call
from allocator.kernels.contracts import Contract, apart
from allocator.kernels.machine import Machine
from allocator.kernels.posix import Posix
from allocator.kernels.system import Answer, Errno
from allocator.kernels.windows import Windows
from archcalc.proofs.answering import HeldMemory, SystemCall, covered, fits
from archcalc.proofs.paths import Explorer, Infeasible
from archcalc.proofs.properties import FIXED, NOTICED, PAGES, PROGRAM, REACH, TWICE
from archcalc.proofs.words import Cut, SymbolicWord, Truth

Number = Any  # an int, or a SymbolicWord in its place
Require = Callable[[str, Truth | bool, str], None]


class AnsweringKernel:
    """What the three kinds of kernels have in common."""

    contract: Contract
    replaces = False  # whether what is made usable at an address replaces what is there

    def __init__(self, engine: Explorer, machine: Machine, ptr_size: int, require: Require) -> None:
        self.engine = engine
        self.machine = machine
        self.ptr_size = ptr_size
        self.require = require
        self.end = min(machine.end, 1 << 8 * ptr_size)
        self.calls: list[SystemCall] = []
        self.log: list[Call] = []
        self.reserved: list[HeldMemory] = []  # all that the program holds, in use or not
        self.in_use: list[HeldMemory] = []
        self.script: list[bool] = []  # which of the next reservations are refused, where that is given
        self.obliging = False  # whether it refuses nothing else, and answers as it did before
        self.generous = False  # whether it refuses nothing but reservations

    def note(self, call: str, v: Number, n: Number) -> SystemCall:
        """Remembers a call, whose answer follows; its arguments must be machine words."""
        made = SystemCall(call, v, n, 0)
        self.calls.append(made)
        for what, value in (("address", v), ("size", n)):
            fits(self.require, value, self.engine.room.mask, f"{call}'s {what}", MEANT)
        self.engine.before_narrowing()  # what was cut is reported by itself, not by its consequences
        return made

    def given(self, size: Number) -> Number:
        """Some address with so much memory that is free."""
        engine, contract, machine = self.engine, self.contract, self.machine
        if self.obliging:
            return self._placed(size)
        at = engine.fresh("answer", machine.low, self.end, contract.alignment or machine.page_size)
        engine.assume(
            *contract.place(machine, self.ptr_size, at, size),
            *(apart(at, size, held.start, held.size) for held in self.reserved),
        )
        return at

    def _placed(self, size: int) -> int:
        """The highest address with room, away from where heaps begin."""
        machine = self.machine
        space = AddressSpace(machine.occupied)
        for held in self.reserved:
            space.place(held.start, held.start + held.size, RESERVED)
        align = self.contract.alignment or machine.page_size
        at = space.find_down(size, self.end, machine.low, align)
        if at is None:
            raise Infeasible
        return at

    def refusal(self, numbers: Sequence[int]) -> Errno | None:
        """Whether it refuses now, and how."""
        way = 0 if self.obliging or self.generous else self.engine.choose(len(numbers) + 1)
        return Errno(numbers[way - 1]) if way else None

    def refuses(self) -> bool:
        """Whether it refuses a reservation, where one way of refusing is as good as another."""
        if self.script:
            return self.script.pop(0)
        return not self.obliging and self.engine.choose(2) == 1

    def holds(self, v: Number, n: Number) -> Truth | bool:
        """Whether the program holds [v, v+n)."""
        return covered(v, n, self.reserved)

    def take_back(self, v: Number, n: Number, call: str) -> bool:
        """[v, v+n) is no longer the program's; it must have been."""
        engine = self.engine
        for held in reversed(self.reserved):
            if engine.holds((held.start <= v) & (v + n <= held.start + held.size) & (n >= 0)):
                self.reserved.remove(held)
                self.reserved.append(HeldMemory(held.start, v - held.start))
                self.reserved.append(HeldMemory(v + n, held.start + held.size - v - n))
                return True
        self.require(TWICE, False, f"{call} gives back what the program does not have")
        return False

    def put_to_use(self, v: Number, n: Number, call: str) -> None:
        """Judges that memory at a fixed address becomes usable.

        Where the system replaces whatever is there, it must be the program's own reservation; where
        it does not, it refuses what was not reserved.
        """
        page = self.machine.page_size
        require = self.require
        require(PAGES, (v % page == 0) & (n % page == 0), f"{call} is asked for whole pages")
        refused = next((cut.place for cut in getattr(v, "cuts", ()) if cut.place.startswith(REFUSED)), "")
        refused = refused or getattr(v, "refused", "")
        require(NOTICED, not refused, f"{refused}, and {call} maps memory as if it had succeeded")
        if self.replaces:
            require(FIXED, self.holds(v, n), f"{call} insists on an address that was not reserved")
            for taken in self.machine.occupied:
                if taken.end > taken.start:
                    free = apart(v, n, taken.start, taken.end - taken.start)
                    require(PROGRAM, free, f"{call} replaces memory of the program or of others")
        for used in self.in_use:
            require(TWICE, apart(v, n, used.start, used.size), f"{call} maps over what is in use")

    def usable(self) -> Sequence[HeldMemory]:
        """Memory that the program can read and write."""
        return self.in_use

    @property
    def overwritten(self) -> tuple[()]:
        """What a mapping has replaced is a property here, not a death."""
        return ()


# Functions of the machine in which a word may wrap, since addresses count from elsewhere there.
MEANT = frozenset({"offset", "address", "arena_index", "arena_base", "chunk_index", "chunk_base"})
REFUSED = "the reservation "


class FromRefusal(int):
    """A number that was computed from a refused reservation: 0, and what is added to it."""

    refused: str

    @classmethod
    def of(cls, value: int, refused: str) -> FromRefusal:
        """A number with its origin."""
        made = cls(value)
        made.refused = refused
        return made

    def __add__(self, other: Number) -> Number:
        if isinstance(other, SymbolicWord):
            return marked(other + int(self), self.refused)
        return FromRefusal.of(int(self) + other, self.refused)

    __radd__ = __add__


def marked(word: SymbolicWord, refused: str) -> SymbolicWord:
    """The word, which remembers that it was computed from a refused reservation."""
    cuts = word.cuts | {Cut(refused, False)}
    return SymbolicWord(word.room, word.term, word.unit, word.low, word.high, cuts)


INVALID = 22  # EINVAL: what mmap says to a request of no bytes


class AnsweringUnix(AnsweringKernel):
    """mmap and its kin."""

    contract = Posix.contract
    replaces = True

    def mmap(self, v: Number, n: Number, access: bool, fixed: bool = False) -> Answer:
        """Anonymous memory: wherever it likes unless `fixed`."""
        if fixed:
            return self._fixed(v, n, "sysMap")
        if not access:
            self.require(REACH, v + n <= self.engine.room.mask + 1, "a reservation is asked for to its end")
        call = self.note("sysAlloc" if access else "sysReserve", v, n)
        if n == 0:
            call.answer = Errno(INVALID)
            return call.answer  # type: ignore[no-any-return]
        refusal = self.refusal(self.contract.refusals) if access else None
        if refusal is not None or (not access and self.refuses()):
            call.answer = refusal or Errno(12)
            return call.answer  # type: ignore[no-any-return]
        size = self.contract.rounded(self.machine, n)
        call.answer = v if self.obliging and not access and v else self.given(size)
        self.reserved.append(HeldMemory(call.answer, size))
        if access:
            self.in_use.append(HeldMemory(call.answer, size))
        return call.answer  # type: ignore[no-any-return]

    def _fixed(self, v: Number, n: Number, helper: str) -> Answer:
        call = self.note(helper, v, n)
        if n == 0:
            call.answer = Errno(INVALID)
            return call.answer  # type: ignore[no-any-return]
        self.put_to_use(v, n, helper)
        refusal = self.refusal(self.contract.refusals[:2])
        if refusal is not None:
            call.answer = refusal
            return refusal
        self.engine.assume(self.machine.low <= v, v + n <= self.end)
        self.in_use.append(HeldMemory(v, n))
        call.answer = v
        return v  # type: ignore[no-any-return]

    def munmap(self, v: Number, n: Number) -> Answer:
        """Gives memory back; a part of a reservation, too."""
        call = self.note("sysFree", v, n)
        call.answer = v
        self.require(PAGES, v % self.machine.page_size == 0, "munmap is asked for whole pages")
        self.take_back(v, self.contract.rounded(self.machine, n), "munmap")
        return 0

    def madvise(self, v: Number, n: Number, advice: str) -> Answer:
        """No advice changes what is mapped."""
        return 0

    def mprotect(self, v: Number, n: Number, access: bool) -> Answer:
        """Makes what is reserved usable, and what is not mapped cannot be."""
        call = self.note("sysMap", v, n)
        if n == 0:
            return 0
        self.replaces = False
        self.put_to_use(v, n, "sysMap")
        refusal = self.refusal(self.contract.refusals[:2])
        if refusal is not None:
            call.answer = refusal
            return refusal
        self.engine.assume(self.holds(v, n))
        self.in_use.append(HeldMemory(v, n))
        call.answer = v
        return 0

    def brk(self) -> int:
        """The break of a process that has not moved it."""
        page = self.machine.page_size
        return -(-self.machine.data_end // page) * page


class AnsweringNt(AnsweringKernel):
    """VirtualAlloc and VirtualFree."""

    contract = Windows.contract
    short: Errno | None = None  # with which it refuses to commit anything more

    def virtual_alloc(self, v: Number, n: Number, *, reserve: bool, commit: bool) -> Answer:
        """A reservation, exactly where it is asked for or at any address; or a commit of what is reserved."""
        if not reserve:
            return self._commit(v, n)
        call = self.note("sysAlloc" if commit else "sysReserve", v, n)
        if n == 0 or self.refuses():
            call.answer = Errno(self.contract.refusals[0])
            return call.answer  # type: ignore[no-any-return]
        size = self.contract.rounded(self.machine, n)
        asked = not (isinstance(v, int) and v == 0)
        call.answer = v if self.obliging and asked else self.given(size)
        if asked:
            granule = self.contract.alignment
            self.engine.assume(call.answer == v - v % granule)
        self.reserved.append(HeldMemory(call.answer, size))
        if commit:
            self.in_use.append(HeldMemory(call.answer, size))
        return call.answer  # type: ignore[no-any-return]

    def _commit(self, v: Number, n: Number) -> Answer:
        call = self.note("sysUsed", v, n)
        self.put_to_use(v, n, "sysUsed")
        # Where memory is short, the smaller pieces that are tried next are refused like the whole.
        self.short = self.short or self.refusal(self.contract.refusals[:2])
        if self.short is None:
            self.engine.assume(self.holds(v, n))
            self.in_use.append(HeldMemory(v, n))
        call.answer = v if self.short is None else self.short
        return call.answer  # type: ignore[no-any-return]

    def virtual_free(self, v: Number, n: Number, *, release: bool) -> Answer:
        """Releases the whole reservation that begins at v."""
        call = self.note("sysFree" if release else "sysUnused", v, n)
        call.answer = v
        if not release:
            return 0
        for held in reversed(self.reserved):
            if self.engine.holds(held.start == v):
                self.reserved.remove(held)
                return 0
        self.require(TWICE, False, "VirtualFree releases what the program has not reserved")
        return Errno(487)


class AnsweringBreak(AnsweringKernel):
    """A break that can only rise."""

    contract = Break.contract

    def __init__(self, engine: Explorer, machine: Machine, ptr_size: int, require: Require) -> None:
        super().__init__(engine, machine, ptr_size, require)
        page = machine.page_size
        self.at: Number = -(-machine.data_end // page) * page
        if machine.segment_limit is not None:
            self.end = min(self.end, self.at + machine.segment_limit)

    def usable(self) -> Sequence[HeldMemory]:
        """All below the break: a reservation is memory already."""
        return self.reserved

    def set_brk(self, p: Number) -> bool:
        """Whether the break is at p now; all below it is memory."""
        call = self.note("brk", p, 0)
        self.require(REACH, p <= self.engine.room.mask, "the break stays within the address space")
        if self.refuses():
            call.answer = Errno(self.contract.refusals[0])
            return False
        self.engine.assume(self.at <= p, p <= self.end)
        for taken in self.machine.taken:
            self.engine.assume(apart(self.at, p - self.at, taken.start, taken.end - taken.start))
        self.reserved.append(HeldMemory(self.at, p - self.at))
        self.at = call.answer = p
        return True


KERNELS: dict[str, type[AnsweringKernel]] = {
    "mem_linux": AnsweringUnix,
    "mem_unix": AnsweringUnix,
    "mem_windows": AnsweringNt,
    "mem_sbrk": AnsweringBreak,
}
