"""Facts about the real runtime, as the Go type checker computes them, for 26 of the ports."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

FACTS = Path(__file__).parents[1] / "data" / "facts" / "ports.json.gz"


@pytest.fixture(scope="session")
def port_facts() -> dict[str, dict[str, Any]]:
    """By platform: `runtime` and `sys` constants by name, and `structs` with size, align and fields."""
    facts: dict[str, dict[str, Any]] = json.loads(gzip.decompress(FACTS.read_bytes()))
    return facts
