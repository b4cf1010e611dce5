"""Many platforms in few words: globs for those of a system or an architecture, runs of releases.

Names are as `calculator.inventory.labels` gives them: `goos/goarch`, a release, or both with a space between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

FROM = 3
"""Platforms that a glob stands for at least, and releases that a run does."""


def compact(names: Sequence[str], among: Sequence[str]) -> list[str]:
    """Some of the names shown, `among` all that are. `linux/386` alone is all its releases."""
    if any(" " in name for name in among):
        return list(_releases_of_platforms(names, among))
    return list(_globs(names, among) if any("/" in name for name in among) else _runs(names, among))


def _globs(names: Sequence[str], among: Sequence[str]) -> Iterator[str]:
    """Globs where all of a system or of an architecture are among them."""
    left, found = set(names), {}
    whole = {glob: members for glob, members in _members(tuple(among)).items() if members <= left}
    while whole:
        glob, members = max(whole.items(), key=lambda item: len(item[1] & left))
        if len(members & left) < FROM:
            break
        found[glob] = min(map(list(among).index, members & left))
        left -= members
    if left:
        places = {name: at for at, name in enumerate(among)}
        found |= {name: places[name] for name in left}
    yield from sorted(found, key=lambda name: found[name])


@cache
def _members(among: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """The platforms of each system and of each architecture, by its glob."""
    globs: dict[str, set[str]] = {}
    for name in among:
        goos, slash, goarch = name.partition("/")
        if slash:
            globs.setdefault(f"{goos}/*", set()).add(name)
            globs.setdefault(f"*/{goarch}", set()).add(name)
    return {glob: frozenset(members) for glob, members in globs.items()}


def _runs(names: Sequence[str], among: Sequence[str]) -> Iterator[str]:
    """Releases, those that follow each other as `first to last`."""
    run: list[str] = []
    for name in (*among, None):
        if name is not None and name in names:
            run.append(name)
            continue
        if len(run) < FROM:
            yield from run
        else:
            yield f"{run[0]} to {run[-1]}"
        run = []


def _releases_of_platforms(names: Sequence[str], among: Sequence[str]) -> Iterator[str]:
    """Platforms that share the same runs of releases together."""
    known, wanted = _by_platform(among), _by_platform(names)
    alike: dict[tuple[str, ...], list[str]] = {}
    for platform, releases in wanted.items():
        complete = len(releases) == len(known[platform])
        alike.setdefault(() if complete else tuple(_runs(releases, known[platform])), []).append(platform)
    for runs, platforms in alike.items():
        for platform in _globs(platforms, list(known)):
            yield from (f"{platform} {run}" for run in runs) if runs else (platform,)


def _by_platform(names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        platform, _, release = name.partition(" ")
        found.setdefault(platform, []).append(release)
    return found
