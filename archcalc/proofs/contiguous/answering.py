"""Helpers of January 2017 that may answer whatever their contract allows, and remember what they gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allocator.contiguous.contracts import HelpersContract
from allocator.contiguous.mem import System
from allocator.contiguous.mem_linux import PROBE
from allocator.kernels.contracts import apart
from allocator.kernels.machine import Machine
from allocator.kernels.system import Answer, Errno
from archcalc.proofs.answering import HeldMemory, SystemCall, covered, fits
from archcalc.proofs.paths import Explorer
from archcalc.proofs.properties import ANSWERED, FIXED, PAGES, REACH, TWICE
from archcalc.proofs.words import SymbolicWord, Truth

Number = Any  # an int, or a SymbolicWord in its place


class Answering(System):
    """The helpers over a kernel of which only the contract is known.

    `require` is called for whatever a call must not do: with a property's id, a condition, and what it is
    about. `policy` is the real system, for what its runtime makes of an answer.
    """

    def __init__(
        self,
        engine: Explorer,
        contract: HelpersContract,
        machine: Machine,
        policy: System,
        ptr_size: int,
        require: Callable[[str, Truth | bool, str], None],
    ) -> None:
        super().__init__()
        self.engine = engine
        self.contract = contract
        self.machine = machine
        self.policy = policy
        policy.printed = self.printed
        self.ptr_size = ptr_size
        self.require = require
        self.name = policy.name
        self.counts_failed_alloc = policy.counts_failed_alloc
        self.refusal = policy.refusal
        self.calls: list[SystemCall] = []
        self.regions: list[HeldMemory] = []
        self.script: list[bool] = []  # which of the next reservations are refused, where that is given
        self.natural: System | None = None  # a system of its own that answers, as long as one is here
        self.reservation: HeldMemory | None = None  # the first that was not refused
        self.spans: list[HeldMemory] = []  # what nothing else may be mapped over
        self.usable: list[HeldMemory] = []  # what was mapped, or given as memory at once

    # What the kernel may say.

    def _given(self, size: Number) -> SymbolicWord:
        """Some address with so much memory that is free."""
        engine, contract, machine = self.engine, self.contract, self.machine
        end = min(machine.end, 1 << 8 * self.ptr_size)
        at = engine.fresh("answer", machine.low, end, contract.alignment or machine.page_size)
        whole = contract.rounded(machine, size)
        engine.assume(
            *contract.place(machine, self.ptr_size, at, whole),
            *(apart(at, whole, one.start, one.size) for one in (*self.regions, *self.spans) if one.held),
            *(apart(at, whole, one.start, one.size) for one in self.usable if one not in self.regions),
        )
        return at

    def _refuses(self, size: Number) -> bool:
        if not self.contract.gives_nothing and size == 0:
            return True
        return self.engine.choose(2) == 1

    def _has(self, start: Number, size: Number, held: bool = True) -> None:
        region = HeldMemory(start, size, held)
        self.regions.append(region)
        self.reservation = self.reservation or region

    def _check(self, call: str, v: Number, n: Number) -> None:
        """What is passed to the system is what the runtime has computed, as Go would have passed it."""
        for what, value in (("address", v), ("size", n)):
            fits(self.require, value, self.engine.room.mask, f"{call}'s {what}")

    # The helpers.

    def sys_reserve(self, v: Number, n: Number) -> tuple[Number, bool | None]:
        engine, contract = self.engine, self.contract
        self._check("sysReserve", v, n)
        self.require(REACH, v + n <= self.engine.room.mask + 1, "a reservation is asked for up to its end")
        call = SystemCall("sysReserve", v, n, 0)
        self.calls.append(call)
        if self.natural is not None:
            call.answer, flag = self.natural.sys_reserve(v, n)
            if call.answer:
                self._has(call.answer, contract.rounded(self.machine, n), bool(flag))
            return call.answer, flag
        worth = contract.believes(n, self.ptr_size)
        if worth == "believed":
            call.answer = v
            self._has(v, n, False)
            return v, False
        if self.script.pop(0) if self.script else self._refuses(n):
            return 0, contract.flag_if_refused
        if worth == "probed":
            engine.assume(*contract.place(self.machine, self.ptr_size, v, PROBE))
            call.answer = v
            self._has(v, n, False)
            return v, False
        call.answer = self._given(n)
        self._has(call.answer, contract.rounded(self.machine, n))
        return call.answer, True

    def sys_alloc(self, n: Number, stat: str) -> Number:
        self._check("sysAlloc", 0, n)
        call = SystemCall("sysAlloc", 0, n, 0)
        self.calls.append(call)
        if self.natural is not None:
            call.answer = self.natural.sys_alloc(n, stat)
            self.regions.append(HeldMemory(call.answer, self.contract.rounded(self.machine, n)))
            self.usable.append(self.regions[-1])
        elif not self._refuses(n):
            call.answer = self._given(n)
            self.regions.append(HeldMemory(call.answer, self.contract.rounded(self.machine, n)))
            self.usable.append(self.regions[-1])
        return call.answer

    def sys_free(self, v: Number, n: Number) -> None:
        self._check("sysFree", v, n)
        self.calls.append(SystemCall("sysFree", v, n, v))
        for held in reversed(self.regions):
            if self.engine.holds((held.start == v) & (held.size == self.contract.rounded(self.machine, n))):
                self.regions.remove(held)
                self.usable = [one for one in self.usable if one is not held]
                return
        self.require(TWICE, False, "sysFree gives back what the program does not have")

    def map_at(self, v: Number, n: Number, reserved: bool) -> Answer:
        engine, contract = self.engine, self.contract
        self._check("sysMap", v, n)
        call = SystemCall("sysMap", v, n, v)
        self.calls.append(call)
        if not contract.map_asks:
            self.usable.append(HeldMemory(v, n))
            return v  # type: ignore[no-any-return]
        page = self.machine.page_size
        self.require(PAGES, (v % page == 0) & (n % page == 0), "sysMap is asked for whole pages")
        answered = covered(v, n, self.regions)
        self.require(ANSWERED, answered, "sysMap is asked for what no reservation has answered")
        way = engine.choose(3 if contract.is_fixed(reserved) else 4)
        if way == 0:
            end = min(self.machine.end, 1 << 8 * self.ptr_size)
            engine.assume(self.machine.low <= v, v + n <= end, v % page == 0)
            if contract.is_fixed(reserved):
                self.require(FIXED, self.held(v, n), "sysMap insists on an address that was not reserved")
            for used in (*self.spans, *self.usable):
                free = apart(v, n, used.start, used.size)
                if contract.fixed != "never" and not contract.is_fixed(reserved):
                    engine.assume(free)  # mmap gives nothing twice that is not told MAP_FIXED
                self.require(TWICE, free, "sysMap maps over what is in use")
            self.usable.append(HeldMemory(v, n))
            return v  # type: ignore[no-any-return]
        call.answer = self.refusal if way == 1 else Errno(1)
        if way == 3:
            call.answer = self._given(n)
            engine.assume(call.answer != v)
        return call.answer  # type: ignore[no-any-return]

    def held(self, v: Number, n: Number) -> Truth | bool:
        """Whether [v, v+n) is what the kernel does not give to others."""
        return covered(v, n, [region for region in self.regions if region.held])

    def used_at(self, v: Number, n: Number) -> Answer:
        return v  # type: ignore[no-any-return]

    # What the runtime makes of it.

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        self.policy.judge_map(v, n, reserved, answer)

    def judge_used(self, v: int, n: int, answer: Answer) -> None:
        self.policy.judge_used(v, n, answer)

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        self.policy.judge_unused(v, n, answer)
