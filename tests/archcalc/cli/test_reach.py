"""What of a heap's addresses a process can have: check, boot and map say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archcalc.cli.main import main


def said(line: str, capsys: pytest.CaptureFixture[str]) -> Any:
    main([*line.split(), "--format", "json"])
    return json.loads(capsys.readouterr().out)


# Linux probes the first 64 KB of a large reservation and believes the rest (mem_linux.go), so that the
# first hint is had where only its beginning exists: 39 and 40 bits of address.
@pytest.mark.parametrize(
    ("platform", "high", "end"),
    [
        ("android/arm64", 1 << 39, 0xC420002000),
        ("linux/mips64", 1 << 40, 0x14420002000),
        ("linux/mips64le", 1 << 40, 0x14420002000),
    ],
)
def test_a_hint_of_which_only_the_beginning_exists(
    platform: str, high: int, end: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (boot,) = said(f"boot {platform}", capsys)["boots"]
    assert boot["outcome"] == "booted" and len(boot["attempts"]) == 1
    assert boot["beyond"] == end
    words = f"to {end:#x}, and a process has them to {high:#x}"
    (drawn,) = said(f"map {platform}", capsys)["maps"]
    assert words in drawn["outcome"]
    main(["boot", platform])
    assert words in " ".join(capsys.readouterr().out.split())
    (found,) = [
        one for one in said(f"check {platform}", capsys)["findings"] if one["id"] == "layout.hints-in-reach"
    ]
    assert found["message"].startswith("127 of 128 hints are out of reach")
    assert "at 1 of them would end beyond" in found["message"]


def test_fewer_bits_than_the_profile_says(capsys: pytest.CaptureFixture[str]) -> None:
    # 40 bits, as three levels of 16 KB tables give: less than half of 512 GB is left behind the first hint.
    (boot,) = said("boot linux/arm64 --va-bits 40 --page-size 16k", capsys)["boots"]
    assert boot["beyond"] is None  # arm64 asks for 0x4000000000, and has it whole
    (boot,) = said("boot linux/ppc64 --va-bits 40 --page-size 64k", capsys)["boots"]
    assert boot["beyond"] == 0x14420002000


def test_all_of_it_exists_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    (boot,) = said("boot linux/amd64", capsys)["boots"]
    assert boot["beyond"] is None
