"""The gc compiler's rules for structs, on the types of the heap and on made-up ones."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.calculator import structs
from archcalc.calculator.structs import Layouts, StructError, StructLayout, parse_declarations
from archcalc.goexpr import ExprError, Scope

MACHINES = {"386": (4, 4), "amd64": (8, 8), "amd64p32": (4, 8)}


def lay_out(text: str, machine: str = "amd64", name: str = "T", **names: int) -> StructLayout:
    ptr_size, reg_size = MACHINES[machine]
    scope = ScopeOfTypes(ptr_size, names)
    layouts = Layouts(parse_declarations(text), scope, ptr_size, reg_size)
    scope.layouts = layouts
    return layouts.layout(name)


class ScopeOfTypes(Scope):
    """A scope that knows the declared structs, as array lengths ask for them."""

    layouts: Layouts

    def struct(self, name: str) -> StructLayout | None:
        return self.layouts.layout(name) if name in self.layouts.declarations else None


def places(layout: StructLayout) -> dict[str, tuple[int, int]]:
    return {field.name: (field.offset, field.size) for field in layout.fields}


@pytest.mark.parametrize(
    ("machine", "n", "p", "size", "align"),
    [
        ("386", 4, 12, 16, 4),  # a uint64 is aligned to a register
        ("amd64", 8, 16, 24, 8),
        ("amd64p32", 8, 16, 24, 8),  # pointers of 4 bytes, but 8-byte registers
    ],
)
def test_alignment_of_8_byte_values(machine: str, n: int, p: int, size: int, align: int) -> None:
    layout = lay_out("type T struct {\n\tflag bool\n\tn uint64\n\tp *T\n}\n", machine)
    assert [field.offset for field in layout.fields] == [0, n, p]
    assert (layout.size, layout.align) == (size, align)


KINDS = """
type state uint8
type inner struct {
	a uint16
	b uint8
}
type T struct {
	pointer *int
	function func(a, b *T) (int, error)
	result func() uint64
	bare func()
	table map[string]int
	channel chan int
	receive <-chan int
	send chan<- *T
	any interface {
		f()
	}
	text string
	list []uint16
	unsafe unsafe.Pointer
	word, second uintptr
	signed int
	state state
	inner
	*T
	array [3]inner
	grid [2][N]uint8
	f float32
	c complex64
	d complex128 `tag:"x"`
	_ int32
}
"""


def test_every_kind_of_field() -> None:
    layout = lay_out(KINDS, N=5)
    words = ["pointer", "function", "result", "bare", "table", "channel", "receive", "send"]
    assert places(layout) == {
        **{name: (8 * i, 8) for i, name in enumerate(words)},
        "any": (64, 16),
        "text": (80, 16),
        "list": (96, 24),
        "unsafe": (120, 8),
        "word": (128, 8),
        "second": (136, 8),
        "signed": (144, 8),
        "state": (152, 1),
        "inner": (154, 4),
        "T": (160, 8),
        "array": (168, 12),
        "grid": (180, 10),
        "f": (192, 4),
        "c": (196, 8),
        "d": (208, 16),
        "_": (224, 4),
    }
    assert layout.size == 232
    assert layout.offset_of("inner.b") == 156
    assert {f.name: f.type for f in layout.fields}["function"] == "func(a, b *T) (int, error)"


def test_words_are_half_as_large_with_4_byte_pointers() -> None:
    layout = lay_out("type T struct {\n\ta interface{}\n\tb []byte\n\tc string\n\td int\n}", "amd64p32")
    assert places(layout) == {"a": (0, 8), "b": (8, 12), "c": (20, 8), "d": (28, 4)}
    assert layout.size == 32


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ("a uint32\n\tb [0]uint8", 8),  # the padding byte, rounded to the alignment
        ("a uint32\n\tb struct{}", 8),
        ("b [0]uint64\n\ta uint8", 8),
        ("b struct{}", 0),
        ("", 0),
    ],
)
def test_a_last_field_without_size_is_inside(fields: str, size: int) -> None:
    assert lay_out(f"type T struct {{\n\t{fields}\n}}").size == size


def test_array_lengths_ask_for_sizes() -> None:
    text = """type hdr struct {
	a uint64
	n int
}
type T struct {
	hdr
	obj [(2048 - unsafe.Sizeof(hdr{})) / 8]uintptr
	end [unsafe.Offsetof(hdr{}.n)]byte
}
"""
    layout = lay_out(text)
    assert places(layout) == {"hdr": (0, 16), "obj": (16, 2032), "end": (2048, 8)}
    needs = structs.needs(parse_declarations(text)["T"], parse_declarations(text))
    assert needs == structs.Needs((), ("hdr",))


SCALARS: dict[str, tuple[int, Any]] = {
    "bool": (1, ctypes.c_bool), "int8": (1, ctypes.c_int8), "uint16": (2, ctypes.c_uint16),
    "int32": (4, ctypes.c_int32), "float32": (4, ctypes.c_float), "uint64": (8, ctypes.c_uint64),
    "float64": (8, ctypes.c_double), "uintptr": (0, ctypes.c_uint64),
}  # fmt: skip
fields = st.lists(st.tuples(st.sampled_from(sorted(SCALARS)), st.integers(0, 5)), min_size=1, max_size=12)


@given(fields)
def test_64_bit_layout_is_c_s(declared: list[tuple[str, int]]) -> None:
    """C has the same rules on 64-bit machines, but for fields without size at the end."""
    declared = [*declared, ("uint16", 2)]
    lines = "".join(f"\tf{i} [{n}]{kind}\n" for i, (kind, n) in enumerate(declared))
    layout = lay_out(f"type T struct {{\n{lines}}}\n")

    class Same(ctypes.Structure):
        _fields_ = [(f"f{i}", SCALARS[kind][1] * n) for i, (kind, n) in enumerate(declared)]

    assert layout.size == ctypes.sizeof(Same)
    assert layout.align == ctypes.alignment(Same)
    assert [f.offset for f in layout.fields] == [getattr(Same, f.name).offset for f in layout.fields]


@given(fields, st.sampled_from(sorted(MACHINES)))
def test_fields_stand_as_early_as_they_can(declared: list[tuple[str, int]], machine: str) -> None:
    lines = "".join(f"\tf{i} [{n}]{kind}\n" for i, (kind, n) in enumerate(declared))
    layout = lay_out(f"type T struct {{\n{lines}}}\n", machine)
    ptr_size, reg_size = MACHINES[machine]
    end = 0
    for field, (kind, n) in zip(layout.fields, declared, strict=True):
        size = SCALARS[kind][0] or ptr_size
        align = reg_size if size == 8 else size
        assert (field.size, field.align) == (n * size, align)
        assert field.offset % align == 0
        assert 0 <= field.offset - end < align
        end = field.offset + field.size
    assert layout.align == max(field.align for field in layout.fields)
    assert layout.size % layout.align == 0
    slack = layout.size - end
    last = layout.fields[-1]
    # The padding byte may cost a whole alignment more.
    assert 0 <= slack < layout.align or (last.size == 0 and slack == layout.align)
    assert last.size > 0 or layout.size == 0 or last.offset < layout.size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type T struct {\n\ta [3]T\n}", "invalid recursive type T"),
        ("type T struct {\n\tu U\n}\ntype U struct {\n\tt T\n}", "invalid recursive type T"),
        ("type a b\ntype b a\ntype T struct {\n\tx a\n}", "invalid recursive type a"),
        ("type T struct {\n\ta nowhere\n}", "undefined: nowhere"),
        ("type T uint8", "T is not a struct"),
        ("type U struct {\n}", "undefined: T"),
        ("type T struct {\n\ta [1<<50]byte\n}", "type array too large: 1125899906842624 bytes"),
        ("type T struct {\n\ta [1-2]byte\n}", "array bound 1-2 is negative: -1"),
        ("type T struct {\n\ta [1.5]byte\n}", "array bound 1.5 is not an integer"),
        ("type T struct {\n\ta [3", "an array length without its ]"),
        ("type T struct {\n\ta func(", r"a \( without its \)"),
        ("type T struct {\n\t5 int\n}", "line 2: found 5; expected a field"),
        ("type T struct {\n\ta +\n}", r"line 2: found \+; expected a type"),
        ("type T " + "*" * 500 + "int", "type nested too deeply"),
    ],
)
def test_types_that_are_none(text: str, words: str) -> None:
    with pytest.raises(StructError, match=words):
        lay_out(text)


def test_a_32_bit_type_has_less_than_2_gb() -> None:
    assert lay_out("type T struct {\n\ta [1<<31 - 1]byte\n}", "386").size == (1 << 31) - 1
    with pytest.raises(StructError, match="too large"):
        lay_out("type T struct {\n\ta [1<<31]byte\n}", "386")


def test_an_array_length_that_is_not_a_constant() -> None:
    with pytest.raises(ExprError, match="undefined: n"):
        lay_out("type T struct {\n\ta [n]byte\n}")


def test_declarations_know_their_lines() -> None:
    text = "package p\n\ntype T struct {\n\t// about a\n\ta, b int\n\n\tc func() // called\n}\n\ntype U = T\n"
    found = parse_declarations(text, "p.go")
    assert (found["T"].file, found["T"].line) == ("p.go", 3)
    assert isinstance(found["T"].type, structs.Struct)
    assert [(m.name, m.text, m.line) for m in found["T"].type.members] == [
        ("a", "int", 5),
        ("b", "int", 5),
        ("c", "func()", 7),
    ]


def test_tables_note_the_lines_themselves() -> None:
    text = "type T struct { // 168\n\tnext *T // 169\n}\n"
    declaration = parse_declarations(text, "mheap.go", structs.noted_line)["T"]
    assert declaration.line == 168
    assert isinstance(declaration.type, structs.Struct)
    assert declaration.type.members[0].line == 169


def test_a_field_that_there_is_not() -> None:
    layout = lay_out("type T struct {\n\ta int\n}")
    with pytest.raises(KeyError):
        layout.offset_of("b")
    with pytest.raises(KeyError):
        layout.offset_of("a.b")
