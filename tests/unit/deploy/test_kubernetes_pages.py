"""What the pages about Kubernetes tell people to set exists in the chart, and their links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/marquee"
PAGES = [ROOT / "docs/kubernetes.md", ROOT / "docs/runbooks.md"]
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def in_schema(path: str) -> bool:
    """Whether the schema of the values has a path of names with dots between."""
    here = SCHEMA
    for name in path.split("."):
        here = resolved(here)
        if name in here.get("properties", {}):
            here = here["properties"][name]
        else:  # a free map, such as labels, takes everything
            return "properties" not in here and here.get("additionalProperties", True) is not False
    return True


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to."""
    while "$ref" in schema:
        found: Any = SCHEMA
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def paths(values: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        path = f"{prefix}{name}"
        found += paths(value, f"{path}.") if isinstance(value, dict) and value else [path]
    return found


def values_of(text: str) -> list[str]:
    """Every value that a page names: in --set, in YAML, in running text."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    chart = [path for block in blocks if set(block) <= set(VALUES) for path in paths(block)]
    words = re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:[=:][^`]*)?`", text)
    return [
        *re.findall(r"--set ([\w.]+)=", text),
        *chart,
        *(word for word in words if word.partition(".")[0] in VALUES),
    ]


@pytest.mark.parametrize("page", TEXTS)
def test_every_value_that_a_page_names_is_in_the_chart(page: str) -> None:
    named = values_of(TEXTS[page])
    assert len(named) > 5
    assert [value for value in named if not in_schema(value)] == []


def test_the_check_sees_what_is_wrong() -> None:
    assert in_schema("text.gpu.enabled")
    assert not in_schema("text.gpu.enable")
    assert values_of("`text.gpu.enable`, `tls.mode: none`") == ["text.gpu.enable", "tls.mode"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", TEXTS[page.name]):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_pictures_are_small_enough_to_look_at() -> None:
    pictures = re.findall(r"\(((?:dashboard|trace)-[\w-]+\.png)\)", TEXTS["kubernetes.md"])
    assert len(pictures) == 6
    for picture in pictures:
        assert (ROOT / "docs" / picture).stat().st_size <= 400_000


def test_the_page_counts_the_alerts_right() -> None:
    rules = (ROOT / "deploy/alerts/marquee.yaml").read_text(encoding="utf-8").count("- alert:")
    assert f"**Alerts**: {rules} rules" in TEXTS["kubernetes.md"]
