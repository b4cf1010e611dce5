"""The ports' files: whole, free of contradiction, equal to what the Go type checker found, said once."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archcalc import generations
from archcalc.generations import CURRENT
from archcalc.profiles import files, platforms, profile
from archcalc.profiles.profile_fields import FILE, FROM_GO, SECTIONS
from archcalc.reading import strictyaml
from archcalc.reading.errors import ProfileFault

ROOT = Path(__file__).parents[3]

# go tool dist list, at the commit.
ARCHES = {
    "android": "386 amd64 arm arm64",
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm",
    "linux": "386 amd64 arm arm64 mips mips64 mips64le mipsle ppc64 ppc64le s390x",
    "nacl": "386 amd64p32 arm",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64 arm",
    "solaris": "amd64",
    "windows": "386 amd64",
}
PORTS = [f"{goos}/{goarch}" for goos, arches in ARCHES.items() for goarch in arches.split()]

# Facts as the Go type checker has them, for 26 of the ports.
FACTS = next(
    (
        folder
        for folder in (ROOT / "tests/data/facts/ports", ROOT.parent / "shared/facts/ports")
        if folder.is_dir()
    ),
    None,
)
SYS = {
    "ptr_size": "PtrSize",
    "reg_size": "RegSize",
    "big_endian": "BigEndian",
    "cache_line_size": "CacheLineSize",
    "default_phys_page_size": "DefaultPhysPageSize",
    "pc_quantum": "PCQuantum",
    "int64_align": "Int64Align",
    "huge_page_size": "HugePageSize",
    "min_frame_size": "MinFrameSize",
    "stack_guard_multiplier": "StackGuardMultiplier",
}
FROM_HEADERS = re.compile("_(MAP|MADV|PROT|MEM|PAGE|RLIMIT)_[A-Z]+")


def test_there_are_the_38_ports_of_go() -> None:
    assert platforms.names() == PORTS


@pytest.mark.parametrize("name", PORTS)
class TestPort:
    def test_it_is_whole_and_without_contradiction(self, name: str) -> None:
        port = platforms.load(name)
        path = files.file_of(name)
        assert path is not None
        assert profile.validate(path) == []
        assert (port.platform, port.name) == (name, name)
        assert f"{port.goos}/{port.goarch}" == name

    def test_every_fact_has_the_line_where_it_stands(self, name: str) -> None:
        port = platforms.load(name)
        for key in port.facts.keys() | port.machine.keys():
            origin = port.origins[key]
            line = (ROOT / origin.file).read_text().splitlines()[origin.line - 1]
            assert re.match(rf"\s+{key}: ", line), f"{origin} has {line!r}, not {key}"
            assert line[origin.column - 1 :].strip()

    def test_its_file_says_only_what_is_its_own(self, name: str) -> None:
        """A fact that the port inherits unchanged is not in its file."""
        assert repeated(name) == []

    def test_its_facts_are_those_of_the_type_checker(self, name: str) -> None:
        path = FACTS / f"{name.replace('/', '-')}.json" if FACTS else None
        if path is None or not path.is_file():
            pytest.skip("the type checker's values of this port are not at hand")
        expected = json.loads(path.read_text())
        port = platforms.load(name)
        assert {key: int(port.facts[key]) for key in SYS} == {
            key: expected["sys"][constant] for key, constant in SYS.items()
        }
        assert expected["sys"][port.facts["arch_family"]] == expected["sys"]["ArchFamily"]
        assert port.facts["ctz_in_assembly"] is ("deBruijn32" not in expected["sys"])
        assert port.facts["netpoll"] is ("pollBlockSize" in expected["runtime"])
        assert {name: value for name, value in port.constants.items() if FROM_HEADERS.fullmatch(name)} == {
            name: value for name, value in expected["runtime"].items() if FROM_HEADERS.fullmatch(name)
        }


# Each as Go's own headers and linker have it; a slip in a shared file would move several.
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("darwin/arm", "_MADV_DONTNEED", 4),
        ("dragonfly/amd64", "_RLIMIT_AS", 10),
        ("linux/mips64le", "_MAP_ANON", 0x800),
        ("linux/mips64le", "big_endian", False),
        ("linux/mips64le", "default_phys_page_size", 16384),
        ("linux/ppc64", "big_endian", True),
        ("linux/ppc64", "user_address_bits", 46),
        ("linux/s390x", "pc_quantum", 2),
        ("linux/s390x", "cache_line_size", 256),
        ("nacl/amd64p32", "reg_size", 8),
        ("nacl/amd64p32", "ptr_size", 4),
        ("nacl/386", "default_phys_page_size", 65536),
        ("netbsd/arm", "_MADV_FREE", 6),
        ("openbsd/386", "ctz_in_assembly", True),
        ("plan9/amd64", "netpoll", False),
        ("plan9/amd64", "segment_alignment", 0x200000),
        ("solaris/amd64", "_MAP_ANON", 0x100),
        ("windows/386", "user_address_bits", 31),
        ("windows/386", "_MEM_DECOMMIT", 0x4000),
    ],
)
def test_facts_of_ports_that_the_type_checker_has_not_seen(name: str, key: str, value: int) -> None:
    assert platforms.load(name).facts[key] == value


RELEASES = [name for name in generations.known() if name != CURRENT]
LATER = [name for name in platforms.every() if not name.startswith("nacl/")]


@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("name", LATER)
class TestPortOfARelease:
    def test_it_is_whole_and_without_contradiction(self, name: str, go: str) -> None:
        port = profile.load_ours(name, go)
        assert (port.platform, port.name, port.go) == (name, name, go)

    def test_what_go_says_is_not_a_fact_of_it(self, name: str, go: str) -> None:
        assert FROM_GO.isdisjoint(profile.load_ours(name, go).facts)


@pytest.mark.parametrize("go", RELEASES)
def test_every_port_of_a_release_has_a_file(go: str) -> None:
    assert platforms.names(go) == sorted(generations.ports(go))
    assert set(platforms.names(go)) <= set(platforms.every())
    assert [port.name for port in platforms.resolve(["all"], go=go)] == platforms.names(go)


def test_ports_of_a_later_release_are_not_ports_of_the_first() -> None:
    assert "linux/riscv64" not in platforms.names()
    with pytest.raises(ProfileFault):
        platforms.load("linux/riscv64")


@pytest.mark.parametrize(
    ("go", "text", "value"),
    [
        ("7aefdfded", "since: go1.19", 0x100000),
        ("1.19", "since: go1.19", 0x200000),
        ("1.27", "since: go1.19", 0x200000),
        ("7aefdfded", "until: go1.21", 0x200000),
        ("1.19", "until: go1.21", 0x200000),
        ("1.21", "until: go1.21", 0x100000),
        ("1.19", "since: go1.21\n    until: go1.24", 0x100000),
        ("1.23", "since: go1.21\n    until: go1.24", 0x200000),
        ("1.24", "since: go1.21\n    until: go1.24", 0x100000),
    ],
)
def test_a_fact_can_hold_from_a_release_on_or_up_to_one(
    tmp_path: Path, go: str, text: str, value: int
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "schema: 1\ninherit: linux/arm\nmachine: {data_end: 0x100000}\n"
        f"changes:\n  - {text}\n    machine: {{data_end: 0x200000}}\n"
    )
    assert profile.load_file(path, go).facts["data_end"] == value


def test_what_is_not_a_release_is_reported_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("schema: 1\ninherit: linux/arm\nchanges:\n  - since: 1.20\n    machine: {data_end: 1}\n")
    (fault,) = profile.validate(path)
    assert (fault.id, fault.line, fault.column, fault.suggestion) == ("profile-wrong-type", 4, 12, '"1.20"')


def read(name: str) -> dict[str, Any]:
    """What one of our files says itself."""
    path = files.file_of(name)
    assert path is not None
    document = strictyaml.Document(str(path), "profile", [])
    tree = strictyaml.parse(path.read_bytes(), document)
    assert tree is not None
    group: dict[str, Any] = FILE.read(tree, document)
    assert document.faults == []
    return group


def repeated(name: str, go: str = CURRENT) -> list[str]:
    """The facts that a file says although it would inherit them as they are."""
    own = read(name)
    inherited: dict[str, dict[str, Any]] = {}
    for parent in own.get("inherit", ()):
        below = profile._ours(parent, go)[0]
        assert below is not None
        for section, values in below.sections.items():
            inherited.setdefault(section, {}).update(values)
    return [
        f"{section}.{key}"
        for section, values in inherited.items()
        for key, value in values.items()
        if own.get(section, {}).get(key) == value
    ]


SHARED = sorted(name for name in files.all_files() if name.startswith(("os/", "arch/")))


@pytest.mark.parametrize("name", SHARED)
def test_every_shared_file_is_used_and_says_nothing_twice(name: str) -> None:
    assert any(name in read(other).get("inherit", ()) for other in files.all_files())
    assert repeated(name) == []


@pytest.mark.parametrize("name", LATER)
def test_a_file_says_nothing_that_it_would_inherit_for_every_release(name: str) -> None:
    said = [set(repeated(name, go)) for go in RELEASES]
    assert set.intersection(*said) <= set(repeated(name)) if name in PORTS else not set.intersection(*said)


def test_no_name_of_a_fact_stands_in_two_sections() -> None:
    names = Counter(key for section in SECTIONS.values() for key in section.fields)
    assert [name for name, times in names.items() if times > 1] == []


class TestResolve:
    def test_all_is_every_platform_in_order(self) -> None:
        assert [port.name for port in platforms.resolve(["all"])] == PORTS

    def test_globs_keep_their_order_and_name_nothing_twice(self) -> None:
        found = [port.name for port in platforms.resolve(["windows/*", "*/s390x", "windows/386"])]
        assert found == ["windows/386", "windows/amd64", "linux/s390x"]

    def test_a_port_of_the_users_own_is_one_more(self) -> None:
        mine = ROOT / "examples/profiles/linux-riscv64.yaml"
        found = platforms.resolve(["linux/*"], [mine])
        assert "linux/riscv64" in [port.name for port in found]
        assert len(platforms.resolve(["all"], [mine])) == 39

    def test_one_of_the_same_name_stands_in_for_ours(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text("schema: 1\ninherit: linux/arm\nmachine: {data_end: 0x200000}\n")
        found = platforms.resolve(["linux/arm", "linux/386"], [path])
        assert [port.file for port in found] == [str(path), "platforms/linux-386.yaml"]

    def test_what_is_unknown_is_reported_with_what_was_perhaps_meant(self) -> None:
        with pytest.raises(ProfileFault) as caught:
            platforms.resolve(["linux/adm64", "haiku/*"])
        assert caught.value.located == [
            "there is no platform linux/adm64; expected one of the 38 platforms, a glob such as linux/*, "
            "or all; did you mean linux/amd64?",
            "there is no platform haiku/*; expected one of the 38 platforms, a glob such as linux/*, or all",
        ]
        assert {fault.id for fault in caught.value.faults} == {"platform-unknown"}
        with pytest.raises(ProfileFault):
            platforms.load("os/linux")

    def test_two_profiles_of_one_name_are_refused(self, tmp_path: Path) -> None:
        paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
        for path in paths:
            path.write_text("schema: 1\nname: board\ninherit: linux/arm\n")
        with pytest.raises(ProfileFault) as caught:
            platforms.resolve(["board"], paths)
        assert caught.value.located == [
            f"{paths[1]}:1:1: a second profile named board; expected another name; the first is in {paths[0]}"
        ]
        assert len(platforms.resolve(["board"], [paths[0], paths[0]])) == 1

    def test_a_faulty_file_is_reported_and_not_that_its_platform_is_unknown(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text("schema: 1\nname: board\ninherit: linux/arm\narch: 1\n")
        with pytest.raises(ProfileFault) as caught:
            platforms.resolve(["board"], [path])
        assert [fault.id for fault in caught.value.faults] == ["profile-wrong-type"]
