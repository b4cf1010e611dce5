"""Fingerprints and baselines."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from archcalc.results.findings import Finding, Severity

words = st.text(max_size=20)
made = st.builds(
    Finding, id=words, platform=words, severity=st.sampled_from(Severity), message=words, subject=words,
    file=st.none() | words,
)  # fmt: skip


@given(made, words)
def test_a_fingerprint_is_about_what_and_where_and_not_how_it_is_said(finding: Finding, other: str) -> None:
    said = finding._replace(
        message=other, severity=Severity.INFO, data={"x": 1}, line=7, known=True, help=other
    )
    assert said.fingerprint == finding.fingerprint
    for change in (
        {"id": "x" + finding.id},
        {"platform": finding.platform + "x"},
        {"subject": finding.subject + "x"},
    ):
        assert finding._replace(**change).fingerprint != finding.fingerprint  # type: ignore[arg-type]


def test_fingerprints_do_not_change_between_releases() -> None:
    finding = Finding("stacks.dead-order", "darwin/arm", Severity.WARNING, "", subject="order 3")
    assert finding.fingerprint == "9ebe2455c4175ad13bf5b03369ae28e0"


def test_the_document_is_plain_json() -> None:
    finding = Finding("a.b", "p", Severity.ERROR, "m", data={"x": 1})
    assert json.loads(json.dumps(finding.document()))["severity"] == "error"
