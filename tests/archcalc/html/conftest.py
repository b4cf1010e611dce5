"""A browser for all tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import browser as browsing
import pytest


@pytest.fixture(scope="session")
def window() -> Iterator[browsing.Browser]:
    """One browser for them all; where there is none, the tests that want it are skipped."""
    if browsing.MISSING:
        pytest.skip(browsing.MISSING)
    with browsing.browser() as session:
        yield session
