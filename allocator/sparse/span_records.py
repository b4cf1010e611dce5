"""The records of spans, in the order in which they were made (allspans, mheap.go), and by address.

A record only becomes an object when it is asked for. Until then it is a number, and what is known of
it is in a row of many, or it is still unused.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from allocator.sparse.mspan import MSpan

Entry = MSpan | int
"""A span, or the number of its record."""


class Unmade(Protocol):
    """Records that were not asked for yet."""

    def make(self, number: int, address: int) -> MSpan:
        """The record of that number, which lies at that address."""
        ...


class SpanRecords:
    """allspans. Records lie side by side in runs, each of which has numbers in a row."""

    __slots__ = ("_addresses", "_by_address", "_last", "_made", "_numbers", "_origin", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._made: list[MSpan | Unmade | None] = []
        self._numbers: list[int] = []  # the first of each run, by number, and where it lies
        self._addresses: list[int] = []
        self._last = self._origin = 0  # the last run's first, and where its number 0 would be
        self._by_address: list[tuple[int, int]] = []  # each run's address and first number

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[MSpan]:
        return (self[number] for number in range(len(self._made)))

    def __getitem__(self, number: int) -> MSpan:
        s = self._made[number]
        if type(s) is not MSpan:
            address = self._origin + number * self._size if number >= self._last else self.address_of(number)
            s = self._made[number] = MSpan(address) if s is None else s.make(number, address)  # type: ignore[union-attr]
        return s

    def add(self, address: int, n: int) -> int:
        """Enters n records that are new, from the address on; the number of the first."""
        number = len(self._made)
        if not self._addresses or address != self._addresses[-1] + (number - self._numbers[-1]) * self._size:
            self._numbers.append(number)
            self._addresses.append(address)
            insort(self._by_address, (address, number))
            self._last, self._origin = number, address - number * self._size
        self._made += [None] * n
        return number

    def fill(self, number: int, n: int, row: Unmade) -> None:
        """The n records from that number on are in a row of many."""
        self._made[number : number + n] = [row] * n

    def rows_of(self, numbers: list[int]) -> list[MSpan | Unmade | None]:
        """The rows of many that records are in that are not made yet; of others what there is of them."""
        made = self._made
        return [made[number] for number in numbers]

    def of_one_row(self, entries: Iterable[Entry]) -> tuple[Unmade | None, list[int]]:
        """The records at the beginning that are in one row of many, and that."""
        made = self._made
        row: MSpan | Unmade | None = None
        found: list[int] = []
        for entry in entries:
            if type(entry) is not int:
                break
            if made[entry] is not row or row is None:
                if row is not None or type(made[entry]) is MSpan:
                    break
                row = made[entry]
            found.append(entry)
        return row, found  # type: ignore[return-value]

    def of(self, entry: Entry) -> MSpan:
        """The span that is meant."""
        return self[entry] if type(entry) is int else entry  # type: ignore[return-value]

    def entries(self, address: int, n: int) -> Sequence[Entry]:
        """The n records side by side from that address on."""
        number = self.number_of(address)
        made = self._made[number]
        return [made] if type(made) is MSpan else range(number, number + n)

    def address_of(self, number: int) -> int:
        """Where a record lies."""
        run = bisect_right(self._numbers, number) - 1
        return self._addresses[run] + (number - self._numbers[run]) * self._size

    def number_of(self, address: int) -> int:
        """The number of the record that lies at an address."""
        base, number = self._by_address[bisect_right(self._by_address, (address, len(self._made))) - 1]
        return number + (address - base) // self._size
