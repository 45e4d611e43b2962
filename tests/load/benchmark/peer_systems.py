"""The servers of others: NVIDIA Triton through PyTriton, and MLServer, each in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from services.cli.ports import free_ports
from services.runtime.sources import REPOSITORY_ROOT
from tests.load.benchmark.models import data_folder
from tests.load.benchmark.server_process import ServerProcess, environment, serves_models
from tests.load.benchmark.systems import HOST, System, Target
from tests.load.benchmark.workloads import Workload

PROGRAMS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Setting:
    """How a peer serves one model.

    Attributes:
        max_batch: most rows of a run; 1 (Triton) or 0 (MLServer) is no batching.
        delay_microseconds: how long it may wait for more rows.
        threads: of one run.
    """

    max_batch: int
    delay_microseconds: int = 0
    threads: int = 1

    def words(self) -> str:
        """Return it for tables."""
        batch = f"batch ≤ {self.max_batch}" if self.max_batch > 1 else "no batching"
        delay = f", wait ≤ {self.delay_microseconds / 1000:g} ms" if self.delay_microseconds else ""
        threads = f", {self.threads} threads a run" if self.threads > 1 else ""
        return batch + delay + threads


class Peer(System):
    """A server in an environment of its own that serves every model under one or more settings.

    Attributes:
        settings: those to try for each workload; narrowed to the best one after they were tried.
    """

    environment_name: ClassVar[str]
    probe: ClassVar[str]
    """Python that fails when the environment is not what it should be."""

    def __init__(self, settings: Mapping[str, Sequence[Setting]]) -> None:
        super().__init__()
        self.settings: dict[str, Sequence[Setting]] = dict(settings)

    @property
    def python(self) -> Path:
        """Python of its environment."""
        return REPOSITORY_ROOT / self.environment_name / "bin" / "python"

    def problem(self) -> str | None:
        """Look whether its environment is there and whole."""
        if not self.python.exists():
            log = data_folder() / "logs" / f"install{self.environment_name}.log"
            lines = [line for line in log.read_text(errors="replace").splitlines() if line] if log.exists() else []
            return f"not installed (`make bench-peers`){': ' + lines[-1] if lines else ''}"
        finished = subprocess.run(
            [str(self.python), "-c", self.probe], capture_output=True, text=True, timeout=120, check=False
        )
        return (finished.stderr.strip().splitlines() or ["unknown"])[-1] if finished.returncode else None

    def answers(self, workload: Workload) -> bool:
        """Everything that is plain tensors."""
        return workload.is_open_inference

    def target(self, workload: Workload) -> Target:
        """Return the model under its only setting, or the first."""
        return self.target_with(workload, self.settings[workload.name][0])

    def target_with(self, workload: Workload, setting: Setting) -> Target:
        """Return the model under one of the settings it was started with."""
        return Target(self.processes[0], deployed_name(workload, setting))

    def _deployed(self, workloads: Sequence[Workload]) -> list[dict[str, Any]]:
        return [
            {
                "name": deployed_name(workload, setting),
                "path": str(workload.model.graph),
                "inputs": workload.model.manifest["inputs"],
                "outputs": workload.model.manifest["outputs"],
                "output_names": [one["name"] for one in workload.model.manifest["outputs"]],
                **asdict(setting),
            }
            for workload in workloads
            for setting in self.settings[workload.name]
        ]

    def _run(self, command: Sequence[str], port: int, variables: Mapping[str, str], names: Sequence[str]) -> None:
        folder = data_folder() / "peers" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        process = ServerProcess(self.title, command, port, variables, folder, self.log())
        self.processes = [process]
        process.start()
        process.wait(lambda: serves_models(process.address, names))


def deployed_name(workload: Workload, setting: Setting) -> str:
    """Return the name that a peer knows a model by under one setting."""
    return f"{workload.model.name}-{setting.max_batch}-{setting.delay_microseconds}-{setting.threads}"


class Triton(Peer):
    """NVIDIA Triton through PyTriton."""

    environment_name = ".venv-bench-triton"
    probe = "import pytriton, onnxruntime; assert onnxruntime.__version__ == '1.32.0'"

    def __init__(self, instances: int) -> None:
        self.name = f"triton-{instances}"
        self.title = f"Triton, {instances} instance{'s' if instances > 1 else ''}"
        self._instances = instances
        # With one instance, a second thread in a run is the only way to the second core.
        wide = [Setting(1, threads=2)] if instances == 1 else []
        wide_batch = [Setting(32, threads=2)] if instances == 1 else []
        small = [Setting(1), Setting(32), Setting(32, 1_000)]
        super().__init__(
            {
                "trivial": small,
                "forest": small,
                "minilm": [Setting(8), Setting(32), Setting(32, 1_000), *wide_batch],
                "cnn": [Setting(1), Setting(4), *wide],
            }
        )

    def start(self, workloads: Sequence[Workload]) -> None:
        """Start Triton's server and the process of its callables."""
        ports = free_ports(HOST, 2)
        models = self._deployed(workloads)
        specification = {"port": ports[0], "spare_ports": ports[1:], "instances": self._instances, "models": models}
        file = write_json(data_folder() / "peers" / self.name / "specification.json", specification)
        # Triton's Python back-end must load the library of the same Python, not the first one that the system knows.
        question = [str(self.python), "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
        library = subprocess.run(question, capture_output=True, text=True, check=True).stdout.strip()
        variables = environment(PYTHONPATH="", LD_LIBRARY_PATH=library)
        command = [str(self.python), str(PROGRAMS / "triton_server.py"), str(file)]
        self._run(command, ports[0], variables, [model["name"] for model in models])


class MLServer(Peer):
    """MLServer with a runtime of its usual kind around ONNX Runtime."""

    environment_name = ".venv-bench-mlserver"
    probe = "import mlserver, onnxruntime; assert onnxruntime.__version__ == '1.32.0'"

    def __init__(self, workers: int) -> None:
        self.name = f"mlserver-{workers}-workers" if workers else "mlserver"
        self.title = f"MLServer, {workers} parallel workers" if workers else "MLServer, one process"
        self._workers = workers
        small = [Setting(0), Setting(32, 1_000)]
        super().__init__(
            {
                "trivial": small,
                "forest": small,
                "minilm": [Setting(0), Setting(32, 1_000), Setting(32, 10_000), Setting(8, 5_000)],
                "cnn": [Setting(0), Setting(4, 5_000)],
            }
        )

    def start(self, workloads: Sequence[Workload]) -> None:
        """Start MLServer on a folder of settings files."""
        ports = free_ports(HOST, 3)
        models = self._deployed(workloads)
        folder = data_folder() / "peers" / self.name / "repository"
        for stale in folder.glob("*/model-settings.json"):
            stale.unlink()
        write_json(
            folder / "settings.json",
            {
                "debug": False,
                "host": HOST,
                "grpc_port": ports[0],
                "http_port": ports[1],
                "metrics_endpoint": None,
                "metrics_port": ports[2],
                "parallel_workers": self._workers,
                "environments_dir": str(folder.parent / "environments"),
                "metrics_dir": str(folder.parent / "metrics"),
            },
        )
        for model in models:
            write_json(folder / model["name"] / "model-settings.json", _model_settings(model))
        variables = environment(PYTHONPATH=str(PROGRAMS))
        command = [str(self.python.parent / "mlserver"), "start", str(folder)]
        self._run(command, ports[0], variables, [model["name"] for model in models])


def _model_settings(model: Mapping[str, Any]) -> dict[str, Any]:
    batching = model["max_batch"] > 1
    return {
        "name": model["name"],
        "implementation": "mlserver_runtime.OnnxRuntimeModel",
        "max_batch_size": model["max_batch"] if batching else 0,
        "max_batch_time": model["delay_microseconds"] / 1e6 if batching else 0.0,
        "parameters": {
            "version": "1",
            "extra": {name: model[name] for name in ("path", "threads", "output_names")},
        },
    }


def write_json(path: Path, content: object) -> Path:
    """Write a specification for a server and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))
    return path
