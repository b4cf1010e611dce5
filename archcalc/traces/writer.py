"""Writing a recording of a simulated machine, in the format that the real runtime's recordings have.

The machine logs its inputs and its own events in the format's words while it
runs (`Runtime(record=True)`); a `Recorder` collects them now and then, and adds the
header, the types and the end state.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allocator.common.throw import Death
from allocator.common.types import Type
from allocator.contiguous.vocabulary import malloc_flags
from allocator.interface import Allocator
from archcalc.traces import columnar
from archcalc.traces.reader import FORMAT, VERSION


def type_line(number: int, typ: Type) -> str:
    """A T record."""
    return (
        f"T {number} {typ.size} {typ.ptrdata} {typ.kind} {typ.align} {typ.gcdata.hex() or '-'} "
        f"{json.dumps(typ.name)}"
    )


class Recorder:
    """Collects a machine's log. Lines wait compressed, since the types that come before them come last."""

    def __init__(self, rt: Allocator) -> None:
        self.rt = rt
        self.events = 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the recorder
        self._body = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1, mtime=0)

    def flush(self) -> None:
        """Takes what the machine has logged."""
        log = self.rt.log
        if log:
            self.events += len(log)
            self._body.write(("\n".join(log) + "\n").encode())
            log.clear()

    def death(self, death: Death, during: str) -> None:
        """The runtime died in an allocation, `during` being its record without the answer, or in boot."""
        words = self.rt.last_words(death)
        record = {"during": during, "throw": words["throw"], "printed": words["printed"]}
        assert self.rt.log is not None
        self.rt.log.append(f"! {json.dumps(record)}")

    def request(self, size: int, typ: Type | None, p: int) -> str:
        """An allocation as a recording names the one that the runtime died in."""
        ids = self.rt.type_ids
        number = "-" if typ is None else str(ids.setdefault(typ, len(ids) + 1))
        return f"m {size} {number} {malloc_flags(typ is None or typ.noscan, True)} {p}"

    def save(self, path: Path, died: bool, force: bool = True, **about: Any) -> None:
        """Writes the recording in the form that its name asks for, whole or not at all.

        `about` goes into the header. Raises UsageFault.
        """
        self.flush()
        self._body.close()
        self._file.seek(0)
        config = self.rt.config
        header = {
            "format": FORMAT,
            "version": VERSION,
            "platform": config.platform,
            "data_end": config.data_end,
            "phys_page_size": config.phys_page_size,
            **about,
            "events": self.events,
        }
        columnar.write_as_named(path, json.dumps(header), self._lines(died), force)

    def _lines(self, died: bool) -> Iterator[list[str]]:
        """All after the header, some lines at a time."""
        yield [type_line(number, typ) for typ, number in self.rt.type_ids.items()]
        with gzip.GzipFile(fileobj=self._file, mode="rb") as body:
            while lines := [line.decode().removesuffix("\n") for line in body.readlines(1 << 20)]:
                yield lines
        yield list(self.rt.end_state(whole=not died))
