from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.catalog.parts import in_parts


@given(st.lists(st.integers(0, 20)), st.integers(1, 5), st.integers(0, 30))
def test_parts_keep_the_order_and_the_limits(sizes: list[int], count: int, limit: int) -> None:
    parts = list(in_parts(sizes, count, lambda size: size, limit))
    assert [size for part in parts for size in part] == sizes
    for part in parts:
        assert 1 <= len(part) <= count
        assert len(part) == 1 or sum(part) <= limit


def test_an_entry_beyond_the_limit_goes_alone() -> None:
    assert list(in_parts([1, 9, 1, 1], 10, lambda size: size, 3)) == [[1], [9], [1, 1]]
