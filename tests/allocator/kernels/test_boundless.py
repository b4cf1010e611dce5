"""Where nothing is limited, linux answers mappings on a short way, with the answers of the long one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.kernels.address_space import Range
from allocator.kernels.linux import Linux
from allocator.kernels.machine import Machine

AT = st.integers(0, 40).map(lambda i: 0x20000000 + (i << 16)) | st.sampled_from([0, 0, 1, 4096, 0x20000800])
SIZE = st.sampled_from([0, 1, 4096, 4097, 65536, 70000, 131072, 1 << 20, 1 << 31, 1 << 32, (1 << 32) - 5])
CALL = st.tuples(st.just("mmap"), AT, SIZE, st.booleans(), st.booleans()) | st.tuples(
    st.just("munmap"), AT, SIZE
)
NAMED = st.tuples(
    st.just("named"), AT, SIZE, st.booleans(), st.booleans(), st.sampled_from(["heap", "index", ""])
)
MACHINES = [
    {},
    {"hints_honoured": False},
    {"top_down": False},
    {"max_map_count": 4},
    {"low": 0x20010000},
    {"names_kept": False},
]


def mapped_and_named(kernel: Linux, arguments: list[Any], name: str) -> Any:
    """Both calls, one after the other; only the first where there is no name."""
    at = kernel.mmap(*arguments)
    if isinstance(at, int) and name:
        kernel.name_mapping(at, arguments[1], name)
    return at


@pytest.mark.parametrize("ptr_size", [4, 8])
@pytest.mark.parametrize(
    "machine",
    MACHINES,
    ids=str,
)
@given(calls=st.lists(CALL | NAMED, max_size=30))
def test_the_short_way_answers_as_the_long_one(
    ptr_size: int, machine: dict[str, Any], calls: list[Any]
) -> None:
    taken = (Range(0x20050000, 0x20060000), Range(0x20100000, 0x20101000))
    short, long = (Linux(Machine(taken=taken, **machine), ptr_size=ptr_size) for _ in range(2))
    assert short.boundless
    long.__dict__["boundless"] = False
    for name, *arguments in calls:
        if name == "named":
            *arguments, called = arguments
            answer = short.mmap_named(*arguments, called) or mapped_and_named(short, arguments, called)
            assert answer == mapped_and_named(long, arguments, called)
        else:
            assert getattr(short, name)(*arguments) == getattr(long, name)(*arguments)
        assert list(short.space) == list(long.space)
    assert short.log == long.log
    assert short.overwritten == long.overwritten
    assert short.space.held == long.space.held
    assert short.space.totals() == long.space.totals()
