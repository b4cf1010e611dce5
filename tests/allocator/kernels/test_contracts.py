"""Each kernel keeps the contract beside its policy, whatever it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.kernels import KERNELS, new_kernel
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
