"""Where state and keys are kept."""

from __future__ import annotations

import base64

import pytest

from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.token_keys import token_keys
from services.vision.settings import VisionSettings
from tests.support.chart import MODEL_SERVICES, POSTGRESQL, SERVING, Chart, Manifest, chart

SQLITE = "sqlite:////var/lib/marquee/marquee.sqlite"


def _volume(rendered: Chart, component: str, name: str) -> dict[str, object]:
    return next(one for one in rendered.pod(component)["volumes"] if one["name"] == name)


def test_sqlite_is_one_orchestrator_that_ends_before_the_next_one_starts() -> None:
    rendered = chart()
    spec = rendered.one("Deployment", "orchestrator")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert rendered.environment("orchestrator")["MARQUEE_ORCHESTRATOR_STORE_URL"] == SQLITE
    assert _volume(rendered, "orchestrator", "data")["persistentVolumeClaim"] == {"claimName": "marquee-store"}
    claim = rendered.named("PersistentVolumeClaim", "marquee-store")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_postgresql_comes_from_a_secret_and_leaves_no_volume() -> None:
    rendered = chart({**POSTGRESQL, "store.postgresql.key": "address"})
    address = rendered.environment("orchestrator")["MARQUEE_ORCHESTRATOR_STORE_URL"]
    assert address == {"secretKeyRef": {"name": "database", "key": "address"}}
    assert "emptyDir" in _volume(rendered, "orchestrator", "data")
    assert [one["metadata"]["name"] for one in rendered.kind("PersistentVolumeClaim")] == ["marquee-bundles"]


@pytest.mark.parametrize("keep", [False, True])
def test_volumes_outlive_the_release_only_when_asked(keep: bool) -> None:
    for claim in chart({"store.sqlite.keep": keep, "bundles.keep": keep}).kind("PersistentVolumeClaim"):
        annotations = claim["metadata"].get("annotations", {})
        assert (annotations.get("helm.sh/resource-policy") == "keep") is keep


def test_the_trainer_writes_bundles_and_the_services_read_them() -> None:
    rendered = chart()
    (trainer,) = rendered.one("CronJob", "trainer")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    for container in (trainer, *(rendered.container(component) for component in MODEL_SERVICES)):
        mount = next(one for one in container["volumeMounts"] if one["name"] == "bundles")
        assert (mount["mountPath"], mount["subPath"]) == ("/var/lib/marquee/bundles", "bundles")
        assert mount.get("readOnly", False) is (container is not trainer)
    assert all(one["name"] != "bundles" for one in rendered.pod("orchestrator")["volumes"])


def test_a_volume_for_one_node_keeps_its_pods_together() -> None:
    terms = {component: chart().pod(component).get("affinity", {}).get("podAffinity", {}) for component in SERVING}
    assert not terms["orchestrator"]
    for component in MODEL_SERVICES:
        (term,) = terms[component]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert set(term["labelSelector"]["matchExpressions"][0]["values"]) == {*MODEL_SERVICES, "trainer"}
    shared = chart({"bundles.accessMode": "ReadWriteMany"})
    assert all("affinity" not in shared.pod(component) for component in SERVING)


def test_an_affinity_of_the_values_stays() -> None:
    own: Manifest = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    affinity = chart({"text.affinity": own}).pod("text")["affinity"]
    assert affinity["nodeAffinity"] == own["nodeAffinity"]
    assert affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]


def test_training_waits_to_be_started() -> None:
    job = chart({"trainer.extraArgs": ["--with", "item2vec"]}).one("CronJob", "trainer")
    assert (job["metadata"]["name"], job["spec"]["suspend"]) == ("marquee-train", True)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["train", "--with", "item2vec"]
    assert pod["restartPolicy"] == "Never"


def test_keys_that_the_chart_makes_are_ones_that_the_services_take(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = chart()
    for component, name, setting in (
        ("orchestrator", "marquee-token-keys", "MARQUEE_ORCHESTRATOR_TOKEN_KEYS"),
        ("vision", "marquee-checkpoint-keys", "MARQUEE_VISION_VIDEO_CHECKPOINT_KEYS"),
    ):
        ((key, value),) = rendered.named("Secret", name)["data"].items()
        assert rendered.environment(component)[setting] == {"secretKeyRef": {"name": name, "key": key}}
        monkeypatch.setenv(setting, base64.b64decode(value).decode())
    (made,) = token_keys(OrchestratorSettings())
    assert len(made) == 64
    assert VisionSettings().video_checkpoint_keys


def test_pods_start_again_when_a_key_that_they_read_changes() -> None:
    def checksum(rendered: Chart, component: str) -> str | None:
        metadata = rendered.one("Deployment", component)["spec"]["template"]["metadata"]
        found: str | None = metadata.get("annotations", {}).get("checksum/secrets")
        return found

    one, other = chart(), chart({"pods.labels": {"made": "anew"}})  # each render makes new keys
    assert checksum(one, "orchestrator") != checksum(other, "orchestrator")
    assert checksum(one, "vision") != checksum(other, "vision")
    assert checksum(one, "text") is None


def test_keys_of_ones_own() -> None:
    values = {"tokenKeys.existingSecret": "keys", "vision.checkpointKeys.existingSecret": "keys"}
    rendered = chart({**values, "tokenKeys.key": "tokens"})
    assert not rendered.kind("Secret")
    assert rendered.environment("orchestrator")["MARQUEE_ORCHESTRATOR_TOKEN_KEYS"] == {
        "secretKeyRef": {"name": "keys", "key": "tokens"}
    }


def test_without_keys_sqlite_keeps_its_own_and_vision_makes_one_a_pod() -> None:
    rendered = chart({"tokenKeys.create": False, "vision.checkpointKeys.create": False})
    assert not rendered.kind("Secret")
    assert "MARQUEE_ORCHESTRATOR_TOKEN_KEYS" not in rendered.environment("orchestrator")
    assert "MARQUEE_VISION_VIDEO_CHECKPOINT_KEYS" not in rendered.environment("vision")


def test_no_face_is_looked_for_unless_a_tenant_is_named() -> None:
    assert "MARQUEE_VISION_FACES_TENANTS" not in chart().environment("vision")
    named = chart({"vision.facesTenants": ["one", "two"]}).environment("vision")
    assert named["MARQUEE_VISION_FACES_TENANTS"] == "one,two"
