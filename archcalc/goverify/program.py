"""A built program against the calculator: what it was built for, and its own tables and types.

Tables are in the data segment under their symbols; in a program without symbols they are found
by their contents, nearly all of which has to be as computed. Types come from DWARF, and from the
descriptors that the program needs itself. What cannot be read is reported with the reason.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archcalc import generations, goexpr
from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.calculator.structs import StructLayout
from archcalc.goverify import classtables, dwarf, era, formats, pclntab, rtypes
from archcalc.goverify.comparison import Comparison, Scalar, explained, numbered
from archcalc.goverify.era import Era
from archcalc.goverify.image import Image, Unreadable
from archcalc.goverify.pclntab import PclnTab
from archcalc.goverify.rtypes import StructOf
from archcalc.goverify.verdict import Subject, Verdict
from archcalc.profiles import platforms
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted

BUILD_INFO = b"\xff Go buildinf:"
LONGEST_VERSION = 200
_VERSION = re.compile(rb"devel \+[0-9a-f]{7,40}[ -~]*|go1(?:\.\d+)*[ -~]*")
_RELEASE = re.compile(r"go1\.(\d+)")
_ALIKE = 0.75
"""Share of a table's entries that must be as computed to recognise it by its contents."""
_MAGIC_AT = {"shift": 0, "shift2": 1, "mul": 2, "baseMask": 4}
"""Where the parts of a divmagic are in it, in bytes."""
_ANCHOR = 8
"""Entries of a table that are searched for at a time."""
MOST_PLACES = 4096


@dataclass(frozen=True, slots=True)
class Program:
    """What a program says about itself."""

    image: Image
    table: PclnTab | None
    platform: str
    version: str
    modern: bool

    @property
    def generation(self) -> str:
        """The generation that has figures of the release that built it; else the default."""
        match = _RELEASE.match(self.version)
        name = f"1.{match[1]}" if match else ""
        return name if name in generations.known() else generations.CURRENT

    @property
    def stripped(self) -> bool:
        """Whether it has no symbols of the runtime."""
        return not any(name.startswith("runtime.") for name in self.image.symbols)


def verify(path: Path, targets: Sequence[Figures] | None, sets: Mapping[str, int | str]) -> Verdict:
    """A program against the figures of its own platform, or of the one that was named.

    Raises UsageFault for what is not a program of Go's, and for one of a platform without figures.
    """
    program = identify(path)
    if targets is None:
        if program.platform not in platforms.names(program.generation):
            raise UsageFault(
                Fault(
                    f"a program of {program.version or 'an unknown Go'} for {program.platform},"
                    " which has no profile",
                    "a platform of archcalc list, or one of your own (--profile)",
                    file=str(path),
                )
            )
        profile = platforms.load(program.platform, program.generation)
        targets = [figures.compute(profile, {**_experiments(program), **sets})]
    if len(targets) != 1:
        raise UsageFault(
            Fault(
                f"--binary with {counted(len(targets), 'platform')}",
                "one platform, or none: the program names its own",
            )
        )
    comparison = _Comparison(program, targets[0])
    comparison.compare()
    image = program.image
    extra = {
        "go": program.version,
        "platform": program.platform,
        "format": image.format,
        "stripped": program.stripped,
        "dwarf": ".debug_info" in image.debug,
    }
    subject = Subject(
        "binary", str(path), program.version, targets[0].generation.label, comparison.era, extra
    )
    unreadable = [(str(path), 0, note) for note in image.notes]
    return Verdict(subject, [comparison.found], unreadable)


def _experiments(program: Program) -> dict[str, bool]:
    """The experiments that the program says it was built with and without, as settings: `X:nogreenteagc`."""
    return generations.load(program.generation).experiments(program.version.partition("X:")[2])


def identify(path: Path) -> Program:
    """What a file is a program of. Raises UsageFault where Go has not built it."""
    image = formats.read(path)
    table = pclntab.find(image)
    modern = BUILD_INFO in image.data
    version = _version(image, table)
    own = [name for name in image.symbols if name.startswith("runtime.")]
    if table is None and not modern and not version and not own:
        raise formats.fault(path, f"{_article(image.format)} program that was not built by Go")
    platform = _platform(image)
    if platform is None:
        raise formats.fault(
            path, f"{_article(image.format)} program of {version or 'an unknown Go'} for an unknown platform"
        )
    return Program(image, table, platform, version, modern or (table is not None and not table.current))


def _article(format: str) -> str:
    return f"{'an' if format[0] in 'EM' and format != 'Mach-O' else 'a'} {format}"


def _platform(image: Image) -> str | None:
    """The platform: by its entry points, else by headers that leave no choice."""
    found = pclntab.platforms(image)
    fits = [(system, arch) for system, arch in found if arch in image.archs]
    likely = [one for one in fits if one[0] in image.systems] or fits
    if likely:
        return "/".join(likely[0])
    if len(image.archs) == 1 and image.systems:
        return f"{image.systems[0]}/{image.archs[0]}"
    return None


def _version(image: Image, table: PclnTab | None) -> str:
    """runtime.buildVersion; what the linker noted; or a string that a string header points to."""
    words = [table.ptr_size] if table is not None else [8, 4]
    symbol = image.symbols.get("runtime.buildVersion")
    for word in words:
        try:
            if symbol is not None:
                address, length = image.numbers(symbol.address, 2, word)
                if 0 < length <= LONGEST_VERSION:
                    return image.read(address, length).decode("utf-8", "replace")
        except Unreadable:
            continue
    noted = _build_info(image)
    return noted or next(_versions(image, words), "")


def _build_info(image: Image) -> str:
    """The version in the block that Go 1.13 and later leave for `go version`."""
    at = image.data.find(BUILD_INFO)
    if at < 0 or at + 33 > len(image.data):
        return ""
    word, flags = image.data[at + 14], image.data[at + 15]
    if flags & 2:
        length = image.data[at + 32]
        return image.data[at + 33 : at + 33 + length].decode("utf-8", "replace") if length < 0x80 else ""
    if word not in (4, 8):
        return ""
    try:
        pointer = int.from_bytes(image.data[at + 16 : at + 16 + word], "big" if flags & 1 else "little")
        address, length = image.numbers(pointer, 2, word)
        return image.read(address, min(length, LONGEST_VERSION)).decode("utf-8", "replace")
    except Unreadable:
        return ""


def _versions(image: Image, words: Sequence[int]) -> Iterator[str]:
    """Strings that read like versions and that a string header in the data is exactly of."""
    for number, match in enumerate(_VERSION.finditer(image.data)):
        address = image.address(match.start())
        if number > MOST_PLACES:
            return
        for word in words:
            if address is None or address >> 8 * word:
                continue
            for place in image.find(address.to_bytes(word, "little" if image.little_endian else "big")):
                try:
                    length = image.numbers(place + word, 1, word)[0]
                except Unreadable:
                    continue
                text = image.data[match.start() : match.start() + length]
                if 4 <= length <= LONGEST_VERSION and _VERSION.fullmatch(text):
                    yield text.decode("ascii")


class _Comparison:
    """One program against the figures of one platform."""

    def __init__(self, program: Program, target: Figures) -> None:
        self.program = program
        self.image = program.image
        self.figures = target
        self.found = Comparison(target.platform)
        self.ptr_size = program.table.ptr_size if program.table is not None else target.engine.words[0]
        self.contiguous = target.generation.era == "contiguous"
        # Other releases have other tables; a runtime of January 2017 has no build information.
        self.comparable = program.modern != self.contiguous and program.generation == target.generation.name
        self.comparable = self.comparable or (self.contiguous and not program.modern)
        self.dwarf = self._structs_of_dwarf()
        self.types = self._structs_of_types()
        self.era = self._era()

    def compare(self) -> None:
        """Everything; differences get the calculator's formulas."""
        self._identity()
        if not self.comparable:
            self._skip_modern()
        else:
            self._tables()
            for structs in (self.dwarf, self.types):
                for name, one in structs.items():
                    self._struct(self.figures.structs[name], one)
            self._symbol_sizes()
        self.found.differences = [explained(one, self.figures) for one in self.found.differences]

    # ---- what it is ----

    def _era(self) -> Era:
        release = _RELEASE.match(self.program.version)
        known = {**self.dwarf, **self.types}
        if not self.contiguous:
            return Era(
                era.PAGE_ALLOCATOR,
                self.program.version,
                f"it says that {self.program.version or 'another Go'} built it",
                self.comparable,
            )
        if self.program.modern or (release and not known):
            go = self.program.table.go if self.program.table is not None else "Go 1.13 or later"
            sparse = self.program.modern or int(release[1] if release else 0) >= 11
            name = "sparse arenas" if sparse else "another generation"
            current = not self.program.modern and release is not None and int(release[1]) == 8
            return Era(
                name, self.program.version or go, f"its version and its tables are those of {go}", current
            )
        if not known:
            current = self.program.version.startswith("devel +" + self.figures.generation.name)
            return Era("by its version", self.program.version, "it has no types to tell by", current)
        names = set(self.all_types) | {name.removeprefix("runtime.") for name in self.image.symbols}
        names.add("class_to_divmagic") if "divMagic" in names else None
        heap = known.get("mheap")
        if heap is not None and any(field.name == "arena_start" for field in heap.fields):
            names.add("_MHeapMap_TotalBits")
        return era.of(names.__contains__)

    def _identity(self) -> None:
        """Facts of the port that the program's headers have."""
        system, _, arch = self.program.platform.partition("/")
        table = self.program.table
        self._constant("GOOS", system, "its entry point")
        self._constant("GOARCH", arch, "its entry point")
        self._constant("BigEndian", not self.image.little_endian, "its header")
        if table is None:
            self.found.skip("PtrSize", "no table of functions was found")
            return
        self._constant("PCQuantum", table.min_lc, f"{table.address + 6:#x}")
        self._constant("PtrSize", table.ptr_size, f"{table.address + 7:#x}")

    def _constant(self, own: str, found: Scalar, where: str) -> None:
        """A constant of the packages about the port, under the name of the one that has it."""
        name = next(
            f"{package}.{own}"
            for package in ("sys", "goarch", "goos")
            if f"{package}.{own}" in self.figures.generation.rows
        )
        ours = self.figures.value(name)
        self.found.value(name, ours, found if isinstance(ours, bool | str) else int(found), where)

    def _skip_modern(self) -> None:
        why = f"{self.era.go} has other tables and types"
        for name in ("class_to_size", *self.figures.structs):
            self.found.skip(name, why)

    # ---- tables ----

    def _tables(self) -> None:
        classes, generation = self.figures.size_classes, self.figures.generation
        for table in classtables.TABLES:
            package, name = classtables.named(table, tuple(generation.packages.values()))
            ours = classtables.computed(classes, table, self.contiguous)
            layout = self._layout(table)
            content = b"".join(layout.pack(*(one if isinstance(one, tuple) else (one,))) for one in ours)
            address, count = self._place(f"{package}.{name}", content, layout.size, len(ours))
            try:
                if address is None:
                    raise Unreadable("it has no symbol, and nothing in its data looks like it")
                read = [
                    layout.unpack(self.image.read(address + at * layout.size, layout.size))
                    for at in range(count)
                ]
            except Unreadable as error:
                self.found.skip(name, str(error))
                continue
            if table is classtables.TABLES[0]:
                many = next(one for one in ("_NumSizeClasses", "gc.NumSizeClasses") if self._has(one))
                self.found.value(many, len(ours), count, f"{address:#x}")
            self._entries(name, ours, read, address, layout)

    def _has(self, name: str) -> bool:
        return name in self.figures.generation.rows or f"runtime.{name}" in self.figures.generation.rows

    def _entries(
        self,
        name: str,
        ours: tuple[int, ...] | tuple[tuple[int, ...], ...],
        read: list[tuple[int, ...]],
        address: int,
        layout: struct.Struct,
    ) -> None:
        theirs = [one if isinstance(ours[0], tuple) else one[0] for one in read]
        if list(ours) == theirs:
            self.found.compared += len(theirs) * len(read[0])
            return
        wheres = [f"{address + at * layout.size:#x}" for at in range(len(theirs))]
        for shown, left, right, where in classtables.entries(name, ours, theirs, wheres):
            part = _MAGIC_AT.get(shown.rpartition(".")[2], 0)
            self.found.value(shown, left, right, f"{int(where, 0) + part:#x}")

    def _layout(self, table: classtables.ClassTable) -> struct.Struct:
        """How an entry of a table is in memory."""
        if table.name == "class_to_divmagic" and self.contiguous:
            return struct.Struct(self.image.order + "BBHH")
        return struct.Struct(self.image.order + {1: "B", 2: "H", 4: "I"}[table.width])

    def _place(self, name: str, content: bytes, width: int, count: int) -> tuple[int | None, int]:
        """Where a table is and how many entries it has: by its symbol, else by its contents."""
        symbol = self.image.symbols.get(name)
        if symbol is not None:
            return symbol.address, symbol.size // width if 0 < symbol.size < 1 << 16 else count
        return _alike(self.image, content, width), count

    # ---- types ----

    def _structs_of_dwarf(self) -> dict[str, StructOf]:
        try:
            return dwarf.structs(self.image, frozenset(self.figures.structs), self.ptr_size)
        except Unreadable as error:
            self.found.skip("structs in DWARF", str(error))
            return {}

    def _structs_of_types(self) -> dict[str, StructOf]:
        self.all_types: frozenset[str] = frozenset()
        table = self.program.table
        try:
            if table is None or table.current != self.contiguous:
                raise Unreadable("it has no type descriptors as this generation writes them")
            module = None if self.contiguous else self.figures.engine.struct("moduledata")
            kind = self.figures.engine.struct("_type" if self.contiguous else self._type_name())
            found = rtypes.structs(self.image, table, kind, module)
        except Unreadable as error:
            self.found.skip("structs in type descriptors", str(error))
            return {}
        self.all_types = frozenset(found)
        for name in self.figures.structs:
            if name not in found and name not in self.dwarf:
                self.found.skip(name, "the program does not mention the type")
        return {name: one for name, one in found.items() if name in self.figures.structs}

    def _type_name(self) -> str:
        """What the figures call the type of descriptors: abi.Type, before Go 1.21 runtime's own."""
        return "abi.Type" if "abi.Type" in self.figures.engine.declarations else "_type"

    def _struct(self, ours: StructLayout, theirs: StructOf) -> None:
        name, where, value = ours.name, theirs.where, self.found.value
        value(name, ours.size, theirs.size, where)
        if theirs.align is not None:
            value(f"{name} align", ours.align, theirs.align, where)
        fields = dict(numbered(theirs.fields))
        for key, one in numbered(ours.fields):
            found = fields.pop(key, None)
            if found is None:
                self.found.missing(
                    f"{name}.{one.name}", one.offset, where, "the program's type has no such field"
                )
                continue
            value(f"{name}.{one.name}", one.offset, found.offset, where)
            if found.size is not None:
                value(f"{name}.{one.name} size", one.size, found.size, where)
            if found.length is not None:
                self._length(f"{name}.{one.name}", one.type, found.length, where)
        for found in fields.values():
            value(f"{name}.{found.name}", None, found.offset, where, why="a field that the calculator lacks")

    def _length(self, field: str, kind: str, length: int, where: str) -> None:
        """The elements of an array; under the constant's name where one alone says how many."""
        bound = kind[1:].partition("]")[0]
        try:
            ours = goexpr.evaluate(bound, self.figures.engine.view("runtime")).value
        except (goexpr.ExprError, LookupError, UsageFault):
            return
        if not isinstance(ours, str):
            name = bound if bound.isidentifier() else f"{field} length"
            self.found.value(name, int(ours), length, f"{field} at {where}")

    def _symbol_sizes(self) -> None:
        """Variables whose size ELF's symbols tell."""
        for symbol, name in (("runtime.mheap_", "mheap"), ("runtime.memstats", "mstats")):
            found = self.image.symbols.get(symbol)
            if found is not None and found.size:
                self.found.value(name, self.figures.structs[name].size, found.size, f"{found.address:#x}")


def _alike(image: Image, content: bytes, width: int) -> int | None:
    """The address of something nearly equal to `content`: found by parts, then compared as a whole."""
    exact = next(image.find(content), None)
    if exact is not None:
        return exact
    votes: Counter[int] = Counter()
    step = _ANCHOR * width
    for at in range(0, len(content) - step + 1, step):
        part = content[at : at + step]
        # A part of few different bytes is found anywhere.
        if len(set(part)) > 3:
            for number, address in enumerate(image.find(part)):
                if number >= MOST_PLACES:
                    break
                votes[address - at] += 1
    for address, _ in votes.most_common(4):
        try:
            there = image.read(address, len(content))
        except Unreadable:
            continue
        if sum(a == b for a, b in zip(there, content, strict=True)) >= _ALIKE * len(content):
            return address
    return None
