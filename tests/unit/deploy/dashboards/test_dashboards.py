"""The dashboards are made from the code, ask for what exists, and Prometheus understands what they ask."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from deploy.dashboards.__main__ import FOLDER, rendered, stale
from deploy.dashboards.boards import dashboards
from tests.support.promql import metrics_of, unknown_names
from tests.unit.deploy.promtool import needs_promtool, promtool

NAMES = ["marquee-mesh", "marquee-orchestrator", "marquee-text", "marquee-vision", "marquee-classical"]
_ROW = {"row"}


def documents() -> dict[str, dict[str, Any]]:
    return {name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES}


def panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in document["panels"] if panel["type"] not in _ROW]


def targets() -> list[tuple[str, str]]:
    return [
        (f"{name}: {panel['title']}", target["expr"])
        for name, document in documents().items()
        for panel in panels(document)
        for target in panel["targets"]
    ]


def test_the_files_are_what_the_code_says() -> None:
    assert stale() == [], "run make dashboards"
    assert [one.name for one in dashboards()] == NAMES
    assert len(rendered()) == len(NAMES)


@pytest.mark.parametrize("expression", [one for _, one in targets()], ids=[title for title, _ in targets()])
def test_every_query_uses_metrics_and_labels_that_exist(expression: str) -> None:
    assert unknown_names(expression, "rpc") == []


@pytest.mark.parametrize("name", NAMES)
def test_every_query_keeps_to_what_the_reader_chose(name: str) -> None:
    document = documents()[name]
    variables = {variable["name"] for variable in document["templating"]["list"]}
    assert {"datasource", "namespace", "release", "pod"} <= variables
    for panel in panels(document):
        for target in panel["targets"]:
            used = set(re.findall(r"\$\{?([a-z]\w*)", target["expr"]))
            assert used - {"__rate_interval"} <= variables, panel["title"]
            selectors = re.findall(r"(\w+)\{([^}]*)\}", target["expr"])
            assert {metric for metric, _ in selectors} >= metrics_of(target["expr"]), panel["title"]
            assert all("$namespace" in matchers and "$release" in matchers for _, matchers in selectors), panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_variables_offer_labels_that_exist(name: str) -> None:
    for variable in documents()[name]["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
        assert unknown_names(f"sum by ({label}) ({metric})") == []


@needs_promtool
def test_prometheus_understands_every_query(tmp_path: Any) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression) in enumerate(targets())
    ]
    page = tmp_path / "panels.yaml"
    page.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", page)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@pytest.mark.parametrize("name", NAMES)
def test_panels_say_what_they_show_and_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    document = documents()[name]
    assert document["uid"] == name
    for panel in document["panels"]:
        assert panel["type"] in _ROW or panel["description"].endswith(".")
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    identities = [panel["id"] for panel in document["panels"]]
    assert len(set(identities)) == len(identities)


def test_legends_name_labels_that_the_query_keeps() -> None:
    for name, document in documents().items():
        for panel in panels(document):
            for target in panel["targets"]:
                for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                    kept = re.search(r"by \([^)]*\b" + label + r"\b", target["expr"])
                    aggregated = re.search(r"\b(?:sum|max|min|count)\b", target["expr"])
                    made = f'"{label}", "$1"' in target["expr"]
                    assert kept or made or not aggregated, f"{name}: {panel['title']}: {label}"
