"""Chunks that stand as runs are what they would be in a dictionary, and so are spans in few pieces."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from allocator.sparse.chunk_table import ChunkTable
from allocator.sparse.mspan import MSpan
from allocator.sparse.span_records import SpanRecords
from allocator.sparse.span_table import SpanTable

Changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "change", "fold", "grow", "change all"]),
        st.integers(0, 12),
        st.integers(0, 2),
        st.integers(0, 6),
    )
)


@given(Changes)
def test_a_table_of_chunks_is_a_dictionary(changes: list[tuple[str, int, int, int]]) -> None:
    table: ChunkTable[list[int]] = ChunkTable(tuple, list.copy)
    plain: dict[int, list[int]] = {}
    for what, chunk, value, n in changes:
        several = range(chunk, chunk + n)
        if what == "set":
            table[chunk], plain[chunk] = [value], [value]
        elif what == "fold":
            table.fold(chunk, chunk + 1 + value)
        elif what == "grow" and n:
            table.grow(chunk, chunk + n, [value], lambda known: known.append(7) if len(known) < 3 else None)
            for i in several:
                if i not in plain:
                    plain[i] = [value]
                elif len(plain[i]) < 3:
                    plain[i].append(7)
        elif what == "change all" and all(i in plain for i in several):
            met: list[int] = []

            def act(known: list[int], several: int, met: list[int] = met, value: int = value) -> None:
                met.append(several)
                known[:] = [value]

            table.change(chunk, chunk + n, act)
            assert sum(met) == n
            plain.update((i, [value]) for i in several)
        elif chunk in plain:
            table[chunk][0], plain[chunk][0] = value, value
        assert dict(table.items()) == plain
        parts = [(i, known) for first, end, known in table.parts(chunk, 9) for i in range(first, end)]
        assert parts == [(i, plain[i]) for i in range(chunk, 9) if i in plain]
        assert len(table) == len(plain)
        assert [chunk in table for chunk in range(20)] == [chunk in plain for chunk in range(20)]
        assert [table.get(chunk) for chunk in range(20)] == [plain.get(chunk) for chunk in range(20)]
    assert list(table) == sorted(plain)


@given(
    st.lists(st.tuples(st.integers(0, 1500), st.one_of(st.integers(1, 5), st.integers(64, 1100)))),
    st.sampled_from([0, (1 << 17) - 1300]),  # within a block, and across the border of two
)
def test_a_page_belongs_to_the_span_entered_last(entries: list[tuple[int, int]], first: int) -> None:
    table = SpanTable(SpanRecords(160))
    plain: dict[int, Any] = {}
    for page, n in entries:
        s = MSpan(page)
        table.set_range(first + page, n, s)
        plain.update(dict.fromkeys(range(first + page, first + page + n), s))
    assert all(table.get(page) is plain.get(page) for page in range(first, first + 2700))
