"""The pages, dashboards and alerts that name metrics name ones that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.runtime.observability.metric_catalogue import CATALOGUE, Kind
from services.runtime.observability.metrics_page import page_with_table

ROOT = Path(__file__).parents[5]
PAGE = ROOT / "docs/metrics.md"
ALERTS = ROOT / "deploy/alerts/marquee-runtime.yaml"
DASHBOARD = ROOT / "deploy/dashboards/marquee-runtime.json"
_PARTS = ("_bucket", "_count", "_sum")
_NAME = re.compile(r"\b(?:marquee|process|python)_[a-z_]+\b")
_SELECTOR = re.compile(r"\b((?:marquee|process|python)_[a-z_]+)\{([^}]*)\}")
_OF_THE_SCRAPE = {"job", "instance"}


def names() -> dict[str, set[str]]:
    """Every series name with its labels."""
    known: dict[str, set[str]] = {}
    for family in CATALOGUE:
        labels = {*family.labels, *_OF_THE_SCRAPE}
        if family.kind is Kind.HISTOGRAM:
            known |= {family.name + part: labels | ({"le"} if part == "_bucket" else set()) for part in _PARTS}
        else:
            known[family.name] = labels
    return known


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> list[str]:
    page = re.findall(r"```promql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(page) >= 5
    drawn = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*page, *drawn, *(rule["expr"] for rule in rules())]


def test_the_table_is_made_from_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run python -m services.runtime.observability.metrics_page"


@pytest.mark.parametrize("expression", expressions())
def test_every_query_uses_metrics_and_labels_that_exist(expression: str) -> None:
    known = names()
    used = _NAME.findall(re.sub(r'"[^"]*"', '""', expression))
    assert used
    for name in used:
        assert name in known, name
    for name, selector in _SELECTOR.findall(expression):
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector):
            assert label in known[name], f"{name}: {label}"
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Marquee")
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]


def test_panels_have_descriptions_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["description"].endswith(".")
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_page_shows_how_to_use_what_exists() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (PAGE.parent / link).exists(), link
