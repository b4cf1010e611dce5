"""A name means one thing: no two classes share one, but where the two machines have the same part each."""

from __future__ import annotations

import ast
from collections import defaultdict

from imports import modules

# Parts of Go's runtime that both machines have, each in a file of its own, under Go's name.
MACHINES = ("allocator.contiguous.", "allocator.sparse.")


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
    assert twice == {}
