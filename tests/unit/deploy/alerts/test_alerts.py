"""Every alert fires when it must, stays silent when it must, and leads to its runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promql import unknown_names
from tests.unit.deploy.alerts.scenarios import PAIRS, Pair, Scenario
from tests.unit.deploy.promtool import needs_promtool, promtool

ROOT = Path(__file__).parents[4]
RULES = ROOT / "deploy/alerts/marquee.yaml"
RUNBOOKS = ROOT / "docs/runbooks.md"
_LABEL = re.compile(r"{{ \$labels\.(\w+) }}")


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def expected(scenario: Scenario) -> list[dict[str, Any]]:
    """The alerts that promtool must see, in its words."""
    labels = scenario.labels
    if labels is None:
        return []
    rule = alerts()[scenario.alert]
    described = _LABEL.sub(lambda found: labels[found[1]], rule["annotations"]["description"])
    annotations = rule["annotations"] | {"summary": scenario.summary, "description": described}
    return [{"exp_labels": dict(labels) | rule["labels"], "exp_annotations": annotations}]


def as_test(scenario: Scenario) -> dict[str, Any]:
    looked_for = {"eval_time": scenario.at, "alertname": scenario.alert, "exp_alerts": expected(scenario)}
    return {
        "interval": scenario.interval,
        "input_series": [dict(one) for one in scenario.series],
        "alert_rule_test": [looked_for],
    }


@needs_promtool
def test_prometheus_takes_the_rules() -> None:
    checked = promtool("check", "rules", "--lint-fatal", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def rules_for(alert: str) -> str:
    """The rules without the other alerts, which would take as long again to evaluate, each."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert", alert) == alert]
    document["groups"] = [group for group in document["groups"] if any("alert" in rule for rule in group["rules"])]
    return yaml.safe_dump(document)


@needs_promtool
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.fires.alert)
def test_it_fires_when_it_must_and_else_stays_silent(pair: Pair, tmp_path: Path) -> None:
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": pair.fires.interval,
        "tests": [as_test(scenario) for scenario in (pair.fires, *pair.silent)],
    }
    (tmp_path / "rules.yaml").write_text(rules_for(pair.fires.alert), encoding="utf-8")
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    tested = promtool("test", "rules", tmp_path / "test.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested_both_ways() -> None:
    assert [pair.fires.alert for pair in PAIRS] == list(alerts())
    assert all(pair.silent for pair in PAIRS)


@pytest.mark.parametrize(("name", "rule"), alerts().items(), ids=list(alerts()))
def test_every_alert_says_what_happens_and_leads_to_its_runbook(name: str, rule: dict[str, Any]) -> None:
    assert name.startswith("Marquee")
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    notes = rule["annotations"]
    assert notes["summary"]
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    section = RUNBOOKS.read_text(encoding="utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert len(section.split()) > 30, "a runbook says what it means, how to look and what to do"


def test_every_runbook_belongs_to_an_alert() -> None:
    headings = re.findall(r"^## (Marquee\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(alerts())


@pytest.mark.parametrize(("name", "rule"), alerts().items(), ids=list(alerts()))
def test_every_alert_uses_metrics_and_labels_that_exist(name: str, rule: dict[str, Any]) -> None:
    assert unknown_names(rule["expr"]) == [], name


def test_every_recorded_series_is_used_and_made_of_what_exists() -> None:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    records = [rule for group in document["groups"] for rule in group["rules"] if "record" in rule]
    for rule in records:
        assert unknown_names(rule["expr"]) == [], rule["record"]
        assert any(rule["record"] in alert["expr"] for alert in alerts().values()), rule["record"]
