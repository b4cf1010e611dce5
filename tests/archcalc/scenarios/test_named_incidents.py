"""The scenarios that come with archcalc, under their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.questions import throws
from archcalc.reading.errors import ScenarioFault
from archcalc.scenarios import load

EXAMPLES = Path(__file__).parents[3] / "examples" / "incidents"


def test_every_incident_is_run_by_its_name_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in EXAMPLES.glob("*.yaml"):
        # An installed archcalc has copies of its own.
        (found,) = load.files([f"incidents/{path.stem}"])
        assert load.files([f"incidents/{path.name}"]) == [found]
        assert found.name == path.name and found.read_bytes() == path.read_bytes()
    every = load.files(["incidents"])
    assert [path.name for path in every] == sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def test_a_file_of_the_user_s_own_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incidents").mkdir()
    (tmp_path / "incidents" / "mine.yaml").write_text("")
    assert load.files(["incidents"]) == [Path("incidents/mine.yaml")]


def test_an_unknown_incident_is_reported_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioFault, match="did you mean incidents/windows-commit-limit"):
        load.files(["incidents/windows-commit-limt"])


def test_what_explain_names_is_there() -> None:
    names = {name for era in (throws.OLDEST, "sparse") for row in throws.table(era) for name in row.incidents}
    assert names and names <= {path.stem for path in EXAMPLES.glob("*.yaml")}
