"""The page of the metrics is made from the code, and its queries name metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.runtime.observability.metrics_page import page_with_table
from tests.support.promql import unknown_names

ROOT = Path(__file__).parents[5]
PAGE = ROOT / "docs/metrics.md"


def queries() -> list[str]:
    found = re.findall(r"```promql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) >= 5
    return found


def test_the_table_is_made_from_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run python -m services.runtime.observability.metrics_page"


@pytest.mark.parametrize("query", queries())
def test_every_query_uses_metrics_and_labels_that_exist(query: str) -> None:
    assert unknown_names(query) == []


def test_the_page_shows_how_to_use_what_exists() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (PAGE.parent / link).exists(), link
