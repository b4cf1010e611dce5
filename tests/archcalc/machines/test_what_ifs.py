"""A what-if is followed by the machine, or refused with the reason: each name that --set takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archcalc import generations, machines
from archcalc.calculator.figures import Figures, compute
from archcalc.calculator.plain import Scalar
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault

from .worlds import WORLDS, answer

# A name without its number, and the worlds that showed it, the last one first: where it is looked for first.
SHOWN: dict[str, list[int]] = {}
for number, world in enumerate(WORLDS):
    for shown in world.shows:
        SHOWN.setdefault(shown, []).append(number)


def figures_of(go: str, platform: str, sets: dict[str, Scalar] | None = None) -> Figures:
    release = generations.named(go)
    return compute(platforms.of(platform, release), sets or {}, release)


def others(plain: Figures, name: str, value: Scalar) -> Iterator[Scalar]:
    """Values that a figure does not have, some of which should matter."""
    if name == "fact.address_low":
        yield (int(value) + 3 * int(plain.profile.machine["address_high"])) // 4  # where mappings would lie
    if name == "fact.user_address_bits":
        yield int(value) - 2  # where something else ends them sooner, one bit less says nothing
    if isinstance(value, str):
        yield from (other for other in ("windows", "linux", "arm", "down", "up") if other != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, float):
        yield from (value / 2, 2 * value)
    else:
        for other in (2 * value, value // 2, value + 1, value - 1, value + 60000, 2, 1, value << 12):
            if other != value:
                yield other


def accepted(plain: Figures, name: str) -> Iterator[Figures]:
    """What-ifs of a name that a machine can be made of; the others are refused, with what is wrong."""
    value = plain.current(name)
    if value is None:
        return
    refusals = 0
    for other in others(plain, name, value):
        try:
            figures = compute(plain.base, {name: other}, plain.generation)
            machines.refuse_unread(figures)
            machines.basis(figures)  # where there is no machine with it alone, that is a refusal, too
        except UsageFault as refusal:
            assert refusal.faults[0].expected or refusal.faults[0].found
            refusals += refusal.faults[0].id == "set-unread"
            if refusals == 2:
                return  # which mostly has nothing to do with the value
        except (ArithmeticError, LookupError, ValueError):
            pass  # no machine can be made of it, which is an answer too
        else:
            yield figures


def silent(go: str, platform: str) -> list[str]:
    """The names that the machine takes without a word and without a difference in any world."""
    plain = figures_of(go, platform)
    usual: dict[int, object] = {}

    def moves(figures: Figures, at: int) -> bool:
        if at not in usual:
            usual[at] = answer(plain, WORLDS[at], plain)
        return answer(figures, WORLDS[at], plain) != usual[at]

    def shows(name: str) -> bool:
        """Whether it is refused, or some world shows it."""
        idea = name.rstrip("0123456789")
        known = SHOWN.setdefault(idea, [])
        first = known or [0]
        tried = []
        for figures in accepted(plain, name):
            for at in first:
                if moves(figures, at):
                    known[:] = [at, *(other for other in known if other != at)]
                    return True
            tried.append(figures)
        for at in range(len(WORLDS)):
            if at not in first and any(moves(figures, at) for figures in tried):
                known.insert(0, at)
                return True
        return not tried

    return [name for name in plain.names() if not shows(name)]


@pytest.mark.parametrize(
    ("go", "platform"),
    [
        ("7aefdfded", "linux/amd64"),
        ("7aefdfded", "windows/386"),
        ("7aefdfded", "nacl/386"),
        ("7aefdfded", "freebsd/amd64"),
        ("1.22", "windows/386"),
        ("1.23", "linux/386"),
        ("1.24", "plan9/386"),
        ("1.26", "aix/ppc64"),
        ("1.27", "linux/amd64"),
        ("1.27", "wasip1/wasm"),
    ],
)
def test_each_name_moves_the_machine_or_is_refused(go: str, platform: str) -> None:
    assert silent(go, platform) == []


def test_what_overflows_a_word_is_refused() -> None:
    with pytest.raises(UsageFault, match="overflows a uintptr of 4 bytes"):
        machines.prepare(figures_of("1.27", "linux/386", {"goarch.IsAmd64": 1}))
