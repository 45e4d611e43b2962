from __future__ import annotations

from typing import Any

import pytest
import yaml

from deploy.chart.tools import CHART
from services.cli.settings import CommandSettings
from tests.support.chart import MODEL_SERVICES, PORTS, POSTGRESQL, SERVING, chart
from tests.support.chart_rules import SETTINGS


@pytest.mark.parametrize("component", SERVING)
def test_probes_use_grpc_on_a_port_without_tls(component: str) -> None:
    container = chart({"tls.enabled": True}).container(component)
    assert container["startupProbe"]["grpc"] == {"port": 50070, "service": "liveness"}
    assert container["livenessProbe"]["grpc"] == {"port": 50070, "service": "liveness"}
    assert container["readinessProbe"]["grpc"] == {"port": 50070}


def test_a_pod_waits_then_drains_and_has_ten_seconds_more() -> None:
    rendered = chart({"shutdown.preStopSeconds": 7, "shutdown.drainSeconds": 30})
    assert rendered.container("text")["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert rendered.environment("text")["MARQUEE_TEXT_DRAIN_SECONDS"] == "30"
    assert rendered.pod("text")["terminationGracePeriodSeconds"] == 47


@pytest.mark.parametrize("component", SERVING)
def test_the_variables_are_settings_that_the_service_accepts(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        **POSTGRESQL,
        "tls.enabled": True,
        "text.gpu.enabled": True,
        "tracing.endpoint": "http://collector:4317",
        "text.settings": {"version_policies": {"*": "latest:1"}, "response_cache_bytes": 67108864},
        "vision.facesTenants": ["studio-one", "studio-two"],
        "orchestrator.settings": {"slate_days": 14.5, "log_level": "warning"},
    }
    for name, value in chart(values).environment(component).items():
        if isinstance(value, str):
            monkeypatch.setenv(name, value)
    settings = SETTINGS[component]()
    assert (settings.host, settings.port) == ("0.0.0.0", PORTS[component])
    assert (settings.health_port, settings.metrics_port) == (50070, 9464)
    assert settings.maximum_connection_age_seconds == 15
    assert settings.tls_client_ca_file is not None
    assert settings.tracing_sample_ratio == 0.05
    if component == "text":
        assert settings.model_dump()["version_policies"] == {"*": "latest:1"}
        assert settings.model_dump()["response_cache_bytes"] == 67108864
        assert settings.model_dump()["execution_provider"] == "cuda"
    if component == "orchestrator":
        assert settings.model_dump()["slate_days"] == 14.5
        assert settings.tenant_from_metadata is False


def test_the_orchestrator_calls_every_pod_behind_the_headless_services() -> None:
    rendered = chart({"clusterDomain": "example.local"})
    for family in MODEL_SERVICES:
        address = rendered.environment("orchestrator")[f"MARQUEE_ORCHESTRATOR_{family.upper()}_ADDRESS"]
        assert address == f"dns:///marquee-{family}.games.svc.example.local:{PORTS[family]}"
        ports = {port["name"]: port["port"] for port in rendered.one("Service", family)["spec"]["ports"]}
        assert ports == {"grpc": PORTS[family], "metrics": 9464}


def test_as_many_models_run_at_once_as_processors_are_requested() -> None:
    """A container sees all processors of its node, however few it was given."""
    engines = chart().environment("text")["MARQUEE_TEXT_ENGINES"]
    assert engines == {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1"}}
    assert chart({"text.settings.engines": 3}).environment("text")["MARQUEE_TEXT_ENGINES"] == "3"


def test_an_update_takes_no_pod_away_before_the_next_is_ready() -> None:
    for component in SERVING:
        strategy = chart(POSTGRESQL).one("Deployment", component)["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_pods_that_are_not_ready_may_always_be_evicted() -> None:
    for component in SERVING:
        spec = chart().one("PodDisruptionBudget", component)["spec"]
        assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_scaling_by_processors_and_by_queue() -> None:
    rendered = chart(
        {"text.autoscaling.enabled": True, "text.autoscaling.metric": "queue", "vision.autoscaling.enabled": True}
    )
    (queue,) = rendered.one("HorizontalPodAutoscaler", "text")["spec"]["metrics"]
    assert queue["pods"]["metric"]["name"] == "marquee_queue_rows"
    assert queue["pods"]["target"] == {"type": "AverageValue", "averageValue": "16"}
    (processors,) = rendered.one("HorizontalPodAutoscaler", "vision")["spec"]["metrics"]
    assert processors["containerResource"]["container"] == "vision"
    assert "replicas" not in rendered.one("Deployment", "text")["spec"]
    assert rendered.one("Deployment", "classical")["spec"]["replicas"] == 1


def test_pods_spread_over_nodes_and_zones() -> None:
    constraints = chart().pod("text")["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(one["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "text" for one in constraints)


def test_a_gpu_is_a_switch() -> None:
    rendered = chart(
        {
            "vision.gpu.enabled": True,
            "vision.video": False,
            "vision.nodeSelector": {"disk": "fast"},
            "vision.gpu.nodeSelector": {"gpu": "a100"},
        }
    )
    container, pod = rendered.container("vision"), rendered.pod("vision")
    assert container["image"] == f"marquee-vision:{_version()}-gpu-no-video"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert rendered.environment("vision")["MARQUEE_VISION_EXECUTION_PROVIDER"] == "cuda"
    assert pod["nodeSelector"] == {"disk": "fast", "gpu": "a100"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "MARQUEE_TEXT_EXECUTION_PROVIDER" not in rendered.environment("text")


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "marquee-text:VERSION"),
        ({"image.registry": "registry.example.com:5000"}, "registry.example.com:5000/marquee-text:VERSION"),
        (
            {"image.registry": "r.example", "image.repository": "a/b", "image.tag": "1.2"},
            "r.example/a/b/marquee-text:1.2",
        ),
        ({"image.tag": "1.2", "text.image.tag": "1.3"}, "marquee-text:1.3"),
        ({"text.image.name": "mine/text", "text.image.digest": f"sha256:{'a' * 64}"}, f"mine/text@sha256:{'a' * 64}"),
    ],
)
def test_names_of_images(values: dict[str, Any], image: str) -> None:
    assert chart(values).container("text")["image"] == image.replace("VERSION", _version())


def test_models_from_a_volume_or_from_another_image() -> None:
    values = {"text.models.source": "persistentVolumeClaim", "text.models.existingClaim": "models"}
    rendered = chart({**values, "classical.models.source": "initContainer", "classical.models.image": "models:1"})
    for component in ("text", "classical"):
        assert rendered.environment(component)[f"MARQUEE_{component.upper()}_MODEL_REPOSITORY"] == "/models"
        mount = next(one for one in rendered.container(component)["volumeMounts"] if one["name"] == "models")
        assert (mount["mountPath"], mount["readOnly"]) == ("/models", True)
    (copy,) = rendered.pod("classical")["initContainers"]
    assert (copy["image"], copy["command"][-1], copy["volumeMounts"][0]["mountPath"]) == (
        "models:1",
        "/target/",
        "/target",
    )
    assert "MARQUEE_VISION_MODEL_REPOSITORY" not in rendered.environment("vision")


def test_every_component_has_an_account_without_a_token_and_nobody_has_rights() -> None:
    rendered = chart()
    accounts = {one["metadata"]["name"]: one for one in rendered.kind("ServiceAccount")}
    used = [template["spec"]["serviceAccountName"] for template in rendered.templates()]
    assert sorted(used) == sorted(accounts)
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    assert not rendered.kind("Role")


def test_a_change_of_the_chart_alone_starts_no_pod_again() -> None:
    labels = chart().one("Deployment", "text")["spec"]["template"]["metadata"]["labels"]
    assert "helm.sh/chart" not in labels
    assert "app.kubernetes.io/managed-by" not in labels


def test_labels_and_annotations_of_everything_and_of_one_component() -> None:
    rendered = chart(
        {
            "commonLabels": {"cost-centre": "7", "team": "everybody"},
            "pods.labels": {"team": "media", "tier": "x"},
            "text.podLabels": {"tier": "models"},
            "pods.annotations": {"a": "1"},
            "text.podAnnotations": {"a": "2"},
        }
    )
    assert all(one["metadata"]["labels"]["cost-centre"] == "7" for one in rendered.manifests)
    metadata = rendered.one("Deployment", "text")["spec"]["template"]["metadata"]
    assert (metadata["labels"]["team"], metadata["labels"]["tier"], metadata["annotations"]["a"]) == (
        "media",
        "models",
        "2",
    )


@pytest.mark.parametrize(
    ("release", "prefix"), [("marquee", "marquee"), ("my-marquee", "my-marquee"), ("games", "games-marquee")]
)
def test_the_release_is_in_every_name(release: str, prefix: str) -> None:
    rendered = chart(release=release)
    assert all(one["metadata"]["name"].startswith(prefix) for one in rendered.manifests)
    assert all(one["metadata"]["labels"]["app.kubernetes.io/instance"] == release for one in rendered.manifests)


def test_variables_of_a_component_go_before_those_of_all() -> None:
    values = {"pods.extraEnv": [{"name": "TZ", "value": "UTC"}], "text.extraEnv": [{"name": "TZ", "value": "CET"}]}
    rendered = chart(values)
    assert rendered.environment("text")["TZ"] == "CET"
    assert rendered.environment("vision")["TZ"] == "UTC"


def test_the_command_finds_its_settings() -> None:
    rendered = chart({"tls.enabled": True})
    (container,) = rendered.one("CronJob", "trainer")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["MARQUEE_TARGET"] == "dns:///marquee-orchestrator.games.svc.cluster.local:50060"
    known = {f"MARQUEE_{name.upper()}" for name in CommandSettings.model_fields} | {"MARQUEE_DATA_DIRECTORY"}
    assert set(environment) <= known


def _version() -> str:
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])
