"""One server as a process of its own, leader of its own session, with its log in a file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import grpc

from inference import open_inference_pb2 as pb
from inference import open_inference_pb2_grpc as pb_grpc
from services.cli.health import HealthProbe
from services.runtime.sources import REPOSITORY_ROOT
from tests.load.benchmark.process_tree import ProcessTree

IMPORT_ROOTS = (REPOSITORY_ROOT, REPOSITORY_ROOT / "protos" / "python", REPOSITORY_ROOT / "services" / "client")


class ServerFailed(RuntimeError):
    """A server did not start, ended, or hung; the message says which and why."""


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a child: ours without settings of Marquee, one thread for every numeric library."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(map(str, IMPORT_ROOTS)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **extra,
    }


class ServerProcess:
    """Starts a command, waits until it is ready, and ends it with everything it started.

    Args:
        name: for messages and the name of the log.
        command: program and arguments.
        port: where it listens on this machine.
        variables: its environment.
        folder: working directory.
        log: file of its output.
    """

    def __init__(
        self, name: str, command: Sequence[str], port: int, variables: Mapping[str, str], folder: Path, log: Path
    ) -> None:
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self._command = list(command)
        self._variables = dict(variables)
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def tree(self) -> ProcessTree:
        """The process with everything it started."""
        assert self._process is not None
        return ProcessTree(self._process.pid)

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._variables,
                    cwd=self._folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerFailed(f"{self.name} cannot be started: {error}") from error

    def wait(self, ready: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait until `ready` says so.

        Raises:
            ServerFailed: the process ended, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} is not ready after {seconds:.0f} s: {self._last_words()}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise `ServerFailed` when the process has ended."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise ServerFailed(f"{self.name} ended with code {code}: {self._last_words()}")

    def stop(self) -> None:
        """End the process with everything it started. May be called again."""
        if self._process is not None:
            self.tree.end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process = None

    def _last_words(self) -> str:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-3:])[-600:] or "it said nothing"


def serves_health(address: str) -> bool:
    """Tell whether a server says SERVING through the standard health protocol."""
    with HealthProbe(address) as probe:
        return probe.look(0.5) == "serving"


def serves_models(address: str, names: Sequence[str]) -> bool:
    """Tell whether a server says through Open Inference that it is ready, and every model too."""
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        try:
            if not stub.ServerReady(pb.ServerReadyRequest(), timeout=1).ready:
                return False
            return all(stub.ModelReady(pb.ModelReadyRequest(name=name), timeout=1).ready for name in names)
        except grpc.RpcError:
            return False


def accepts_calls(address: str) -> bool:
    """Tell whether a gRPC server answers at all."""
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=1)
        except grpc.FutureTimeoutError:
            return False
        return True


def python() -> str:
    """Return the Python of this environment."""
    return sys.executable
