"""The heap bitmap against the rules of mbitmap.go word by word, and against bytes of real recordings."""

from __future__ import annotations

import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_bitmap import NaiveBitmap, unroll

from allocator.common.gcprog import run_gc_prog
from allocator.common.sizeclasses import compute
from allocator.common.throw import Throw
from allocator.common.types import BadType, Type
from allocator.contiguous.heap_bitmap import (
    LargeBits,
    mask_of,
    pointer_words,
    press,
    press_noscan,
    span_bytes,
    stamp,
)
from allocator.contiguous.runtime import Runtime

CLASSES = compute()
GC_PROG = 1 << 6


@st.composite
def placed_types(draw: st.DrawFn) -> tuple[int, Type, int, int, int]:
    """A pointer size, a type, a data size, the size of the block, and which block of a span it is."""
    ptr = draw(st.sampled_from((4, 8)))
    words = draw(st.integers(1, 60))
    mask = draw(st.integers(1, (1 << words) - 1))
    typ = Type(words * ptr, mask.bit_length() * ptr, 25, ptr, mask.to_bytes((words + 7) // 8, "little"), "t")
    count = draw(st.sampled_from((1, 1, 2, 3, 5, 17)))
    extra = draw(st.sampled_from((0, 0, 1, 3))) * ptr if count > 1 else 0
    data_size = typ.size * count + extra
    size = CLASSES.class_to_size[CLASSES.size_to_class(data_size)]
    return ptr, typ, data_size, size, draw(st.integers(0, 3))


@settings(max_examples=examples(600), phases=phases())
@given(case=placed_types(), before=st.binary(min_size=64, max_size=64))
def test_a_stamp_leaves_what_heapbitssettype_leaves(
    case: tuple[int, Type, int, int, int], before: bytes
) -> None:
    ptr, typ, data_size, size, index = case
    base = 1 << 20
    length = max(5 * size, 4096) // (4 * ptr) * 4 * ptr
    span = bytearray((before * (length // (64 * 4 * ptr) + 1))[: length // (4 * ptr)])
    naive = NaiveBitmap(ptr)
    for word in range(length // ptr):
        naive.word(base + word * ptr)[:] = [
            span[word // 4] >> word % 4 & 1,
            span[word // 4] >> word % 4 + 4 & 1,
        ]
    press(span, index * size // ptr, stamp(typ, data_size, size, ptr))
    naive.set_type(base + index * size, size, data_size, typ)
    assert bytes(span) == naive.bytes(base, length)


@given(ptr=st.sampled_from((4, 8)), word=st.integers(0, 31), before=st.binary(min_size=8, max_size=8))
def test_an_object_without_pointers_clears_its_first_word_only(ptr: int, word: int, before: bytes) -> None:
    span = bytearray(before)
    press_noscan(span, word)
    for other in range(32):
        pair = span[other // 4] >> other % 4 & 0x11
        assert pair == (0 if other == word else before[other // 4] >> other % 4 & 0x11)


# By hand, from the source: each byte is four words, scan bits above, pointer bits below, first word lowest.
BY_HAND = [
    # ptr, picture, count, block, which block, the span's bytes after it
    (8, "p", 1, 8, 0, "00"),  # one word: initSpan has said it all
    (8, "pp", 1, 16, 0, "13"),  # word 1's scan bit is the checkmark
    (8, "p.", 1, 16, 0, "11"),
    (8, ".p", 1, 16, 0, "12"),
    (8, "p", 2, 16, 0, "13"),  # two pointers in an array
    (8, "pp", 1, 16, 1, "4c"),
    (8, "p..", 1, 32, 0, "11"),  # described for two words at least, the second by its checkmark
    (8, "..p", 1, 32, 0, "54"),
    (8, "ppp.", 1, 32, 0, "57"),
    (8, "pppp", 1, 32, 0, "df"),
    (8, "pppppp", 1, 48, 0, "df33"),
    (8, "pppppp", 1, 48, 1, "004cff"),  # the second block begins in the middle of a byte
    (8, "....p.", 1, 48, 1, "004074"),
    (8, "p.", 3, 48, 0, "d511"),
    (4, "p", 1, 8, 0, "11"),  # the smallest block, for one pointer
    (4, "p", 2, 8, 0, "13"),
    (4, "pp", 1, 8, 0, "13"),
    (4, "p.p", 1, 16, 0, "55"),
    (4, "p" + "." * 7, 1, 32, 0, "1100"),
]


@pytest.mark.parametrize(("ptr", "picture", "count", "size", "index", "expected"), BY_HAND)
def test_objects_by_hand(ptr: int, picture: str, count: int, size: int, index: int, expected: str) -> None:
    typ = Type.of_words("t", picture, ptr)
    span = bytearray(32)
    press(span, index * size // ptr, stamp(typ, typ.size * count, size, ptr))
    assert bytes(span) == bytes.fromhex(expected).ljust(32, b"\0")


def test_a_pointer_block_of_32_bit_forgets_what_was_in_its_second_word() -> None:
    span = bytearray(b"\xff")
    press(span, 0, stamp(Type.of_words("*T", "p", 4), 4, 8, 4))
    assert span == b"\xdd"  # words 2 and 3 belong to the next block


# GC programs.

literals = st.integers(1, 127).flatmap(
    lambda n: st.binary(min_size=(n + 7) // 8, max_size=(n + 7) // 8).map(lambda data: bytes((n,)) + data)
)


def varint(n: int) -> bytes:
    out = b""
    while n >= 0x80:
        out += bytes((n & 0x7F | 0x80,))
        n >>= 7
    return out + bytes((n,))


@st.composite
def programs(draw: st.DrawFn) -> bytes:
    """Programs that repeat only what they have written."""
    first = draw(literals)
    program, bits = first, first[0]
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            piece = draw(literals)
            bits += piece[0]
        else:
            n, times = draw(st.integers(1, bits)), draw(st.integers(0, 5))
            short = n < 0x80 and draw(st.booleans())
            piece = (bytes((0x80 | n,)) if short else b"\x80" + varint(n)) + varint(times)
            bits += n * times
        program += piece
    return program + b"\0"


@settings(max_examples=examples(400), phases=phases())
@given(program=programs())
def test_a_gc_program_writes_what_it_says(program: bytes) -> None:
    bits = unroll(program)
    mask, count = run_gc_prog(program, 1 << 20)
    assert count == len(bits)
    assert [mask >> i & 1 for i in range(count)] == bits
    assert mask >> count == 0


@settings(max_examples=examples(400))
@given(program=st.binary(max_size=40))
def test_any_bytes_are_a_program_or_are_refused(program: bytes) -> None:
    try:
        _, count = run_gc_prog(program, 4096)
    except BadType:
        return
    assert count <= 4096


NO_PROGRAMS = (
    b"",
    b"\x01",  # a bit that does not follow
    b"\x08\xff",  # no end
    b"\x81\x01\x00",  # repeats what was never written
    b"\x01\x01\x82\x01\x00",
    b"\x01\x01\x80\x00\x01\x00",  # repeats nothing
    b"\x01\x01\x81" + b"\xff" * 8 + b"\x7f\x00",  # writes without end
    b"\x01\x01\x80" + b"\xff" * 20 + b"\0",
)


@pytest.mark.parametrize("program", NO_PROGRAMS)
def test_a_program_that_is_none_is_refused(program: bytes) -> None:
    with pytest.raises(BadType):
        run_gc_prog(program, 1 << 16)


@settings(max_examples=examples(150), phases=phases())
@given(
    program=programs(),
    tail=st.integers(0, 40),
    count=st.sampled_from((1, 2, 3, 9)),
    ptr=st.sampled_from((4, 8)),
)
def test_an_array_of_a_type_with_a_program(program: bytes, tail: int, count: int, ptr: int) -> None:
    bits = unroll(program)
    words = -(-(len(bits) + tail) // 4) * 4
    typ = Type(words * ptr, len(bits) * ptr, 25 | GC_PROG, ptr, program, "t")
    size = CLASSES.round_up_size(typ.size * count)
    if size > 32768 or size // ptr % 4 or size == 2 * ptr:
        return
    span = bytearray(b"\xa5" * (size // ptr // 4))
    press(span, 0, stamp(typ, typ.size * count, size, ptr))
    naive = NaiveBitmap(ptr)
    naive.set_type(0, size, typ.size * count, typ)
    assert bytes(span) == naive.bytes(0, size)


def test_a_program_for_a_block_that_shares_a_byte_is_the_end() -> None:
    typ = Type(48, 8, 25 | GC_PROG, 8, b"\x01\x01\x00", "t")
    with pytest.raises(Throw, match="heapBitsSetTypeGCProg: small allocation"):
        stamp(typ, 48, 48, 8)


@pytest.mark.parametrize("size", [4096, 65536])
def test_a_program_of_another_length_is_the_end(size: int, amd64: Runtime) -> None:
    typ = Type(size, 16, 25 | GC_PROG, 8, b"\x03\x01\x00", "t")
    with pytest.raises(Throw, match="heapBitsSetTypeGCProg: unexpected bit count"):
        amd64.newobject(typ)
    said = "runtime: heapBitsSetTypeGCProg: total bits 3 but progSize 16"
    assert said in amd64.printed or size > 32768


# Large objects are drawn when somebody looks.


@settings(max_examples=examples(30), phases=phases())
@given(
    words=st.integers(2, 500),
    mask=st.integers(1, (1 << 500) - 1),
    ptr=st.sampled_from((4, 8)),
    kilobytes=st.integers(33, 300),
    limit=st.sampled_from((None, 0, 1, 7, 4096, 65536)),
)
def test_a_large_object_looks_as_if_it_had_been_written(
    words: int, mask: int, ptr: int, kilobytes: int, limit: int | None
) -> None:
    mask = mask & ((1 << words) - 1) or 1
    data = mask.to_bytes(63, "little")
    typ = Type(words * ptr, mask.bit_length() * ptr, 25, ptr, data, "t")
    data_size = max(kilobytes * 1024 // typ.size, 1) * typ.size
    npages = -(-data_size // 8192)
    naive = NaiveBitmap(ptr)
    naive.set_type(0, npages * 8192, data_size, typ)
    expected = naive.bytes(0, npages * 8192)
    found = span_bytes(LargeBits(typ, data_size, npages * 8192), npages, 8192, ptr, limit)
    assert found == expected[:limit]


def test_the_bits_of_a_span_without_pointers_are_nothing() -> None:
    assert span_bytes(0, 2, 8192, 8) == bytes(512)
    assert span_bytes(0xFF, 1, 8192, 8) == b"\xff" * 256
    assert span_bytes(0xFF, 1, 8192, 8, 5) == b"\xff" * 5


def test_the_words_up_to_the_last_pointer() -> None:
    typ = Type.of_words("t", "p.p..", 8)
    assert pointer_words(typ, 40, 8) == 3
    assert pointer_words(typ, 120, 8) == 13
    assert pointer_words(typ, 128, 8) == 13  # what is left over holds nothing
    assert mask_of(typ, 8) == 0b101
