"""The journal of a sweep: each row as soon as it is computed, so that a killed sweep can continue.

It lies beside the table, one JSON line for each row after a first line that names the sweep by its
key. An incomplete line is left from a kill, and is ignored.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from archcalc.reading.errors import Fault, UsageFault
from archcalc.sweeps.point import Row

try:
    import fcntl
except ImportError:  # not on Windows; there nothing keeps two sweeps from one journal
    fcntl = None  # type: ignore[assignment]


class Journal:
    """The rows that are there, by point. A context manager: the file stays open, and locked, inside."""

    def __init__(self, path: Path, key: str, points: int, fresh: bool = False) -> None:
        """`fresh` forgets what an earlier run left.

        Raises UsageFault for another sweep's journal, and where another process is writing it.
        """
        self.path = path
        self.rows: dict[int, Row] = {}
        try:
            self._file: IO[bytes] = path.open("a+b")
        except OSError as error:
            found = f"cannot be written: {error.strerror}"
            raise UsageFault(Fault(found, "another --output", file=str(path))) from None
        if fcntl is not None:
            try:
                # Not flock: workers would inherit it, and hold it a while after their parent was killed.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                raise self._fault("another process is running this sweep") from None
        if fresh:
            self._file.truncate(0)
        self._read(key, points)

    def _read(self, key: str, points: int) -> None:
        file = self._file
        file.seek(0)
        whole = 0
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break
            try:
                said = json.loads(line)
            except ValueError:
                said = None
            if number == 0:
                if not isinstance(said, dict) or said.get("sweep") != key:
                    file.close()
                    raise self._fault("the journal of another sweep, or of this one before it was changed")
            elif isinstance(said, dict) and type(said.get("point")) is int and 0 <= said["point"] < points:
                self.rows[said["point"]] = said
            else:
                break
            whole += len(line)
        file.truncate(whole)
        file.seek(whole)
        if not whole:
            self._write({"sweep": key})

    def add(self, row: Row) -> None:
        """Adds a row."""
        point = row["point"]
        assert isinstance(point, int)
        self.rows[point] = row
        self._write(row)

    def _write(self, said: dict[str, Any]) -> None:
        self._file.write(json.dumps(said).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes it for the next run."""
        self._file.close()

    def remove(self) -> None:
        """Removes it: it has served its purpose."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _fault(self, found: str) -> UsageFault:
        return UsageFault(Fault(found, "--fresh to start over, or another --output", file=str(self.path)))


def journal_of(table: Path) -> Path:
    """The path of a table's journal."""
    return table.with_name(table.name + ".journal")
