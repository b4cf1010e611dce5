"""Findings point at the line of a profile that a value comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc import checks
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.questions.origins import places
from archcalc.results.findings import Finding

OWN = """\
schema: 1
platform: linux/loong64
name: a-port-of-mine
inherit: linux/arm64
machine:
  user_address_bits: 38
  address_high: 0x4000000000
  mmap_base: 0x3ffff00000
"""


def findings_of(path: Path) -> dict[str, Finding]:
    """What all checks find, by id."""
    computed = figures.compute(platforms.load_file(path))
    cases = checks.run(checks.chosen(), [computed])
    return {finding.id: finding for case in cases for finding in case.findings}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile whose addresses have fewer bits than the arena, in a repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "ports").mkdir()
    path = tmp_path / "ports" / "loong.yaml"
    path.write_text(OWN)
    return path


def test_a_finding_points_at_the_fact_that_the_check_looked_at(profile: Path) -> None:
    found = findings_of(profile)["constants.address-bits"]
    assert found.place is not None
    assert found.place[:3] == ("ports/loong.yaml", 6, 22)
    assert found.document()["file"] == "ports/loong.yaml"


def test_where_a_finding_points_is_not_part_of_what_it_is_about(profile: Path) -> None:
    before = {id: finding.fingerprint for id, finding in findings_of(profile).items()}
    profile.write_text(OWN.replace("machine:", "# moved\nmachine:"))
    after = findings_of(profile)
    assert {id: finding.fingerprint for id, finding in after.items()} == before
    place = after["constants.address-bits"].place
    assert place is not None and place.line == 7


def test_every_finding_on_every_platform_points_at_a_line_that_there_is() -> None:
    root = Path(__file__).parents[3]
    computed = [figures.compute(platforms.load(name)) for name in platforms.names()]
    found = [f for case in checks.run(checks.chosen(), computed) for f in case.findings]
    assert found
    for finding in found:
        assert finding.place is not None, finding
        lines = (root / finding.place.file).read_text().splitlines()
        assert 1 <= finding.place.line <= len(lines), finding
        for place in finding.related:
            assert place.message


def test_the_derivation_leads_from_the_fact_to_the_figure() -> None:
    computed = figures.compute(platforms.load("linux/amd64"))
    first, *way = places(computed, ["bitmap_size"])
    assert first.file.startswith("platforms/") and first.message.endswith("is here")
    assert any(step.message.startswith("bitmap_size = 17179869184 ") for step in way)


def test_what_follows_from_no_fact_points_at_the_beginning_of_the_profile() -> None:
    computed = figures.compute(platforms.load("linux/amd64"))
    (place,) = places(computed, ["no such figure"])
    assert place[:3] == ("platforms/linux-amd64.yaml", 1, 1)
