"""One service as a child process: its port, its log file, its health, its memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from services.cli.channels import local_tls
from services.cli.health import Health, HealthProbe


class ServiceProcess:
    """Starts and stops one service on this machine. The process ends with the one that started it, however that ends.

    Args:
        name: short name of the service, for example "text".
        address: `host:port` it listens on.
        environment: environment variables of the process.
        log_path: file that its log is appended to.
        grace_seconds: time between SIGTERM and SIGKILL.
    """

    def __init__(
        self, name: str, address: str, environment: Mapping[str, str], log_path: Path, grace_seconds: float
    ) -> None:
        self.name = name
        self.address = address
        self.log_path = log_path
        self.startup_seconds: float | None = None
        """Time from the start of the process to SERVING; None until then."""
        self._environment = dict(environment)
        self._grace_seconds = grace_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._started = 0.0
        self._log_start = 0
        self._probe = HealthProbe(address, local_tls(name, environment))

    @property
    def pid(self) -> int | None:
        """Process id; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """Exit code of a process that ended (negative: the signal's number); None while it runs and before that."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        self._drop_lifeline()
        self.startup_seconds = None
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        pipe, self._lifeline = os.pipe()
        command = [sys.executable, "-P", "-m", "services.cli.supervised", str(pipe), str(self._grace_seconds)]
        try:
            with self.log_path.open("ab") as log:
                self._log_start = log.tell()
                self._started = time.monotonic()
                self._process = subprocess.Popen(
                    [*command, f"services.{self.name}.main"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._environment,
                    pass_fds=[pipe],
                    # Ctrl-C in the terminal is for the parent alone, which then stops the services in order.
                    start_new_session=True,
                )
        finally:
            os.close(pipe)

    def health(self, seconds: float = 0.5) -> Health:
        """Return the health of the service, and note when it became SERVING."""
        health = self._probe.look(seconds)
        if health == "serving" and self.startup_seconds is None:
            self.startup_seconds = time.monotonic() - self._started
        return health

    def age_seconds(self) -> float:
        """Return the time since the process was last started."""
        return time.monotonic() - self._started if self._started else 0.0

    def resident_bytes(self) -> int:
        """Return the memory of the process that is not swapped out; 0 when it does not run."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss) if self.pid is not None else 0
        except psutil.NoSuchProcess:
            return 0

    def problems(self) -> list[str]:
        """Return why the service says it cannot serve, or else the last lines of its log."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        reasons = [str(entry["reason"]) for entry in map(_parse, lines) if entry.get("event") == "not serving"]
        return reasons or lines[-5:]

    def cannot_serve(self) -> bool:
        """Tell whether the service has given up on becoming ready: its log says why."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return b'"not serving"' in log.read()

    def terminate(self) -> None:
        """Ask the process to drain and stop."""
        if self.pid is not None and self._process is not None:
            self._process.send_signal(signal.SIGTERM)
        self._drop_lifeline()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._drop_lifeline()
        self._probe.close()

    def wait(self, seconds: float) -> None:
        """Wait for the end of a terminated process; kill it after `seconds`."""
        if self._process is not None:
            try:
                self._process.wait(max(0.0, seconds))
            except subprocess.TimeoutExpired:
                self.kill()
        self._probe.close()

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _parse(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
