"""The rules that CONTRIBUTING gives for the house, held: who may import whom, and who may know what."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest
from imports import TREE, circles, imports, modules

# From the ground up: a room imports only from rooms below it, or beside it in its own line.
FLOORS = (
    ("allocator.common",),
    ("allocator.kernels",),
    ("allocator.interface",),
    ("allocator.contiguous", "allocator.sparse"),
    ("archcalc.reading",),
    ("archcalc.host",),
    ("archcalc.results",),
    ("archcalc.goexpr",),
    ("archcalc.generations",),
    ("archcalc.profiles",),
    ("archcalc.calculator",),
    ("archcalc.machines",),
    ("archcalc.traces", "archcalc.recorder"),
    ("archcalc.workloads",),
    ("archcalc.checks", "archcalc.questions", "archcalc.goverify"),
    ("archcalc.scenarios", "archcalc.sweeps", "archcalc.proofs"),
    ("archcalc.pictures",),
    ("archcalc.render",),
    ("archcalc.html",),
    ("archcalc.boot", "archcalc.config", "archcalc.schema"),
    ("archcalc.library",),
    ("archcalc.cli", "archcalc.api"),
    ("archcalc.__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Files at archcalc's root, each a door to what is behind it.
DOORS = {"__init__", "__main__", "api", "boot", "config", "schema"}
# Rooms that belong to one generation: records of its recordings, what compares its figures or sources, and
# proofs of what is inside one machine.
OF_A_GENERATION = (
    "archcalc/traces/", "archcalc/checks/", "archcalc/goverify/", "archcalc/generations/",
    "archcalc/proofs/contiguous/", "archcalc/proofs/sparse/",
)  # fmt: skip
# Where layout figures of that generation are calculated and reported, under these names.
FIGURES_NAMED_SO = ("archcalc/calculator/",)
FIELDS = re.compile(
    r"\b(?:arena_start|arena_used|arena_end|spans_start|bitmap_mapped|spans_len|spans_cap|allspans"
    r"|mheap_|heapArena|mcentral)\b"
    r"|\b(?:rt|runtime|machine)\.(?:heap|spans|stats|gc|caches|central|pages|bitmap)\b"
)


def room_of(module: str) -> str:
    """The longest name of a room that the module is in, or is."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        room = ".".join(parts[:length])
        if room in FLOOR:
            return room
    raise AssertionError(f"{module} is in no room that has a floor")


def python_files(root: str) -> list[Path]:
    """All sources under a folder; there are some, or the test is about nothing."""
    found = sorted((TREE / root).rglob("*.py"))
    assert found, root
    return found


def test_no_import_goes_up() -> None:
    up = {
        f"{one.importer} imports {one.imported}"
        for one in imports()
        if one.imported not in ("archcalc", "allocator")
        and room_of(one.importer) != room_of(one.imported)
        and FLOOR[room_of(one.imported)] > FLOOR[room_of(one.importer)]
    }
    assert up == set()


def test_rooms_of_one_floor_do_not_import_each_other_in_circles() -> None:
    edges = {(room_of(one.importer), room_of(one.imported)) for one in imports() if "." in one.imported}
    both = {edge for edge in edges if edge[0] < edge[1] and edge[::-1] in edges}
    assert both == set()


def test_no_import_goes_in_a_circle_at_run_time() -> None:
    assert circles(tuple(one for one in imports() if not one.types)) == []


def test_circles_of_types_stay_within_one_machine() -> None:
    for circle in circles(imports()):
        rooms = {".".join(module.split(".")[:2]) for module in circle}
        assert len(rooms) == 1 and rooms <= {"allocator.contiguous", "allocator.sparse"}, circle


def test_the_machines_know_nothing_of_what_uses_them() -> None:
    outward = {one for one in imports() if one.importer.startswith("allocator")}
    assert outward
    assert {one for one in outward if not one.imported.startswith("allocator")} == set()


def test_the_calculator_imports_no_machine() -> None:
    allowed = ("allocator.common.",)
    wrong = {
        (one.importer, one.imported)
        for one in imports()
        if one.importer.startswith(("archcalc.calculator", "archcalc.generations"))
        and one.imported.startswith("allocator.")
        and not one.imported.startswith(allowed)
    }
    assert wrong == set()


@pytest.mark.parametrize("room", ["render", "html", "results"])
def test_renderers_compute_nothing(room: str) -> None:
    computing = ("archcalc.calculator", "archcalc.machines", "archcalc.checks", "archcalc.goverify")
    wrong = {
        (one.importer, one.imported)
        for one in imports()
        if one.importer.startswith(f"archcalc.{room}.") and one.imported.startswith(computing)
    }
    assert wrong == set()


def test_no_library_imports_the_command_line() -> None:
    wrong = {
        one.importer
        for one in imports()
        if one.imported.startswith("archcalc.cli")
        and not one.importer.startswith(("archcalc.cli", "archcalc.__main__"))
    }
    assert wrong == set()


def test_only_doors_stand_at_the_root() -> None:
    assert {path.stem for path in (TREE / "archcalc").glob("*.py")} == DOORS
    assert len(DOORS) <= 8


def test_every_room_has_a_floor() -> None:
    assert {room_of(name) for name in modules() if name not in ("archcalc", "allocator")} <= set(FLOOR)


def code_of(path: Path) -> str:
    """A source without its comments and its texts; f-strings count as texts."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return " ".join(token.string for token in tokens if token.type in (tokenize.NAME, tokenize.OP))


def test_no_driver_names_a_field_of_one_generation() -> None:
    named = {}
    for path in python_files("archcalc"):
        name = path.relative_to(TREE).as_posix()
        if name.startswith((*OF_A_GENERATION, *FIGURES_NAMED_SO)):
            continue
        found = FIELDS.findall(code_of(path).replace(" . ", "."))
        if found:
            named[name] = sorted(set(found))
    assert named == {}


def test_only_one_room_chooses_machines() -> None:
    # Recordings are of one generation; a proof knows the inside of its machine.
    allowed = (
        "archcalc.machines", "archcalc.traces",
        "archcalc.proofs.contiguous", "archcalc.proofs.sparse",
    )  # fmt: skip
    wrong = {
        (one.importer, one.imported)
        for one in imports()
        if one.importer.startswith("archcalc.")
        and one.imported.startswith(("allocator.contiguous", "allocator.sparse"))
        and not one.importer.startswith(allowed)
    }
    assert wrong == set()
