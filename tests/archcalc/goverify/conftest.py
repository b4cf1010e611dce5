"""A tree written from the calculator's tables, to be changed by each test, and the real one where it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support import gotree


@pytest.fixture(scope="session")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that has exactly what the calculator has; not to be changed."""
    root: Path = gotree.write(tmp_path_factory.mktemp("goroot"))
    return root


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
