"""Baselines: what is known does not fail, what has gone is told, and a file that is none is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.reading.errors import UsageFault
from archcalc.results import baseline
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import FAIL_ON, NEVER, Judged

words = st.text(max_size=20)
made = st.builds(
    Finding, id=words, platform=words, severity=st.sampled_from(Severity), message=words, subject=words,
    file=st.none() | words,
)  # fmt: skip


class Judgement(Judged):
    """A result of these cases."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases

    def cases(self) -> Sequence[Case]:
        return self._cases

    def rules(self) -> Sequence[Rule]:
        return [Rule(case.id, "", Severity.ERROR, "", "") for case in self._cases]


def judgement(*findings: Finding) -> Judgement:
    """Each finding in a case of its own."""
    return Judgement([Case(finding.id, finding.platform, (finding,)) for finding in findings])


@given(st.lists(made))
def test_a_baseline_knows_what_it_was_written_from(
    tmp_path_factory: pytest.TempPathFactory, found: list[Finding]
) -> None:
    path = tmp_path_factory.mktemp("baseline") / "known.json"
    path.write_text(baseline.text(found))
    result = judgement(*found)
    result.baseline = baseline.read(path)
    assert result.ok and all(finding.known for case in result.judged() for finding in case.findings)
    assert result.about_baseline() == {"baseline": str(path), "known": len(found), "stale": []}


ERROR = Finding("a.b", "linux/386", Severity.ERROR, "m")
WARNING = ERROR._replace(severity=Severity.WARNING)
INFO = ERROR._replace(severity=Severity.INFO)


@pytest.mark.parametrize("fail_on", FAIL_ON)
@pytest.mark.parametrize("finding", [ERROR, WARNING, INFO])
def test_a_finding_fails_from_the_severity_on_that_was_asked_for(finding: Finding, fail_on: str) -> None:
    result = judgement(finding)
    result.fail_on = fail_on
    least = {"error": [ERROR], "warning": [ERROR, WARNING], NEVER: []}[fail_on]
    assert result.fails(finding) is (not result.ok) is (result.exit_code == 1) is (finding in least)
    known = judgement(finding._replace(known=True))
    known.fail_on = fail_on
    assert known.ok


def test_an_entry_is_stale_when_what_was_judged_has_no_such_finding(tmp_path: Path) -> None:
    other = ERROR._replace(subject="bitmap_size")
    elsewhere = ERROR._replace(platform="linux/arm")
    unasked = ERROR._replace(id="c.d")
    path = tmp_path / "known.json"
    path.write_text(baseline.text([ERROR, other, elsewhere, unasked]))
    result = judgement(ERROR)
    result.baseline = baseline.read(path)
    stale = [{"id": "a.b", "platform": "linux/386", "subject": "bitmap_size"}]
    assert result.about_baseline() == {"baseline": str(path), "known": 1, "stale": stale}
    assert result.told_of_baseline() == [
        "1 known to the baseline",
        "1 entry of it is stale: a.b linux/386 bitmap_size",
    ]


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
def test_what_is_not_a_baseline_is_reported_with_its_place(text: bytes, place: str, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_bytes(text)
    with pytest.raises(UsageFault) as caught:
        baseline.read(path)
    assert caught.value.located[0].startswith(f"{path}:{place}: ")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_baseline_or_a_located_fault(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.mktemp("baseline") / "known.json"
    path.write_bytes(text)
    with pytest.raises(UsageFault):
        baseline.read(path)
