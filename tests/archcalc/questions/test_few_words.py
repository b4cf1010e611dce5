"""Few words for many platforms stand for just those, whatever is left out."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.profiles import platforms
from archcalc.questions.few_words import compact

EVERY = platforms.names()
RELEASES = ["7aefdfded", "go1.19", "go1.21", "go1.22", "go1.23", "go1.24"]
BOTH = [f"{name} {release}" for name in EVERY[:12] for release in RELEASES]


def meant(word: str, among: list[str]) -> set[str]:
    """What a word stands for."""
    platform, space, run = word.partition(" ")
    first, to, last = (run if space else platform if "/" not in platform else "").partition(" to ")
    if " to " in word and "/" not in word:
        platform, (first, to, last) = "", word.partition(" to ")
    between = (
        RELEASES[RELEASES.index(first) : RELEASES.index(last if to else first) + 1] if first else RELEASES
    )
    found = set()
    for name in among:
        own, _, release = name.partition(" ") if "/" in name else ("", "", name)
        if ("/" not in platform or fnmatchcase(own, platform)) and (not release or release in between):
            found.add(name)
    return found


@given(st.lists(st.sampled_from(EVERY), min_size=1, unique=True), st.data())
def test_a_glob_stands_for_shown_platforms_of_the_group_alone(among: list[str], data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(among), min_size=1, unique=True))
    words = compact(some, among)
    assert {name for name in among if any(fnmatchcase(name, word) for word in words)} == set(some)
    assert all("*" not in word or sum(fnmatchcase(name, word) for name in some) >= 3 for word in words)


@pytest.mark.parametrize("every", [EVERY, RELEASES, BOTH], ids=["platforms", "releases", "both"])
@given(data=st.data())
def test_words_stand_for_the_names_and_no_others(every: list[str], data: st.DataObject) -> None:
    among = data.draw(
        st.lists(st.sampled_from(every), min_size=1, unique=True).map(
            lambda some: sorted(some, key=every.index)
        )
    )
    some = sorted(data.draw(st.sets(st.sampled_from(among), min_size=1)), key=among.index)
    words = compact(some, among)
    assert set().union(*(meant(word, among) for word in words)) == set(some)
    assert len(words) <= len(some)


def test_releases_that_follow_each_other_are_a_run() -> None:
    assert compact(RELEASES[1:4], RELEASES) == ["go1.19 to go1.22"]
    assert compact(RELEASES[1:3], RELEASES) == ["go1.19", "go1.21"]
    both = [f"linux/{arch} {release}" for arch in ("386", "amd64", "arm") for release in RELEASES]
    assert compact([name for name in both if "7ae" not in name], both) == ["linux/* go1.19 to go1.24"]
    assert compact([name for name in both if "386" in name], both) == ["linux/386"]
