"""Which parts of a map are too small to see, and what an enlargement of them shows.

A level is a window of addresses drawn to scale. Regions that are narrower than one cell of it are
gathered with their neighbours, and each group of two or more gets a level of its own, which in
turn may have groups. A lone small region only needs a tick: enlarged, it would be one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archcalc.pictures.atlas import Atlas, AtlasRegion

DEEPEST = 4
MOST_GROUPS = 3  # enlargements of one level; the ones with the most in them


@dataclass(slots=True)
class Level:
    """A window [low, high); `number` counts enlargements from 1, 0 is the whole. `depth` likewise.

    `groups` are the levels that enlarge a part of this one, in address order.
    """

    low: int
    high: int
    number: int
    depth: int
    inside: tuple[int, int]
    regions: list[AtlasRegion]
    groups: list[Level] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.high - self.low

    def cell(self, address: int, cells: int) -> int:
        """The cell of an address where the window has so many."""
        return min(max((address - self.low) * cells // self.size, 0), cells - 1)


def levels(atlas: Atlas, cells: int) -> list[Level]:
    """The whole and its enlargements, each after the one that it enlarges."""
    whole = Level(0, atlas.high, 0, 0, (0, atlas.high), _clip(atlas.regions, 0, atlas.high))
    found = [whole]
    _enlarge(whole, atlas.regions, cells, found)
    return found


def _clip(regions: Sequence[AtlasRegion], low: int, high: int) -> list[AtlasRegion]:
    return [
        AtlasRegion(max(r.start, low), min(r.end, high), r.kind, r.what)
        for r in regions
        if r.start < high and r.end > low
    ]


def _enlarge(level: Level, regions: Sequence[AtlasRegion], cells: int, found: list[Level]) -> None:
    if level.depth == DEEPEST:
        return
    groups = sorted(_groups(level, cells), key=len, reverse=True)[:MOST_GROUPS]
    for group in sorted(groups, key=lambda group: group[0].start):
        low, high = group[0].start, group[-1].end
        margin = max((high - low) // 16, 1)
        low, high = max(low - margin, level.low), min(high + margin, level.high)
        inner = Level(
            low, high, len(found), level.depth + 1, (group[0].start, group[-1].end), _clip(regions, low, high)
        )
        level.groups.append(inner)
        found.append(inner)
        _enlarge(inner, regions, cells, found)


def _groups(level: Level, cells: int) -> list[list[AtlasRegion]]:
    """Runs of neighbours that are too narrow, or too near to each other, to be distinguished."""
    cell = level.size / cells
    small = [r for r in level.regions if r.kind != "free" and r.size < cell * 2]
    runs: list[list[AtlasRegion]] = []
    for region in small:
        if runs and region.start - runs[-1][-1].end < cell * 2:
            runs[-1].append(region)
        else:
            runs.append([region])
    hidden = [run for run in runs if len(run) > 1 and any(r.size < cell for r in run)]
    # What fills its window already is not enlarged again, or there would be no end.
    return [run for run in hidden if (run[-1].end - run[0].start) * 4 < level.size]
