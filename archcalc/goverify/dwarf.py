"""The runtime's structs as a program's DWARF has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import signature
from io import BytesIO
from typing import Any

from archcalc.goverify.formats.parts import asking
from archcalc.goverify.image import Image, Unreadable
from archcalc.goverify.rtypes import FieldOf, StructOf
from archcalc.host.extras import needed
from archcalc.reading.words import counted

MOST_ENTRIES = 400_000
"""Top-level entries that are looked at where no index of types says where to look."""
MOST_STEPS = 16
"""Names for names for a type, which a broken program could lead in a circle."""
_PLUS_UCONST = 0x23


def structs(image: Image, wanted: frozenset[str], ptr_size: int) -> dict[str, StructOf]:
    """The structs of package runtime among those wanted. Raises Unreadable where DWARF is broken."""
    if ".debug_info" not in image.debug or ".debug_abbrev" not in image.debug:
        raise Unreadable("it has no DWARF")
    found: dict[str, StructOf] = {}
    with asking("pyelftools", "its DWARF"):
        info = _info(image, ptr_size)
        for die in _dies(info, wanted):
            name = _text(die, "DW_AT_name").removeprefix("runtime.")
            if die.tag == "DW_TAG_structure_type" and name in wanted and "DW_AT_byte_size" in die.attributes:
                found.setdefault(name, _struct(die, name, ptr_size))
    return found


def _info(image: Image, ptr_size: int) -> Any:
    """The sections as pyelftools takes them, which has a parameter for each kind."""
    dwarfinfo = needed("elftools.dwarf.dwarfinfo", "verify")
    given: dict[str, Any] = {}
    for parameter in signature(dwarfinfo.DWARFInfo).parameters:
        name = "." + parameter.removesuffix("_sec")
        content = image.debug.get(name)
        if parameter.endswith("_sec"):
            size = len(content or b"")
            section = dwarfinfo.DebugSectionDescriptor(BytesIO(content or b""), name, 0, size, 0)
            given[parameter] = section if content is not None else None
    config = dwarfinfo.DwarfConfig(image.little_endian, image.archs[0], ptr_size)
    return dwarfinfo.DWARFInfo(config=config, **given)


def _dies(info: Any, wanted: frozenset[str]) -> Iterator[Any]:
    """The entries to look at: those that the index of types names, else all at the top."""
    index = info.get_pubtypes()
    if index:
        for name in sorted(wanted):
            entry = index.get(f"runtime.{name}")
            if entry is not None:
                yield from _at(info, entry)
        return
    looked = 0
    for unit in info.iter_CUs():
        for die in unit.get_top_DIE().iter_children():
            looked += 1
            if looked > MOST_ENTRIES:
                raise Unreadable(f"more than {counted(MOST_ENTRIES, 'entry')} without an index of types")
            if "DW_AT_name" in die.attributes and _text(die, "DW_AT_name").startswith("runtime."):
                yield die


def _at(info: Any, entry: Any) -> Iterator[Any]:
    """The entry itself; where it is a name for a type, the type."""
    die = info.get_DIE_from_lut_entry(entry)
    yield _type_of(die) if die.tag == "DW_TAG_typedef" else die


def _struct(die: Any, name: str, ptr_size: int) -> StructOf:
    fields = []
    for member in die.iter_children():
        if member.tag == "DW_TAG_member":
            kind = _type_of(member)
            # An embedded field is named after its type, including the package.
            field = _text(member, "DW_AT_name").rpartition(".")[2]
            fields.append(FieldOf(field, _offset(member), _size(kind, ptr_size), _length(kind)))
    size = _bounded(die.attributes["DW_AT_byte_size"].value)
    return StructOf(name, f".debug_info+{die.offset:#x}", size, tuple(fields))


def _bounded(value: Any) -> int:
    """A number of DWARF's, which may have any length there."""
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise Unreadable("a size or an offset that no program has")
    return value


def _text(die: Any, attribute: str) -> str:
    value = die.attributes[attribute].value if attribute in die.attributes else b""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _offset(member: Any) -> int:
    """Bytes from the start: a number, or in DWARF 2 the expression that adds one."""
    value = member.attributes["DW_AT_data_member_location"].value
    if isinstance(value, int):
        return _bounded(value)
    if not value or value[0] != _PLUS_UCONST:
        raise Unreadable("the offset of a member is not a constant")
    number = 0
    for shift, byte in enumerate(value[1:11]):
        number |= (byte & 0x7F) << (7 * shift)
    return number


def _type_of(die: Any) -> Any:
    """What an entry is of, through names for types."""
    for _ in range(MOST_STEPS):
        if "DW_AT_type" not in die.attributes:
            return die
        die = die.get_DIE_from_attribute("DW_AT_type")
        if die.tag != "DW_TAG_typedef":
            return die
    raise Unreadable("a type is a name for itself")


def _size(kind: Any, ptr_size: int) -> int | None:
    if "DW_AT_byte_size" in kind.attributes:
        return _bounded(kind.attributes["DW_AT_byte_size"].value)
    words: Mapping[str, int] = dict.fromkeys(("DW_TAG_pointer_type", "DW_TAG_subroutine_type"), ptr_size)
    return words.get(kind.tag)


def _length(kind: Any) -> int | None:
    """The elements of an array."""
    if kind.tag != "DW_TAG_array_type":
        return None
    for child in kind.iter_children():
        for attribute, more in (("DW_AT_count", 0), ("DW_AT_upper_bound", 1)):
            if attribute in child.attributes:
                return _bounded(child.attributes[attribute].value) + more
    return None
