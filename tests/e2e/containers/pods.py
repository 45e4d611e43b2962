"""Runs a pod of the chart in a container: what the kubelet would do, with docker or podman.

- Services are network aliases: the engine's DNS answers with all containers of a name, as for a headless Service, so
  that the addresses in the chart are used as they stand.
- An emptyDir is a folder of this machine, open to everybody, as the kubelet makes it; a PersistentVolumeClaim is one
  that all pods share; a Secret is one that is mounted read-only. Limits on their sizes are not kept.
- Requests for processors and pull policies mean nothing here. The limit on memory is set where the engine can.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from deploy.images.engine import Container, Engine
from tests.e2e.containers.rendered import Object, Rendered, bytes_of

_numbers = itertools.count(1)


class Pods:
    """Starts pods of one installation, on one network.

    Args:
        engine: what runs containers.
        rendered: the installation.
        network: network of the engine.
        folder: where volumes and Secrets lie on this machine.
        mounts: folders of this machine that a container of a name gets besides, at the same path; for the socket of a
            database.
    """

    def __init__(
        self,
        engine: Engine,
        rendered: Rendered,
        network: str,
        folder: Path,
        mounts: Mapping[str, Path] | None = None,
    ) -> None:
        self.rendered = rendered
        self._engine = engine
        self._network = network
        self._folder = folder
        self._more_mounts = mounts or {}
        self._limits_memory = _can_limit_memory(engine)

    def start(self, pod: Object) -> Container:
        """Start the container of a Pod or pod template."""
        assert len(pod["spec"]["containers"]) == 1, "these pods have one container"
        container = pod["spec"]["containers"][0]
        name = f"{self._network}-{container['name']}-{next(_numbers)}"
        options = [f"--hostname={name}", *self._security(pod, container), *self._mounts(pod, container)]
        options += [f"--network-alias={alias}" for alias in self.rendered.names_of(pod)]
        if more := self._more_mounts.get(container["name"]):
            options.append(f"--volume={more}:{more}:rw")
        command = list(container.get("command", []))
        if command:
            options.append(f"--entrypoint={command.pop(0)}")
        limit = container["resources"].get("limits", {}).get("memory")
        if limit and self._limits_memory:
            options.append(f"--memory={bytes_of(limit)}")
        return self._engine.run(
            container["image"],
            *command,
            *container.get("args", []),
            name=name,
            environment=self.rendered.environment(container),
            network=self._network,
            hardened=False,  # what the chart says, no more
            options=options,
        )

    def _security(self, pod: Object, container: Object) -> list[str]:
        of_pod, own = pod["spec"]["securityContext"], container["securityContext"]
        user = own.get("runAsUser", of_pod.get("runAsUser"))
        group = own.get("runAsGroup", of_pod.get("runAsGroup"))
        assert own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True
        assert user, "the kubelet refuses a pod that must not run as root and names no user"
        options = [f"--user={user}:{group}"]
        options += [f"--group-add={of_pod['fsGroup']}"] if "fsGroup" in of_pod else []
        options += [f"--cap-drop={name}" for name in own["capabilities"]["drop"]]
        if own["readOnlyRootFilesystem"]:
            options.append("--read-only")
            # podman's own folders in memory would hide that the chart forgot one.
            options += ["--read-only-tmpfs=false"] if self._engine.program == "podman" else []
        if not own["allowPrivilegeEscalation"]:
            options.append("--security-opt=no-new-privileges")
        return options

    def _mounts(self, pod: Object, container: Object) -> list[str]:
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        options = []
        for mount in container.get("volumeMounts", []):
            volume, path = volumes[mount["name"]], mount["mountPath"]
            source = self._source(volume)
            if "subPath" in mount:
                source /= mount["subPath"]
                _open_folder(source)
            options.append(f"--volume={source}:{path}:{'ro' if mount.get('readOnly') else 'rw'}")
        return options

    def _source(self, volume: Object) -> Path:
        if "persistentVolumeClaim" in volume:
            claim = self.rendered.named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            source: Path = self._folder / "volumes" / claim["metadata"]["name"]
            _open_folder(source)
            return source
        if "secret" in volume:
            name = volume["secret"]["secretName"]
            source = self._folder / "secrets" / name
            source.mkdir(parents=True, exist_ok=True)
            for key, content in self.rendered.secret(name).items():
                file = source / key
                if not file.exists():
                    file.write_bytes(content)
                    file.chmod(0o444)  # the kubelet gives them to the pod's group; we may not be allowed to
            return source
        source = self._folder / "empty" / f"{volume['name']}-{next(_numbers)}"
        assert "emptyDir" in volume, f"volume {volume['name']} is of a kind that is not run here"
        _open_folder(source)
        return source


def _open_folder(folder: Path) -> None:
    """Make a folder that the pods' user may write to."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)


def _can_limit_memory(engine: Engine) -> bool:
    """Tell whether the engine has a control group for memory to set limits with."""
    if engine.program == "podman":
        return "memory" in engine.call("info", "--format", "{{.Host.CgroupControllers}}")
    return engine.call("info", "--format", "{{.MemoryLimit}}") == "true"
