"""What looks a size's class up at once says what the tables of sizeToClass say."""

from __future__ import annotations

import pytest

from allocator.common.sizeclasses import compute
from allocator.sparse.heap_core import noscan_classes


@pytest.mark.parametrize("small_size_max", [512, 1024, 2048])
def test_every_small_size_has_the_class_of_the_tables(small_size_max: int) -> None:
    classes = compute(small_size_max=small_size_max)
    table = noscan_classes(classes)
    sizes = range(1, classes.max_small_size + 1)
    assert [table[size] for size in sizes] == [classes.size_to_class(size) << 1 | 1 for size in sizes]
