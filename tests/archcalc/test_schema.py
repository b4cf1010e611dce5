"""What commands print is valid against the published schemas, and the promised keys are still promised."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archcalc import schema
from archcalc.cli import app
from archcalc.cli.main import main

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "tests" / "data" / "traces"
EXECUTION = ROOT / "tests" / "data" / "execution"
BOTH = [str(EXECUTION / f"both-go1.27-linux-amd64{end}") for end in (".recording.trace.gz", ".trace.xz")]
PROMISED = ROOT / "tests" / "data" / "promised_keys.json"

COMMANDS = [
    ("list", ["list"]),
    ("report", ["report", "all"]),
    ("report", ["report", "linux/386", "plan9/arm", "--only", "layout,_PageSize,mspan.sweepgen"]),
    ("report", ["report", "linux/386", "--set", "_PageShift=14"]),
    ("report", ["report", "linux/386", "linux/arm", "--differs"]),
    ("explain", ["explain", "_MaxMem", "linux/amd64", "windows/amd64"]),
    ("explain", ["explain", "constants.page-size"]),
    ("explain", ["explain", "layout"]),
    ("explain", ["explain", "cannot reserve"]),
    ("explain", ["explain", "vsz", "linux/amd64"]),
    ("explain", ["explain", "mspan.sweepgen", "linux/386"]),
    ("diff", ["diff", "linux/386", "linux/arm"]),
    ("diff", ["diff", "linux/amd64", "--go", "1.21", "--go", "1.27"]),
    ("report", ["report", "linux/386", "js/wasm", "--go", "1.27"]),
    ("report", ["report", "linux/386", "--go", "all", "--only", "layout,mspan"]),
    ("explain", ["explain", "hint3", "linux/amd64", "--go", "1.21", "--go", "1.24"]),
    ("sizeclass", ["sizeclass", "513", "--platform", "linux/amd64", "--go", "1.27"]),
    ("generations", ["generations"]),
    ("prove", ["prove", "linux/mips", "--property", "prove-ladder-fits", "--property", "prove-known-end"]),
    ("check", ["check", "all"]),
    ("check", ["check", "linux/386", "--set", "_PageShift=14"]),
    ("list-checks", ["list-checks"]),
    ("boot", ["boot", "all"]),
    ("boot", ["boot", "linux/386", "--ulimit-v", "200m"]),
    ("boot", ["boot", "linux/amd64", "windows/386", "--go", "1.27"]),
    ("boot", ["boot", "linux/amd64", "--go", "1.27", "--ulimit-v", "900m", "--why"]),
    ("boot", ["boot", "--calls", str(ROOT / "tests" / "data" / "oscalls" / "go1.27-linux-386.json")]),
    ("smoke", ["smoke", "linux/386", "-n", "500"]),
    ("smoke", ["smoke", "linux/386", "-n", "500", "--workload", "exhaust"]),
    # All of them in cli/test_run.py, where they are run anyway.
    ("run", ["run", *map(str, sorted((ROOT / "examples" / "incidents").glob("a*.yaml")))]),
    ("replay", ["replay", str(TRACES / "linux-amd64.gcprog.stw.trace.gz")]),
    ("map", ["map", "linux/amd64", "linux/386", "--after", "smoke:tiny", "-n", "300"]),
    ("map", ["map", "linux/386", "--ulimit-v", "200m"]),
    ("heap", ["heap", "linux/386", "-n", "500", "--frames", "3"]),
    ("heap", ["heap", str(TRACES / "linux-amd64.gcprog.stw.trace.gz"), "--at-event", "600"]),
    ("sizeclass", ["sizeclass", "0", "17", "40k", "--platform", "linux/amd64"]),
    ("sizeclass", ["sizeclass"]),
    ("env", ["env"]),
    ("profile-show", ["profile", "show", "linux/386"]),
    ("drift", ["drift"]),
    ("profile-validate", ["profile", "validate", str(ROOT / "examples" / "profiles" / "linux-riscv64.yaml")]),
    ("trace-info", ["trace", "info", str(TRACES / "linux-amd64.gcprog.stw.trace.gz")]),
    ("trace-head", ["trace", "head", "-n", "5", str(TRACES / "linux-amd64.gcprog.stw.trace.gz")]),
    ("trace-compare", ["trace", "compare", *BOTH]),
    ("trace-compare", ["trace", "compare", BOTH[0], str(EXECUTION / "one-p-go1.27-linux-amd64.trace.xz")]),
    ("trace-stats", ["trace", "stats", str(TRACES / "linux-amd64.gcprog.stw.trace.gz")]),
]  # fmt: skip


def printed(arguments: list[str]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(arguments)
    assert code in (0, 1), arguments
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "command"), COMMANDS, ids=lambda part: part if isinstance(part, str) else " ".join(part)[-40:]
)
def test_json_is_valid(name: str, command: list[str]) -> None:
    document = json.loads(printed([*command, "--format", "json"]))
    jsonschema.Draft202012Validator(schema.load(name)).validate(document)


def test_what_commands_write_is_reported_by_valid_json(tmp_path: Path) -> None:
    sizes, text, columns = tmp_path / "sizes.csv", tmp_path / "one.trace.gz", tmp_path / "one.parquet"
    sizes.write_text("16\n100\n40000\n")
    points = tmp_path / "points.yaml"
    points.write_text(
        "schema: 1\nname: two\ngrid:\n  platform: linux/386\n  workload: tiny\n  n: 300\n  seed: [1, 2]\n"
    )
    for name, command in (
        ("trace-import", ["trace", "import", str(sizes), "--platform", "linux/386", "--output", str(text)]),
        ("trace-convert", ["trace", "convert", str(text), str(columns)]),
        ("sweep", ["sweep", str(points), "--output", str(tmp_path / "table.csv")]),
    ):
        document = json.loads(printed([*command, "--format", "json"]))
        jsonschema.Draft202012Validator(schema.load(name)).validate(document)


def test_every_command_s_schema_is_tried() -> None:
    elsewhere = {"verify", "trace-import", "trace-convert", "sweep"}  # above, and where there is a tree
    assert set(schema.names()) - set(schema.FILES) - elsewhere <= {name for name, _ in COMMANDS}


def test_every_command_with_json_has_a_schema() -> None:
    without = {name.replace(" ", "-") for name in app.names()} - set(schema.names())
    assert without == {
        "profile-new",
        "profile-schema",
        "schema",
        "completion",
        "record",
    }  # which print documents


@pytest.mark.parametrize("name", schema.names())
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema.load(name))
    assert json.loads(printed(["schema", name])) == schema.load(name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("boot", lambda d: d["boots"][0].pop("attempts")),
        ("boot", lambda d: d["boots"][0]["arena"].update(arena_end="0x10")),
        ("report", lambda d: d["platforms"][0]["layout"].update(arena_size=1.5)),
        ("check", lambda d: d["findings"][0].update(severity="bad")),
        ("replay", lambda d: d["traces"][0].pop("first_mismatch")),
    ],
)
def test_schemas_refuse_what_breaks_the_promise(name: str, change: Any) -> None:
    document = json.loads(
        printed([*next(command for known, command in COMMANDS if known == name), "--format", "json"])
    )
    change(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema.load(name)).validate(document)


def keys(node: Any, path: str = "") -> Iterator[str]:
    """Every promised key as a dotted path, with its type."""
    if isinstance(node, dict):
        for name in node.get("required", ()):
            own = node["properties"][name]
            yield f"{path}.{name}: {json.dumps(own.get('type', own.get('enum', 'any')))}"
        for name, own in node.get("properties", {}).items():
            yield from keys(own, f"{path}.{name}")
        if isinstance(node.get("items"), dict):
            yield from keys(node["items"], f"{path}[]")
        if isinstance(node.get("additionalProperties"), dict):
            yield from keys(node["additionalProperties"], f"{path}.*")
        for at, own in enumerate(node.get("anyOf", ())):
            yield from keys(own, f"{path}({at})")


def test_promised_keys_are_still_promised() -> None:
    now = {name: sorted(keys(schema.load(name), name)) for name in schema.names() if name not in schema.FILES}
    promised = json.loads(PROMISED.read_text())
    for name, kept in promised.items():
        assert set(kept) <= set(now.get(name, ())), name
    # What is new is promised from now on: add it to the file.
    assert now == promised


def test_profiles_scenarios_sweeps_and_configurations_of_ours_are_valid() -> None:
    yaml = pytest.importorskip("yaml")
    for name, files in {
        "profile": [*(ROOT / "platforms").glob("*.yaml"), *(ROOT / "examples" / "profiles").glob("*.yaml")],
        "scenario": list((ROOT / "examples" / "incidents").glob("*.yaml")),
        "sweep-file": list((ROOT / "examples" / "sweeps").glob("*.yaml")),
    }.items():
        validator = jsonschema.Draft202012Validator(schema.load(name))
        assert files
        for file in files:
            validator.validate(yaml.safe_load(file.read_text()))
    config = {"platforms": ["linux/*"], "set": ["_PageShift=14"], "severity": {"stacks.dead-order": "error"}}
    jsonschema.Draft202012Validator(schema.load("config")).validate(config)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema.load("config")).validate({"platfroms": []})
