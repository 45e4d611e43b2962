"""The whole mesh on this machine: four services as child processes, on ports of localhost."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import marquee
import marquee_client
import services
from services.cli.directory_lock import DirectoryLock
from services.cli.ports import check_port, free_ports
from services.cli.service_process import ServiceProcess
from services.runtime.sources import DataSettings

SERVICES = ("orchestrator", "text", "vision", "classical")
"""In the order of their ports."""
DEFAULT_PORT = 50060
_HOST = "127.0.0.1"


class MeshNotReady(RuntimeError):
    """A service ended or refused to serve while the mesh started; the message says which and why."""


class LocalMesh:
    """Starts the four services, and leaves no process behind, even when its own process is killed.

    Args:
        data_directory: where the services keep store and bundles, and where their logs go; the settings' one when None.
        port: port of the orchestrator; the text, vision and classical services take the next three. 0 takes free ones.
        environment: variables for the services, on top of this process's own.
        grace_seconds: time that calls in flight get when the mesh stops.
        fresh: forget what an earlier mesh stored in the data directory.

    Example:
        >>> with LocalMesh(port=0) as mesh:  # doctest: +SKIP
        ...     mesh.wait_ready()
        ...     client = MarqueeClient(mesh.addresses["orchestrator"])
    """

    def __init__(
        self,
        data_directory: Path | None = None,
        port: int = DEFAULT_PORT,
        environment: Mapping[str, str] | None = None,
        grace_seconds: float = 10.0,
        fresh: bool = False,
    ) -> None:
        self.data_directory = (data_directory or DataSettings().data_directory).resolve()
        self._grace_seconds = grace_seconds
        self._fresh = fresh
        self._lock = DirectoryLock(self.data_directory)
        ports = [port + offset for offset in range(len(SERVICES))] if port else free_ports(_HOST, len(SERVICES))
        self._ports = dict(zip(SERVICES, ports, strict=True))
        self.addresses = {name: f"{_HOST}:{number}" for name, number in self._ports.items()}
        variables = self._variables() | dict(environment or {})
        self.services = {
            name: ServiceProcess(name, address, variables, self.log_directory / f"{name}.log", grace_seconds)
            for name, address in self.addresses.items()
        }

    @property
    def log_directory(self) -> Path:
        """Folder of the services' logs, `<service>.log`."""
        return self.data_directory / "logs"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the services that run."""
        return {name: one.pid for name, one in self.services.items() if one.pid is not None}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all services; they load at the same time.

        Raises:
            PortTaken: a port is in use; nothing was started.
            DirectoryInUse: another mesh works in the data directory; nothing was started.
        """
        for name, number in self._ports.items():
            check_port(_HOST, number, name)
        self._lock.acquire()
        if self._fresh:
            self._forget()
        self.log_directory.mkdir(parents=True, exist_ok=True)
        for one in self.services.values():
            one.log_path.write_bytes(b"")
            one.start()

    def wait_ready(self, seconds: float = 60.0, watch: Callable[[], None] | None = None) -> None:
        """Wait until every service is SERVING.

        Args:
            seconds: longest wait.
            watch: called some fifty times a second, to show how it goes.

        Raises:
            MeshNotReady: a service ended, refused to serve, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        waiting = [one for one in self.services.values() if one.startup_seconds is None]
        while waiting:
            waiting = [one for one in waiting if not _ready(one)]
            if watch is not None:
                watch()
            if waiting and time.monotonic() > deadline:
                names = ", ".join(one.name for one in waiting)
                raise MeshNotReady(f"not ready after {seconds:.0f} s: {names}; see the logs in {self.log_directory}")
            time.sleep(0.02 if waiting else 0)

    def kill(self, service: str) -> None:
        """End one service at once, as a crash would."""
        self.services[service].kill()

    def restart(self, service: str) -> None:
        """Start one service again on its port, after stopping it if it runs; it is not ready yet."""
        self.services[service].terminate()
        self.services[service].wait(self._grace_seconds)
        self.services[service].start()

    def resident_bytes(self) -> dict[str, int]:
        """Return the memory of each service's process."""
        return {name: one.resident_bytes() for name, one in self.services.items()}

    def stop(self) -> None:
        """Let all services drain, and kill those that are not gone after the grace period. May be called again."""
        try:
            for one in self.services.values():
                one.terminate()
            deadline = time.monotonic() + self._grace_seconds
            for one in self.services.values():
                one.wait(deadline - time.monotonic())
        finally:  # also when a second Ctrl-C ends the waiting
            for one in self.services.values():
                one.kill()
            self._lock.release()

    def _forget(self) -> None:
        for folder in ("bundles", "logs"):
            shutil.rmtree(self.data_directory / folder, ignore_errors=True)
        for store in self.data_directory.glob("marquee.sqlite*"):
            store.unlink()

    def _variables(self) -> dict[str, str]:
        packages = (services, marquee, marquee_client)
        roots = {str(Path(folder).parent) for package in packages for folder in package.__path__}
        inherited = os.environ.get("PYTHONPATH", "")
        variables = {
            **os.environ,
            # The services import what this process imports, wherever it was started.
            "PYTHONPATH": os.pathsep.join([*sorted(roots), *([inherited] if inherited else [])]),
            "PYTHONUNBUFFERED": "1",
            "MARQUEE_DATA_DIRECTORY": str(self.data_directory),
        }
        for name in SERVICES:
            prefix = f"MARQUEE_{name.upper()}_"
            variables[prefix + "HOST"] = _HOST
            variables[prefix + "PORT"] = str(self._ports[name])
            variables[prefix + "LOG_FORMAT"] = "json"
            variables.setdefault(prefix + "DRAIN_SECONDS", str(self._grace_seconds * 0.8))
            if name != "orchestrator":
                variables[f"MARQUEE_ORCHESTRATOR_{name.upper()}_ADDRESS"] = self.addresses[name]
        return variables


def _ready(one: ServiceProcess) -> bool:
    if one.exit_code is not None:
        raise MeshNotReady(f"the {one.name} service ended with code {one.exit_code}: " + "\n".join(one.problems()))
    health = one.health()
    if health == "not serving" and one.cannot_serve():
        raise MeshNotReady(f"the {one.name} service does not serve: " + "; ".join(one.problems()))
    return health == "serving"
