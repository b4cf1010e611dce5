"""The sweep buffers: a spine and blocks that are never given back (mgcsweepbuf.go)."""

from __future__ import annotations

from allocator.contiguous.runtime import Runtime
from allocator.contiguous.sweepbuf import SweepBuf


def test_blocks_and_spine_come_as_the_stack_deepens(some_rt: Runtime) -> None:
    config = some_rt.config
    block = config.sweep_block_entries * config.ptr_size
    spine = config.sweep_buf_init_spine_cap * config.ptr_size
    buffer = SweepBuf(some_rt)
    before = some_rt.stats.gc_sys
    grown = []
    for s in range(1025):
        buffer.push(s)
        grown.append(some_rt.stats.gc_sys - before)
    assert grown[0] == grown[511] == spine + block
    assert grown[512] == grown[1023] == spine + 2 * block
    assert grown[1024] == spine + 3 * block


def test_memory_is_kept_when_the_stack_empties(some_rt: Runtime) -> None:
    buffer = SweepBuf(some_rt)
    for s in range(600):
        buffer.push(s)
    have = some_rt.stats.gc_sys
    assert [buffer.spans.pop() for _ in range(600)] == list(range(599, -1, -1))
    for s in range(1024):
        buffer.push(s)
    assert some_rt.stats.gc_sys == have


def test_the_spine_doubles(amd64: Runtime) -> None:
    buffer = SweepBuf(amd64)
    for s in range(256 * 512 + 1):
        buffer.push(s)
    assert (buffer.spine_cap, buffer.blocks) == (512, 257)


def test_the_two_trade_roles(some_rt: Runtime) -> None:
    some_rt.malloc(100)
    s = some_rt.sweep_spans.swept[0]
    some_rt.open_sweep_phase()
    assert list(some_rt.sweep_spans.unswept) == [s] and not some_rt.sweep_spans.swept
