"""Writing a recording of a simulated machine, in the format that the real runtime's recordings have.

The machine logs its inputs and its own events in the format's words while it
runs (`Runtime(record=True)`); a `Recorder` takes them off its hands now and
then, and adds the header, the types and the end state.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allocator.common.throw import Death
from allocator.contiguous.heap_bitmap import Type
from allocator.contiguous.mspan import IN_USE
from allocator.contiguous.runtime import Runtime
from archcalc.traces import columnar
from archcalc.traces.reader import FORMAT, VERSION

BITMAP_BYTES = 4096  # of one span
BITMAP_SPANS = 600


def type_line(number: int, typ: Type) -> str:
    """A T record."""
    return (
        f"T {number} {typ.size} {typ.ptrdata} {typ.kind} {typ.align} {typ.gcdata.hex() or '-'} "
        f"{json.dumps(typ.name)}"
    )


def span_lines(rt: Runtime) -> list[str]:
    """The Zs records, in allspans order; the caches must be synced."""
    spans = rt.spans
    columns = (
        spans.base, spans.npages, spans.state, spans.sizeclass, spans.nelems, spans.alloc_count,
        spans.free_index, spans.needzero, spans.npreleased, spans.sweepgen, spans.elemsize, spans.limit,
        spans.self_addr,
    )  # fmt: skip
    return [
        f"Zs {base:x} {npages} {state} {sizeclass} {nelems} {alloc_count} {free_index} {needzero} "
        f"{npreleased} {sweepgen} {elemsize} {limit:x} {self_addr:x}"
        for base, npages, state, sizeclass, nelems, alloc_count, free_index, needzero, npreleased, sweepgen,
            elemsize, limit, self_addr in zip(*columns, strict=True)
    ]  # fmt: skip


def end_state(rt: Runtime) -> dict[str, Any]:
    """The Z record's values."""
    heap, stats = rt.heap, rt.stats
    return {
        "arena_start": heap.arena_start,
        "arena_used": heap.arena_used,
        "arena_end": heap.arena_end,
        "bitmap": heap.bitmap,
        "bitmap_mapped": heap.bitmap_mapped,
        "heap_live": stats.heap_live,
        "heap_scan": stats.heap_scan,
        "gc_trigger": stats.gc_trigger,
        "next_gc": stats.next_gc,
        "pages_in_use": heap.pages_in_use,
        "sweepgen": heap.sweepgen,
    }


class Recorder:
    """Collects a machine's log. Lines wait compressed, since the types that stand before them come last."""

    def __init__(self, rt: Runtime) -> None:
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
        self.rt.emit(f"! {json.dumps(record)}")

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
        """All behind the header, some lines at a time."""
        yield [type_line(number, typ) for typ, number in self.rt.type_ids.items()]
        with gzip.GzipFile(fileobj=self._file, mode="rb") as body:
            while lines := [line.decode().removesuffix("\n") for line in body.readlines(1 << 20)]:
                yield lines
        yield list(self._end(died))

    def _end(self, died: bool) -> Iterator[str]:
        rt = self.rt
        rt.sync_caches()
        yield f"Z {json.dumps(end_state(rt))}"
        if died:
            return
        yield from span_lines(rt)
        in_use = [s for s in range(len(rt.spans)) if rt.spans.state[s] == IN_USE]
        for s in in_use[:BITMAP_SPANS]:
            yield f"Zb {rt.spans.base[s]:x} {rt.bitmap(s, BITMAP_BYTES).hex()}"
