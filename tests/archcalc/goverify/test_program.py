"""Built programs against the calculator: real ones of five kinds, and those made by hand of others."""

from __future__ import annotations

import importlib.util
import lzma
import random
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archcalc.calculator import figures
from archcalc.goverify import dwarf, formats, program
from archcalc.goverify.comparison import Difference
from archcalc.goverify.formats import parts
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.goverify.verdict import Verdict
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault

PROGRAMS = Path(__file__).parents[2] / "data" / "programs"
VERSION = "devel +7aefdfded0 Fri Jan 6 2017"
SYMBOLS = ["prog-linux-amd64", "prog-darwin-amd64", "prog-windows-386", "prog-plan9-386"]
STRIPPED = "prog-linux-arm64-stripped"
CLASS_TO_SIZE = struct.pack("<8H", 0, 8, 16, 32, 48, 64, 80, 96)

Program = Callable[..., Path]


@pytest.fixture(scope="module")
def images() -> ModuleType:
    spec = importlib.util.spec_from_file_location("images", Path(__file__).with_name("images.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["images"] = module
    spec.loader.exec_module(module)
    return module


def verify(path: Path, **sets: int) -> Verdict:
    return program.verify(path, None, sets)


def names(verdict: Verdict) -> list[str]:
    return [one.name for one in verdict.differences]


@pytest.mark.parametrize("name", [*SYMBOLS, STRIPPED])
def test_a_real_program_is_known_and_has_no_difference(program: Program, name: str) -> None:
    verdict = verify(program(name))
    system, arch = name.removesuffix("-stripped").split("-")[1:]
    assert verdict.subject.version == VERSION
    assert verdict.subject.extra["platform"] == f"{system}/{arch}"
    assert verdict.subject.extra["stripped"] is (name == STRIPPED)
    assert verdict.ok and verdict.differences == [] and verdict.subject.era.current
    assert verdict.compared > (1800 if verdict.subject.extra["dwarf"] else 1300)


@pytest.mark.parametrize("name", [*SYMBOLS, STRIPPED])
def test_a_changed_entry_is_found_with_its_address(program: Program, name: str) -> None:
    path = program(name)
    at = path.read_bytes().index(CLASS_TO_SIZE)
    image = formats.read(path)
    address = image.address(at)
    assert address is not None
    (one,) = verify(program(name, {at + 2 * 4: struct.pack("<H", 56)})).differences
    assert (one.name, one.computed, one.found) == ("class_to_size[4]", 48, 56)
    assert one.where == f"{address + 8:#x}"


def test_a_changed_type_is_found_in_dwarf_and_in_the_descriptors(program: Program) -> None:
    path = program("prog-linux-amd64")
    data = path.read_bytes()
    # The name of the type, its size as a ULEB128 of 152, and Go's own attribute.
    at = data.index(b"runtime.mspan\0\x98\x01\x19") + len(b"runtime.mspan\0")
    found = verify(program("prog-linux-amd64", {at: b"\x99"})).differences
    assert [(one.name, one.computed, one.found) for one in found] == [("mspan", 152, 153)]
    assert found[0].where.startswith(".debug_info+0x")


def test_a_what_if_differs_from_the_program(program: Program) -> None:
    found = names(verify(program("prog-plan9-386"), _MaxMHeapList=256))
    assert "_MaxMHeapList" in found and "mheap" in found and "mspan" not in found


def test_a_program_of_another_platform_than_the_one_named(program: Program) -> None:
    other = figures.compute(platforms.load("linux/386"))
    verdict = program_verify(program("prog-linux-amd64"), other)
    assert {"sys.GOARCH", "sys.PtrSize", "mspan"} <= set(names(verdict)) and not verdict.ok


def program_verify(path: Path, target: Any) -> Verdict:
    from archcalc.goverify.program import verify as verify_program

    return verify_program(path, [target], {})


# ---- kinds that were built by hand ----


@pytest.mark.parametrize(
    "platform",
    ["linux/s390x", "linux/ppc64", "linux/ppc64le", "linux/mips", "linux/mipsle", "linux/mips64", "linux/arm",
     "solaris/amd64", "freebsd/arm", "netbsd/386", "openbsd/amd64", "dragonfly/amd64", "nacl/arm",
     "nacl/amd64p32", "android/arm64", "linux/386"],
)  # fmt: skip
def test_a_stripped_elf_of_any_port_tells_its_version_and_its_tables(
    images: Any, tmp_path: Path, platform: str
) -> None:
    path = tmp_path / "program"
    path.write_bytes(images.elf(platform))
    verdict = verify(path)
    assert verdict.subject.extra["platform"] == platform and verdict.subject.version == VERSION
    assert verdict.ok and verdict.compared == 5 + 1 + 67 + 67 + 129 + 249 + 4 * 67


def test_a_32_bit_file_for_amd64p32_is_read_too(images: Any, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(images.elf("nacl/amd64p32", wide=False))
    assert verify(path).ok


@pytest.mark.parametrize("arch", ["386", "amd64", "arm"])
def test_plan_9_without_symbols(images: Any, tmp_path: Path, arch: str) -> None:
    path = tmp_path / "program"
    path.write_bytes(images.plan9(arch))
    verdict = verify(path)
    assert verdict.ok and verdict.subject.extra["platform"] == f"plan9/{arch}"
    assert verdict.compared > 700


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/mipsle"])
def test_changed_entries_are_found_without_symbols(images: Any, tmp_path: Path, platform: str) -> None:
    path = tmp_path / "program"
    changed = {"class_to_size[9]": 120, "class_to_allocnpages[66]": 9, "size_to_class8[3]": 7}
    path.write_bytes(images.elf(platform, changed))
    assert {one.name: one.found for one in verify(path).differences} == changed


# ---- debug sections ----


def test_compressed_debug_sections_are_unpacked() -> None:
    content = b"the content of a section" * 99
    packed = zlib.compress(content)
    image = Image(b"\x7fELF\x02\x01", "ELF", True, ("amd64",), ("linux",), 0, [])
    found: dict[str, bytes] = {}
    parts.add_debug(image, found, ".old", b"ZLIB" + len(content).to_bytes(8, "big") + packed, False)
    parts.add_debug(image, found, ".new", struct.pack("<IIQQ", 1, 0, len(content), 1) + packed, True)
    image.data = b"\x7fELF\x01\x02"
    image.little_endian = False
    parts.add_debug(image, found, ".big", struct.pack(">III", 1, len(content), 1) + packed, True)
    assert found == {".old": content, ".new": content, ".big": content} and not image.notes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (struct.pack("<IIQQ", 1, 0, 1 << 40, 1) + b"x", "unpacks to 1099511627776"),
        (struct.pack("<IIQQ", 2, 0, 10, 1) + b"x", "way 2"),
        (struct.pack("<IIQQ", 1, 0, 11, 1) + zlib.compress(bytes(10)), "10 bytes, and says 11"),
        (struct.pack("<IIQQ", 1, 0, 11, 1) + zlib.compress(bytes(1 << 24)), "12 bytes, and says 11"),
        (struct.pack("<IIQQ", 1, 0, 11, 1) + b"no zlib", "incorrect header"),
        (b"short", "24 bytes"),
    ],
)
def test_a_section_that_does_not_unpack_is_noted(content: bytes, words: str) -> None:
    image = Image(b"\x7fELF\x02\x01", "ELF", True, ("amd64",), ("linux",), 0, [])
    found: dict[str, bytes] = {}
    parts.add_debug(image, found, ".debug_info", content, True)
    assert not found and words in image.notes[0]


def compressed(data: bytes, name: str) -> bytes:
    """An ELF64 program with one debug section compressed where it stands (SHF_COMPRESSED)."""
    out = bytearray(data)
    start, size, count, names = struct.unpack_from("<Q", data, 40) + struct.unpack_from("<HHH", data, 58)
    at_names = struct.unpack_from("<Q", data, start + names * size + 24)[0]
    for number in range(count):
        head = start + number * size
        own = at_names + struct.unpack_from("<I", data, head)[0]
        if data[own : data.index(b"\0", own)].decode() == name:
            flags, _, offset, length = struct.unpack_from("<QQQQ", data, head + 8)
            packed = struct.pack("<IIQQ", 1, 0, length, 1) + zlib.compress(data[offset : offset + length], 9)
            out[offset : offset + length] = packed + bytes(length - len(packed))
            struct.pack_into("<QQQQ", out, head + 8, flags | 0x800, 0, offset, len(packed))
            return bytes(out)
    raise AssertionError(name)


def test_a_program_with_compressed_dwarf_has_as_many_values(program: Program) -> None:
    path = program("prog-linux-amd64")
    plain = verify(path)
    data = path.read_bytes()
    for name in (".debug_info", ".debug_abbrev", ".debug_pubtypes"):
        data = compressed(data, name)
    path.write_bytes(data)
    verdict = verify(path)
    assert verdict.ok and verdict.compared == plain.compared


def test_broken_dwarf_leaves_the_rest(program: Program) -> None:
    path = program("prog-linux-amd64")
    image = formats.read(path)
    at = image.data.index(image.debug[".debug_abbrev"])
    verdict = verify(program("prog-linux-amd64", {at: b"\xff" * 200}))
    assert verdict.ok and verdict.compared > 1200
    assert any("DWARF" in one.name for port in verdict.ports for one in port.skipped)


def test_a_reason_is_short_whatever_it_holds() -> None:
    assert dwarf._reason(KeyError(10**5000)) == "KeyError: a number of absurd length"
    assert len(dwarf._reason(ValueError("x" * 5000))) < 150


# ---- today's Go ----


def modern(version: bytes = b"go1.20.4") -> bytes:
    """What is left of a program of today's Go when all else is taken away."""
    table = struct.pack("<IHBB", 0xFFFFFFF1, 0, 1, 8) + struct.pack("<Q", 1) + bytes(64)
    info = program.BUILD_INFO + b"\x08\x02" + bytes(16) + bytes([len(version)]) + version
    data = table + b"_rt0_amd64_linux\0" + info
    size = 64 + 56 + len(data)
    head = b"\x7fELF\x02\x01\x01\x00" + bytes(8)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + data


def test_a_program_of_a_release_without_figures_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(modern())
    verdict = verify(path)
    assert verdict.subject.version == "go1.20.4" and not verdict.subject.era.current and not verdict.ok
    assert "sparse arenas" in verdict.subject.era.name and verdict.differences == []
    assert any("go1.20.4" in str(one.why) or "Go 1.20" in one.why for one in verdict.ports[0].skipped)


# ---- no programs ----


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (bytes(70_000), "70000 bytes of zeros"),
        (b"package main\n\nfunc main() {}\n", "a text"),
        (b"#!/bin/sh\nexit 0\n", "a text"),
        (b"\xfd7zXZ\0" + bytes(99), "a compressed file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "begins with 89 50 4e 47"),
        (b"\x7fELF", "cut short"),
        (b"\x7fELF\x02\x01\x01" + b"\xff" * 200, "cut short|program headers"),
        (b"\x7fELF\x09\x09" + bytes(100), "neither 32-bit nor 64-bit"),
        (b"MZ" + bytes(30), "cut short"),
        (b"MZ" + bytes(58) + b"\x40\0\0\0" + bytes(64), "without a PE header"),
        (b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x64\x86\xff\xff" + bytes(64), "cut short"),
        (b"\xcf\xfa\xed\xfe" + b"\xff" * 40, "cut short"),
        (
            b"\xcf\xfa\xed\xfe\x07\0\0\x01" + bytes(8) + struct.pack("<II", 1 << 30, 64) + bytes(80),
            "load command",
        ),
        (b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(60), "universal"),
        (b"\x00\x00\x01\xeb" + b"\xff" * 28, "cut short"),
        (b"\x00\x00\x01\xeb" + bytes(28), "Go has not built"),
    ],
)
def test_what_is_no_program_is_refused_with_the_reason(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UsageFault, match=words) as caught:
        verify(path)
    assert caught.value.faults[0].file == str(path)


def test_a_program_that_go_has_not_built_is_refused(tmp_path: Path) -> None:
    head = b"\x7fELF\x02\x01\x01\x00" + bytes(8)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    path = tmp_path / "program"
    path.write_bytes(head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0, 120, 120, 4096))
    with pytest.raises(UsageFault, match="an ELF program that Go has not built"):
        verify(path)


@pytest.mark.parametrize("what", ["missing", "folder", "device"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, what: str) -> None:
    path = {"missing": tmp_path / "none", "folder": tmp_path, "device": Path("/dev/null")}[what]
    with pytest.raises(UsageFault, match=r"cannot read|a folder|device"):
        verify(path)


@pytest.mark.parametrize("name", [*SYMBOLS, STRIPPED])
def test_a_file_cut_short_anywhere_is_refused(program: Program, name: str) -> None:
    path = program(name)
    data = path.read_bytes()
    generator = random.Random(name)
    for length in [len(data) - 1, len(data) - 4096, *(generator.randrange(4, len(data)) for _ in range(12))]:
        path.write_bytes(data[:length])
        with pytest.raises(UsageFault):
            verify(path)


def mutated(data: bytes, generator: random.Random) -> bytes:
    """A program with damage of one kind: headers, bytes anywhere, a stretch, a count of all ones."""
    out = bytearray(data)
    kind = generator.randrange(4)
    if kind == 0:
        for _ in range(generator.randrange(1, 8)):
            out[generator.randrange(2048)] = generator.choice((0, 255, 127, 128, generator.randrange(256)))
    elif kind == 1:
        for _ in range(generator.randrange(1, 60)):
            out[generator.randrange(len(out))] = generator.randrange(256)
    elif kind == 2:
        start = generator.randrange(len(out))
        end = min(len(out), start + generator.randrange(1, 100_000))
        out[start:end] = bytes([generator.choice((0, 255, 0x80))]) * (end - start)
    else:
        at = generator.randrange(4096) // 4 * 4
        out[at : at + 4] = generator.choice(
            (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0")
        )
    return bytes(out)


@pytest.mark.parametrize("name", [*SYMBOLS, STRIPPED])
def test_damaged_programs_are_judged_or_refused_and_nothing_else(tmp_path: Path, name: str) -> None:
    data = lzma.decompress((PROGRAMS / f"{name}.xz").read_bytes())
    generator = random.Random(2017)
    path = tmp_path / "program"
    for _ in range(25):
        path.write_bytes(mutated(data, generator))
        try:
            verify(path).document()
        except UsageFault as fault:
            assert fault.faults[0].file == str(path)


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/mips", "linux/amd64"])
def test_damaged_headers_of_small_programs(images: Any, tmp_path: Path, platform: str) -> None:
    data = images.elf(platform)
    generator = random.Random(platform)
    path = tmp_path / "program"
    for _ in range(300):
        out = bytearray(data)
        for _ in range(generator.randrange(1, 6)):
            at = generator.randrange(200)
            out[at : at + 4] = generator.choice((b"\xff\xff\xff\xff", bytes(4), generator.randbytes(4)))
        path.write_bytes(out)
        try:
            verify(path)
        except UsageFault as fault:
            assert fault.faults[0].file == str(path)


def test_huge_counts_take_no_memory(program: Program) -> None:
    path = program("prog-plan9-386")
    data = bytearray(path.read_bytes())
    image = formats.read(path)
    table = image.offset(image.symbols["runtime.pclntab"].address)
    module = image.offset(image.symbols["runtime.firstmoduledata"].address)
    assert table is not None and module is not None
    struct.pack_into("<I", data, table + 8, 0x7FFFFFFF)
    struct.pack_into("<I", data, module + 31 * 4, 0x7FFFFFFF)
    path.write_bytes(data)
    tracemalloc.start()
    try:
        verdict = verify(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert verdict.compared > 700


def test_an_image_reads_only_what_the_file_has() -> None:
    image = Image(b"abcdef", "ELF", True, (), (), 0, [Segment("load", 0x1000, 2, 4)])
    assert image.read(0x1000, 4) == b"cdef" and image.numbers(0x1000, 2, 2) == (0x6463, 0x6665)
    assert image.address(2) == 0x1000 and image.address(1) is None
    for address, size in ((0xFFF, 1), (0x1000, 5), (0x1004, 1), (0x1000, -1)):
        with pytest.raises(Unreadable):
            image.read(address, size)


def test_differences_say_where_in_the_program(program: Program) -> None:
    path = program("prog-linux-amd64")
    at = path.read_bytes().index(CLASS_TO_SIZE)
    verdict = verify(program("prog-linux-amd64", {at + 4: struct.pack("<H", 24)}))
    (one,) = verdict.differences
    assert isinstance(one, Difference)
    (finding,) = [f for case in verdict.cases() for f in case.findings]
    assert finding.file == str(path) and one.where in finding.message and finding.line is None
