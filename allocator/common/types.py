"""What the allocator reads of a type (type.go, internal/abi)."""

from __future__ import annotations

from dataclasses import dataclass, field

KIND_GC_PROG = 1 << 6
KIND_NO_POINTERS = 1 << 7


class BadType(ValueError):
    """A type that no compiler would make: its fields contradict each other."""


@dataclass(eq=False)
class Type:
    """What the allocator reads of a _type. `size`, `ptrdata` and `align` are bytes; `kind` is the raw byte.

    `gcdata` is the pointer mask, bit i of byte i/8 for word i, or the GC program without its four
    bytes of length where `kind` says so. `is_defer` marks runtime._defer, whose argument area
    malloc leaves out of the bitmap.
    """

    size: int
    ptrdata: int = 0
    kind: int = 0
    align: int = 8
    gcdata: bytes = b""
    name: str = ""
    is_defer: bool = False
    noscan: bool = field(init=False)

    def __post_init__(self) -> None:
        self.noscan = bool(self.kind & KIND_NO_POINTERS)

    @staticmethod
    def of_words(name: str, words: str, ptr_size: int) -> Type:
        """A type from a picture of its words: `p` a pointer, `.` none. of_words("pair", "p.", 8)."""
        pointers = [i for i, c in enumerate(words) if c == "p"]
        mask = sum(1 << i for i in pointers)
        ptrdata = (pointers[-1] + 1) * ptr_size if pointers else 0
        kind = 25 if pointers else 25 | KIND_NO_POINTERS
        size = len(words) * ptr_size
        return Type(size, ptrdata, kind, ptr_size, mask.to_bytes((len(words) + 7) // 8, "little"), name)
