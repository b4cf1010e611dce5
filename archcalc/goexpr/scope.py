"""Scopes: where an expression finds its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from archcalc.goexpr.values import ConstantType, Scalar, Value, basic_types, untyped


class Sized(Protocol):
    """What unsafe.Sizeof, Alignof and Offsetof ask of a struct."""

    @property
    def size(self) -> int: ...
    @property
    def align(self) -> int: ...
    def offset_of(self, path: str) -> int: ...
    def size_of(self, path: str) -> int: ...


class Function(NamedTuple):
    """A function of one expression, such as runtime.round: its parameters and its result."""

    parameters: tuple[str, ...]
    body: str


class Scope:
    """Where an expression finds its names. Subclasses answer more; this one knows the basic types.

    ptr_size is in bytes. Go takes signed shift counts from 1.13 on; `signed_shift_counts`
    says whether this is such a Go.
    """

    def __init__(
        self,
        ptr_size: int = 8,
        names: Mapping[str, Scalar | Value] | None = None,
        signed_shift_counts: bool = False,
    ) -> None:
        self.ptr_size = ptr_size
        self.names = names or {}
        self.signed_shift_counts = signed_shift_counts

    def lookup(self, name: str) -> Value | None:
        """The constant or variable of that name, which may be qualified, as in sys.PtrSize."""
        value = self.names.get(name)
        return value if value is None or isinstance(value, Value) else untyped(value)

    def type(self, name: str) -> ConstantType | None:
        """The type of that name."""
        return basic_types(self.ptr_size).get(name)

    def struct(self, name: str) -> Sized | None:
        """The layout of a struct type, or of the struct that the variable `name` is."""
        return None

    def length(self, name: str) -> int | None:
        """The length of an array of that name."""
        return None

    def function(self, name: str) -> Function | Callable[[list[Value]], Value] | None:
        """The function of that name: an expression over uintptr variables, or what computes it."""
        return None


class Within(Scope):
    """A scope in another: what a subclass does not answer is the outer one's to say.

    Shift counts may be signed: what asks about a scope in another is a person or a later Go.
    """

    def __init__(self, outer: Scope) -> None:
        self.outer = outer
        self.names = {}
        self.signed_shift_counts = True

    @property
    def ptr_size(self) -> int:  # type: ignore[override]
        return self.outer.ptr_size

    def lookup(self, name: str) -> Value | None:
        return self.outer.lookup(name)

    def type(self, name: str) -> ConstantType | None:
        return self.outer.type(name)

    def struct(self, name: str) -> Sized | None:
        return self.outer.struct(name)

    def length(self, name: str) -> int | None:
        return self.outer.length(name)

    def function(self, name: str) -> Function | Callable[[list[Value]], Value] | None:
        return self.outer.function(name)
