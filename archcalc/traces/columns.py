"""A group of rows of a columnar recording as arrays, and the lines that some of them say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archcalc.traces.columnar import CODE, RECORDS, line_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, np.dtype[Any]]

UNREADABLE = CODE["?"]
STARTS = [f"{record} " for record in RECORDS]


class Columns:
    """A batch's columns as arrays. `request` is a place in `words`, whose last stands for none."""

    def __init__(self, batch: pa.RecordBatch, np: Any) -> None:
        record, request, address, self.text = batch.columns
        codes = [CODE.get(word, CODE["?"]) for word in record.dictionary.to_pylist()] or [0]
        self.code = np.array(codes, np.uint8)[record.indices.to_numpy()]
        self.words: list[str | None] = [*request.dictionary.to_pylist(), None]
        self.request = request.indices.fill_null(len(self.words) - 1).to_numpy().astype(np.intp)
        self.address = address.fill_null(0).to_numpy()

    def lines(self, rows: Array) -> list[str]:
        """The lines of some rows."""
        words = self.words
        return [
            line_of(RECORDS[code], words[request], address, text)
            if text is None or code == UNREADABLE
            else STARTS[code] + text
            for code, request, address, text in zip(
                self.code[rows].tolist(),
                self.request[rows].tolist(),
                self.address[rows].tolist(),
                self.text.take(rows).to_pylist(),
                strict=True,
            )
        ]

    def line(self, row: int) -> str:
        """The line of one row."""
        address = int(self.address[row])
        return line_of(
            RECORDS[self.code[row]], self.words[self.request[row]], address, self.text[row].as_py()
        )
