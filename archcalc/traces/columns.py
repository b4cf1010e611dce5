"""A group of rows of a columnar recording as arrays, and the lines that some of them say."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcalc.host.extras import needed
from archcalc.traces.columnar import WHAT, WRITTEN, WRITTEN_CODE, ColumnarFile, is_columnar, line_of
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import VERSIONS, Header, TraceFault, parse_header

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from archcalc.traces.replayer import Parted
    from archcalc.traces.text_columns import TextColumns, TextFile

    Array = np.ndarray[Any, np.dtype[Any]]

UNREADABLE = WRITTEN_CODE["?"]
STACK_FREE = WRITTEN_CODE["S"]  # of these the address comes first
STARTS = [f"{record} " for record in WRITTEN]
SAID = frozenset("mf")  # records of which replaying needs no line, where they are ordinary
NOTHING_SAID = ("", "", None)
FEW_GAPS = 4  # times the bytes wanted: what lies between them is decoded, too

# Text of fewer bytes is read line by line sooner than NumPy is imported, or than arrays pay.
LARGE_TEXT, LARGE_WHERE_NUMPY_IS = 1 << 18, 1 << 15

# An array of so many bytes is made and dropped, once. Until then glibc gives each array of more than 128 KB
# back to the system, whose fresh pages for the next one cost a tenth of a replay; afterwards it keeps them.
KEPT_MEMORY = 1 << 24


class Columns:
    """A batch's columns as arrays. `request` is a place in `words`, whose last stands for none."""

    def __init__(self, batch: pa.RecordBatch, np: Any) -> None:
        self.np = np
        self.batch = batch
        self.text = batch.column(3)

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @functools.cached_property
    def code(self) -> Array:
        """The record of each row, as a place in WRITTEN."""
        record = self.batch.column(0)
        codes = [WRITTEN_CODE.get(word, UNREADABLE) for word in record.dictionary.to_pylist()] or [0]
        found: Array = self.np.array(codes, self.np.uint8).take(record.indices.to_numpy())
        return found

    @functools.cached_property
    def words(self) -> list[str | None]:
        """The requests."""
        return [*self.batch.column(1).dictionary.to_pylist(), None]

    @functools.cached_property
    def request(self) -> Array:
        """The place of each row's request in `words`."""
        return _filled(self.np, self.batch.column(1).indices, len(self.words) - 1, self.np.intp)

    @functools.cached_property
    def address(self) -> Array:
        """The address of each row, 0 where there is none."""
        return _filled(self.np, self.batch.column(2), 0, self.np.uint64)

    def parted(self) -> tuple[list[str], list[Parted]]:
        """All lines, and what they say, for `Replayer.feed_parted`: m and f records are said only so."""
        records, requests, addresses, texts = self.batch.columns
        kinds, words = records.dictionary.to_pylist(), requests.dictionary.to_pylist()
        keys = {i: [f"{kind} {word}" for word in words] for i, kind in enumerate(kinds) if kind in SAID}
        lines: list[str] = []
        said: list[Parted] = []
        rows = [column.to_pylist() for column in (records.indices, requests.indices, addresses, texts)]
        for record, request, address, text in zip(*rows, strict=True):
            kind = kinds[record]
            if request is not None and record in keys:
                lines.append("")
                said.append((keys[record][request], "", address or 0))
                continue
            if request is None and text is not None and kind != "?":
                line = f"{kind} {text}"
            elif request is not None and kind != "S":
                line = f"{kind} {words[request]} {address or 0:x}"
            else:
                line = line_of(kind, None if request is None else words[request], address or 0, text)
            lines.append(line)
            said.append(NOTHING_SAID)
        return lines, said

    def lines(self, rows: Array) -> list[str]:
        """The lines of some rows, in order."""
        if not len(rows):
            return []
        words, np = self.words, self.np
        codes, requests = self.code.take(rows), self.request.take(rows)
        # Most lines that anybody asks for are a record and a text.
        found = [STARTS[code] + text for code, text in zip(codes.tolist(), self._texts(rows), strict=True)]
        none = len(words) - 1
        others = np.flatnonzero((requests != none) | (codes == UNREADABLE) | ~self._has_text(rows))
        asked = zip(
            others.tolist(),
            codes.take(others).tolist(),
            requests.take(others).tolist(),
            self.address.take(rows.take(others)).tolist(),
            strict=True,
        )
        for at, code, request, address in asked:
            if request == none or code == STACK_FREE:
                found[at] = line_of(WRITTEN[code], words[request], address, self.text[int(rows[at])].as_py())
            else:
                found[at] = f"{STARTS[code]}{words[request]} {address:x}"
        return found

    def line(self, row: int) -> str:
        """The line of one row."""
        return self.lines(self.np.array([row]))[0]

    def _texts(self, rows: Array) -> list[str]:
        """The texts of some rows, in order, nothing where there is none; the library took twice as long."""
        _, offsets, data = self.text.buffers()
        if data is None:
            return [""] * len(rows)
        offset = self.np.frombuffer(offsets, self.np.int32)[self.text.offset :]
        begin, end = offset.take(rows), offset.take(rows + 1)
        first, last = int(begin[0]), int(end[-1])
        raw = memoryview(data)
        if last - first <= FEW_GAPS * int((end - begin).sum()):
            text = str(raw[first:last], "utf-8")
            if len(text) == last - first:
                places = zip((begin - first).tolist(), (end - first).tolist(), strict=True)
                return [text[a:b] for a, b in places]
        return [str(raw[a:b], "utf-8") for a, b in zip(begin.tolist(), end.tolist(), strict=True)]

    def _has_text(self, rows: Array) -> Array:
        """Which of some rows have a text."""
        valid = self.text.buffers()[0]
        if valid is None:
            return rows >= 0
        bits = rows + self.text.offset
        byte = self.np.frombuffer(valid, self.np.uint8).take(bits >> 3)
        found: Array = (byte >> (bits & 7) & 1).astype(bool)
        return found


def _filled(np: Any, column: pa.Array, fill: int, to: Any) -> Array:
    """A column of numbers, with something where there is none; the library's way costs small files more."""
    valid, data = column.buffers()
    end = column.offset + len(column)
    found: Array = np.frombuffer(data, column.type.to_pandas_dtype(), end)[column.offset :].astype(to)
    if column.null_count:
        has = np.unpackbits(np.frombuffer(valid, np.uint8), count=end, bitorder="little")[column.offset :]
        found[np.flatnonzero(has == 0)] = fill
    return found


class InColumns:
    """A recording in groups of rows, of either form."""

    def __init__(self, path: Path, file: ColumnarFile | TextFile) -> None:
        self.path = path
        self.file = file

    def header(self) -> Header:
        """The header, or TraceFault."""
        return parse_header(str(self.path), self.file.header_line, VERSIONS)

    def batches(self) -> Iterator[Columns | TextColumns]:
        """The rows after the header, so many at a time. Raises GaveUp for a file that is damaged."""
        np = needed("numpy", WHAT)
        _keep_memory(np)
        try:
            if isinstance(self.file, ColumnarFile):
                for batch in self.file.batches():
                    yield Columns(batch, np)
            else:
                yield from self.file.batches()
        except TraceFault as damaged:
            raise GaveUp from damaged


@functools.cache
def _keep_memory(np: Any) -> None:
    """Leads the C library to keep the memory of arrays."""
    np.empty(KEPT_MEMORY, np.uint8)


def in_columns(path: Path) -> InColumns | None:
    """A recording's rows as arrays; None where that is not worthwhile, or impossible.

    Raises TraceFault for a columnar file that is not one, UsageFault where what it needs is not installed.
    """
    if is_columnar(path):
        return InColumns(path, ColumnarFile(path))
    try:
        # What is read from a pipe is gone; and after giving up it is needed again.
        large = path.is_file() and path.stat().st_size
    except OSError:
        return None
    if large < (LARGE_WHERE_NUMPY_IS if "numpy" in sys.modules else LARGE_TEXT) or find_spec("numpy") is None:
        return None
    from archcalc.traces.text_columns import TextFile

    with contextlib.suppress(TraceFault):
        return InColumns(path, TextFile(path))
    return None
