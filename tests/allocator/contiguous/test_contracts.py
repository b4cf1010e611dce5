"""Each system keeps its contract, whatever it is asked and whatever is in the way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.common.throw import Death
from allocator.contiguous.contracts import CONTRACTS
from allocator.contiguous.mem_linux import PROBE
from allocator.contiguous.systems import GOOSES, new_system
from allocator.kernels.address_space import Range
from allocator.kernels.contracts import apart
from allocator.kernels.machine import Machine

GRANULE = 64 << 10
addresses = st.integers(0, 0x7FFF).map(lambda n: n * GRANULE)
sizes = st.one_of(
    st.integers(0, 1 << 20),
    st.integers(1, 1 << 14).map(lambda n: n * GRANULE),
    st.sampled_from([1 << 32, (1 << 32) + 1, 567472562176]),
)
calls = st.lists(st.tuples(st.sampled_from(["reserve", "alloc", "map"]), addresses, sizes), max_size=12)
taken = st.lists(addresses.map(lambda at: Range(at, at + 0x100000)), max_size=3)


@pytest.mark.parametrize("ptr_size", [4, 8])
@pytest.mark.parametrize("goos", GOOSES)
@settings(max_examples=15, deadline=None)
@given(asked=calls, others=taken, honoured=st.booleans())
def test_a_policy_keeps_to_its_contract(
    goos: str, ptr_size: int, asked: list[tuple[str, int, int]], others: list[Range], honoured: bool
) -> None:
    contract = CONTRACTS[goos]
    machine = Machine(
        low=0x10000,
        high=0x7FFF0000 if ptr_size == 4 else 0x7FFFFFFF0000,
        page_size=GRANULE if goos == "nacl" else 4096,
        taken=tuple(others),
        image_start=0x400000,
        data_end=0x500000,
        hints_honoured=honoured,
    )
    system = new_system(goos, machine, ptr_size=ptr_size)
    mask = (1 << 8 * ptr_size) - 1
    held: list[tuple[int, int]] = []

    def given_so(at: int, size: int) -> None:
        whole = contract.rounded(machine, size)
        assert all(contract.place(machine, ptr_size, at, whole))
        for start, length in held:
            assert apart(at, whole, start, length)
        held.append((at, whole))

    for call, at, size in asked:
        size &= mask
        try:
            if call == "reserve":
                p, reserved = system.sys_reserve(at, size)
                worth = contract.believes(size, ptr_size)
                if worth == "believed":
                    assert (p, reserved) == (at, False)
                elif not p:
                    assert reserved is contract.flag_if_refused or goos == "plan9"
                elif worth == "probed":
                    assert (p, reserved) == (at, False)
                    assert all(contract.place(machine, ptr_size, at, PROBE))
                else:
                    assert reserved is True
                    if size or not contract.gives_nothing:
                        given_so(p, size)
            elif call == "alloc":
                p = system.sys_alloc(size, "other_sys")
                if p and size:
                    given_so(p, size)
            elif held:
                start, length = held[0]
                system.sys_map(start, min(length, 1 << 20), contract.fixed != "never")
        except Death as death:
            assert death.words in contract.last_words
