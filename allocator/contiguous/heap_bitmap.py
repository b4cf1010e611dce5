"""The heap bitmap: two bits for each word of the heap, as bytes of four words (mbitmap.go).

The low half of a byte holds the pointer bits of its four words, the high half
their scan bits: set as long as the description of the object continues, clear from
the word from which on there are no pointers. The second word is an
exception, since its scan bit is the collector's checkmark: it is written as
zero and does not end the description.

Bytes here run forward with the addresses, from the first word of a span; Go
stores them backward below the arena. What malloc writes for an object depends
only on its type, its data size, the size of its block, and for blocks that
share a byte with their neighbour on where in the byte they begin. So it is
worked out once as a `Stamp` and then laid down as whole bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from allocator.common.gcprog import repeat, run_gc_prog
from allocator.common.throw import Throw
from allocator.common.types import KIND_GC_PROG, BadType, Type


class LargeBits(NamedTuple):
    """The bitmap of a large object, not yet drawn."""

    typ: Type
    data_size: int
    size: int


class Stamp(NamedTuple):
    """What malloc leaves in the bitmap for one object of a size class.

    `how` is one of the four below. WHOLE: `body` is the object's bytes. HALF (48, 80 … bytes on
    64-bit): at the first half of a byte `body` and then `tail` in the low half of the next; at
    the second half `head` in the high half and then `rest`. PAIR: the two words' bits, `clear`
    first taken out and `tail` put in, shifted to where they stand.
    """

    how: int
    body: bytes = b""
    tail: int = 0
    head: int = 0
    rest: bytes = b""
    clear: int = 0


NOTHING, WHOLE, HALF, PAIR = range(4)
_NOTHING = Stamp(NOTHING)
MAX_MASK = 1 << 27  # words that a GC program may describe; a type of 1 GB on 64-bit

# Of each byte its lower half, and its upper half.
_LOWER = bytes(b & 15 for b in range(256))
_UPPER = bytes(b >> 4 for b in range(256))
# In the high half of a byte: a first word's two bits and the second's pointer bit. The
# second word's scan bit is the checkmark, which is left as it was.
HEAD_KEPT = ~(0x13 << 2) & 0xFF


def mask_of(typ: Type, ptr_size: int) -> int:
    """The pointer mask of one value of the type, as an integer; GC programs are run."""
    words = typ.ptrdata // ptr_size
    if typ.kind & KIND_GC_PROG:
        mask, nbits = run_gc_prog(typ.gcdata, min(max(typ.size // ptr_size, 1), MAX_MASK))
        if nbits != words:
            line = f"runtime: heapBitsSetTypeGCProg: total bits {nbits} but progSize {typ.ptrdata}"
            raise Throw("heapBitsSetTypeGCProg: unexpected bit count", line)
        return mask
    return int.from_bytes(typ.gcdata, "little") & ((1 << words) - 1)


def _bytes_of(pointers: int, scan: int, words: int) -> bytes:
    """Bitmap bytes of `words` words, a multiple of four, from their pointer and scan bits."""
    n = words // 4
    return (_spread(pointers, n) | _spread(scan, n) << 4).to_bytes(n, "little")


def _spread(bits: int, n: int) -> int:
    """4 n bits, four in each byte of an integer."""
    if n <= 2:
        return bits & 15 | bits >> 4 << 8
    packed = bits.to_bytes((n + 1) // 2, "little")
    spread = bytearray(2 * len(packed))
    spread[0::2] = packed.translate(_LOWER)
    spread[1::2] = packed.translate(_UPPER)
    return int.from_bytes(spread, "little")


def pointer_words(typ: Type, data_size: int, ptr_size: int) -> int:
    """Words up to and with the last pointer of data_size bytes of typ."""
    if data_size == typ.size:
        return typ.ptrdata // ptr_size
    return ((data_size // typ.size - 1) * typ.size + typ.ptrdata) // ptr_size


def _described(typ: Type, data_size: int, size: int, ptr_size: int) -> int:
    """How many of a block's words are described: those up to and with the last pointer, one at least."""
    if data_size < typ.size or typ.size <= 0 or typ.ptrdata > typ.size or data_size > size:
        raise BadType(
            f"{data_size} bytes of a type of {typ.size} bytes, {typ.ptrdata} with pointers, in {size}"
        )
    nw = pointer_words(typ, data_size, ptr_size)
    if nw <= 0:
        raise Throw("heapBitsSetType: called with non-pointer type")
    return nw


def _draw(typ: Type, data_size: int, size: int, ptr_size: int) -> tuple[int, int]:
    """Pointer and scan bits of a block's words, word 1's scan bit clear (heapBitsSetType)."""
    nw = _described(typ, data_size, size, ptr_size)
    mask = mask_of(typ, ptr_size)
    count = data_size // typ.size
    pointers = repeat(mask, typ.size // ptr_size, count) & ((1 << nw) - 1)
    if typ.kind & KIND_GC_PROG:
        # A program writes whole bytes, the second word's scan bit among them.
        return pointers, (1 << ((nw + 3) & ~3)) - 1
    return pointers, ((1 << max(nw, 2)) - 1) & ~2


def stamp(typ: Type, data_size: int, size: int, ptr_size: int) -> Stamp:
    """What an object of data_size bytes of typ leaves in a block of `size` bytes (heapBitsSetType)."""
    if size == ptr_size == 8:
        return _NOTHING  # initSpan has set the one word's bits already
    if size == 2 * ptr_size:
        if typ.size != ptr_size:
            mask = mask_of(typ, ptr_size) & 3
            return Stamp(PAIR, clear=0x33, tail=mask | 0x10)
        if ptr_size == 4 and data_size == ptr_size:
            return Stamp(PAIR, clear=0x33, tail=0x11)
        return Stamp(PAIR, tail=0x13)
    words = size // ptr_size
    if typ.kind & KIND_GC_PROG and words % 4:
        raise Throw("heapBitsSetTypeGCProg: small allocation")
    if typ.kind & KIND_GC_PROG:
        return Stamp(WHOLE, _bytes_of(*_draw(typ, data_size, size, ptr_size), words))
    nw = _described(typ, data_size, size, ptr_size)
    at_first, at_third = _endless(mask_of(typ, ptr_size), typ.size // ptr_size, 8 << (nw >> 3).bit_length())
    if words % 4 == 0:
        return Stamp(WHOLE, _first(at_first, nw, words))
    return Stamp(
        HALF,
        body=_first(at_first, nw, words - 2),
        tail=_first(at_first[words >> 2 :], nw - (words - 2), 4)[0],
        head=(_first(at_first, nw, 4)[0] & 3 | 0x10) << 2,
        rest=_first(at_third, nw - 2, words - 2),
    )


@lru_cache(maxsize=1 << 10)
def _endless(mask: int, period: int, words: int) -> tuple[bytes, bytes]:
    """Bitmap bytes of an array that fills so many words, a multiple of 8, and those from the third word on.

    A shorter one has the same up to its last pointer.
    """
    pointers = repeat(mask, period, words // period + 1) & ((1 << words) - 1)
    scan = (1 << words) - 1
    return _bytes_of(pointers, scan & ~2, words), _bytes_of(pointers >> 2, scan >> 2, words)


def _first(row: bytes, n: int, words: int) -> bytes:
    """The bitmap bytes of so many words, of which n are as in a row and all others without bits."""
    n = min(max(n, 0), words)
    if n & 3:
        last = row[n >> 2] & 0x11 * ((1 << (n & 3)) - 1)
        return (row[: n >> 2] + bytes((last,))).ljust(words >> 2, b"\0")
    return row[: n >> 2].ljust(words >> 2, b"\0")


def press(bits: bytearray, word: int, what: Stamp) -> None:
    """Lays a stamp down at a word of a span."""
    i = word >> 2
    how = what.how
    if how == WHOLE:
        bits[i : i + len(what.body)] = what.body
    elif how == HALF:
        if word & 2:
            bits[i] = bits[i] & HEAD_KEPT | what.head
            bits[i + 1 : i + 1 + len(what.rest)] = what.rest
        else:
            end = i + len(what.body)
            bits[i:end] = what.body
            bits[end] = bits[end] & 0xCC | what.tail
    elif how == PAIR:
        shift = word & 3
        bits[i] = bits[i] & ~(what.clear << shift) | what.tail << shift


def press_noscan(bits: bytearray, word: int) -> None:
    """Marks the object at a word as without pointers (heapBitsSetTypeNoScan): one word is enough."""
    bits[word >> 2] &= ~(0x11 << (word & 3))


def large_bytes(recipe: LargeBits, ptr_size: int, limit: int | None = None) -> bytearray:
    """The bitmap bytes of a large object, drawn now; no more than `limit` of them."""
    typ, data_size, size = recipe
    words = size // ptr_size
    if limit is not None and words > 4 * limit and not typ.kind & KIND_GC_PROG:
        # Draw whole elements until there is enough; what follows cannot change the start.
        words = 4 * limit
        enough = (words * ptr_size // typ.size + 2) * typ.size
        data_size = min(data_size, enough)
        size = max(words * ptr_size, data_size)
        size += -size % (4 * ptr_size)
    pointers, scan = _draw(typ, data_size, size, ptr_size)
    out = bytearray(_bytes_of(pointers, scan, size // ptr_size))
    return out if limit is None else out[:limit]


def span_bytes(
    bits: bytearray | int | LargeBits, npages: int, page_size: int, ptr_size: int, limit: int | None = None
) -> bytes:
    """The bitmap bytes of a span, first word first; no more than `limit` of them."""
    n = npages * page_size // (4 * ptr_size)
    if limit is not None:
        n = min(n, limit)
    if isinstance(bits, LargeBits):
        return bytes(large_bytes(bits, ptr_size, limit)[:n]).ljust(n, b"\0")
    if isinstance(bits, int):
        return bytes((bits,)) * n
    return bytes(bits[:n])
