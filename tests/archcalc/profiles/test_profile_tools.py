"""Beginning a profile, looking into one, and the JSON Schema that editors check it by."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from archcalc.profiles import platforms, profile, profile_tools
from archcalc.reading.errors import ProfileFault

ROOT = Path(__file__).parents[3]
FILES = sorted([*(ROOT / "platforms").rglob("*.yaml"), *(ROOT / "examples" / "profiles").glob("*.yaml")])


@pytest.mark.parametrize(
    ("platform", "like"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/riscv64", "linux/arm64"),
        ("linux/riscv32", "linux/arm"),
        ("freebsd/arm64", "linux/arm64"),
        ("freebsd/riscv64", "freebsd/amd64"),
        ("windows/loong64", "windows/amd64"),
        ("haiku/s390x", "linux/s390x"),
        ("haiku/riscv64", "linux/arm64"),
        ("wasi/amd64p32", "nacl/amd64p32"),
        ("solaris/sparc", "linux/mips"),
        ("linux/sparc64", "linux/mips64"),
        ("linux/ppc", "linux/mips"),
    ],
)
def test_a_profile_begins_from_the_nearest_port(platform: str, like: str, tmp_path: Path) -> None:
    assert profile_tools.nearest_port(platform) == like
    path = tmp_path / "new.yaml"
    path.write_text(profile_tools.new(platform))
    mine = profile.load_file(path)
    assert (mine.platform, mine.name) == (platform, platform)
    assert mine.facts == platforms.load(like).facts
    assert mine.machine == platforms.load(like).machine


@pytest.mark.parametrize("name", platforms.names())
def test_a_profile_begun_from_any_port_holds_with_every_comment_taken_away(name: str, tmp_path: Path) -> None:
    """What is there as a comment is valid YAML, too: removing the mark is enough."""
    text = profile_tools.new("new/port", name)
    lines = [line.removeprefix("# ") if _is_a_fact(line) else line for line in text.splitlines()]
    path = tmp_path / "new.yaml"
    path.write_text("\n".join(lines))
    mine = profile.load_file(path)
    assert mine.facts == platforms.load(name).facts
    assert {origin.file for origin in mine.origins.values()} == {str(path)}


def _is_a_fact(line: str) -> bool:
    return line.startswith(("# os:", "# arch:", "# machine:", "# constants:", "#   "))


def test_every_fact_is_explained(tmp_path: Path) -> None:
    text = profile_tools.new("linux/riscv64")
    assert (
        "  # bytes of a pointer and of uintptr (sys.PtrSize)\n  ptr_size: 8  # platforms/arch/arm64.yaml:4\n"
        in text
    )
    assert "  # ulimit_v: a size such as 64k, 1.5g or plain bytes" in text
    for section in ("arch", "machine"):
        for name in profile_tools.FILE.fields[section].kind.fields:  # type: ignore[attr-defined]
            assert f"{name}: " in text


@pytest.mark.parametrize(
    "name", ["linux", "linux/", "Linux/amd64", "linux/amd64/x", "", "a b/c", "linux/amd64\n"]
)
def test_what_is_not_a_platform_is_refused(name: str) -> None:
    with pytest.raises(ProfileFault) as caught:
        profile_tools.new(name)
    assert caught.value.located == [
        f"{name!r} is not the name of a platform; "
        "expected goos/goarch in small letters and digits, such as linux/riscv64"
    ]


def test_a_profile_like_none_of_ours_is_refused() -> None:
    with pytest.raises(ProfileFault) as caught:
        profile_tools.new("linux/riscv64", "linux/arm46")
    assert caught.value.faults[0].suggestion == "linux/arm64"


def test_show_tells_every_fact_once_with_its_line() -> None:
    port = platforms.load("linux/mipsle")
    rows = profile_tools.show(port)
    keys = [row.key.partition(".")[2] for row in rows]
    assert sorted(keys) == sorted({*port.facts, *port.machine})
    by_key = {row.key: row for row in rows}
    big_endian = by_key["arch.big_endian"]
    assert big_endian[:4] == ("arch.big_endian", False, "platforms/arch/mipsle.yaml", 5)
    assert by_key["machine.address_high"].is_address
    assert not by_key["machine.phys_page_size"].is_address
    assert by_key["constants._MAP_ANON"][:3] == ("constants._MAP_ANON", 0x800, "platforms/os/linux-mips.yaml")


def test_the_schema_is_one_and_the_file_in_the_package_is_it() -> None:
    schema = profile_tools.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    written = (ROOT / "archcalc" / "profile.schema.json").read_text()
    assert json.loads(written) == schema, "`archcalc profile schema` prints it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_profile_of_ours_fits_the_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(profile_tools.json_schema()).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{schema: 2}",
        "{schema: 1, arch: {ptr_sise: 8}}",
        "{schema: 1, arch: {ptr_size: 6}}",
        "{schema: 1, machine: {phys_page_size: 5000}}",
        "{schema: 1, machine: {taken: [{from: 1}]}}",
        "{schema: 1, constants: {MAP_ANON: 1}}",
        "{schema: 1, platform: linux}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str, tmp_path: Path) -> None:
    assert not jsonschema.Draft202012Validator(profile_tools.json_schema()).is_valid(yaml.safe_load(text))
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert profile.validate(path)


@pytest.mark.parametrize(
    ("platform", "big", "ptr_size"),
    [
        ("linux/sparc64", True, 8),
        ("linux/sparc", True, 4),
        ("netbsd/m68k", True, 4),
        ("linux/riscv64", False, 8),
    ],
)
def test_a_new_port_begins_from_its_own_order_of_bytes_and_says_so(
    platform: str, big: bool, ptr_size: int
) -> None:
    base = platforms.load(profile_tools.nearest_port(platform))
    assert (base.facts["big_endian"], base.facts["ptr_size"]) == (big, ptr_size)
    first = profile_tools.new(platform).splitlines()[:2]
    assert profile_tools.begun_from(base) in first[0] and "big_endian" in first[1]
