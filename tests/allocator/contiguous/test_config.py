"""What follows from a Config."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from allocator.contiguous.runtime import Runtime


def test_the_figures_that_follow_from_the_word_size(rt: Runtime) -> None:
    config = rt.config
    bits = 8 * config.ptr_size
    assert config.uintptr_mask == 2**bits - 1
    assert config.is_64bit == (bits == 64)
    assert config.heap_bitmap_scale == config.ptr_size * (8 // 2)  # heapBitmapScale (mbitmap.go)
    assert config.page_size == 8192


def test_a_config_does_not_change(amd64: Runtime) -> None:
    with pytest.raises(FrozenInstanceError):
        amd64.config.page_shift = 12  # type: ignore[misc]


def test_stacks_are_at_least_2_kb_and_fit_four_orders_in_a_cache(rt: Runtime) -> None:
    # _NumStackOrders (malloc.go): 2 KB to 32 KB on unix 32-bit, fewer where stacks begin larger.
    config = rt.config
    largest = config.fixed_stack << (config.num_stack_orders - 1)
    assert config.fixed_stack >= 2048
    assert config.num_stack_orders in (2, 3, 4)
    assert largest in (8192, 16384, 32768)
