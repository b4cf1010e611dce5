"""Which figures a port decides: what differs between ports is decided by them, in every release."""

from __future__ import annotations

import pytest

from archcalc import generations
from archcalc.calculator import figures
from archcalc.calculator.inventory import Inventory
from archcalc.calculator.portable import OfThePort, names_the_port
from archcalc.profiles import platforms
from archcalc.results.tables import NotApplicable


@pytest.mark.parametrize("go", generations.known())
def test_what_differs_between_ports_is_the_ports(go: str) -> None:
    found = [figures.compute(platforms.load(name, go), go=go) for name in platforms.names(go)]
    inventory = Inventory(found)
    differing = set(inventory.differing())
    for at, own in enumerate(found):
        decided = OfThePort(own)
        here = {key for key, row in inventory.values.items() if not isinstance(row[at], NotApplicable)}
        everywhere = {key for key in here & differing if not any(map(missing, inventory.values[key]))}
        assert {key for key in everywhere if not decided(key)} <= counts(everywhere)


def missing(value: object) -> bool:
    """Whether a platform lacks the figure, which another platform cannot know."""
    return isinstance(value, NotApplicable)


def counts(keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Numbers of a family's members, which no formula gives."""
    return {key for key in keys if key[0] == "layout" and key[1].endswith("hints")}


@pytest.mark.parametrize("go", generations.known())
def test_what_only_says_the_port_is_its_names_and_flags(go: str) -> None:
    own = figures.compute(platforms.load("linux/amd64", go), go=go)
    told = {key for key in Inventory([own]).keys if names_the_port(own, key)}
    flags = {name for _, name in told} - {"GOOS", "GOARCH"}
    assert all(name.startswith(("Goos", "Goarch", "Is")) for name in flags) and flags
    assert {"BigEndian", "PtrSize", "usesLR", "IsUnix"}.isdisjoint(flags)
