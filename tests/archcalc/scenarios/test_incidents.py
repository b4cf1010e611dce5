"""The known incidents hold, and not because nothing could fail."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from archcalc.scenarios import judge, load
from archcalc.scenarios.judge import ScenarioVerdict
from tests.support.expectations import changed

FOLDER = Path(__file__).parents[3] / "examples" / "incidents"
FILES = sorted(FOLDER.glob("*.yaml"))
# Row by row, the reports of the table of incidents, by which a row is known to have its file.
REPORTS = [
    "go/issues/19831", "go/issues/20259", "go/issues/13992", "go-ethereum/issues/2247",
    "influxdb/issues/1045", "go/issues/16081", "go/issues/9311", "go/issues/9971", "go/issues/21044",
    "go/issues/5049", "go/issues/2302", "go/issues/11886", "go.arm64/issues/148", "go/issues/18408",
    "rclone/issues/426", "go/issues/9993", "go.arm64/issues/104", "go/issues/20763", "go/issues/15050",
    "go/issues/10460", "go/issues/20882", "go/issues/12233", "go/issues/19514", "go/issues/12587",
    "go/issues/14638", "go/issues/13903", "go/issues/23222", "go/issues/5402", "go/issues/5236",
    "go/issues/16936", "WSL/issues/32", "go/issues/9712", "go/issues/23860",
]  # fmt: skip

# The same of today's runtime.
REPORTS_OF_TODAY = [
    "prolog/issues/218", "go/issues/66796", "go/issues/38010", "syzkaller/issues/1582",
    "matterbridge/issues/2191",
    "go/issues/39400", "go/issues/28081", "go/issues/42612", "judge-server/issues/411", "go/issues/35677",
    "go/issues/38371", "examples/issues/10", "go/issues/26546", "restic/issues/5049", "go/issues/26475",
    "go/issues/33716", "go/issues/42359", "go-re2/issues/83", "hugo/issues/6119", "go/issues/46860",
    "go/issues/35851", "go/issues/45017", "go/issues/49405", "FEX/issues/1330", "go/issues/25975",
    "go/issues/27462", "go/issues/80392",
]  # fmt: skip


@cache
def verdicts(path: Path) -> list[ScenarioVerdict]:
    return [judge.carry_out(scenario) for scenario in load.load(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_expectation_holds(path: Path) -> None:
    failed = [e.message for verdict in verdicts(path) for e in verdict.expectations if not e.ok]
    assert failed == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_what_can_be_done(path: Path) -> None:
    for scenario in load.load(path):
        assert len(scenario.about) > 80 or "/" in scenario.name
        assert len(scenario.advice) > 40
        assert len(scenario.source) > 80


def test_every_row_of_the_table_has_its_file() -> None:
    assert len(FILES) == 41
    linked = {link for path in FILES for scenario in load.load(path) for link in scenario.report}
    missing = [
        report
        for report in (*REPORTS, *REPORTS_OF_TODAY)
        if not any(link.endswith(report) for link in linked)
    ]
    assert missing == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_any_one_expectation_changed_fails_and_shows_what_was_found(path: Path) -> None:
    for verdict in verdicts(path):
        for expectation in verdict.expectations:
            other = replace(expectation, expected=changed(expectation.expected))
            assert not other.ok, other.name
            own = other.what.rpartition(".")[2]
            came = other.came
            if isinstance(came, list) and len(came) > 3:
                came = came[-1]
            assert f"got {judge.spelt(came, own)}" in other.message
