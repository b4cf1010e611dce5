"""What Go's type checker computes of one port, beside what archcalc says of it."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

from golang import build_environment, environment

from archcalc import generations
from archcalc.calculator.figures import compute
from archcalc.profiles import platforms


class Compared(NamedTuple):
    """Names of values, and of those that differ both values."""

    equal: list[str]
    different: list[str]


@cache
def checker(go: str) -> Path:
    """The type checker's program, built by a go command."""
    program = Path(mkdtemp(prefix="archcalc-typecheck-")) / "typecheck"
    source = Path(__file__).parents[1] / "typechecker" / "typecheck.go"
    subprocess.run([go, "build", "-o", str(program), str(source)], env=build_environment(), check=True)
    return program


def computed(program: Path, go: str, port: str) -> dict[str, Any]:
    """What the type checker says of a port: `platform`, `constants` by package, `structs`."""
    goos, _, goarch = port.partition("/")
    said = subprocess.check_output([str(program), go, goos, goarch], env=environment())
    found: dict[str, Any] = json.loads(said)
    return found


def compare(release: str, said: dict[str, Any]) -> tuple[Compared, dict[str, Any]]:
    """The values of a port that the tables have, compared; and those values as they were computed."""
    generation = generations.load(release)
    engine = compute(platforms.load(said["platform"], release)).engine
    mine: dict[str, object] = {}
    theirs: dict[str, object] = {}
    kept: dict[str, Any] = {"platform": said["platform"], "constants": {}, "structs": {}}
    for own, path in generation.packages.items():
        if not generation.names(own):
            continue
        values = {name.partition(".")[2]: one.value for name, one in engine.package(own).items()}
        known = {name: value for name, value in said["constants"].get(path, {}).items() if name in values}
        kept["constants"][path] = known
        mine |= {f"{path}.{name}": value for name, value in values.items()}
        theirs |= {f"{path}.{name}": value for name, value in known.items()}
    for name in generation.reported_types:
        if engine.is_struct(name):
            layout = engine.struct(name)
            mine |= {name: layout.size, f"{name} aligned": layout.align}
            mine |= {f"{name}.{f.name} at {f.offset}": f.size for f in layout.fields}
        if (own_struct := said["structs"].get(name)) is not None:
            kept["structs"][name] = own_struct
            theirs |= {name: own_struct["size"], f"{name} aligned": own_struct["align"]}
            theirs |= {f"{name}.{f['name']} at {f['offset']}": f["size"] for f in own_struct["fields"]}
    names = sorted(mine.keys() | theirs.keys())
    alike = {name: (mine.get(name), theirs.get(name)) for name in names}
    wrong = {name: both for name, both in alike.items() if not _same(*both)}
    said_so = [f"{name}: {one}, and the type checker says {other}" for name, (one, other) in wrong.items()]
    return Compared([name for name in alike if name not in wrong], said_so), kept


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other
