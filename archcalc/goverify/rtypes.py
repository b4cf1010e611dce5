"""The descriptors of types that a Go program carries for reflection and the collector, stripped or not.

firstmoduledata is found by its pointer to the table of functions. From its typelinks, and from
what those types are made of, nearly every type is reached: structs with names, sizes and offsets
of their fields. Where things stand in a descriptor is taken from the calculator's own layout of
`_type`, so that it holds for every port.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from archcalc.calculator.structs import StructLayout
from archcalc.goverify.image import Image, Unreadable
from archcalc.goverify.pclntab import PclnTab

MOST_TYPES = 200_000
MOST_FIELDS = 4096
# Words of moduledata (symtab.go): three slices, then addresses up to types and etypes.
_TYPES, _ETYPES, _TYPELINKS = 25, 26, 30
_ARRAY, _CHAN, _FUNC, _MAP, _PTR, _SLICE, _STRUCT = 17, 18, 19, 21, 22, 23, 25
_KIND_MASK = 31
_EXTRA_STAR = 1 << 1


class FieldOf(NamedTuple):
    """A field: its name, its offset and its size in bytes; `length` of an array, else None."""

    name: str
    offset: int
    size: int | None
    length: int | None


class StructOf(NamedTuple):
    """A struct that a program has: where that is said, its size in bytes, its fields."""

    name: str
    where: str
    size: int
    fields: tuple[FieldOf, ...]
    align: int | None = None


class _Type(NamedTuple):
    name: str
    kind: int
    size: int
    align: int
    length: int | None
    fields: tuple[tuple[str, int, int], ...]


def structs(image: Image, table: PclnTab, layout: StructLayout) -> dict[str, StructOf]:
    """The runtime's structs by name, without the package. Raises Unreadable where there are no descriptors.

    `layout` is that of `_type`.
    """
    reader = _Reader(image, table, layout)
    types = reader.walk()
    found = {}
    for address, one in types.items():
        if one.kind == _STRUCT and one.name.startswith("runtime."):
            fields = tuple(_field(name, offset, types.get(t)) for name, t, offset in one.fields)
            name = one.name.removeprefix("runtime.")
            found[name] = StructOf(name, f"{address:#x}", one.size, fields, one.align)
    if not found:
        raise Unreadable("the program's types are not where this generation has them")
    return found


def _field(name: str, offset: int, kind: _Type | None) -> FieldOf:
    """A field; an embedded one has no name here, and in Go that of its type."""
    if kind is None:
        return FieldOf(name, offset, None, None)
    return FieldOf(name or kind.name.rpartition(".")[2], offset, kind.size, kind.length)


class _Reader:
    def __init__(self, image: Image, table: PclnTab, layout: StructLayout) -> None:
        self.image = image
        self.word = table.ptr_size
        self.size = layout.size
        self.at = {field.name: field.offset for field in layout.fields}
        module = next(self._modules(table), None)
        if module is None:
            raise Unreadable("firstmoduledata was not found")
        self.types, self.etypes = module[_TYPES], module[_ETYPES]
        self.links = module[_TYPELINKS : _TYPELINKS + 2]

    def _modules(self, table: PclnTab) -> Iterator[tuple[int, ...]]:
        """The words of whatever looks like moduledata: pclntable, then ftab inside it."""
        code = self.image.order + ("Q" if self.word == 8 else "I")
        for address in self.image.find(struct.pack(code, table.address)):
            try:
                words = self.image.numbers(address, _TYPELINKS + 3, self.word)
            except Unreadable:
                continue
            if (
                words[1] == words[2]
                and words[3] == table.address + 8 + self.word
                and words[_TYPES] < words[_ETYPES]
            ):
                yield words

    def walk(self) -> dict[int, _Type]:
        """Every type that can be reached, by address."""
        start, count = self.links
        offsets = struct.unpack(
            f"{self.image.order}{count}i", self.image.read(start, 4 * min(count, MOST_TYPES))
        )
        found: dict[int, _Type] = {}
        waiting = [self.types + offset for offset in reversed(offsets)]
        while waiting:
            address = waiting.pop()
            if address in found or not self.types <= address < self.etypes:
                continue
            if len(found) > MOST_TYPES:
                raise Unreadable(f"more than {MOST_TYPES} types")
            try:
                found[address], inner = self._type(address)
            except (Unreadable, struct.error):
                continue
            waiting += inner
        return found

    def _type(self, address: int) -> tuple[_Type, list[int]]:
        size = self._words(address, 1)[0]
        kind = self.image.read(address + self.at["kind"], 1)[0] & _KIND_MASK
        name_offset, pointer = struct.unpack(
            self.image.order + "ii", self.image.read(address + self.at["str"], 8)
        )
        name = self._name(self.types + name_offset)
        if self.image.read(address + self.at["tflag"], 1)[0] & _EXTRA_STAR:
            name = name.removeprefix("*")
        align = self.image.read(address + self.at["align"], 1)[0]
        length, fields = None, []
        inner = [self.types + pointer] if pointer > 0 else []
        own = address + self.size
        if kind in (_PTR, _SLICE, _CHAN):
            inner += self._words(own, 1)
        elif kind == _ARRAY:
            element, slice, length = self._words(own, 3)
            inner += [element, slice]
        elif kind == _MAP:
            inner += self._words(own, 4)
        elif kind == _FUNC:
            counts = struct.unpack(self.image.order + "HH", self.image.read(own, 4))
            # The parameters stand behind the functype, aligned, and behind an uncommontype if there is one.
            uncommon = self.image.read(address + self.at["tflag"], 1)[0] & 1
            after = own + self.word + (16 if uncommon else 0)
            inner += self._words(after, counts[0] + (counts[1] & 0x7FFF))
        elif kind == _STRUCT:
            start, count, _ = self._words(own + self.word, 3)
            if count > MOST_FIELDS:
                raise Unreadable(f"a struct of {count} fields")
            for at in range(count):
                name_at, field_type, offset = self._words(start + 3 * at * self.word, 3)
                fields.append((self._name(name_at), field_type, offset))
                inner.append(field_type)
        return _Type(name, kind, size, align, length, tuple(fields)), inner

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return self.image.numbers(address, count, self.word)

    def _name(self, address: int) -> str:
        """A name: flags, two bytes of length, the text (runtime.name)."""
        _, high, low = self.image.read(address, 3)
        return self.image.read(address + 3, high << 8 | low).decode("utf-8", "replace")
