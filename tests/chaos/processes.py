"""A service as a process that drills may kill, stop and start; also in a network namespace of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.cli.health import HealthProbe

_GRACE_SECONDS = 10.0


class NotReady(RuntimeError):
    """A service does not serve in time; the message says which and shows the end of its log."""


class ServiceProcess:
    """Starts one service; the process never outlives the one that started it.

    Args:
        name: name in logs, for example "orchestrator-2".
        service: folder of the service, for example "orchestrator".
        address: `host:port` at which it answers.
        environment: its environment variables.
        log_path: file that its log is appended to.
        prefix: command that runs the process, for example `unshare --net`; it must end in exec.
    """

    def __init__(
        self,
        name: str,
        service: str,
        address: str,
        environment: Mapping[str, str],
        log_path: Path,
        prefix: Sequence[str] = (),
    ) -> None:
        self.name, self.service, self.address = name, service, address
        self.environment = dict(environment)
        self.log_path = log_path
        self._prefix = list(prefix)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        assert not self.pid, f"{self.name} runs already"
        pipe, self._lifeline = os.pipe()
        try:
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        *self._prefix,
                        *(sys.executable, "-P", "-m", "services.cli.supervised", str(pipe), str(_GRACE_SECONDS)),
                        f"services.{self.service}.main",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.environment,
                    pass_fds=[pipe],
                    start_new_session=True,
                )
        finally:
            os.close(pipe)

    def kill(self) -> None:
        """End the process at once, also a stopped one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._drop_lifeline()

    def terminate(self) -> None:
        """Let the process drain and end; kill it when it takes too long."""
        if self._process is not None and self.pid:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._drop_lifeline()

    def freeze(self) -> None:
        """Stop the process where it is: it keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a stopped process go on."""
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until the service is SERVING.

        Raises:
            NotReady: it ended, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        with HealthProbe(self.address) as probe:
            while probe.look(0.5) != "serving":
                if not self.pid:
                    raise NotReady(f"{self.name} has ended\n{self.log_end()}")
                if time.monotonic() > deadline:
                    raise NotReady(f"{self.name} is not ready after {seconds:.0f} s\n{self.log_end()}")
                time.sleep(0.05)

    def log_end(self, lines: int = 8) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
