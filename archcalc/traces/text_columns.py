"""The lines of a text recording as columns, without a Python object a line.

A line of `m` or `f` is a record, fields that many lines share (the request), and an address. All of a
piece's are taken apart at once: eight bytes of each line are one number, so a line's fields before the
address are three numbers, which are looked up among those known, and an address is two, whose
hexadecimal digits are put together pairwise. What a row says is what `columnar.Rows` finds in the
line; a line that is not written as most are is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np

from archcalc.traces.columnar import OTHER, RECORDS, WRITTEN_CODE
from archcalc.traces.outcome import GaveUp
from archcalc.traces.reader import blocks, check_text, fault

Array = np.ndarray[Any, np.dtype[Any]]

SPACE, NEWLINE = b" \n"
BEFORE = 16  # bytes in front of the text, so that an address has as many before its end
BEHIND = 32  # bytes after the text, so that each line has as many from its start
LONGEST = 23  # bytes of a request that is looked up as numbers; there is room for its length after them
ADDRESS_DIGITS = 16
SLOTS = 16  # bits of a place in the table of what is known
MAX_WORDS = 1 << 18
# What is not a recording, or is an odd one, is left to line by line: lines with so few bytes on
# average, and so many records in a part whose letters have to be looked at.
SHORTEST = 4
ODD = 1 << 10
PART = 1 << 19  # bytes that are split at once: the result fits into a processor's cache
PARTS = 4  # that make a group of rows
# Multipliers that spread the bits of a line's numbers; any odd ones do.
SPREAD = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
WITH_REQUEST = tuple(RECORDS.index(letter) for letter in "mf")


class Words:
    """The requests that a recording's lines have had so far, each with the number that rows have for it."""

    def __init__(self) -> None:
        self.masks = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # the first n bytes of eight
        self.clear()

    def clear(self) -> None:
        """Forgets them all."""

        self.texts: list[str | None] = []
        self.numbers: dict[bytes, int] = {}
        # The number of the request that lies in a slot, and the three parts of each by its number.
        self.slots = np.zeros(1 << SLOTS, np.int32)
        self.filled = np.zeros(1 << SLOTS, bool)
        self.parts = np.zeros((3, 64), np.uint64)

    def mixed(self, parts: list[Array]) -> Array:
        """A number for the parts of each request, whose upper bits are the slot where it may lie."""
        u = np.uint64
        return parts[0] * u(SPREAD[0]) + parts[1] * u(SPREAD[1]) + parts[2] * u(SPREAD[2])

    def slots_of(self, mixed: Array) -> Array:
        """Where requests may lie."""
        return (mixed >> np.uint64(64 - SLOTS)).view(np.int64)

    def known(self, parts: list[Array], mixed: Array) -> Array:
        """The numbers of requests, -1 for those that are not known by their parts."""

        number = self.slots.take(self.slots_of(mixed))
        same = self.parts[0].take(number) == parts[0]
        same &= self.parts[1].take(number) == parts[1]
        same &= self.parts[2].take(number) == parts[2]
        return np.where(same, number, -1)

    def numbers_of(self, texts: list[bytes]) -> list[int]:
        """The numbers of requests, some of which may be met for the first time."""
        numbers = self.numbers
        new = [text for text in dict.fromkeys(texts) if text not in numbers]
        numbers.update(zip(new, range(len(self.texts), len(self.texts) + len(new)), strict=True))
        self.texts += [text.decode() for text in new]
        if len(numbers) > self.parts.shape[1]:
            more = np.zeros((3, len(numbers)), np.uint64)
            self.parts = np.concatenate((self.parts, more), 1)
        return [numbers[text] for text in texts]

    def enter(self, numbers: list[int], parts: list[Array], slots: Array) -> None:
        """Has requests looked up by their parts from now on, unless others lie in their slots; all differ."""
        free = np.flatnonzero(~self.filled.take(slots))
        slots, number = slots.take(free), np.array(numbers, np.intp).take(free)
        for column, part in zip(self.parts, parts, strict=True):
            column[number] = part.take(free)
        self.slots[slots] = number
        self.filled[slots] = True


class _Part:
    """Lines taken apart: record, request (-1 for none) and address of each, and where it lies in the text."""

    code: Array
    request: Array
    address: Array

    def __init__(self, text: bytes, words: Words) -> None:
        """`text` are lines, the last with its end."""
        self.masks = words.masks
        self.text = text
        padded = b"%s%s%s" % (b" " * (BEFORE - 1) + b"\n", text, b" " * BEHIND)
        self.bytes = raw = np.frombuffer(padded, np.uint8)
        # The eight bytes from each place on, as one number with the first byte lowest.
        self.eights = np.ndarray((len(raw) - 7,), "<u8", padded, 0, (1,))
        separators = np.flatnonzero(raw[: len(raw) - BEHIND] <= SPACE)
        separators = separators[BEFORE - 1 :]
        at = np.flatnonzero(raw.take(separators) == NEWLINE)
        newlines = separators.take(at)
        if len(newlines) > ODD + len(text) // SHORTEST:
            raise GaveUp
        self.starts = newlines[:-1] + 1
        self.ends = newlines[1:]
        self.last = separators.take(at[1:] - 1)  # the last separator of each line: a space, if it has one
        self._codes()
        self._requests(words)

    def _codes(self) -> None:
        """What record each line is."""
        text = self.text
        table = np.full(256, OTHER, np.uint8)
        for letters, code in WRITTEN_CODE.items():
            if len(letters) == 1 and letters != "?":
                table[ord(letters)] = code
        self.code = table.take(self.bytes.take(self.starts))
        second = self.bytes.take(self.starts + 1)
        third = self.bytes.take(self.starts + 2)
        long = self.ends - self.starts
        ended = (self.code == WRITTEN_CODE["Z"]) & (third <= SPACE) & (long > 1)
        of_the_end = np.zeros(256, np.uint8)
        for letters, code in WRITTEN_CODE.items():
            if len(letters) == 2:
                of_the_end[ord(letters[1])] = code
        ended &= of_the_end.take(second) > 0
        self.code[ended] = of_the_end.take(second[ended])
        # All others that are not a single letter with a space after it, or with nothing.
        odd = np.flatnonzero(~((long == 1) | (second == SPACE)) & ~(ended & ((long == 2) | (third == SPACE))))
        if len(odd) > ODD:
            raise GaveUp
        for row in odd.tolist():
            start, end = int(self.starts[row]) - BEFORE, int(self.ends[row]) - BEFORE
            letters = text[start:end].partition(b" ")[0].decode()
            self.code[row] = OTHER if letters == "?" else WRITTEN_CODE.get(letters, OTHER)

    def _requests(self, words: Words) -> None:
        """The requests and addresses of m and f records."""

        self.request = np.full(len(self.code), -1, np.intp)
        self.address = np.zeros(len(self.code), np.uint64)
        rows = np.flatnonzero((self.code == WITH_REQUEST[0]) | (self.code == WITH_REQUEST[1]))
        last, ends = self.last.take(rows), self.ends.take(rows)
        starts = self.starts.take(rows) + 2
        length = last - starts
        address, usual = self._addresses(ends, ends - last - 1)
        usual &= self.bytes.take(last) == SPACE
        usual &= length >= 0
        number = self._numbers(words, starts, length, usual)
        address[~usual] = 0
        self.request[rows] = number
        self.address[rows] = address

    def _numbers(self, words: Words, starts: Array, length: Array, usual: Array) -> Array:
        """The numbers of the requests that begin there, -1 where a line is not as usual."""

        parts = [self._part(starts, length, at) for at in (0, 8, 16)]
        # With its length no request is all zeros, nor one with zeros after it like one without.
        parts[2] |= (length + 1).astype(np.uint64) << np.uint64(56)
        mixed = words.mixed(parts)
        number = words.known(parts, mixed)
        number[(length > LONGEST) | ~usual] = -1
        new = np.flatnonzero((number < 0) & usual & (length <= LONGEST))
        if len(new):
            # Of those that share a slot the first is entered.
            slots = words.slots_of(mixed.take(new))
            row = np.arange(len(new))
            latest = np.empty(1 << SLOTS, np.intp)
            latest[slots[::-1]] = row[::-1]
            first = np.flatnonzero(latest.take(slots) == row)
            rows = new.take(first)
            found = self._texts_at(starts.take(rows), length.take(rows))
            parts_of = [part.take(rows) for part in parts]
            words.enter(words.numbers_of(found), parts_of, slots.take(first))
            number[new] = words.known([part.take(new) for part in parts], mixed.take(new))
        left = np.flatnonzero((number < 0) & usual)
        if len(left):
            found = self._texts_at(starts.take(left), length.take(left))
            number[left] = words.numbers_of(found)
        return number

    def _texts_at(self, starts: Array, length: Array) -> list[bytes]:
        """What stands at some places."""
        text = self.text
        starts = starts - BEFORE
        places = zip(starts.tolist(), (starts + length).tolist(), strict=True)
        return [text[start:end] for start, end in places]

    def _part(self, starts: Array, length: Array, at: int) -> Array:
        """Eight bytes of each line, from `at` on, those after `length` as zeros."""
        if not len(length) or int(length.max()) <= at:
            return np.zeros(len(length), np.uint64)
        eight: Array = self.eights[starts + at] & self.masks.take(length - at, mode="clip")
        return eight

    def _addresses(self, ends: Array, digits: Array) -> tuple[Array, Array]:
        """The hexadecimal numbers of so many digits that end there, and which are written as usual."""

        low, good = self._eight_digits(self.eights[ends - 8], digits)
        high, high_good = self._high_digits(ends, digits)
        good &= high_good
        good &= (digits > 0) & (digits <= ADDRESS_DIGITS)
        # No zeros in front, except for zero itself.
        first = self.bytes.take(np.maximum(ends - digits, 0))
        good &= (first != ord("0")) | (digits == 1)
        return high << np.uint64(32) | low, good

    def _high_digits(self, ends: Array, digits: Array) -> tuple[Array, Array]:
        """The same of what comes before the last eight digits; most lines have the same there, or none."""

        text = self.eights[ends - 16] & ~self.masks.take(16 - digits, mode="clip")
        many = text[:1]
        others = np.flatnonzero(text != many)
        value, good = self._eight_digits(many, digits[:1] - 8)
        high, high_good = np.repeat(value, len(ends)), np.repeat(good, len(ends))
        high[others], high_good[others] = self._eight_digits(text.take(others), digits.take(others) - 8)
        return high, high_good

    def _eight_digits(self, text: Array, digits: Array) -> tuple[Array, Array]:
        """The numbers that the last so many of eight characters say, and which of them are such numbers."""

        u = np.uint64
        zeros = u(0x3030303030303030)
        # What is in front of the digits is taken for zeros.
        keep = ~self.masks.take(8 - digits, mode="clip")  # none of them for digits of 0 and fewer
        text = text & keep | zeros & ~keep
        letter = text >> u(6) & u(0x0101010101010101)
        nibble = (text & u(0x0F0F0F0F0F0F0F0F)) + letter * u(9)
        # A letter's bit may come from other characters; the digits written again tell.
        above = nibble + u(0x0606060606060606) >> u(4) & u(0x0101010101010101)
        good = (nibble + zeros + above * u(39)) == text
        good &= (nibble & u(0xF0F0F0F0F0F0F0F0)) == 0
        value = (nibble << u(4) | nibble >> u(8)) & u(0x00FF00FF00FF00FF)
        value = (value << u(8) | value >> u(16)) & u(0x0000FFFF0000FFFF)
        return (value << u(16) | value >> u(32)) & u(0xFFFFFFFF), good


class TextColumns:
    """Some lines of a text recording as arrays, row by row what `columns.Columns` has of the same lines.

    `request` is a place in `words`, whose last stands for none. Only records m and f have one here, and an
    address: of all others only the lines are needed.
    """

    def __init__(self, texts: list[bytes], words: Words) -> None:
        """`texts` are lines, each with its end."""
        parts = [_Part(text, words) for text in texts]
        self.text = b"".join(texts)
        self.code = np.concatenate([part.code for part in parts])
        self.address = np.concatenate([part.address for part in parts])
        self.request = np.concatenate([part.request for part in parts])
        self.request[self.request < 0] = len(words.texts)
        self.words: list[str | None] = [*words.texts, None]
        begin = list(accumulate(map(len, texts), initial=-BEFORE))
        self.starts = np.concatenate([part.starts + at for part, at in zip(parts, begin, strict=False)])
        self.ends = np.concatenate([part.ends + at for part, at in zip(parts, begin, strict=False)])

    def __len__(self) -> int:
        return len(self.code)

    def lines(self, rows: Array) -> list[str]:
        """The lines of some rows, in order. Those that follow each other are one piece of the text."""
        if not len(rows):
            return []
        text = self.text
        last = np.flatnonzero(np.diff(rows, append=-1) != 1)
        first = np.append(0, last[:-1] + 1)
        places = zip(self.starts[rows[first]].tolist(), self.ends[rows[last]].tolist(), strict=True)
        return b"\n".join([text[start:end] for start, end in places]).decode().split("\n")

    def line(self, row: int) -> str:
        """The line of one row."""
        return self.text[self.starts[row] : self.ends[row]].decode()


class TextFile:
    """A text recording, opened: its header line, and the others in columns. TraceFault if it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blocks = self._checked(blocks(path))
        first = next(self._blocks, None)
        if first is None:
            raise fault(str(path), 1, "an empty file", "a recording")
        header, _, self._rest = first.partition(b"\n")
        self.header_line = header.decode()

    def _checked(self, found: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
        for first, data in found:
            check_text(str(self.path), first, data)
            yield data + b"\n"

    def batches(self) -> Iterator[TextColumns]:
        """The lines after the header, some megabytes at a time. Once."""
        words = Words()
        parts: list[bytes] = []
        gathered: list[bytes] = []
        size = 0
        for data in chain((self._rest,), self._blocks):
            gathered.append(data)
            size += len(data)
            if size >= PART:
                parts.append(b"".join(gathered))
                gathered.clear()
                size = 0
                if len(parts) == PARTS:
                    yield TextColumns(parts, words)
                    parts.clear()
                    if len(words.texts) > MAX_WORDS:
                        words.clear()
        if size:
            parts.append(b"".join(gathered))
        if parts:
            yield TextColumns(parts, words)
