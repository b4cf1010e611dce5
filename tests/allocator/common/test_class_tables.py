"""What looks a size's class up at once says what the two tables of sizeToClass say."""

from __future__ import annotations

import pytest

from allocator.common.sizeclasses import compute
from allocator.sparse.heap_core import noscan_classes


@pytest.mark.parametrize("small_size_max", [512, 1024, 2048])
@pytest.mark.parametrize("sixteen_from", [16, 32])
def test_every_small_size_has_the_class_of_the_tables(small_size_max: int, sixteen_from: int) -> None:
    classes = compute(small_size_max=small_size_max, sixteen_from=sixteen_from)
    of_all = [classes.size_to_class(size) for size in range(classes.max_small_size + 1)]
    assert list(classes.by_size()) == of_all
    assert list(noscan_classes(classes)) == [sizeclass << 1 | 1 for sizeclass in of_all]
