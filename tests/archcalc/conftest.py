"""What the calculator is held to: facts about the real runtime, and a tree of Go's that has them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import gotree

FACTS = Path(__file__).parents[1] / "data" / "facts" / "ports.json.gz"


@pytest.fixture(scope="session")
def port_facts() -> dict[str, dict[str, Any]]:
    """What Go's type checker computes for 26 of the ports.

    By platform: `runtime` and `sys` constants by name, and `structs` with size, align and fields.
    """
    facts: dict[str, dict[str, Any]] = json.loads(gzip.decompress(FACTS.read_bytes()))
    return facts


@pytest.fixture(scope="session")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that has exactly what the calculator has; not to be changed."""
    root: Path = gotree.write(tmp_path_factory.mktemp("goroot"))
    return root
