"""Scavenging along a recording: clocks decide how far it goes, and other threads what it finds."""

from __future__ import annotations

from archcalc.traces.reader import address, decimal
from archcalc.traces.version2.records_ahead import ONLY_HERE, FoundEarly
from archcalc.traces.version2.sweep_steps import SweepSteps


class ScavengeSteps(SweepSteps):
    """Steps of the scavenger and of its index."""

    def scavenges(self) -> tuple[int, bool] | None:
        now = self.now
        if now.lines[now.at][:1] in ONLY_HERE and not self._early:
            return None
        line = self.next()
        if line[:11] != "( scavenge ":
            return None
        words = line.split(" ")
        return decimal(words[3]), words[4] == "1"

    def scavenging(self, nbytes: int, force: bool) -> None:
        self.expect(f"( scavenge {self._who()} {nbytes} {int(force)}")

    def found(self, chunk: tuple[int, int] | None, force: bool) -> tuple[tuple[int, int] | None, bool]:
        core = self.core
        shift = core.config.log_palloc_chunk_bytes
        line = self.next()
        told = chunk
        if line[:2] == "c ":
            words = line.split(" ")
            told = (
                None
                if words[1] == "-"
                else (core.config.offset(address(words[1])) >> shift, decimal(words[2]))
            )
        placed = self.now.peek()
        early = False
        if told != chunk and placed is not None and len(self.threads()) > 1 and self._is_chunk(told):
            # It is found without a lock. What others did meanwhile is partly written already, or
            # who has the heap's lock has done it and has not written it down yet.
            early = placed[0] <= self.now.line + 1
            chunk = told
            if early:
                self._early.append(FoundEarly(told, force, placed))
            else:
                self.unordered += 1
        self.expect("c -" if chunk is None else f"c {core.config.address(chunk[0] << shift):x} {chunk[1]}")
        return chunk, early

    def _is_chunk(self, told: tuple[int, int] | None) -> bool:
        index = self.core.pages.index
        return told is None or (told[0] in index.chunks and told[1] < index.chunk_pages)

    def goes_on(self) -> bool:
        return self.next()[:2] == "c "

    def scavenged(self, released: int) -> None:
        self.expect(f") scavenge {released}")

    def taken(self, npages: int, base: int) -> None:
        self.expect(f"V {npages} {base:x}")

    def released(self, npages: int, base: int) -> None:
        self.expect(f"v {npages} {base:x}")

    def nothing_in(self, chunk: int) -> None:
        self.expect(f"u {chunk:x}")
