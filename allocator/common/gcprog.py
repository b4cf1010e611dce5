"""GC programs: how a type too large for a mask says where its pointers are (runGCProg, mbitmap.go)."""

from __future__ import annotations

from allocator.common.types import BadType


def repeat(mask: int, period: int, count: int) -> int:
    """The low `period` bits of mask, count times over."""
    out, have = mask, 1
    while have < count:
        step = min(have, count - have)
        out |= (out & ((1 << (period * step)) - 1)) << (period * have)
        have += step
    return out


def run_gc_prog(prog: bytes, max_bits: int) -> tuple[int, int]:
    """Runs a GC program (runGCProg). Returns the pointer mask and how many bits it has.

    Raises BadType where it is cut short, repeats what is not there, or passes max_bits.
    """
    out = nbits = at = 0
    end = len(prog)

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= end or shift > 63:
                raise BadType("a GC program that is cut short")
            byte = prog[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while True:
        if at >= end:
            raise BadType("a GC program without its end")
        inst = prog[at]
        at += 1
        n = inst & 0x7F
        if inst < 0x80:
            if n == 0:
                return out, nbits
            nbyte = (n + 7) // 8
            if at + nbyte > end:
                raise BadType("a GC program that is cut short")
            out |= (int.from_bytes(prog[at : at + nbyte], "little") & ((1 << n) - 1)) << nbits
            at += nbyte
            nbits += n
        else:
            n = n or varint()
            count = varint()
            if not 0 < n <= nbits:
                raise BadType("a GC program that repeats more than it has written")
            if nbits + n * count > max_bits:
                raise BadType("a GC program that writes more than its type has")
            if count:
                out |= repeat(out >> (nbits - n), n, count) << nbits
                nbits += n * count
        if nbits > max_bits:
            raise BadType("a GC program that writes more than its type has")
