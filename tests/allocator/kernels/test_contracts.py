"""Each kernel keeps the contract beside its policy, whatever it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.kernels import BREAKS, KERNELS, new_kernel
from allocator.kernels.address_space import Range
from allocator.kernels.contracts import apart
from allocator.kernels.machine import Machine
from allocator.kernels.system import Errno
from allocator.kernels.windows import INVALID_ADDRESS

PAGE = 4096
UNIT = 64 << 10
addresses = st.integers(0, 0x7FFF).map(lambda n: n * UNIT)
sizes = st.one_of(st.integers(1, 1 << 20), st.integers(1, 1 << 14).map(lambda n: n * UNIT))


def asked(kernel: Any, at: int, size: int) -> int | Errno:
    """Memory from a kernel, by whichever call it has."""
    if kernel.name == "windows":
        return kernel.virtual_alloc(at, size, reserve=True, commit=True)
    return kernel.mmap(at, size, True)


@pytest.mark.parametrize("ptr_size", [4, 8])
@pytest.mark.parametrize("goos", KERNELS)
@settings(max_examples=12, deadline=None)
@given(
    calls=st.lists(st.tuples(addresses, sizes), max_size=12),
    others=st.lists(addresses.map(lambda at: Range(at, at + 0x100000)), max_size=3),
    limit=st.one_of(st.none(), st.integers(1 << 20, 1 << 26)),
)
def test_a_kernel_gives_what_its_contract_allows_and_refuses_with_its_words(
    goos: str, ptr_size: int, calls: list[tuple[int, int]], others: list[Range], limit: int | None
) -> None:
    high = 0x7FFF0000 if ptr_size == 4 else 0x7FFFFFFF0000
    limits = {"commit_limit" if goos == "windows" else "ulimit_v": limit}
    machine = Machine(low=0x10000, high=high, page_size=PAGE, taken=tuple(others), **limits)
    kernel = new_kernel(goos, machine, ptr_size=ptr_size)
    held: list[tuple[int, int]] = []
    for at, size in calls:
        answer = asked(kernel, at, size)
        if isinstance(answer, Errno):
            # VirtualAlloc refuses an address that is taken; mmap only sees a hint in it.
            elsewhere = kernel.name == "windows" and answer == INVALID_ADDRESS and at != 0
            assert answer.number in kernel.contract.refusals or elsewhere
            continue
        whole = kernel.contract.rounded(machine, size)
        assert all(kernel.contract.place(machine, ptr_size, answer, whole))
        assert all(apart(answer, whole, start, length) for start, length in held)
        held.append((answer, whole))


@pytest.mark.parametrize("goos", BREAKS)
@settings(max_examples=30, deadline=None)
@given(
    targets=st.lists(addresses, max_size=12),
    others=st.lists(addresses.map(lambda at: Range(at, at + 0x100000)), max_size=3),
    limit=st.one_of(st.none(), st.integers(1 << 20, 1 << 26)),
)
def test_a_break_only_rises_through_what_is_free(
    goos: str, targets: list[int], others: list[Range], limit: int | None
) -> None:
    machine = Machine(
        low=0x10000, high=0x7FFF0000, page_size=PAGE, data_end=UNIT, taken=tuple(others), commit_limit=limit
    )
    kernel: Any = new_kernel(goos, machine, ptr_size=4, start=UNIT)
    for p in sorted(targets):
        before = kernel.at
        if kernel.set_brk(p):
            assert kernel.at == p and before <= p <= machine.high
            assert all(apart(before, p - before, one.start, one.end - one.start) for one in others)
            assert limit is None or p - UNIT <= limit
        else:
            assert kernel.at == before


@pytest.mark.parametrize("goos", [goos for goos in KERNELS if goos != "windows"])
@settings(max_examples=12, deadline=None)
@given(calls=st.lists(st.tuples(addresses, sizes, st.booleans()), max_size=8))
def test_fixed_memory_is_where_it_was_asked_for_and_what_is_given_back_is_free(
    goos: str, calls: list[tuple[int, int, bool]]
) -> None:
    machine = Machine(low=0x10000, high=0x7FFF0000, page_size=PAGE)
    kernel: Any = new_kernel(goos, machine, ptr_size=4)
    for at, size, back in calls:
        size = -(-size // PAGE) * PAGE
        free = kernel.space.is_free(at, at + size)
        answer = kernel.mmap(at, size, True, True)
        inside = machine.low <= at and at + size <= machine.end
        if isinstance(answer, Errno):
            # AIX maps nothing over what is mapped.
            there = inside and not free
            assert answer.number in kernel.contract.refusals or not inside or (goos == "aix" and there)
        else:
            assert answer == at and inside
            if back:
                assert kernel.munmap(at, size) == 0
                assert kernel.space.is_free(at, at + size)


@settings(max_examples=40, deadline=None)
@given(calls=st.lists(st.tuples(addresses, sizes), max_size=8))
def test_windows_reserves_where_it_is_asked_and_commits_what_is_reserved(
    calls: list[tuple[int, int]],
) -> None:
    kernel: Any = new_kernel("windows", Machine(low=0x10000, high=0x7FFF0000, page_size=PAGE), ptr_size=4)
    held: list[tuple[int, int]] = []
    for at, size in calls:
        known = any(start <= at and at + size <= start + length for start, length in held)
        committed = kernel.virtual_alloc(at, size, reserve=False, commit=True)
        assert committed == at if known else isinstance(committed, Errno)
        answer = kernel.virtual_alloc(at, size, reserve=True, commit=False)
        if not isinstance(answer, Errno):
            assert at in (0, answer)
            held.append((answer, -(-size // PAGE) * PAGE))
