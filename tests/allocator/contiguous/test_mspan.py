"""Span records, the lists that they are on, and the table from pages to spans."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.common.throw import Throw
from allocator.contiguous.mspan import DEAD, NIL, PageTable, SpanList, Spans

COUNT = 6


def some_spans() -> Spans:
    spans = Spans([])
    for i in range(COUNT):
        spans.record(0x7F0000000000 + i * 152)
    return spans


@given(st.lists(st.tuples(st.sampled_from(["insert", "insert_back", "remove"]), st.integers(0, COUNT - 1))))
def test_a_list_is_a_list(steps: list[tuple[str, int]]) -> None:
    spans = some_spans()
    lst = SpanList(spans, "free[1]")
    model: list[int] = []
    for step, s in steps:
        if step == "remove":
            if s not in model:
                with pytest.raises(Throw, match="MSpanList_Remove"):
                    lst.remove(s)
                continue
            model.remove(s)
        elif s in model:
            words = "MSpanList_Insert$" if step == "insert" else "MSpanList_InsertBack"
            with pytest.raises(Throw, match=words):
                getattr(lst, step)(s)
            continue
        elif step == "insert":
            model.insert(0, s)
        else:
            model.append(s)
        getattr(lst, step)(s)
    assert list(lst) == model
    assert (lst.first, lst.last) == ((model[0], model[-1]) if model else (NIL, NIL))
    assert [spans.on_list[s] is lst for s in range(COUNT)] == [s in model for s in range(COUNT)]


def test_a_span_of_another_list_is_not_removed() -> None:
    spans = some_spans()
    one, other = SpanList(spans, "free[1]"), SpanList(spans, "free[2]")
    one.insert(3)
    with pytest.raises(Throw, match="MSpanList_Remove"):
        other.remove(3)
    assert spans.printed == ["runtime: failed MSpanList_Remove 0x7f00000001c8 0x0 0x0"]


def test_init_leaves_what_go_leaves() -> None:
    """(*mspan).init does not touch nelems, limit and sweepgen of the record's last life."""
    spans = some_spans()
    spans.nelems[2], spans.limit[2], spans.sweepgen[2] = 512, 0xC420002000, 4
    spans.needzero[2] = spans.free_index[2] = spans.alloc_count[2] = spans.npreleased[2] = 1
    spans.init(2, 0xC420008000, 3)
    assert spans.describe(2) == {
        "base": 0xC420008000, "npages": 3, "state": "_MSpanDead", "sizeclass": 0, "elemsize": 0,
        "nelems": 512, "alloc_count": 0, "free_index": 0, "needzero": 0, "npreleased": 0, "sweepgen": 4,
        "limit": 0xC420002000, "self": 0x7F0000000000 + 2 * 152,
    }  # fmt: skip
    assert spans.state[2] == DEAD


@given(nelems=st.integers(1, 1024), bits=st.integers(0, 2**1024 - 1), index=st.integers(0, 1024))
def test_the_first_free_object(nelems: int, bits: int, index: int) -> None:
    spans = some_spans()
    spans.nelems[0] = nelems
    spans.alloc_bits[0] = bits & ((1 << nelems) - 1)
    spans.free_index[0] = index
    if index > nelems:
        with pytest.raises(Throw, match=r"s.freeindex > s.nelems"):
            spans.first_free(0)
        return
    free = [i for i in range(index, nelems) if not bits >> i & 1]
    assert spans.first_free(0) == (free[0] if free else nelems)


PAGES = 700
RANGES = st.lists(
    st.tuples(st.sampled_from(["set", "set_range", "fill"]), st.integers(0, PAGES - 1), st.integers(1, 400)),
    max_size=30,
)


@given(RANGES)
def test_the_page_table_remembers_the_latest(steps: list[tuple[str, int, int]]) -> None:
    """Stale entries included: a page keeps what was last entered for it, nothing else is touched."""
    table = PageTable()
    model = [NIL] * PAGES
    for s, (step, page, n) in enumerate(steps):
        n = 1 if step == "set" else min(n, PAGES - page)
        if step == "set":
            table.set(page, s)
        elif step == "set_range":
            table.set_range(page, n, s)
        else:
            table.fill(page, array("q", [s]) * n)
        model[page : page + n] = [s] * n
    assert [table.get(page) for page in range(PAGES)] == model
    for s in range(len(steps)):
        assert table.has(0, PAGES, s) == (s in model)
        assert table.has(100, 150, s) == (s in model[100:250])


def test_a_terabyte_of_large_spans_takes_a_word_a_megabyte() -> None:
    table = PageTable()
    for s in range(8):
        table.set_range(s << 17, 1 << 17, s)
    assert len(table.chunks) == 8 << 10
    assert all(type(chunk) is int for chunk in table.chunks.values())
