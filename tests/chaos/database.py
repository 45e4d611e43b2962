"""PostgreSQL for the drills of one mesh: the tests' server, and what a drill does to it."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from services.cli.health import listens
from tests.support.postgres import INSTALL, PostgresServer, programs

_OPTIONS = {"min_wal_size": "32MB", "max_wal_size": "64MB", "shared_buffers": "64MB"}
_RECOVERY_SECONDS = 10.0


def no_postgresql() -> str:
    """Return why PostgreSQL cannot be started here; empty when it can."""
    return "" if programs() is not None else INSTALL


class Database:
    """A server in a folder of its own.

    Args:
        folder: where to put it; the server's user must be able to enter.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "postgresql"
        self._server: PostgresServer | None = None

    @property
    def server(self) -> PostgresServer:
        """The server; started before."""
        assert self._server is not None
        return self._server

    @property
    def url(self) -> str:
        """URL of the database."""
        return self.server.url()

    @property
    def port(self) -> int:
        """Port on 127.0.0.1."""
        return self.server.port

    def url_through(self, port: int) -> str:
        """Return the URL by way of a proxy."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{self.port}", f":{port}")))

    def start(self) -> None:
        """Make the server and start it."""
        self._folder.mkdir()
        self._server = PostgresServer(self._folder, _OPTIONS)

    def stop(self) -> None:
        """End the server and delete it."""
        if self._server is not None:
            self.thaw()
            self._server.close()
            self._server = None

    def kill(self) -> None:
        """Kill all processes with SIGKILL."""
        self.server.kill()

    def start_again(self) -> None:
        """Start the server after it ended, which includes its recovery; leaves alone one that recovers by itself."""
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while any(self._processes()) and time.monotonic() < deadline:
            if listens(f"127.0.0.1:{self.port}", 0.5):
                return
            time.sleep(0.1)
        self.server.start()

    def freeze(self) -> None:
        """Stop all processes where they are: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all processes go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _processes(self) -> list[psutil.Process]:
        try:
            main = psutil.Process(int((self.server.data / "postmaster.pid").read_text().splitlines()[0]))
            return [main, *main.children()]
        except (OSError, IndexError, ValueError, psutil.NoSuchProcess):
            return []
