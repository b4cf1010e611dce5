"""The heap bitmap by words: what mbitmap.go's rules say of each word, with nothing clever about bytes.

Every word of the heap has a pointer bit and a scan bit. The rules are those of
heapBitsSetType, heapBitsSetTypeNoScan, heapBitsSetTypeGCProg and initSpan.
"""

from __future__ import annotations

from allocator.common.types import Type

GC_PROG = 1 << 6


def unroll(program: bytes) -> list[int]:
    """The bits that a GC program writes, one by one (the encoding described above runGCProg)."""
    stream = iter(program)
    bits: list[int] = []

    def varint() -> int:
        value = shift = 0
        while True:
            byte = next(stream)
            value += (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while True:
        instruction = next(stream)
        if instruction == 0:
            return bits
        if instruction < 128:
            data = [next(stream) for _ in range(-(-instruction // 8))]
            bits += [data[i // 8] >> i % 8 & 1 for i in range(instruction)]
        else:
            n = instruction - 128 or varint()
            for _ in range(varint()):
                bits += bits[-n:]


class NaiveBitmap:
    """Bits by the address of the word: [pointer, scan]; words never written have neither."""

    def __init__(self, ptr_size: int) -> None:
        self.ptr = ptr_size
        self.bits: dict[int, list[int]] = {}

    def word(self, addr: int) -> list[int]:
        """The two bits of a word, to read or to write."""
        return self.bits.setdefault(addr, [0, 0])

    def init_span(self, base: int, length: int, elem_size: int) -> None:
        """A span is made: no word is described, but where objects are one 8-byte word each."""
        only_pointers = self.ptr == elem_size == 8
        for addr in range(base, base + length, self.ptr):
            if only_pointers:
                self.bits[addr] = [1, 1]
            else:
                self.bits.pop(addr, None)

    def set_noscan(self, x: int) -> None:
        """An object without pointers: its first word says so."""
        self.bits[x] = [0, 0]

    def pointers(self, typ: Type, data_size: int) -> list[int]:
        """The pointer bits of the words of data_size bytes of a type, up to the last pointer."""
        words = typ.size // self.ptr
        prefix = typ.ptrdata // self.ptr
        if typ.kind & GC_PROG:
            one = unroll(typ.gcdata)
        else:
            one = [typ.gcdata[i // 8] >> i % 8 & 1 for i in range(prefix)]
        one += [0] * (words - len(one))
        count = data_size // typ.size
        return (one * count)[: words * (count - 1) + prefix]

    def set_type(self, x: int, size: int, data_size: int, typ: Type) -> None:
        """An object with pointers at x in a block of `size` bytes."""
        ptr = self.ptr
        if ptr == size == 8:
            return
        if size == 2 * ptr:
            self._set_pair(x, data_size, typ)
            return
        pointers = self.pointers(typ, data_size)
        described = len(pointers)
        if typ.kind & GC_PROG:
            described += -described % 4  # whole bytes
            checkmark = 1
        else:
            described = max(described, 2)
            checkmark = 0
        pointers += [0] * (size // ptr - len(pointers))
        shares_first_byte = x // ptr % 4 == 2 and ptr == 8
        for i in range(size // ptr):
            word = self.word(x + i * ptr)
            word[0] = pointers[i]
            if i == 1 and shares_first_byte:
                continue  # its scan bit, the checkmark, is left as it was
            word[1] = int(i < described) if i != 1 else checkmark

    def _set_pair(self, x: int, data_size: int, typ: Type) -> None:
        first, second = self.word(x), self.word(x + self.ptr)
        if typ.size != self.ptr:
            first[:] = [typ.gcdata[0] & 1, 1]
            second[:] = [typ.gcdata[0] >> 1 & 1, 0]
        elif self.ptr == 4 and data_size == 4:
            first[:] = [1, 1]
            second[:] = [0, 0]
        else:
            first[:] = [1, 1]
            second[0] = 1

    def bytes(self, base: int, length: int) -> bytes:
        """The bitmap of [base, base+length), a byte for four words, the first word lowest."""
        out = bytearray(length // (4 * self.ptr))
        for addr, (pointer, scan) in self.bits.items():
            if base <= addr < base + length:
                word = (addr - base) // self.ptr
                out[word // 4] |= (pointer | scan << 4) << word % 4
        return bytes(out)
