"""The descriptors of types that a Go program carries for reflection and the collector, stripped or not.

firstmoduledata is found by its pointer to the table of functions. From its typelinks (in Go 1.27,
one by one from the first), and from what those types are made of, nearly every type is reached:
structs with names, sizes and offsets of their fields. Where things are in a descriptor, and in
moduledata since Go 1.16, is taken from the calculator's own layouts, so that it holds for every port.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from archcalc.calculator.structs import StructLayout
from archcalc.goverify.image import Image, Unreadable
from archcalc.goverify.pclntab import PclnTab
from archcalc.reading.words import counted

MOST_TYPES = 200_000
MOST_FIELDS = 4096
# Words of moduledata (symtab.go): three slices, then addresses up to types and etypes.
_TYPES, _ETYPES, _TYPELINKS = 25, 26, 30
_ARRAY, _CHAN, _FUNC, _MAP, _PTR, _SLICE, _STRUCT = 17, 18, 19, 21, 22, 23, 25
_INTERFACE = 20
_KIND_MASK = 31
_EXTRA_STAR = 1 << 1
_UNCOMMON, _METHOD = 16, 16
"""Bytes of an UncommonType and of a method after it."""
_WORDS = {_ARRAY: 3, _CHAN: 2, _INTERFACE: 4, _MAP: 11, _PTR: 1, _SLICE: 1, _STRUCT: 4}
"""Words that a kind's descriptor has beyond abi.Type, in Go 1.27."""


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


class Module(NamedTuple):
    """What moduledata says of types: their range, the typelinks, where descriptors in a row end."""

    types: int
    etypes: int
    links: tuple[int, int]
    descriptors_end: int = 0


def structs(
    image: Image, table: PclnTab, layout: StructLayout, module: StructLayout | None = None
) -> dict[str, StructOf]:
    """The runtime's structs by name, without the package. Raises Unreadable where there are no descriptors.

    `layout` is that of `_type` (abi.Type), `module` that of moduledata; without one, it is that of Go 1.8.
    """
    reader = _Reader(image, table, layout, module)
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
    def __init__(
        self, image: Image, table: PclnTab, layout: StructLayout, module: StructLayout | None
    ) -> None:
        self.image = image
        self.word = table.ptr_size
        self.size = layout.size
        self.modern = module is not None
        # Fields were called kind and align, and are called Kind_ and Align_.
        self.at = {field.name.lower().rstrip("_"): field.offset for field in layout.fields}
        modules = self._modules(table) if module is None else self._later_modules(table, module)
        found = next(modules, None)
        if found is None:
            raise Unreadable("firstmoduledata was not found")
        self.types, self.etypes, self.links, self.descriptors_end = found

    def _modules(self, table: PclnTab) -> Iterator[Module]:
        """Everything that looks like moduledata of Go 1.8: pclntable, then ftab inside it."""
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
                yield Module(words[_TYPES], words[_ETYPES], (words[_TYPELINKS], words[_TYPELINKS + 1]))

    def _later_modules(self, table: PclnTab, module: StructLayout) -> Iterator[Module]:
        """Whatever looks like moduledata: a pointer to the table's header, then a table within it."""
        at = {field.name: field.offset for field in module.fields}
        code = self.image.order + ("Q" if self.word == 8 else "I")
        for pointer in self.image.find(struct.pack(code, table.address)):
            address = pointer - at["pcHeader"]
            try:
                types, etypes, text, etext = (
                    self._words(address + at[name], 1)[0] for name in ("types", "etypes", "text", "etext")
                )
                names, length, room = self._words(address + at["funcnametab"], 3)
                links = self._words(address + at["typelinks"], 2) if "typelinks" in at else (0, 0)
                length_of_all = self._words(address + at["typedesclen"], 1)[0] if "typedesclen" in at else 0
            except Unreadable:
                continue
            if types < etypes and text < etext and length == room and names > table.address:
                end = types + length_of_all if length_of_all else 0
                yield Module(types, etypes, (links[0], links[1]), end)

    def walk(self) -> dict[int, _Type]:
        """Every type that can be reached, by address."""
        found: dict[int, _Type] = {}
        waiting = list(self._in_a_row() if self.descriptors_end else self._linked())
        while waiting:
            address = waiting.pop()
            if address in found or not self.types <= address < self.etypes:
                continue
            if len(found) > MOST_TYPES:
                raise Unreadable(f"more than {counted(MOST_TYPES, 'type')}")
            try:
                found[address], inner = self._type(address)
            except (Unreadable, struct.error):
                continue
            waiting += inner
        return found

    def _linked(self) -> Iterator[int]:
        """The addresses that the typelinks name, the last first."""
        start, count = self.links
        if count > MOST_TYPES:
            raise Unreadable(f"{counted(count, 'typelink')}")
        for offset in reversed(
            struct.unpack(f"{self.image.order}{count}i", self.image.read(start, 4 * count))
        ):
            yield self.types + offset

    def _in_a_row(self) -> Iterator[int]:
        """The addresses of descriptors in a row (moduleTypelinks of Go 1.27)."""
        address = self.types + self.word
        while address < self.descriptors_end:
            address += -address % self.word
            try:
                yield address
                address += self._descriptor_size(address)
            except (Unreadable, struct.error):
                return

    def _descriptor_size(self, address: int) -> int:
        """Bytes of a descriptor with what comes after it (Type.DescriptorSize)."""
        kind = self.image.read(address + self.at["kind"], 1)[0] & _KIND_MASK
        own, more = _WORDS.get(kind, 0) * self.word, 0
        behind = address + self.size
        if kind == _FUNC:
            counts = struct.unpack(self.image.order + "HH", self.image.read(behind, 4))
            own, more = self.word, (counts[0] + (counts[1] & 0x7FFF)) * self.word
        elif kind == _INTERFACE:
            more = 8 * self._words(behind + 2 * self.word, 1)[0]
        elif kind == _STRUCT:
            more = 3 * self.word * self._words(behind + 2 * self.word, 1)[0]
        size = self.size + own + more
        if self.image.read(address + self.at["tflag"], 1)[0] & 1:
            methods = struct.unpack(self.image.order + "H", self.image.read(address + self.size + own + 4, 2))
            size += _UNCOMMON + methods[0] * _METHOD
        if not 0 < size < self.descriptors_end - self.types:
            raise Unreadable(f"a descriptor of {counted(size, 'byte')}")
        return size

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
            inner += self._words(own, 3 if self.modern else 4)
        elif kind == _FUNC:
            counts = struct.unpack(self.image.order + "HH", self.image.read(own, 4))
            # The parameters come after the functype, aligned, and after an uncommontype if there is one.
            uncommon = self.image.read(address + self.at["tflag"], 1)[0] & 1
            after = own + self.word + (16 if uncommon else 0)
            inner += self._words(after, counts[0] + (counts[1] & 0x7FFF))
        elif kind == _STRUCT:
            start, count, _ = self._words(own + self.word, 3)
            if count > MOST_FIELDS:
                raise Unreadable(f"a struct of {counted(count, 'field')}")
            for at in range(count):
                name_at, field_type, offset = self._words(start + 3 * at * self.word, 3)
                fields.append((self._name(name_at), field_type, offset))
                inner.append(field_type)
        return _Type(name, kind, size, align, length, tuple(fields)), inner

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return self.image.numbers(address, count, self.word)

    def _name(self, address: int) -> str:
        """A name: flags, its length in two bytes or since Go 1.17 in a varint, the text (abi.Name)."""
        if self.modern:
            length, at = 0, address + 1
            for shift in range(0, 35, 7):
                byte = self.image.read(at, 1)[0]
                at += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80:
                    return self.image.read(at, length).decode("utf-8", "replace")
            raise Unreadable("a name that is absurdly long")
        _, high, low = self.image.read(address, 3)
        return self.image.read(address + 3, high << 8 | low).decode("utf-8", "replace")
