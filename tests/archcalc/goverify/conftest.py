"""A copy of the tree that the calculator's tables make, and the real one where it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def tree(whole_tree: Path, tmp_path: Path) -> Path:
    """A copy of the tree, to be changed."""
    return Path(shutil.copytree(whole_tree, tmp_path / "go"))


@pytest.fixture(scope="session")
def real_tree() -> Path:
    """The tree of commit 7aefdfded, where $ARCHCALC_GOROOT says that there is one."""
    named = os.environ.get("ARCHCALC_GOROOT")
    if not named:
        pytest.skip("$ARCHCALC_GOROOT names no Go tree of commit 7aefdfded")
    return Path(named)
