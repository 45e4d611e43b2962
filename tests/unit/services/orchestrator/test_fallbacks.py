"""The page on fallbacks prints the table that the code follows."""

from __future__ import annotations

from pathlib import Path

from services.orchestrator.recommend.steps import FALLBACKS

PAGE = Path(__file__).parents[4] / "docs" / "fallbacks.md"


def test_page_shows_the_declared_fallbacks() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == [f"| `{step}` | {without} |" for step, without in FALLBACKS.items()]
