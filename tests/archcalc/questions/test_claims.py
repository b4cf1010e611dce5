"""Claims of later releases: each is judged on every port, and stands where its release has the words."""

from __future__ import annotations

import pytest

from archcalc import generations
from archcalc.goverify.tree import SourceTree
from archcalc.profiles import platforms
from archcalc.questions import drift
from tests.support import golang

RELEASES = [name for name in generations.known() if name != generations.CURRENT]


def found(go: str) -> dict[str, drift.Drift]:
    drifts, gone = drift.compute(platforms.resolve(["all"], go=go))
    assert gone == []
    return {one.claim.id: one for one in drifts}


@pytest.mark.parametrize("go", RELEASES)
def test_controls_hold_on_every_port_and_the_rest_is_reported(go: str) -> None:
    drifts = found(go)
    assert not any(one.claim.control for one in drifts.values())
    assert drifts["arena-64-mb-non-windows"].platforms == ("ios/arm64",)
    assert set(drifts["ppc64-46-bits"].platforms) == {"linux/ppc64", "linux/ppc64le"}
    claims = drift.load(generations.load(go))[1]
    assert len(claims) > 15 and sum(one.control for one in claims) > 10
    assert all(one.line > 0 for one in claims)


@pytest.mark.parametrize(
    ("go", "computed"),
    [
        ("1.19", None),
        ("1.21", "metadata_reservation is 134 MB + 200 KB"),
        ("1.22", "metadata_reservation is 2 MB + 200 KB"),
        ("1.27", "metadata_reservation is 2 MB + 264 KB"),
    ],
)
def test_what_32_bit_ports_reserve_was_258_mb_once(go: str, computed: str | None) -> None:
    drifts = found(go)
    assert (drifts["metadata-258-mb"].told if computed else drifts.get("metadata-258-mb")) == computed


def test_a_claim_goes_where_a_what_if_makes_it_right() -> None:
    ports = [platforms.load("linux/386", "1.27")]
    drifts, _ = drift.compute(ports, {"layout.metadata_reservation": 258 << 20})
    assert "metadata-258-mb" not in {one.claim.id for one in drifts}


def test_claims_stand_where_the_source_of_the_release_has_them() -> None:
    tool = golang.installed()
    release = SourceTree(tool.goroot).generation
    if release == generations.CURRENT:
        pytest.skip(f"there are no claims of {tool.release}")
    comments = drift.Comments(tool.goroot)
    for claim in drift.load(generations.load(release))[1]:
        assert comments.find(claim) == drift.ClaimPlace(claim.file, claim.line), claim.id
