"""The wheel and the sdist, in an empty environment and from another folder: all that is needed is inside.

What the wheel depends on (typer, PyYAML, tabulate, Jinja2) is taken from this environment, so that no
network is needed: the empty environment sees the folders of those packages alone, and nothing else that is
installed.
"""

from __future__ import annotations

import html
import importlib.metadata
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("hatchling")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built from the files that git knows or would add."""
    folder = tmp_path_factory.mktemp("dist")
    for target in ("wheel", "sdist"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def requirements(name: str, found: set[str] | None = None) -> set[str]:
    """The distributions that one needs, all the way down, without extras."""
    found = set() if found is None else found
    if name.lower() in found:
        return found
    found.add(name.lower())
    for line in importlib.metadata.requires(name) or ():
        requirement, _, marker = line.partition(";")
        own = requirement.split()[0]
        for stop in "<>=!~[(":
            own = own.partition(stop)[0]
        try:
            importlib.metadata.distribution(own)
        except importlib.metadata.PackageNotFoundError:
            continue
        if "extra" not in marker:
            requirements(own, found)
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An `archcalc` of the wheel in an environment with nothing but what it says it needs."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    names: set[str] = set()
    for name in ("typer", "pyyaml", "tabulate", "jinja2"):
        requirements(name, names)
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if file.parts[0] in ("..", "/") or source.suffix == ".pyc" or not source.is_file():
                continue
            target = site / Path(*file.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(source)
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-deps",
         "--no-index", "--quiet", str(wheel)],
        check=True,
    )  # fmt: skip
    return folder / "bin" / "archcalc"


def run(program: Path, *arguments: str, cwd: Path, code: int = 0) -> str:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GO", "VIRTUAL"))
    }
    done = subprocess.run(
        [program, *arguments], cwd=cwd, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + (done.stderr if code else "")


def test_wheel_says_which_packages_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
    needed = [line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    always = sorted(line.split(">")[0].strip().lower() for line in needed if "extra ==" not in line)
    assert always == ["jinja2", "pyyaml", "tabulate", "typer"]
    extras = {line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Provides-Extra")}
    assert {"bulk", "verify", "sweep", "html", "all"} <= extras


def test_wheel_has_all_and_nothing_compiled(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "archcalc/py.typed",
        "allocator/py.typed",
        "archcalc/html/report.js",
        "archcalc/html/templates/report.html",
        "archcalc/schemas/boot.json",
    } <= names
    platforms = [n for n in names if n.startswith("archcalc/_platforms/") and n.count("/") == 2]
    assert len([n for n in platforms if n.endswith(".yaml")]) == 55
    incidents = {path.name for path in (ROOT / "examples" / "incidents").glob("*.yaml")}
    assert incidents == {n.rpartition("/")[2] for n in names if n.startswith("archcalc/_incidents/")}
    facts = "archcalc/generations/7aefdfded/facts/arch/amd64.yaml"
    assert {facts, "archcalc/generations/1.27/types.txt"} <= names
    assert any(n.endswith("share/man/man1/archcalc.1") for n in names)
    assert not [n for n in names if n.endswith((".so", ".pyd", ".pyc", ".ipynb")) or n.startswith("tests")]


def test_sdist_builds_the_same_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())
    assert (source / "docs" / "index.md").is_file() and (source / "tests").is_dir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(next((tmp_path / "again").glob("*.whl"))) as other:
        assert {i.filename: i.CRC for i in one.infolist()} == {i.filename: i.CRC for i in other.infolist()}


def test_report_boot_map_and_pages_elsewhere(program: Path, tmp_path: Path) -> None:
    assert run(program, "--version", cwd=tmp_path).startswith("archcalc ")
    report = json.loads(run(program, "report", "all", "--format", "json", cwd=tmp_path))
    assert len(report["platforms"]) == 38
    boots = json.loads(run(program, "boot", "all", "--format", "json", cwd=tmp_path))
    assert boots["ok"] and len(boots["boots"]) == 38
    ran = run(program, "run", "incidents/windows-commit-limit", "--format", "json", cwd=tmp_path)
    assert json.loads(ran)["ok"]
    run(program, "map", "linux/amd64", "--after", "smoke:tiny", "-n", "500", "--svg", "map.svg", cwd=tmp_path)
    assert (tmp_path / "map.svg").read_text().startswith("<svg ")
    run(program, "report", "--html", "report.html", cwd=tmp_path)
    assert (tmp_path / "report.html").stat().st_size <= 400 * 1024
    run(program, "heap", "linux/386", "-n", "500", "--html", "heap.html", cwd=tmp_path)
    assert "pip install 'archcalc[html]'" in html.unescape((tmp_path / "heap.html").read_text())
    assert json.loads(run(program, "schema", "boot", cwd=tmp_path))["required"][:2] == ["ok", "boots"]
    run(program, "profile", "new", "linux/riscv64", "--output", "p.yaml", cwd=tmp_path)
    run(program, "check", "--profile", "p.yaml", cwd=tmp_path)
    run(program, "smoke", "linux/386", "-n", "300", "--record", "r.trace.gz", cwd=tmp_path)
    run(program, "replay", "r.trace.gz", cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("heap", "linux/386", "-n", "300", "--plot", "p.svg"), "html"),
        (("verify", "--goroot", "."), "verify"),
    ],
)
def test_what_is_missing_is_named(
    program: Path, tmp_path: Path, arguments: tuple[str, ...], extra: str
) -> None:
    source = tmp_path / "src" / "runtime"
    source.mkdir(parents=True)
    (source / "malloc.go").write_text("package runtime\n\nconst _MHeapMap_TotalBits = 39\n")
    said = run(program, *arguments, cwd=tmp_path, code=2)
    assert f"pip install 'archcalc[{extra}]'" in said
    assert "Traceback" not in said
