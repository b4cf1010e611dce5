"""Fingerprints and baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.reading.errors import UsageFault
from archcalc.results import findings
from archcalc.results.findings import Case, Finding, Severity

words = st.text(max_size=20)
made = st.builds(
    Finding, id=words, platform=words, severity=st.sampled_from(Severity), message=words, subject=words,
    file=st.none() | words,
)  # fmt: skip


@given(made, words)
def test_a_fingerprint_is_about_what_and_where_and_not_how_it_is_said(finding: Finding, other: str) -> None:
    said = replace(
        finding, message=other, severity=Severity.INFO, data={"x": 1}, line=7, known=True, help=other
    )
    assert said.fingerprint == finding.fingerprint
    for change in (
        {"id": "x" + finding.id},
        {"platform": finding.platform + "x"},
        {"subject": finding.subject + "x"},
    ):
        assert replace(finding, **change).fingerprint != finding.fingerprint  # type: ignore[arg-type]


def test_fingerprints_do_not_change_between_releases() -> None:
    finding = Finding("stacks.dead-order", "darwin/arm", Severity.WARNING, "", subject="order 3")
    assert finding.fingerprint == "9ebe2455c4175ad13bf5b03369ae28e0"


@given(st.lists(made))
def test_a_baseline_knows_what_it_was_written_from(
    tmp_path_factory: pytest.TempPathFactory, found: list[Finding]
) -> None:
    path = tmp_path_factory.mktemp("baseline") / "known.json"
    path.write_text(findings.baseline_text(found))
    known = findings.read_baseline(path)
    assert known == {finding.fingerprint for finding in found}
    assert all(finding.known and not finding.failing for finding in findings.mark_known(found, known))


def test_only_errors_that_are_new_fail() -> None:
    error = Finding("a.b", "p", Severity.ERROR, "m")
    assert Case("a.b", "p", (error,)).failed
    assert not Case(
        "a.b", "p", (replace(error, known=True), replace(error, severity=Severity.WARNING))
    ).failed


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"", "1:1"),
        (b"\xff", "1:1"),
        (b'{"version": 1,\n  oops}', "2:3"),
        (b"[]", "1:1"),
        (b'{"version": 2, "findings": []}', "1:1"),
        (b'{"version": 1, "findings": {}}', "1:1"),
        (b'{"version": 1, "findings": [{}]}', "1:1"),
        (b"[" * 100_000, "1:1"),
    ],
)
def test_what_is_no_baseline_is_told_with_its_place(text: bytes, place: str, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_bytes(text)
    with pytest.raises(UsageFault) as caught:
        findings.read_baseline(path)
    assert caught.value.located[0].startswith(f"{path}:{place}: ")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_baseline_or_a_located_fault(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.mktemp("baseline") / "known.json"
    path.write_bytes(text)
    with pytest.raises(UsageFault):
        findings.read_baseline(path)


def test_the_document_is_plain_json() -> None:
    finding = Finding("a.b", "p", Severity.ERROR, "m", data={"x": 1})
    assert json.loads(json.dumps(finding.document()))["severity"] == "error"
