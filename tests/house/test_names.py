"""A name means one thing: no two classes share one, but where the two machines have the same part each."""

from __future__ import annotations

import ast
from collections import defaultdict

from imports import modules

# Parts of Go's runtime that both machines have, each in a file of its own, under Go's name.
MACHINES = ("allocator.contiguous.", "allocator.sparse.")
# Names that still mean more than one thing, and which.
STILL = {
    "Attempt": "a reservation of a machine, and one that is read out of a tree's mallocinit",
    "Compared": "answers of two systems, and calls of a boot and a real program",
    "Difference": "between answers of a system, and between figures",
    "Image": "a program that is verified, and one whose raw log is read",
    "Named": "a type by its name, and figures of a release by theirs",
    "Place": "where a table's rows, a tree's hints and a tree's shapes stand",
    "Port": "of a tree, and of a program",
    "Program": "that is verified, and whose calls a file has",
    "Recorded": "a kernel that answers from a recording, and what a recorder left",
    "Section": "of a file that is read, of a table of types, and of a result that is shown",
    "Table": "of a tree's size classes, and of a result",
    "Type": "what the allocator reads of one, and a Go expression's",
    "Words": "of a tree",
}


def test_no_two_classes_share_a_name() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name)
    twice = {
        name: places
        for name, places in where.items()
        if len({place for place in places if not place.startswith(MACHINES)}) > 1
        or (
            any(place.startswith(MACHINES) for place in places)
            and any(not place.startswith(MACHINES) for place in places)
        )
    }
    assert {name: places for name, places in twice.items() if name not in STILL} == {}
