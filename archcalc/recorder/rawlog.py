"""The log that the recorder in the runtime writes: chunks of threads, put in the order of their records."""

from __future__ import annotations

import heapq
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from archcalc.reading.errors import UsageFault

MAGIC = 0x41524332
HEAD = 16
DIED, EXITED = 100, 101  # what a record `!` is that ends a log: a death, an exit with the whole state
ENDS = (DIED, EXITED)

# number, thread, kind's letter, id of the P or -1, words
Raw = tuple[int, int, str, int, tuple[int, ...]]


class RawLog:
    """One log. `ptr_size` is in bytes, `order` is `<` or `>`, both of the machine that wrote it."""

    def __init__(self, path: Path, ptr_size: int, order: str) -> None:
        self.path = path
        self.ptr_size = ptr_size
        self.order = order
        self.chunks: dict[int, list[tuple[int, int]]] = {}
        self.cut = False
        self._find_chunks()

    @property
    def recorder_bytes(self) -> int:
        """What the recorder took of the address space: its table of threads, room aside, their buffers."""
        return (self.ptr_size << 16) + (64 << 10) + (256 << 10) * len(self.chunks)

    def _find_chunks(self) -> None:
        """Where each thread's records stand. What a kill cut short at the end is left out."""
        size = self.path.stat().st_size
        head = struct.Struct(self.order + "4I")
        with self.path.open("rb") as file:
            at = 0
            while at + HEAD <= size:
                file.seek(at)
                magic, thread, length, _ = head.unpack(file.read(HEAD))
                if magic != MAGIC or length < HEAD:
                    raise UsageFault(f"{self.path}: no raw log at byte {at}")
                end = min(at + length, size)
                self.chunks.setdefault(thread, []).append((at + HEAD, end))
                at += length

    def records(self) -> Iterator[Raw]:
        """All records, in the order in which they happened.

        Of a program that was killed, or that became another one, those before the first that is missing:
        what threads had not written out yet went with it. `cut` says then that the end is not there.
        """
        if not self.chunks:
            return
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            streams = [self._thread(data, thread, chunks) for thread, chunks in self.chunks.items()]
            merged = streams[0] if len(streams) == 1 else heapq.merge(*streams)
            last = 0
            for record in merged:
                if record[0] != last + 1:
                    self.cut = not self._ended(data)
                    if not self.cut:
                        # A number that was drawn when the end had begun has no record.
                        yield record
                        yield from merged
                    return
                last = record[0]
                yield record
            self.cut = not self._ended(data)

    def _ended(self, data: mmap.mmap) -> bool:
        """Whether the recorder itself wrote the log's end: that is in a thread's last chunk."""
        return any(
            kind == "!" and words[0] in ENDS
            for thread, chunks in self.chunks.items()
            for _, _, kind, _, words in self._thread(data, thread, chunks[-1:])
        )

    def _thread(self, data: mmap.mmap, thread: int, chunks: list[tuple[int, int]]) -> Iterator[Raw]:
        head = struct.Struct(self.order + "2I").unpack_from
        word = self.ptr_size
        code = "Q" if word == 8 else "I"
        unpack = [struct.Struct(f"{self.order}{n}{code}").unpack_from for n in range(256)]
        # Records begin on multiples of eight bytes.
        step = [8 + (n * word + 7 & ~7) for n in range(256)]
        letters = [chr(kind) for kind in range(256)]
        for at, end in chunks:
            while at + 8 <= end:
                number, what = head(data, at)
                count = what >> 8 & 255
                if at + step[count] > end:
                    return
                yield number, thread, letters[what & 255], (what >> 16) - 1, unpack[count](data, at + 8)
                at += step[count]
