"""Profiles from YAML: merging with origins, inheritance, and every fault in the field's own terms."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archcalc.profiles import platforms, profile
from archcalc.profiles.profile import Origin
from archcalc.reading.errors import ProfileFault

RISCV = Path(__file__).parents[3] / "examples" / "profiles" / "linux-riscv64.yaml"


def faults(folder: Path, text: str | bytes, name: str = "mine.yaml") -> list[tuple[str, str]]:
    """What is wrong with a profile: (id, message located by LINE:COLUMN)."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return [(fault.id, str(fault).removeprefix(f"{path}:")) for fault in profile.validate(path)]


class TestMerging:
    def test_own_facts_stand_over_inherited_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "board.yaml"
        path.write_text(
            "schema: 1\nname: board\ninherit: linux/arm64\nmachine:\n  user_address_bits: 39\n"
            "  address_high: 0x8000000000\n  mmap_base: 0x7ff8000000\n"
        )
        mine = profile.load_file(path)
        assert (mine.platform, mine.name, mine.goos, mine.goarch) == (
            "linux/arm64",
            "board",
            "linux",
            "arm64",
        )
        assert mine.facts["user_address_bits"] == 39
        assert mine.origins["user_address_bits"] == Origin(str(path), 5, 22)
        assert mine.facts["ptr_size"] == 8
        assert mine.origins["ptr_size"].file == "platforms/arch/arm64.yaml"
        assert str(mine.origins["ptr_size"]) == "platforms/arch/arm64.yaml:4"

    def test_of_several_parents_the_last_wins(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("schema: 1\nmachine: {data_end: 0x200000, ulimit_v: 1g}\n")
        (tmp_path / "b.yaml").write_text("schema: 1\nmachine: {data_end: 0x300000}\n")
        path = tmp_path / "mine.yaml"
        path.write_text("schema: 1\ninherit: [linux/arm, a.yaml, b.yaml]\n")
        mine = profile.load_file(path)
        assert mine.machine["data_end"] == 0x300000
        assert mine.machine["ulimit_v"] == 1 << 30
        assert mine.origins["data_end"] == Origin(str(tmp_path / "b.yaml"), 2, 21)

    def test_a_parents_name_is_not_inherited(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("schema: 1\nname: theirs\ninherit: linux/arm\n")
        (tmp_path / "b.yaml").write_text("schema: 1\ninherit: a.yaml\n")
        assert profile.load_file(tmp_path / "b.yaml").name == "linux/arm"

    def test_the_machine_keeps_what_is_not_a_scalar(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(
            "schema: 1\ninherit: linux/arm64\nmachine:\n"
            "  taken:\n  - {from: 0x4000000000, to: 0x4100000000, what: another runtime}\n"
        )
        mine = profile.load_file(path)
        assert mine.machine["taken"] == [
            {"from": 0x4000000000, "to": 0x4100000000, "what": "another runtime"}
        ]
        assert mine.machine["phys_page_sizes"] == [4096, 16384, 65536]
        assert not {"taken", "phys_page_sizes"} & mine.facts.keys()

    def test_a_profile_cannot_be_changed_and_can_be_sent_to_another_process(self) -> None:
        mine = platforms.load("linux/mips")
        with pytest.raises(TypeError):
            mine.facts["ptr_size"] = 8  # type: ignore[index]
        other = pickle.loads(pickle.dumps(mine))
        for name in ("platform", "name", "file", "facts", "machine", "constants", "origins"):
            assert getattr(other, name) == getattr(mine, name)


def test_riscv64_is_a_port_of_the_users_own() -> None:
    mine = profile.load_file(RISCV)
    assert (mine.platform, mine.goarch) == ("linux/riscv64", "riscv64")
    assert mine.facts["user_address_bits"] == 38
    assert mine.facts["ptr_size"] == 8
    assert mine.facts["arch_family"] == "RISCV64"
    assert mine.constants["_MAP_ANON"] == 0x20


ARM64 = "schema: 1\ninherit: linux/arm64\n"
ARCH_KEYS = (
    "ptr_size, reg_size, big_endian, arch_family, cache_line_size, default_phys_page_size, pc_quantum, "
    "int64_align, huge_page_size, min_frame_size, stack_guard_multiplier, ctz_in_assembly"
)
AMD64P32 = "schema: 1\ninherit: nacl/amd64p32\n"

# name: (the file, its faults)
FAULTS: dict[str, tuple[str | bytes, list[tuple[str, str]]]] = {
    "unknown key": (
        ARM64 + "arch:\n  cacheline_size: 64\n",
        [
            (
                "profile-unknown-key",
                f'4:3: unknown key "cacheline_size" in arch; expected one of {ARCH_KEYS}; '
                "did you mean cache_line_size?",
            )
        ],
    ),
    "unknown section": (
        ARM64 + "machina: {}\n",
        [
            (
                "profile-unknown-key",
                '3:1: unknown key "machina"; expected one of schema, platform, name, about, inherit, arch, '
                "os, constants, machine, changes; did you mean machine?",
            )
        ],
    ),
    "no schema": (
        "inherit: linux/arm64\n",
        [("profile-missing-key", "1:1: no schema; expected schema: 1")],
    ),
    "another schema": (
        "schema: 2\ninherit: linux/arm64\n",
        [("profile-out-of-range", "1:9: schema is the number 2; expected 1")],
    ),
    "platform misspelt": (
        ARM64 + "platform: linux-arm64\n",
        [
            (
                "profile-out-of-range",
                '3:11: platform is the text "linux-arm64"; expected goos/goarch, such as linux/amd64',
            )
        ],
    ),
    "wrong type": (
        ARM64 + "arch:\n  ptr_size: eight\n",
        [("profile-out-of-range", '4:13: arch.ptr_size is the text "eight"; expected 4 or 8')],
    ),
    "a bool of YAML 1.1": (
        ARM64 + "arch:\n  big_endian: no\n",
        [
            (
                "profile-wrong-type",
                "4:15: arch.big_endian is no, a boolean to some YAML readers only; expected true or false; "
                "did you mean false?",
            )
        ],
    ),
    "an address with a decimal point": (
        ARM64 + "machine:\n  data_end: 1.5\n",
        [
            (
                "profile-wrong-type",
                "4:13: machine.data_end is the number 1.5; expected an address from 0 to 0x10000000000000000",
            )
        ],
    ),
    "a page size that is not a power of two": (
        ARM64 + "machine:\n  phys_page_size: 5000\n",
        [
            (
                "profile-not-power-of-two",
                "4:19: machine.phys_page_size is 5000; expected a power of two from 512 to 0x40000000; "
                "did you mean 4096?",
            )
        ],
    ),
    "out of range": (
        ARM64 + "machine:\n  user_address_bits: 65\n",
        [
            (
                "profile-out-of-range",
                "4:22: machine.user_address_bits is 65; expected an integer from 20 to 64",
            )
        ],
    ),
    "a constant that is not a name in Go": (
        ARM64 + "constants: {MAP_ANON: 1}\n",
        [
            (
                "profile-unknown-key",
                '3:13: key "MAP_ANON" in constants; '
                "expected a constant's name in package runtime, such as _MAP_ANON",
            )
        ],
    ),
    "duplicate key": (
        ARM64 + "inherit: linux/arm\n",
        [
            (
                "profile-duplicate-key",
                "3:1: key inherit is given a second time; expected it once; the first is on line 2",
            )
        ],
    ),
    "not a mapping": (
        "- linux/arm64\n",
        [("profile-not-mapping", "1:1: the document is a list; expected a mapping, `key: value`")],
    ),
    "latin-1": (
        ARM64.encode() + b"about: M\xfcnchen\n",
        [("profile-encoding", "3:9: byte 0xfc is not UTF-8; expected UTF-8")],
    ),
    "no such parent": (
        "schema: 1\ninherit: linux/amd46\n",
        [
            (
                "profile-unknown-parent",
                "2:10: there is no linux/amd46 to inherit; expected a platform of `archcalc list`, "
                "os/NAME, arch/NAME, "
                "or the path of a .yaml file; did you mean linux/amd64?",
            )
        ],
    ),
    "a parent that is itself": (
        ARM64.replace("linux/arm64", "[linux/arm64, mine.yaml]"),
        [
            (
                "profile-inherit-loop",
                "2:10: mine.yaml inherits from this file, directly or through others; expected "
                "inheritance without a loop",
            )
        ],
    ),
    "nothing inherited and nothing said": (
        "schema: 1\nplatform: linux/riscv64\ninherit: os/linux\n"
        "arch: {ptr_size: 8, reg_size: 8, big_endian: false, arch_family: RISCV64, cache_line_size: 64,\n"
        "  default_phys_page_size: 4096, pc_quantum: 2, int64_align: 8, huge_page_size: 0,\n"
        "  min_frame_size: 8, ctz_in_assembly: false}\n"
        "machine: {user_address_bits: 38, address_high: 0x4000000000, mmap_base: 0x3ff8000000,\n"
        "  phys_page_size: 4096, phys_page_sizes: [4096], segment_alignment: 4096, data_end: 0x120f20}\n",
        [
            (
                "profile-missing-key",
                "1:1: no arch.stack_guard_multiplier, here or in what is inherited; "
                "expected stack_guard_multiplier: an integer from 1 to 16",
            ),
            (
                "profile-missing-key",
                "1:1: no machine.image_start, here or in what is inherited; "
                "expected image_start: an address from 0 to 0x10000000000000000",
            ),
        ],
    ),
    "pointer size against architecture": (
        ARM64
        + "arch: {ptr_size: 4}\n"
        + "machine: {user_address_bits: 32, address_high: 0xc0000000, mmap_base: 0xb0000000}\n",
        [
            (
                "profile-arch-contradiction",
                "3:18: ptr_size is 4; expected 8, as arm64 has it, or another GOARCH",
            )
        ],
    ),
    "endianness against architecture": (
        "schema: 1\ninherit: linux/mips\narch: {big_endian: false}\n",
        [
            (
                "profile-arch-contradiction",
                "3:20: big_endian is false; expected true, as mips has it, or another GOARCH",
            )
        ],
    ),
    "a pointer wider than a register": (
        ARM64 + "platform: linux/new\narch: {reg_size: 4}\n",
        [
            (
                "profile-word-size",
                "4:18: reg_size is 4 where pointers have 8 bytes; expected at least ptr_size",
            )
        ],
    ),
    "int64 aligned less than a pointer": (
        ARM64 + "arch: {int64_align: 4}\n",
        [
            (
                "profile-word-size",
                "3:21: int64_align is 4 where pointers have 8 bytes; expected at least ptr_size",
            )
        ],
    ),
    "more address bits than a pointer has": (
        AMD64P32 + "machine: {user_address_bits: 33}\n",
        [
            (
                "profile-address-bits",
                "3:30: user_address_bits is 33 where pointers have 4 bytes; expected at most 32",
            )
        ],
    ),
    "addresses beyond the bits": (
        ARM64 + "machine: {user_address_bits: 39}\n",
        [
            (
                "profile-address-range",
                "3:30: address_high is 0x1000000000000 where user_address_bits is 39; "
                "expected at most 0x8000000000",
            )
        ],
    ),
    "an empty address space": (
        ARM64 + "machine: {address_low: 0x1000000000000}\n",
        [
            (
                "profile-address-range",
                "3:24: address_low is 0x1000000000000 where address_high is 0x1000000000000; expected less",
            )
        ],
    ),
    "a base and a program outside the address space": (
        ARM64 + "machine: {mmap_base: 0x2000000000000, image_start: 0x1000, data_end: 0x3000000000000}\n",
        [
            (
                "profile-address-range",
                f"3:{column}: {key} is {value}; "
                "expected 0x10000 to 0x1000000000000, address_low to address_high",
            )
            for column, key, value in (
                (22, "mmap_base", "0x2000000000000"),
                (52, "image_start", "0x1000"),
                (70, "data_end", "0x3000000000000"),
            )
        ],
    ),
    "a program that ends before it begins": (
        ARM64 + "machine: {data_end: 0x10000}\n",
        [("profile-address-range", "3:21: data_end is 0x10000 where image_start is 0x10000; expected more")],
    ),
    "a range taken backwards": (
        ARM64 + "machine: {taken: [{from: 0x2000, to: 0x1000}]}\n",
        [
            (
                "profile-address-range",
                "3:18: a taken range runs from 0x2000 to 0x1000; expected an end after its start",
            )
        ],
    ),
    # golang/go#18408: programs with segments aligned to 4 KB did not start on kernels with 64 KB pages.
    "a physical page above the segment alignment": (
        "schema: 1\ninherit: linux/arm\nmachine:\n  phys_page_size: 65536\n  phys_page_sizes: [4096, 65536]\n"
        "  segment_alignment: 4096\n",
        [
            (
                "profile-segment-alignment",
                "6:22: segment_alignment is 4096 where a physical page has 65536 bytes; "
                "expected a multiple of 65536: a kernel cannot load segments that share a page",
            )
        ],
    ),
    "a physical page that no kernel of the port has": (
        ARM64 + "machine: {phys_page_size: 8192}\n",
        [
            (
                "profile-page-size",
                "3:27: phys_page_size is 8192; expected one of phys_page_sizes: 4096, 16384, 65536",
            )
        ],
    ),
    "reservations finer than a page": (
        "schema: 1\ninherit: windows/amd64\nmachine: {allocation_granularity: 2048}\n",
        [
            (
                "profile-page-size",
                "3:35: allocation_granularity is 2048 where a physical page has 4096 bytes; "
                "expected at least 4096",
            )
        ],
    ),
    "several at once": (
        "schema: 1\ninherit: [linux/arm64, os/linus]\narch: {ptr_size: 6, ptr_sise: 8}\nabout: 7\n",
        [
            (
                "profile-unknown-parent",
                "2:10: there is no os/linus to inherit; expected a platform of `archcalc list`, "
                "os/NAME, arch/NAME, "
                "or the path of a .yaml file; did you mean os/linux?",
            ),
            ("profile-out-of-range", "3:18: arch.ptr_size is the number 6; expected 4 or 8"),
            (
                "profile-unknown-key",
                f'3:21: unknown key "ptr_sise" in arch; expected one of {ARCH_KEYS}; did you mean ptr_size?',
            ),
            ("profile-wrong-type", '4:8: about is the number 7; expected text; did you mean "7"?'),
        ],
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_fault(what: str, tmp_path: Path) -> None:
    text, expected = FAULTS[what]
    assert faults(tmp_path, text) == expected


def test_faults_of_an_inherited_file_are_reported_in_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("schema: 1\ninherit: linux/arm64\narch: {pc_quantum: 3}\n")
    path = tmp_path / "mine.yaml"
    path.write_text("schema: 1\ninherit: base.yaml\nextra: 1\n")
    with pytest.raises(ProfileFault) as caught:
        profile.load_file(path)
    assert [line.split(";")[0] for line in caught.value.located] == [
        f"{tmp_path}/base.yaml:3:20: arch.pc_quantum is the number 3",
        f'{path}:3:1: unknown key "extra"',
    ]


def test_a_loop_of_two_files_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("schema: 1\ninherit: [linux/arm, b.yaml]\n")
    (tmp_path / "b.yaml").write_text("schema: 1\ninherit: ./a.yaml\n")
    assert [str(fault) for fault in profile.validate(tmp_path / "a.yaml")] == [
        f"{tmp_path}/b.yaml:2:10: ./a.yaml inherits from this file, directly or through others; "
        "expected inheritance without a loop"
    ]


def test_a_long_chain_is_refused(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"{i}.yaml").write_text(f"schema: 1\ninherit: {i + 1}.yaml\n")
    assert str(profile.validate(tmp_path / "0.yaml")[0]) == (
        f"{tmp_path}/15.yaml:2:10: 16.yaml is the 17th file in a chain of inheritance; expected at most 16"
    )


def test_files_that_inherit_each_other_many_times_are_read_once(tmp_path: Path) -> None:
    """Sixteen parents each, ten deep, would be 10^12 readings."""
    for i in range(10):
        parents = ", ".join([f"{i + 1}.yaml"] * 16)
        (tmp_path / f"{i}.yaml").write_text(f"schema: 1\ninherit: [{parents}]\n")
    (tmp_path / "10.yaml").write_text("schema: 1\ninherit: linux/arm\n")
    assert profile.validate(tmp_path / "0.yaml") == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ProfileFault) as caught:
        profile.load_file(path)
    assert caught.value.located == [f"{path}: cannot be read: No such file or directory"]
    assert [fault.id for fault in caught.value.faults] == ["profile-unreadable"]


KEYS = st.sampled_from(
    [
        "schema",
        "platform",
        "name",
        "about",
        "inherit",
        "arch",
        "os",
        "constants",
        "machine",
        "ptr_size",
        "mem",
        "taken",
        "from",
        "to",
        "data_end",
        "_MAP_ANON",
        "phys_page_sizes",
        "user_address_bits",
        "x",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 1 << 66),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["linux/arm64", "os/linux", "arch/386", "64k", "up", "../x.yaml", "\0.yaml", "/.yaml", "~", 1, 4, 8]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


def _judge(path: Path) -> None:
    """A profile or located faults, never both, never neither, never anything else."""
    mine, found = profile.read(path)
    assert (mine is None) == bool(found)
    for fault in found:
        assert fault.id.startswith("profile-")
        assert fault.file
        assert fault.line >= 1 or fault.id == "profile-unreadable"
        assert "\n" not in str(fault)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_yaml_is_a_profile_or_located_faults(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "inherit": "linux/arm64", **content}))
    _judge(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_a_profile_or_located_faults(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    _judge(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_profile_is_a_profile_or_located_faults(tmp_path: Path, data: st.DataObject) -> None:
    """A few bytes of a good file changed: nearer to what people do than chance is."""
    content = bytearray(RISCV.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    _judge(path)
