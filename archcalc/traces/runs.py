"""Replaying a recording in columns, of either form: runs of ordinary allocations are compared at once.

An allocation that fits into a cached span touches little: its place (a size class of an
mcache), the tiny block, and the heap bitmap of its object. So allocations of one place may wait,
whatever happens elsewhere, until something needs that place: its next span, a flush of the
mcache, the end. Then all that wait are compared together, as an arithmetic sequence of
addresses, and their bitmaps are laid down as rows of a matrix. Every other record is carried out
in the file's order by the replayer of the text form.

What is accepted here the text replay accepts too, with the same machine afterwards. Where anything
does not fit, this one gives up (`GaveUp`) and the rows are replayed again as lines, which finds
out what differs, and says so in the same words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from archcalc.host.extras import needed
from archcalc.traces.columnar import WHAT
from archcalc.traces.columns import Columns, InColumns
from archcalc.traces.judgement import WRONG
from archcalc.traces.keys import Keys
from archcalc.traces.outcome import Replay, carry_out_groups
from archcalc.traces.parts import BatchPart, F, M
from archcalc.traces.reader import Header
from archcalc.traces.replayer import Replayer

if TYPE_CHECKING:
    from allocator.contiguous.config import Config
    from archcalc.traces.text_columns import TextColumns

FEW_ROWS = 2500  # so many are as quickly done line by line
RARE = 8  # and rows of which fewer than one in so many is an allocation


class ColumnarReplayer(Replayer):
    """Carries out a columnar recording. Raises GaveUp where it is not reproduced, or cannot be read."""

    def __init__(self, file: InColumns, config_for: Callable[[Header], Config]) -> None:
        super().__init__(file.path, config_for)
        self.np = needed("numpy", WHAT)
        self.file = file
        self.keys = Keys(self, self.np)

    def run(self, progress: Callable[[int, int], None] | None = None) -> Replay:
        """Replays the file."""
        self.begin(self.file.file.header_line)
        started = time.perf_counter()
        done = carry_out_groups(self, self.file.batches(), progress, WRONG)
        self.keys.forget()  # rather than that the garbage collector looks through thousands of tuples
        result = self.sum_up(started)
        if done is not None:
            result.events = min(done, result.events)
        return result

    def group(self, part: Columns | TextColumns) -> None:
        """Some rows of the file."""
        np = self.np
        n = len(part)
        if n <= FEW_ROWS or self.ended:
            # Where there is little to gain, one by one.
            if isinstance(part, Columns):
                self.feed_parted(*part.parted())
            else:
                self.feed(part.lines(np.arange(n)))
            return
        start = 0
        news: Any = ()
        if "mcache" in part.words:
            # An mcache that comes into being is known from the next part on.
            news = np.flatnonzero((part.code == F) & (part.request == part.words.index("mcache"))) + 1
        if not self.rt.caches:
            # Line by line up to where there is an mcache.
            start = int(news[0]) if len(news) else n
            self.feed(part.lines(np.arange(start)))
        if len(news) and start < news[-1]:
            self._part(part, start, int(news[-1]))
            start = int(news[-1])
        if start < n:
            self._part(part, start, n)

    def _part(self, columns: Columns | TextColumns, start: int, end: int) -> None:
        """Some rows of a batch, in runs of what is ordinary where that pays."""
        allocations = self.np.count_nonzero(columns.code[start:end] == M)
        if end - start > FEW_ROWS and allocations * RARE > end - start and not self.ended:
            BatchPart(self, self.keys, columns, start, end).run()
        else:
            self.feed(columns.lines(self.np.arange(start, end)))
