"""What the cluster tests may be told, by variables that start with MARQUEE_CLUSTER_."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClusterTestSettings(BaseSettings):
    """Where the tests run and with which images. KUBECONFIG names the kubeconfig, else it is ~/.kube/config."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_CLUSTER_", extra="forbid")

    context: str = Field(default="", description="Context of the kubeconfig; empty takes its current one.")
    registry: str = Field(
        default="localhost", description="Registry of the images; `localhost` is where `make images` puts them."
    )
    repository: str = Field(default="marquee", description="Folder of the images in the registry.")
    tag: str = Field(default="", description="Tag of the images; empty takes the chart's.")
    pull_policy: str = Field(default="IfNotPresent", description="When nodes pull the images.")
    pull_secret: str = Field(
        default="",
        description="Secret to pull images with, as <namespace>/<name>; it is copied to the tests' namespaces.",
    )
    load_command: str = Field(
        default="",
        description="Command that brings a local image to the nodes, with {image} for its name, for example "
        "'kind load docker-image {image}', 'minikube image load {image}', or 'podman save {image} | k3s ctr images "
        "import -'. Empty brings none.",
    )
    storage_class: str = Field(default="", description="Storage class; empty takes the cluster's default.")
    values_file: Path | None = Field(
        default=None, description="Values of the chart that this cluster needs, for example where its DNS is."
    )
    namespace_prefix: str = Field(
        default="marquee-test", description="Beginning of the names of the namespaces that the tests make and delete."
    )
    postgresql_image: str = Field(
        default="docker.io/library/postgres:17",
        description="PostgreSQL for two orchestrators, 14 or newer. Empty, or one that nodes cannot pull, leaves one "
        "orchestrator with SQLite, whose restart is a short break.",
    )
    postgresql_user_id: int = Field(default=999, ge=1, description="User that the PostgreSQL image runs as.")
    serving_seconds: float = Field(
        default=90.0,
        gt=0,
        description="Longest time from `helm install` to SERVING with images present; promised are 30.",
    )
    share_seconds: float = Field(
        default=30.0, gt=0, description="Longest time until new pods take their share of the calls."
    )
    rate: float = Field(default=15.0, gt=0, description="Calls a second of the load.")
    patience_seconds: float = Field(
        default=300.0, gt=0, description="Longest time for anything else: a rollout, the pull of an image."
    )
    keep: bool = Field(default=False, description="Leave the namespaces as they are when the tests end, to look at.")

    def image_values(self) -> dict[str, Any]:
        """Return the chart's values for the images."""
        image = {"registry": self.registry, "repository": self.repository, "pullPolicy": self.pull_policy}
        secret = self.pull_secret.rpartition("/")[2]
        return {
            "image": image | ({"tag": self.tag} if self.tag else {}),
            "imagePullSecrets": [secret] if secret else [],
        }

    def own_values(self) -> dict[str, Any]:
        """Return the chart's values that the cluster needs."""
        return (yaml.safe_load(self.values_file.read_text()) or {}) if self.values_file else {}

    def storage_values(self) -> dict[str, Any]:
        """Return the chart's values for its volumes."""
        if not self.storage_class:
            return {}
        return {
            "store": {"sqlite": {"storageClassName": self.storage_class}},
            "bundles": {"storageClassName": self.storage_class},
        }
