"""The documentation: commands are run, generated pages and pictures are current, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from archcalc.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [page for page in PAGES if page.parent.name != "reference"]


def module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


documented = module("documented_pages", ROOT / "tests" / "documented.py")
generate = module("generate", DOCS / "generate.py")


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_every_command_prints_what_is_shown(page: Path) -> None:
    assert documented.differences(page) == []


@pytest.mark.parametrize("name", generate.GENERATED)
def test_generated_files_are_current(name: str) -> None:
    path = DOCS / name
    assert path.read_text(encoding="utf-8") == generate.GENERATED[name](), "run python docs/generate.py"


def test_an_outdated_file_would_be_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generate, "GENERATED", {"reference/config.md": lambda: "something else\n"})
    assert generate.main(["--check"]) == 1


def test_a_script_that_fails_would_be_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\n```\n```sh\narchcalc report linux/vax >/dev/null\n```\n")
    monkeypatch.setattr(documented, "DOCS", tmp_path)
    found = documented.differences(page)
    assert len(found) == 1 and found[0].startswith("page.md:5: exit code 2")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_is_reached_from_the_index() -> None:
    reached = {DOCS / "index.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        for target in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text()):
            found = (page.parent / target).resolve()
            if found.is_file() and found not in reached and DOCS in found.parents:
                reached.add(found)
                waiting.append(found)
    assert reached == set(PAGES)


def test_every_command_is_in_the_reference_and_in_the_man_page() -> None:
    reference, manual = generate.commands(), generate.man_page()
    for name in app.names():
        assert f"\n## {name}\n" in reference
        assert f"\n.SS {generate.roff(name)}\n" in manual


def test_man_page_is_good_roff() -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(DOCS / "archcalc.1")],
        capture_output=True, text=True, check=False,
    ) if __import__("shutil").which("man") else None  # fmt: skip
    if done is None:
        pytest.skip("no man here")
    assert done.returncode == 0 and done.stderr == ""


def test_records_are_described_as_they_are_read() -> None:
    from archcalc.calculator.figures import compute
    from archcalc.machines import config_of
    from archcalc.profiles.platforms import load
    from archcalc.traces.judgement import SHAPES
    from archcalc.traces.records import RECORDS
    from archcalc.traces.replayer import OWN, Replayer

    handled = set(Replayer(Path("none"), lambda _: config_of(compute(load("linux/386")))).handlers)
    assert {record.letters for record in RECORDS} == handled | OWN
    for record in RECORDS:
        if record.letters in SHAPES:
            assert record.shape.startswith(SHAPES[record.letters])
        assert record.part in generate.PARTS


def test_readme_names_each_user_of_the_docs() -> None:
    assert "docs/index.md" in (ROOT / "README.md").read_text()


def test_pre_commit_hooks_run_what_there_is(tmp_path: Path) -> None:
    import yaml

    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples" / "profiles").glob("*.yaml")}
    pattern = re.compile(hooks["archcalc-profiles"]["files"])
    changed = [name for name in files if pattern.search(name)]
    assert changed and not pattern.search("docs/index.md") and not pattern.search(".github/workflows/ci.yml")
    for id, arguments, code in (
        ("archcalc-profiles", changed, 0),
        ("archcalc-profiles", [str(tmp_path / "broken.yaml")], 2),
        ("archcalc-check", [], 0),
    ):
        (tmp_path / "broken.yaml").write_text("schema: 1\nplatfrom: linux/riscv64\n")
        name, *words = hooks[id]["entry"].split()
        assert name == "archcalc"
        done = subprocess.run(
            [sys.executable, "-m", "archcalc", *words, *arguments], cwd=ROOT, capture_output=True
        )
        assert done.returncode == code, done.stderr
