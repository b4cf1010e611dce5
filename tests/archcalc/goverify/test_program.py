"""Built programs against the calculator: those that an installed Go builds, and those made by hand."""

from __future__ import annotations

import dataclasses
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from archcalc import generations
from archcalc.calculator import figures
from archcalc.goverify import classtables, formats, program
from archcalc.goverify.comparison import Difference
from archcalc.goverify.formats import parts
from archcalc.goverify.image import Image, Segment, Unreadable
from archcalc.goverify.verdict import Verdict
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.recorder.run import find_go
from tests.support import golang, images

VERSION = "devel +7aefdfded0 Fri Jan 6 2017"
PORTS = [
    "linux/amd64", "linux/386", "linux/arm64", "linux/mips", "linux/ppc64le", "linux/riscv64", "linux/s390x",
    "linux/loong64", "darwin/arm64", "windows/amd64", "windows/386", "openbsd/arm", "plan9/386", "aix/ppc64",
    "js/wasm",
]  # fmt: skip
FORMATS = ["linux/amd64", "darwin/arm64", "windows/386", "plan9/386", "aix/ppc64", "js/wasm"]
STRIP = ("-s", "-w")
PLAIN = ("-compressdwarf=false",)
"""Without DWARF and symbols; with DWARF as it is."""


def known(platform: str = "linux/amd64", *flags: str) -> Path:
    """A program of the installed Go. Skips where there are no figures of its release."""
    path = golang.program(platform, *flags)
    if program.identify(path).generation == generations.CURRENT:
        pytest.skip("there are no figures of the release of the installed Go")
    return path


def class_to_size(path: Path) -> tuple[bytes, str]:
    """How the table of sizes begins in a program, and what its release calls it."""
    own = program.identify(path)
    order = "<" if own.image.little_endian else ">"
    packages = tuple(generations.load(own.generation).packages.values())
    name = classtables.named(classtables.TABLES[0], packages)[1]
    return struct.pack(f"{order}8H", 0, 8, 16, 24, 32, 48, 64, 80), name


def patched(path: Path, folder: Path, changes: dict[int, bytes]) -> Path:
    """A copy of a program with some bytes replaced."""
    data = bytearray(path.read_bytes())
    for at, new in changes.items():
        data[at : at + len(new)] = new
    copy = folder / path.name
    copy.write_bytes(data)
    return copy


def verify(path: Path, **sets: int) -> Verdict:
    return program.verify(path, None, sets)


def names(verdict: Verdict) -> list[str]:
    return [one.name for one in verdict.differences]


@pytest.mark.parametrize("platform", PORTS)
def test_a_real_program_is_known_and_has_no_difference(platform: str) -> None:
    path = known(platform)
    verdict = verify(path)
    assert verdict.subject.version == verdict.subject.extra["go"] == golang.installed().release
    assert verdict.subject.extra["platform"] == platform
    assert verdict.ok and verdict.differences == [] and verdict.subject.era.current
    has_dwarf = not platform.startswith(("plan9/", "js/"))
    assert verdict.subject.extra["dwarf"] is has_dwarf
    assert verdict.compared > (2000 if has_dwarf else 1000)


@pytest.mark.parametrize("release", [name for name in generations.known() if name.startswith("1.")])
def test_a_program_of_any_release_that_is_installed(release: str) -> None:
    try:
        tool = find_go(release, golang.environment())
    except UsageFault as fault:
        pytest.skip(str(fault))
    verdict = verify(golang.program("linux/amd64", tool=tool))
    assert verdict.subject.version == tool.release and verdict.ok and verdict.compared > 2000


@pytest.mark.parametrize("platform", FORMATS)
def test_a_stripped_program_has_its_tables_and_the_types_it_needs(platform: str) -> None:
    verdict = verify(known(platform, *STRIP))
    assert verdict.subject.extra["platform"] == platform and not verdict.subject.extra["dwarf"]
    assert verdict.ok and verdict.differences == [] and verdict.compared > 1000


@pytest.mark.parametrize("flags", [(), STRIP])
def test_a_program_that_may_lie_anywhere(flags: tuple[str, ...]) -> None:
    path = golang.program("linux/amd64", *flags, mode="pie")
    if program.identify(path).generation == generations.CURRENT:
        pytest.skip("there are no figures of the release of the installed Go")
    assert path.read_bytes()[16] == 3  # ET_DYN
    verdict = verify(path)
    assert verdict.ok and verdict.differences == [] and verdict.compared > (1000 if flags else 2000)


@pytest.mark.parametrize("platform", [one for one in FORMATS if one != "js/wasm"])
def test_a_changed_entry_is_found_with_its_address(tmp_path: Path, platform: str) -> None:
    path = known(platform, *STRIP)
    content, name = class_to_size(path)
    at = path.read_bytes().index(content)
    address = formats.read(path).address(at)
    assert address is not None
    order = ">" if content[2] == 0 else "<"
    changed = patched(path, tmp_path, {at + 2 * 5: struct.pack(f"{order}H", 56)})
    (one,) = verify(changed).differences
    assert (one.name, one.computed, one.found) == (f"{name}[5]", 48, 56)
    assert one.where == f"{address + 10:#x}"


def test_a_changed_type_is_found_in_dwarf(tmp_path: Path) -> None:
    path = known("linux/amd64", *PLAIN)
    own = program.identify(path)
    size = figures.compute(platforms.load("linux/amd64", own.generation)).structs["mspan"].size
    # The name of the type, then its size as a ULEB128 of two bytes.
    name = b"runtime.mspan\0"
    at = path.read_bytes().index(name + bytes([size & 0x7F | 0x80, size >> 7])) + len(name)
    found = verify(patched(path, tmp_path, {at: bytes([(size & 0x7F | 0x80) + 1])})).differences
    assert [(one.name, one.computed, one.found) for one in found] == [("mspan", size, size + 1)]
    assert found[0].where.startswith(".debug_info+0x")


def test_a_what_if_differs_from_the_program() -> None:
    found = names(verify(known(), _NumStackOrders=5))
    assert "mcache" in found and "mspan" not in found


def test_an_experiment_that_is_off_is_read_off_the_program(tmp_path: Path) -> None:
    own = program.identify(known("linux/amd64", *STRIP))
    told = program._experiments(dataclasses.replace(own, version=own.version + "-X:nogreenteagc,arenas"))
    assert told == ({"GreenTeaGC": False, "Arenas": True} if own.generation >= "1.25" else {"Arenas": True})


def test_a_program_of_another_platform_than_the_one_named() -> None:
    path = known()
    other = figures.compute(platforms.load("linux/386", program.identify(path).generation))
    verdict = program.verify(path, [other], {})
    assert {"goarch.GOARCH", "goarch.PtrSize", "mspan"} <= set(names(verdict)) and not verdict.ok


# ---- kinds that were built by hand ----


@pytest.mark.parametrize(
    "platform",
    ["linux/s390x", "linux/ppc64", "linux/ppc64le", "linux/mips", "linux/mipsle", "linux/mips64", "linux/arm",
     "solaris/amd64", "freebsd/arm", "netbsd/386", "openbsd/amd64", "dragonfly/amd64", "nacl/arm",
     "nacl/amd64p32", "android/arm64", "linux/386"],
)  # fmt: skip
def test_a_stripped_elf_of_any_port_tells_its_version_and_its_tables(tmp_path: Path, platform: str) -> None:
    path = tmp_path / "program"
    path.write_bytes(images.elf(platform))
    verdict = verify(path)
    assert verdict.subject.extra["platform"] == platform and verdict.subject.version == VERSION
    assert verdict.ok and verdict.compared == 5 + 1 + 67 + 67 + 129 + 249 + 4 * 67


def test_a_32_bit_file_for_amd64p32_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(images.elf("nacl/amd64p32", wide=False))
    assert verify(path).ok


@pytest.mark.parametrize("arch", ["386", "amd64", "arm"])
def test_plan_9_without_symbols(tmp_path: Path, arch: str) -> None:
    path = tmp_path / "program"
    path.write_bytes(images.plan9(arch))
    verdict = verify(path)
    assert verdict.ok and verdict.subject.extra["platform"] == f"plan9/{arch}"
    assert verdict.compared > 700


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/mipsle"])
def test_changed_entries_are_found_without_symbols(tmp_path: Path, platform: str) -> None:
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
        (struct.pack("<IIQQ", 1, 0, 1 << 40, 1) + b"x", "unpack to 1099511627776"),
        (struct.pack("<IIQQ", 2, 0, 10, 1) + b"x", "method 2"),
        (struct.pack("<IIQQ", 1, 0, 11, 1) + zlib.compress(bytes(10)), "10 bytes, but claims 11"),
        (struct.pack("<IIQQ", 1, 0, 11, 1) + zlib.compress(bytes(1 << 24)), "12 bytes, but claims 11"),
        (struct.pack("<IIQQ", 1, 0, 11, 1) + b"no zlib", "incorrect header"),
        (b"short", "24 bytes"),
    ],
)
def test_a_section_that_does_not_unpack_is_noted(content: bytes, words: str) -> None:
    image = Image(b"\x7fELF\x02\x01", "ELF", True, ("amd64",), ("linux",), 0, [])
    found: dict[str, bytes] = {}
    parts.add_debug(image, found, ".debug_info", content, True)
    assert not found and words in image.notes[0]


def test_a_program_with_compressed_dwarf_has_as_many_values() -> None:
    path, plain = known(), known("linux/amd64", *PLAIN)
    assert path.stat().st_size < plain.stat().st_size
    assert verify(path).compared == verify(plain).compared


def test_broken_dwarf_leaves_the_rest(tmp_path: Path) -> None:
    path = known("linux/amd64", *PLAIN)
    image = formats.read(path)
    at = image.data.index(image.debug[".debug_abbrev"])
    verdict = verify(patched(path, tmp_path, {at: b"\xff" * 200}))
    assert verdict.ok and verdict.compared > 1000
    assert any("DWARF" in one.name for port in verdict.ports for one in port.skipped)


def test_a_reason_is_short_whatever_it_holds() -> None:
    assert parts.reason(KeyError(10**5000)) == "KeyError: a number of thousands of digits"
    assert len(parts.reason(ValueError("x" * 5000))) < 150


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
        (b"\x00\x00\x01\xeb" + bytes(28), "not built by Go"),
    ],
)
def test_what_is_not_a_program_is_refused_with_the_reason(tmp_path: Path, data: bytes, words: str) -> None:
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
    with pytest.raises(UsageFault, match="an ELF program that was not built by Go"):
        verify(path)


@pytest.mark.parametrize("what", ["missing", "folder", "device"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, what: str) -> None:
    path = {"missing": tmp_path / "none", "folder": tmp_path, "device": Path("/dev/null")}[what]
    with pytest.raises(UsageFault, match=r"cannot read|a folder|device"):
        verify(path)


@pytest.mark.parametrize("platform", FORMATS)
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, platform: str) -> None:
    data = known(platform, *STRIP).read_bytes()
    path = tmp_path / "program"
    generator = random.Random(platform)
    for length in [len(data) // 2, *(generator.randrange(4, len(data) * 3 // 4) for _ in range(6))]:
        path.write_bytes(data[:length])
        with pytest.raises(UsageFault):
            verify(path)


@pytest.mark.parametrize(
    ("platform", "at", "words"),
    [
        ("darwin/arm64", lambda data: 16, "load commands"),  # ncmds
        ("windows/386", lambda data: struct.unpack_from("<I", data, 60)[0] + 6, "sections"),
        ("windows/386", lambda data: struct.unpack_from("<I", data, 60)[0] + 16, "symbols"),
        ("linux/amd64", lambda data: 60, "cut short"),  # e_shnum
        ("linux/amd64", lambda data: 56, "cut short"),  # e_phnum
    ],
)
def test_more_in_a_table_than_the_file_has_is_refused(
    tmp_path: Path, platform: str, at: Callable[[bytes], int], words: str
) -> None:
    path = known(platform)
    changed = patched(path, tmp_path, {at(path.read_bytes()): b"\xf0\xfe"})
    with pytest.raises(UsageFault, match=words) as caught:
        verify(changed)
    assert caught.value.faults[0].file == str(changed)


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


@pytest.mark.parametrize("platform", FORMATS)
def test_damaged_programs_are_judged_or_refused_and_nothing_else(tmp_path: Path, platform: str) -> None:
    data = known(platform, *STRIP).read_bytes()
    generator = random.Random(2017)
    path = tmp_path / "program"
    for _ in range(12):
        path.write_bytes(mutated(data, generator))
        try:
            verify(path).document()
        except UsageFault as fault:
            assert fault.faults[0].file == str(path)


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/mips", "linux/amd64"])
def test_damaged_headers_of_small_programs(tmp_path: Path, platform: str) -> None:
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


def test_huge_counts_take_no_memory(tmp_path: Path) -> None:
    path = known("plan9/386")
    own = program.identify(path)
    image = own.image
    fields = figures.compute(platforms.load("plan9/386", own.generation)).engine.struct("moduledata").fields
    at = {field.name: field.offset for field in fields}
    table = image.offset(image.symbols["runtime.pclntab"].address)
    module = image.offset(image.symbols["runtime.firstmoduledata"].address)
    assert table is not None and module is not None
    length = module + (at["typedesclen"] if "typedesclen" in at else at["typelinks"] + 4)
    huge = struct.pack("<I", 0x7FFFFFFF)
    changed = patched(path, tmp_path, {table + 8: huge, length: huge})
    tracemalloc.start()
    try:
        verdict = verify(changed)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert verdict.compared > 500


def test_an_image_reads_only_what_the_file_has() -> None:
    image = Image(b"abcdef", "ELF", True, (), (), 0, [Segment("load", 0x1000, 2, 4)])
    assert image.read(0x1000, 4) == b"cdef" and image.numbers(0x1000, 2, 2) == (0x6463, 0x6665)
    assert image.address(2) == 0x1000 and image.address(1) is None
    for address, size in ((0xFFF, 1), (0x1000, 5), (0x1004, 1), (0x1000, -1)):
        with pytest.raises(Unreadable):
            image.read(address, size)


def test_differences_say_where_in_the_program(tmp_path: Path) -> None:
    whole = known("linux/amd64", *STRIP)
    content, _ = class_to_size(whole)
    path = patched(whole, tmp_path, {whole.read_bytes().index(content) + 4: struct.pack("<H", 20)})
    verdict = verify(path)
    (one,) = verdict.differences
    assert isinstance(one, Difference)
    (finding,) = [f for case in verdict.cases() for f in case.findings]
    assert finding.file == str(path) and one.where in finding.message and finding.line is None
