"""archcalc.yaml and [tool.archcalc]: which one counts, and that mistakes are told at their places."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import config
from archcalc.reading.errors import ConfigFault, UsageFault

YAML = """\
platforms: [linux/*, darwin/arm64]
profiles: [ports/mine.yaml]
set: ["_PageShift=14"]
format: json
select: [layout]
ignore: [layout.hints-in-reach]
severity:
  stacks.dead-order: error
baseline: known.json
"""
TOML = """\
[project]
name = "x"

[tool.archcalc]
platforms = ["linux/*", "darwin/arm64"]
profiles = ["ports/mine.yaml"]
set = ["_PageShift=14"]
format = "json"
select = ["layout"]
ignore = ["layout.hints-in-reach"]
severity = { "stacks.dead-order" = "error" }
baseline = "known.json"
"""


@pytest.mark.parametrize(("name", "text"), [("archcalc.yaml", YAML), ("pyproject.toml", TOML)])
def test_both_files_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    assert config.find(deep) == config.Settings(
        file=tmp_path / name,
        platforms=("linux/*", "darwin/arm64"),
        profiles=(tmp_path / "ports/mine.yaml",),
        sets={"_PageShift": 14},
        format="json",
        select=("layout",),
        ignore=("layout.hints-in-reach",),
        severity={"stacks.dead-order": "error"},
        baseline=tmp_path / "known.json",
    )


def test_the_nearest_counts_and_yaml_before_toml(tmp_path: Path) -> None:
    (tmp_path / "archcalc.yaml").write_text("platforms: [linux/386]\n")
    near = tmp_path / "near"
    near.mkdir()
    (near / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert config.find(near).platforms == ("linux/386",)
    (near / "pyproject.toml").write_text("[tool.archcalc]\nplatforms = ['linux/arm']\n")
    assert config.find(near).platforms == ("linux/arm",)
    (near / "archcalc.yaml").write_text("platforms: [linux/mips]\n")
    assert config.find(near).platforms == ("linux/mips",)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("archcalc.yaml", "platforms: [linux/386]\nselct: [layout]\n", "2:1"),
        ("archcalc.yaml", "format: jsn\n", "1:9"),
        ("archcalc.yaml", "severity: {stacks: bad}\n", "1:20"),
        ("archcalc.yaml", "set: [nonsense]\n", "1:7"),
        ("archcalc.yaml", "- list\n", "1:1"),
        ("pyproject.toml", "[tool.archcalc]\n\nselct = []\n", "3:1"),
        ("pyproject.toml", "[tool.archcalc]\nplatforms = 3\n", "2:1"),
        ("pyproject.toml", "[tool.archcalc]\nformat =\n", "2:9"),
        ("pyproject.toml", "[tool.archcalc]\nset = ['nonsense']\n", "2:1"),
        ("pyproject.toml", "[tool]\narchcalc = 3\n", "1:1"),
    ],
)
def test_mistakes_are_reported_at_their_places(name: str, text: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    if name.endswith("toml") and "tool.archcalc" not in text:
        text = "# tool.archcalc\n" + text
        path.write_text(text)
    with pytest.raises(ConfigFault) as caught:
        config.find(tmp_path)
    assert caught.value.located[0].startswith(f"{path}:{place}: ")


@given(st.binary(max_size=100), st.sampled_from(["archcalc.yaml", "pyproject.toml"]))
def test_any_bytes_are_a_configuration_or_located_faults(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("config") / name
    path.write_bytes(b"[tool.archcalc]\n" + data if name.endswith("toml") else data)
    try:
        config.read(path)
    except UsageFault as fault:
        assert all(line.startswith(str(path)) for line in fault.located)
