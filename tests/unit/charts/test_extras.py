"""Monitoring, rights of people, the test of the release, and what is written down about it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.chart.copies import stale_copies
from deploy.chart.tools import CHART, REPOSITORY, run_helm
from deploy.chart.values_reference import UncommentedValue, read_values, updated
from services.cli.cluster.rights import _COMMANDS
from tests.support.chart import chart, need_helm

MONITORING = {
    "monitoring.serviceMonitor.enabled": True,
    "monitoring.serviceMonitor.labels": {"release": "prometheus"},
    "monitoring.prometheusRule.enabled": True,
    "monitoring.dashboards.enabled": True,
}


def test_one_service_monitor_finds_all_services() -> None:
    monitor = chart(MONITORING).one("ServiceMonitor", "monitoring")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("metrics", "30s")
    assert {one["targetLabel"] for one in endpoint["relabelings"]} == {"release", "component"}  # alerts go by them
    selector = monitor["spec"]["selector"]["matchLabels"]
    services = chart(MONITORING).kind("Service")
    assert all(selector.items() <= service["metadata"]["labels"].items() for service in services)


def test_alerts_link_to_where_the_team_reads_the_runbooks() -> None:
    page = "https://wiki.example.com/runbooks"
    (rule,) = chart(MONITORING | {"monitoring.prometheusRule.runbook": page}).kind("PrometheusRule")
    links = [
        one["annotations"]["runbook_url"]
        for group in rule["spec"]["groups"]
        for one in group["rules"]
        if "alert" in one
    ]
    assert len(links) > 20
    assert all(link.startswith(f"{page}#") for link in links)


def test_alerts_and_dashboards_are_those_of_the_repository() -> None:
    rendered = chart(MONITORING)
    expected = [
        group
        for path in sorted((REPOSITORY / "deploy" / "alerts").glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    assert rendered.one("PrometheusRule", "monitoring")["spec"]["groups"] == expected
    boards = {name: text for one in rendered.kind("ConfigMap") for name, text in one["data"].items()}
    sources = {path.name: path for path in (REPOSITORY / "deploy" / "dashboards").glob("*.json")}
    assert boards.keys() == sources.keys()
    assert all(json.loads(text) == json.loads(sources[name].read_text()) for name, text in boards.items())


def test_copies_of_alerts_and_dashboards_are_not_stale() -> None:
    assert stale_copies() == [], "run `make chart-docs`"


def test_the_role_of_operators_is_what_their_commands_need() -> None:
    role = chart({"operatorRole.create": True}).one("Role", "operator")
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {key: set(verbs) for key, verbs in _COMMANDS.items()}
    assert not chart({"operatorRole.create": True}).kind("RoleBinding")


def test_a_role_is_bound_to_whom_the_values_name() -> None:
    subject = {"kind": "Group", "name": "media", "apiGroup": "rbac.authorization.k8s.io"}
    binding = chart({"operatorRole.create": True, "operatorRole.subjects": [subject]}).one("RoleBinding", "operator")
    assert binding["subjects"] == [subject]
    assert binding["roleRef"]["name"] == "marquee-operator"


ANSWER = {"items": [{"item_id": "1"}], "steps": [{"service": "classical", "outcome": "STEP_OUTCOME_OK"}]}


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (json.dumps(ANSWER), 0, "1 items in 1 steps"),
        (json.dumps({"steps": [{"service": "text", "outcome": "STEP_OUTCOME_FALLBACK"}]}), 0, "The catalogue is empty"),
        (json.dumps({"items": []}), 1, "does not say how it was made"),
        (json.dumps({**ANSWER, "items": ANSWER["items"] * 2}), 1, "an item twice"),
        ("", 1, "did not answer Recommend: no orchestrator"),
    ],
)
def test_the_test_of_a_release_checks_the_answer(
    answer: str, status: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = chart().one("Pod", "test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    command = tmp_path / "marquee"
    command.write_text(f"#!/bin/sh\necho '{answer}'\n" if answer else "#!/bin/sh\necho no orchestrator >&2\nexit 3\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ran = subprocess.run([sys.executable, "-c", *container["args"]], capture_output=True, text=True, check=False)
    assert (ran.returncode, words in ran.stdout + ran.stderr) == (status, True), ran.stderr


def test_the_chart_and_the_services_have_one_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == project["version"]
    assert about["kubeVersion"] == ">=1.30.0-0"


def test_an_older_kubernetes_is_refused() -> None:
    need_helm()
    with pytest.raises(RuntimeError, match=r"incompatible with Kubernetes v1\.29\.0"):
        run_helm("template", "marquee", str(CHART), "--kube-version", "1.29.0")


def test_helm_finds_nothing_to_complain_of() -> None:
    need_helm()
    assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART))


def test_every_value_has_a_comment_and_the_readme_has_them_all() -> None:
    values, readme = (CHART / "values.yaml").read_text(), (CHART / "README.md").read_text()
    assert updated(readme, values) == readme, "run `make chart-docs`"
    paths = {value.path for value in read_values(values)}
    assert {"text.autoscaling.queueRows", "tls.certManager.issuerRef.name", "commonLabels"} <= paths


def test_a_value_without_a_comment_is_named() -> None:
    with pytest.raises(UncommentedValue, match=r"text\.replicas has no comment"):
        read_values("# Text.\ntext:\n  replicas: 1\n  # Tag.\n  tag: ''\n")


def test_what_markdown_would_take_for_its_own_is_escaped() -> None:
    text = updated(
        "before\n<!-- values: written by `make chart-docs` from values.yaml -->\n<!-- end of values -->\nafter\n",
        "# Is <a> | `<b>`.\na: 1\n",
    )
    assert "| `a` | `1` | Is &lt;a> \\| `<b>`. |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


@pytest.mark.parametrize("tls", [False, True])
def test_the_notes_tell_the_next_commands(tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    need_helm()
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    options = ["--namespace", "games", "--dry-run=client", "--set", f"tls.enabled={str(tls).lower()}"]
    _, _, notes = run_helm("install", "marquee", str(CHART), *options).partition("NOTES:")
    assert "helm test marquee --namespace games --logs" in notes
    assert "create job marquee-train-1 --from=cronjob/marquee-train" in notes
    assert "dns:///marquee-orchestrator.games.svc.cluster.local:50060" in notes
    assert "store.sqlite.keep=true" in notes
    assert ("marquee-orchestrator-tls" in notes) is tls
