"""The images of the mesh on the nodes, before anything is timed."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.cluster.cluster import Cluster

Object = dict[str, Any]

_ADVICE = (
    "MARQUEE_CLUSTER_REGISTRY, _REPOSITORY and _TAG name images that the nodes can pull; MARQUEE_CLUSTER_LOAD_COMMAND "
    "brings local ones to them, for example 'kind load docker-image {image}'"
)


class ImageMissing(RuntimeError):
    """The nodes cannot get an image of the mesh; the text says which, and what to do."""


def bring_images(command: str, rendered: Iterable[Object]) -> None:
    """Run the command that brings a local image to the nodes, for each image of an installation.

    Raises:
        ImageMissing: it failed.
    """
    if not command:
        return
    for image in image_pods(rendered):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command.replace("{image}", shlex.quote(image))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ImageMissing(f"MARQUEE_CLUSTER_LOAD_COMMAND failed for {image}: {done.stderr.strip()[-800:]}")


def check_images(cluster: Cluster, namespace: str, rendered: Iterable[Object]) -> None:
    """Start each image once, doing nothing.

    Raises:
        ImageMissing: the nodes cannot get one, or it does not start under the restricted profile.
    """
    for number, (image, spec) in enumerate(image_pods(rendered).items()):
        container = spec["containers"][0]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"image-{number}", "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "imagePullSecrets": spec.get("imagePullSecrets", []),
                "securityContext": spec["securityContext"],
                "containers": [
                    {
                        "name": "image",
                        "image": image,
                        "imagePullPolicy": container["imagePullPolicy"],
                        "command": ["python", "-c", "import services"],
                        "securityContext": container["securityContext"],
                        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                    }
                ],
            },
        }
        try:
            phase, log = cluster.run_pod(pod)
        except AssertionError as error:
            raise ImageMissing(f"the nodes cannot start {image}: {error}\n{_ADVICE}") from error
        if phase != "Succeeded":
            raise ImageMissing(f"{image} does not start: {log}")


def image_pods(rendered: Iterable[Object]) -> dict[str, Object]:
    """Return each image of an installation with the specification of a pod that has it."""
    found: dict[str, Object] = {}
    for one in rendered:
        spec = one.get("spec") or {}
        if one["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]["template"]["spec"]
        elif one["kind"] == "Deployment":
            spec = spec["template"]["spec"]
        elif one["kind"] != "Pod":
            continue
        for container in spec["containers"]:
            found.setdefault(container["image"], spec)
    return found
