"""mem_plan9.go: growth from the break, and a free list checked against one built of links."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from allocator.contiguous.mem_plan9 import MemPlan9, first_bloc
from allocator.kernels.address_space import Range
from allocator.kernels.brk import Break
from allocator.kernels.fault_plans import Exhaustion, NthCall, install
from allocator.kernels.machine import Machine
from allocator.kernels.system import ENOMEM, Errno

MB = 1 << 20
HINT = 0xC0_0000_0000
ARENA = 567_472_562_176


def plan9(ptr_size: int = 8, **fields: object) -> MemPlan9:
    fields = {"image_start": 0x20_0000, "data_end": 0x51_91E0} | fields
    machine = Machine(**fields)  # type: ignore[arg-type]
    return MemPlan9(Break(machine, first_bloc(machine, ptr_size), ptr_size=ptr_size))


def test_memory_is_where_the_break_is() -> None:
    system = plan9()
    assert system.bloc == 0x51_A000
    assert system.sys_reserve(HINT, 3 * MB) == (0x51_A000, True)
    assert system.sys_alloc(1, "other_sys") == 0x51_A000 + 3 * MB
    assert system.bloc == 0x51_B000 + 3 * MB
    system.sys_map(0x51_A000, MB, True)
    system.sys_unused(0x51_A000, MB)
    system.sys_used(0x51_A000, MB)
    system.sys_fault(0x51_A000, MB)
    assert list(system.kernel.space) == [(0x20_0000, 0x51_A000, 0), (0x51_A000, 0x51_B000 + 3 * MB, 2)]


def test_the_arena_of_64_bits_is_refused_at_every_hint() -> None:
    """golang/go#9712: one segment does not become that large."""
    system = plan9(segment_limit=64 << 30)
    for i in range(128):
        assert system.sys_reserve(i << 40 | HINT, ARENA) == (0, True)
    assert system.sys_reserve(0x60_0000, 675_291_136) == (0x51_A000, True)


def test_what_stands_above_the_break() -> None:
    system = plan9(4, high=0xDFFF_F000, taken=(Range(0x2000_0000, 0x2000_1000),))
    assert system.sys_reserve(0, 0x2000_0000) == (0, True)
    assert system.sys_reserve(0, 0x2000_0000 - 0x51_A000) == (0x51_A000, True)
    assert system.sys_alloc(1, "other_sys") == 0


def test_memory_that_is_promised_to_others() -> None:
    system = plan9(commit_limit=10 * MB, committed=4 * MB)
    assert system.sys_alloc(6 * MB, "other_sys")
    assert system.sys_alloc(1, "other_sys") == 0


def test_sums_wrap_at_the_word_size() -> None:
    system = plan9(4, high=0xDFFF_F000)
    assert system.sys_reserve(0, 0xFFFF_F000) == (0, True)
    # memRound(0xffffffff) is 0, and nothing is asked for.
    assert system.sys_reserve(0, 0xFFFF_FFFF) == (0x51_A000, True)
    assert system.bloc == 0x51_A000


def test_what_comes_back_is_used_from_its_end() -> None:
    system = plan9()
    first, _ = system.sys_reserve(0, 0x5000)
    guard = system.sys_alloc(0x1000, "other_sys")
    system.sys_free(first, 0x5000)
    assert system.free_blocks == [(first, 0x5000)]
    assert system.sys_alloc(0x2000, "gc_sys") == first + 0x3000
    assert system.sys_alloc(0x3000, "gc_sys") == first
    assert system.free_blocks == []
    assert system.sys_alloc(0x1000, "gc_sys") == guard + 0x1000


def test_planned_answers() -> None:
    system = plan9()
    install(system, NthCall("sysAlloc", 1, Errno(1)), NthCall("sysAlloc", 2, 0x4000_0000))
    assert system.sys_alloc(0x1000, "gc_sys") == 0
    assert system.sys_alloc(0x1000, "gc_sys") == 0x4000_0000
    install(system, Exhaustion(0, ENOMEM, ["sysReserve"]))
    assert system.sys_reserve(0, 0x1000) == (0, True)


class Block:
    def __init__(self, at: int, size: int, following: Block | None) -> None:
        self.at, self.size, self.next = at, size, following


class Links:
    """The free list as a chain of headers."""

    def __init__(self, bloc: int) -> None:
        self.head: Block | None = None
        self.bloc = bloc

    def alloc(self, n: int) -> int:
        n = -(-n // 4096) * 4096
        previous, block = None, self.head
        while block is not None and block.size < n:
            previous, block = block, block.next
        if block is None:
            self.bloc += n
            return self.bloc - n
        if block.size > n:
            block.size -= n
            return block.at + block.size
        if previous is None:
            self.head = block.next
        else:
            previous.next = block.next
        return block.at

    def free(self, at: int, n: int) -> None:
        n = -(-n // 4096) * 4096
        previous, following = None, self.head
        while following is not None and following.at < at:
            previous, following = following, following.next
        block = Block(at, n, following)
        if previous is None:
            self.head = block
        else:
            previous.next = block
        for left in (block, previous):
            if left is not None and left.next is not None and left.at + left.size == left.next.at:
                left.size += left.next.size
                left.next = left.next.next

    def blocks(self) -> list[tuple[int, int]]:
        found = []
        block = self.head
        while block is not None:
            found.append((block.at, block.size))
            block = block.next
        return found


class AgainstLinks(RuleBasedStateMachine):
    """Any sequence of allocations and frees, also of parts, on both."""

    def __init__(self) -> None:
        super().__init__()
        self.system = plan9()
        self.links = Links(self.system.bloc)
        self.held: list[tuple[int, int]] = []

    @rule(n=st.integers(1, 6 * 4096), reserve=st.booleans())
    def alloc(self, n: int, reserve: bool) -> None:
        at = self.system.sys_reserve(0, n)[0] if reserve else self.system.sys_alloc(n, "other_sys")
        assert at == self.links.alloc(n)
        self.held.append((at, -(-n // 4096) * 4096))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        at, n = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        pages = n // 4096
        first = data.draw(st.integers(0, pages - 1)) * 4096
        last = data.draw(st.integers(first // 4096 + 1, pages)) * 4096
        if first:
            self.held.append((at, first))
        if last < n:
            self.held.append((at + last, n - last))
        self.system.sys_free(at + first, last - first)
        self.links.free(at + first, last - first)

    @invariant()
    def same(self) -> None:
        assert self.system.free_blocks == self.links.blocks()
        assert self.system.bloc == self.links.bloc
        assert sum(n for _, n in self.held + self.system.free_blocks) == self.system.bloc - 0x51_A000


AgainstLinks.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAgainstLinks = AgainstLinks.TestCase
