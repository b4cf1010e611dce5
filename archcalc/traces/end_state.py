"""The machine that a recording ends with, row by row: all span records, and bitmaps of spans in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.contiguous.end_state import BITMAP_SPANS, span_lines
from archcalc.reading.words import counted
from archcalc.traces.reader import address, fault, shorten

if TYPE_CHECKING:
    from archcalc.traces.judgement import Judgement

BITMAP_LIMITS = (4096, 65536)  # how many bytes of a span's bitmap recordings keep


class EndState:
    """What comes after the Z record: Zs records, one a span in allspans' order, then Zb records.

    What is equal is skipped (`pass_spans`, `pass_bitmap`); the rest is compared in detail, and
    differences are reported to the replayer.
    """

    def __init__(self, replayer: Judgement) -> None:
        self.replayer = replayer
        self._span_lines: list[str] | None = None
        self._next_span = 0
        self._bitmaps: list[int] | None = None  # the spans whose bitmaps come, from the first of them on
        self._next_bitmap = 0

    def pass_spans(self, lines: list[str], at: int) -> int:
        """How far the lines, from there on, are Zs records as the machine has them."""
        if self._bitmaps is not None:
            return at
        found, s = self._spans(), self._next_span
        while at < len(lines) and s < len(found) and lines[at] == found[s]:
            at += 1
            s += 1
        self._next_span = s
        return at

    def pass_bitmap(self, line: str) -> bool:
        """Whether it is the next span's bitmap, and as the machine has it; then that is done."""
        if line[:3] != "Zb ":
            return False
        rt = self.replayer.rt
        spans, at = self._spans_with_bitmaps(), self._next_bitmap
        if at >= len(spans):
            return False
        start = f"Zb {rt.spans.base[spans[at]]:x} "
        size = (len(line) - len(start)) // 2
        if size not in self._sizes(spans[at]) or line != start + rt.bitmap(spans[at], size).hex():
            return False
        self._next_bitmap += 1
        return True

    def span(self, line: str, parts: list[str]) -> None:
        """A Zs record. TraceFault where it is out of place."""
        self._in_place(line)
        if self._bitmaps is not None:
            replayer = self.replayer
            expected = "a bitmap (Zb), since all spans come before"
            raise fault(replayer.name, replayer.line, shorten(line), expected)
        s = self._next_span
        self._next_span += 1
        found = self._spans()
        if s >= len(found):
            self.replayer.differs("Zs", line, "no such span")
        elif found[s] != line:
            self.replayer.differs("Zs", line, found[s], s)

    def bitmap(self, line: str, parts: list[str]) -> None:
        """A Zb record. TraceFault where it is out of place, ValueError where no span has such a bitmap."""
        self._in_place(line)
        _, base, text = parts
        rt, differs = self.replayer.rt, self.replayer.differs
        spans, number = self._spans_with_bitmaps(), self._next_bitmap
        self._next_bitmap += 1
        s = spans[number] if number < len(spans) else None
        if s is None or rt.spans.base[s] != address(base):
            turn = "no span's" if s is None else f"the one of the span at {rt.spans.base[s]:x}"
            differs("Zb", shorten(line), f"a bitmap here should be {turn}", s)
            return
        if len(text) not in [2 * size for size in self._sizes(s)]:
            raise ValueError(
                f"a bitmap of {counted(len(text), 'digit')}; the span has "
                f"{counted(self._whole(s), 'byte')} of it"
            )
        found = rt.bitmap(s, len(text) // 2).hex()
        if found != text:
            at = next(i for i in range(len(text)) if found[i : i + 1] != text[i : i + 1]) // 2
            where = f"Zb {base}, byte {at}: "
            differs("Zb", where + text[2 * at : 2 * at + 32], where + found[2 * at : 2 * at + 32], s)

    def finish(self) -> None:
        """Reports what the recording does not have."""
        rt, differs = self.replayer.rt, self.replayer.differs
        if self._next_span != len(rt.spans):
            differs("Zs", f"{counted(self._next_span, 'span')}", f"{counted(len(rt.spans), 'span')}")
        left = self._spans_with_bitmaps()[self._next_bitmap :]
        if left:
            differs("Zb", "the end", f"a bitmap of the span at {rt.spans.base[left[0]]:x}", left[0])

    def _in_place(self, line: str) -> None:
        replayer = self.replayer
        if not replayer.ended or replayer.died:
            raise fault(replayer.name, replayer.line, shorten(line), "the end state (Z) before this")

    def _spans(self) -> list[str]:
        """The Zs records that there should be."""
        if self._span_lines is None:
            self._span_lines = span_lines(self.replayer.rt)
        return self._span_lines

    def _spans_with_bitmaps(self) -> list[int]:
        if self._bitmaps is None:
            self._bitmaps = self.replayer.rt.in_use()[:BITMAP_SPANS]
        return self._bitmaps

    def _whole(self, s: int) -> int:
        """Bytes of the heap bitmap that are the span's."""
        rt = self.replayer.rt
        return (rt.spans.npages[s] << rt.config.page_shift) // rt.config.heap_bitmap_scale

    def _sizes(self, s: int) -> tuple[int, ...]:
        """How many bytes of a span's bitmap a recording can have."""
        whole = self._whole(s)
        return tuple([min(whole, limit) for limit in BITMAP_LIMITS])
