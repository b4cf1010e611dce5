"""How much heap fits under a limit, as the machine itself finds it."""

from __future__ import annotations

import pytest

from allocator.common.throw import Death
from archcalc import generations
from archcalc.boot import boot
from archcalc.calculator.figures import compute
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms
from archcalc.questions.room import room

MB = 1 << 20


@pytest.mark.parametrize(
    ("go", "platform", "limit"),
    [
        ("7aefdfded", "linux/amd64", {"ulimit_v": 400 * MB}),
        ("7aefdfded", "linux/386", {"ulimit_v": 900 * MB}),
        ("7aefdfded", "linux/amd64", {"rlimit_data": 64 * MB}),
        ("1.27", "linux/amd64", {"ulimit_v": 1024 * MB}),
        ("1.27", "linux/386", {"ulimit_v": 300 * MB}),
    ],
)
def test_a_page_more_is_the_end(go: str, platform: str, limit: dict[str, int]) -> None:
    release = generations.named(go)
    found = room(compute(platforms.of(platform, release), {}, release), MachineOptions(**limit))
    assert 0 < found.fits < next(iter(limit.values()))
    boot(platform, go=go, **limit).malloc(found.fits, noscan=True)
    with pytest.raises(Death) as caught:
        boot(platform, go=go, **limit).malloc(found.fits + 8192, noscan=True)
    assert caught.value.words == found.death
    assert str(found.fits) in str(found) and found.death in str(found)
