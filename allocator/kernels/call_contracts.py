"""Contracts of the systems behind their plain calls, as today's runtime asks them.

Like `contracts`, but for the calls themselves: mmap and its kin, VirtualAlloc, the break. What the
helpers of mem_*.go make of an answer is the machine's code. A system may refuse anything at any
time; where it puts what has no fixed address is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass

from allocator.kernels.contracts import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContract(Placement):
    """The promises of one family of systems: where memory lies, and with which errnos it is refused."""

    refusals: tuple[int, ...] = (12, 1)


# Errno 11 and 13 have words of their own where mem_linux.go and mem_aix.go ask for memory.
UNIX = CallContract(refusals=(12, 1, 11, 13))
NT = CallContract(alignment=64 << 10, refusals=(1455, 87, 8))
BREAK = CallContract(refusals=(12,))
