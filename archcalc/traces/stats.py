"""What is in a recording, without a machine: its figures, and its first records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archcalc.traces.columnar import opened
from archcalc.traces.columns import in_columns
from archcalc.traces.counting import Count, Share, SparseCount, Stats
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import Header


def stats(
    path: Path,
    config_for: Callable[[Header], Any],
    progress: Callable[[int, int], None] | None = None,
) -> Stats:
    """Reads a recording of either form. Raises TraceFault where it cannot be read."""
    file = in_columns(path)
    if file is not None and file.header().version < 3:
        from archcalc.traces.stats_in_columns import at_once

        with contextlib.suppress(GaveUp):
            return at_once(file, config_for, progress)
    return line_by_line(path, config_for, progress)


def line_by_line(
    path: Path,
    config_for: Callable[[Header], Any],
    progress: Callable[[int, int], None] | None = None,
) -> Stats:
    """The same, from lines."""
    header, groups = opened(path)
    count = _kind(header.version)(str(path), header, config_for)
    for group in groups:
        count.take(group)
        if progress is not None:
            progress(count.found.events, header.events)
    return count.result()


def _kind(version: int) -> type[Count]:
    """The counter for recordings of that version of the format."""
    if version == 3:
        from archcalc.traces.execution.counting import TracedCount

        return TracedCount
    return SparseCount if version == 2 else Count


def document(found: Stats) -> dict[str, Any]:
    """The figures under the keys that `trace stats` promises."""
    return {
        "path": found.path,
        "platform": found.header.platform,
        "events": found.events,
        "allocations": found.allocations,
        "frees": found.frees,
        "collections": found.collections,
        "bytes": found.bytes,
        "rounded_bytes": found.rounded,
        "freed_bytes": found.freed_bytes,
        "live_bytes": found.live_bytes,
        "zero_sized": found.zero_sized,
        "unplaced": found.unplaced,
        "by_type": [
            {
                "type": None if number == "-" else int(number),
                "name": found.type_names.get(number, ""),
                "allocations": share.allocations,
                "bytes": share.bytes,
            }
            for number, share in by_name(found)
        ],
        "by_class": [
            {
                "class": sizeclass,
                "size": found.class_sizes[sizeclass],
                "allocations": share.allocations,
                "bytes": share.bytes,
                "rounded_bytes": found.rounded_by_class[sizeclass],
            }
            for sizeclass, share in sorted(found.by_class.items())
        ],
        "lifetimes": [
            {"from": 1 << power, "to": 2 << power, "allocations": share.allocations, "bytes": share.bytes}
            for power, share in sorted(found.lifetimes.items())
        ],
        "live": [{"event": event, "bytes": size} for event, size in found.live],
        "records": dict(sorted(found.records.items())),
    }


def by_name(found: Stats) -> list[tuple[str, Share]]:
    """What each type takes, the most bytes first, under the number that names it first in the recording.

    Programs have a type several times (int as such, and once more for each way that the compiler came to it);
    for readers, those of one name are one.
    """
    numbers: dict[str, str] = {}
    shares: dict[str, Share] = {}
    for number in sorted(found.by_type, key=lambda number: (number == "-", number != "-" and int(number))):
        one = found.by_type[number]
        name = found.type_names.get(number, "")
        first = numbers.setdefault(name, number) if name else number
        whole = shares.setdefault(first, Share())
        whole.add(one.allocations, one.bytes)
    return sorted(shares.items(), key=lambda item: (-item[1].bytes, item[0]))


def head(path: Path, n: int, types: bool = False) -> tuple[Header, list[tuple[int, str]]]:
    """A recording's header and its first n records, with their line numbers. Opens it once.

    Types are declared before what is allocated of them; they are listed, too, if `types` says so.
    """
    header, groups = opened(path)
    first: list[tuple[int, str]] = []
    line = 2
    for group in groups:
        for text in group:
            if len(first) < n and (types or not text.startswith("T ")):
                first.append((line, text))
            line += 1
        if len(first) >= n:
            break
    return header, first
