"""What is compared: one server, or several processes that together are one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.cli.ports import free_ports
from services.runtime.sources import REPOSITORY_ROOT
from tests.load.benchmark.echo_server import COLLECTOR
from tests.load.benchmark.models import data_folder
from tests.load.benchmark.server_process import ServerProcess, accepts_calls, environment, python, serves_health
from tests.load.benchmark.workloads import MODEL_INFER, Workload

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Target:
    """Where one workload is sent.

    Attributes:
        process: who answers; its processor time is measured.
        model_name: name of the model there.
        checked: whether the answer is compared with the model's own; an echo has none.
    """

    process: ServerProcess
    model_name: str
    checked: bool = True


class System(ABC):
    """One server, or the services that together are one.

    Attributes:
        name: on the command line and in results.
        title: in tables.
        processes: those of a started system.
    """

    name: str
    title: str

    def __init__(self) -> None:
        self.processes: list[ServerProcess] = []

    def problem(self) -> str | None:
        """Return why it cannot run on this machine; None when it can."""
        return None

    @abstractmethod
    def answers(self, workload: Workload) -> bool:
        """Tell whether it can answer a workload."""

    @abstractmethod
    def start(self, workloads: Sequence[Workload]) -> None:
        """Start everything and wait until it is ready; raises `ServerFailed`."""

    @abstractmethod
    def target(self, workload: Workload) -> Target:
        """Return where to send a workload."""

    def stop(self) -> None:
        """End everything."""
        for process in self.processes:
            process.stop()
        self.processes = []

    def log(self, process: str = "") -> Path:
        """Return the file of its output, or of one of its processes."""
        return data_folder() / "logs" / f"{self.name}{'-' + process if process else ''}.log"


class Echo(System):
    """The floor of the transport: grpc.aio on uvloop that answers constant bytes."""

    name = "echo"
    title = "empty grpc.aio server"

    def answers(self, workload: Workload) -> bool:
        """Only the workload whose model does nothing either."""
        return workload.name == "trivial"

    def start(self, workloads: Sequence[Workload]) -> None:
        """Start it."""
        self.processes = [echo_process(self.name, MODEL_INFER, self.log())]

    def target(self, workload: Workload) -> Target:
        """Return the one process."""
        return Target(self.processes[0], workload.model.name, checked=False)


def echo_process(name: str, method: str, log: Path) -> ServerProcess:
    """Start an echo that answers one RPC, and wait until it does."""
    (port,) = free_ports(HOST, 1)
    command = [python(), "-m", "tests.load.benchmark.echo_server", str(port), method]
    process = ServerProcess(name, command, port, environment(), REPOSITORY_ROOT, log)
    process.start()
    process.wait(lambda: accepts_calls(process.address))
    return process


class Marquee(System):
    """Our model services: one process for each family that a workload needs.

    Args:
        extra: settings of every service, without their prefix, on top of what the benchmark needs.
    """

    name = "marquee"
    title = "Marquee"
    settings: ClassVar[Mapping[str, str]] = {
        "LOG_LEVEL": "warning",
        # Every answer is computed: what is measured is serving, not remembering.
        "RESPONSE_CACHE_BYTES": "0",
    }

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._extra = dict(extra or {})
        self._services: dict[str, ServerProcess] = {}

    def answers(self, workload: Workload) -> bool:
        """All of them."""
        return True

    def start(self, workloads: Sequence[Workload]) -> None:
        """Start the services at the same time, and wait until each is SERVING."""
        names = sorted({workload.model.service for workload in workloads})
        for name, port in zip(names, free_ports(HOST, len(names)), strict=True):
            self._services[name] = self._service(name, port)
        self.processes = list(self._services.values())
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait(lambda address=process.address: serves_health(address))  # type: ignore[misc]

    def target(self, workload: Workload) -> Target:
        """Return the service of the model's family."""
        return Target(self._services[workload.model.service], workload.model.name)

    def service(self, name: str) -> ServerProcess:
        """Return the process of one family."""
        return self._services[name]

    def service_settings(self, service: str) -> dict[str, str]:
        """Return the settings of one service, without their prefix."""
        repository = {"MODEL_REPOSITORY": str(data_folder() / "models")} if service == "classical" else {}
        return {**self.settings, **repository, **self._extra}

    def _service(self, name: str, port: int) -> ServerProcess:
        settings = self.service_settings(name) | {"PORT": str(port)}
        variables = {f"MARQUEE_{name.upper()}_{key}": value for key, value in settings.items()}
        variables["MARQUEE_DATA_DIRECTORY"] = str(data_folder() / "mesh")
        command = [python(), "-P", "-m", f"services.{name}.main"]
        log = self.log(name)
        return ServerProcess(f"{self.title} ({name})", command, port, environment(**variables), REPOSITORY_ROOT, log)


class MarqueeNative(Marquee):
    """The same behind the optional front that does HTTP/2 in Rust."""

    name = "marquee-native"
    title = "Marquee, native front"
    settings: ClassVar[Mapping[str, str]] = {**Marquee.settings, "FRONT": "native"}

    def answers(self, workload: Workload) -> bool:
        """Where the transport is what costs."""
        return workload.name in {"trivial", "forest"}


class MarqueeWhole(Marquee):
    """The same with everything on that looks at a call: the metrics page, usage, traces of one call in ten."""

    name = "marquee-whole"
    title = "Marquee, everything on"
    trace_ratio: ClassVar[str] = "0.1"

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        super().__init__(extra)
        self._collector: ServerProcess | None = None

    def answers(self, workload: Workload) -> bool:
        """What shows the cost of the whole stack."""
        return workload.name in {"trivial", "minilm-text"}

    def start(self, workloads: Sequence[Workload]) -> None:
        """Start a collector that takes every span, then the services."""
        self._collector = echo_process("collector", COLLECTOR, self.log("collector"))
        super().start(workloads)

    def stop(self) -> None:
        """End everything."""
        super().stop()
        if self._collector is not None:
            self._collector.stop()

    def service_settings(self, service: str) -> dict[str, str]:
        """Return the settings of one service, without their prefix."""
        assert self._collector is not None
        return {
            **super().service_settings(service),
            "METRICS_PORT": "0",
            "TRACING_ENDPOINT": f"http://{self._collector.address}",
            "TRACING_SAMPLE_RATIO": self.trace_ratio,
            "USAGE_FILE": str(data_folder() / "mesh" / f"usage-{service}.jsonl"),
        }


class MarqueeTraced(MarqueeWhole):
    """The same with a trace of every call."""

    name = "marquee-traced"
    title = "Marquee, everything on, every call traced"
    trace_ratio: ClassVar[str] = "1"

    def answers(self, workload: Workload) -> bool:
        """The workload that shows it."""
        return workload.name == "trivial"


class MarqueeNativeWhole(MarqueeWhole):
    """Everything on behind the native front."""

    name = "marquee-native-whole"
    title = "Marquee, native front, everything on"
    settings: ClassVar[Mapping[str, str]] = MarqueeNative.settings

    def answers(self, workload: Workload) -> bool:
        """The workload that shows it."""
        return workload.name == "trivial"
