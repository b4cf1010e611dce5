"""Machines to test: one of any platform, as cheap as a test needs it."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import Scripted

from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.calculator import figures
from archcalc.machines import config_of
from archcalc.profiles import platforms

# One of each: word size, byte order, system, page heap growing up and elsewhere.
SOME = (
    "linux/amd64",
    "linux/386",
    "linux/mips",
    "linux/ppc64le",
    "linux/s390x",
    "windows/386",
    "windows/amd64",
    "darwin/arm64",
    "plan9/386",
    "nacl/amd64p32",
)


@pytest.fixture(params=platforms.names())
def platform(request: pytest.FixtureRequest) -> str:
    """Every platform in turn."""
    return str(request.param)


@pytest.fixture
def rt(platform: str) -> Runtime:
    """A booted machine of every platform in turn."""
    return boot(platform)


@pytest.fixture(params=SOME)
def some_rt(request: pytest.FixtureRequest) -> Runtime:
    """A booted machine of a few platforms that differ."""
    return boot(str(request.param))


@pytest.fixture
def amd64() -> Runtime:
    """A booted linux/amd64."""
    return boot("linux/amd64")


@pytest.fixture
def i386() -> Runtime:
    """A booted linux/386."""
    return boot("linux/386")


class Scripting:
    """Machines on a system that does as it is told."""

    def __call__(
        self, platform: str, system: Scripted | None = None, **more: Any
    ) -> tuple[Runtime, Scripted]:
        """A booted machine and its system."""
        profile = platforms.load(platform)
        somewhere = 0x7F00_0000_0000 if profile.facts["ptr_size"] == 8 else 0x7000_0000
        system = system or Scripted(somewhere)
        return boot(platform, system=system, **more), system

    @staticmethod
    def config(platform: str) -> Any:
        """A platform's Config."""
        return config_of(figures.compute(platforms.load(platform)))


@pytest.fixture
def scripting() -> Scripting:
    """Makes machines on a scripted system."""
    return Scripting()
