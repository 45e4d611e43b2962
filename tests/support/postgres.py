"""A real PostgreSQL from the system's packages for tests, on a free port of 127.0.0.1, with fsync on."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

INSTALL = (
    "PostgreSQL is not installed; on Debian and Ubuntu: apt-get install postgresql (as root: deploy/postgresql.sh)"
)
PASSWORD = "a:secret/of#tests"
_PASSWORD_IN_URL = "a%3Asecret%2Fof%23tests"
_START_SECONDS = 60
_UNPRIVILEGED = ("postgres", "nobody")


def programs() -> Path | None:
    """Return the folder with `initdb` and `pg_ctl`, or None when PostgreSQL is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    candidates = [path.parent for name in ("initdb",) if (path := _which(name))] + folders[::-1]
    return next(
        (folder for folder in candidates if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None
    )


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).resolve() if found else None


def _lives(process: psutil.Process) -> bool:
    """Whether a process still holds anything; one that only waits for its parent to take note does not."""
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


class PostgresServer:
    """One server that can be stopped, killed and started again; its databases live in a folder below /tmp.

    Attributes:
        port: of 127.0.0.1; the same after every start.
        folder: data, socket and log.
    """

    def __init__(self, folder: Path | None = None, options: dict[str, str] | None = None) -> None:
        found = programs()
        assert found is not None, INSTALL
        self._programs = found
        self._as_user = _without_privileges()
        # Not below pytest's folder, which the server's user may not enter.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="marquee-postgresql-"))
        self.port = _free_port()
        self.data = self.folder / "data"
        if self._as_user:
            shutil.chown(self.folder, self._as_user, self._as_user if self._as_user == "postgres" else "nogroup")
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb",
            f"--pgdata={self.data}",
            "--username=marquee",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "60",
            "fsync": "on",
        } | (options or {})
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://marquee:{_PASSWORD_IN_URL}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start and wait until it takes connections, which includes its recovery after a crash."""
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._run("pg_ctl", "start", "--wait", f"--timeout={_START_SECONDS}", f"--log={self.folder / 'log'}")
                return
            except subprocess.CalledProcessError as error:
                # Processes of a server that was killed may need a moment to notice.
                if time.monotonic() > end:
                    raise RuntimeError(f"{error.stdout}\n{(self.folder / 'log').read_text()[-2000:]}") from error
                time.sleep(0.2)

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` breaks all connections, `immediate` ends like a crash, `smart` waits for them."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill all its processes with SIGKILL, as a machine does that loses its power, except that the kernel lives.

        Returns when they are gone: until then its port may still take connections.
        """
        main = psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        end = time.monotonic() + _START_SECONDS
        while any(map(_lives, processes)) and time.monotonic() < end:
            time.sleep(0.02)

    @contextlib.contextmanager
    def small_disk(self, megabytes: int) -> Iterator[Path]:
        """A folder on a disk of its own, for a tablespace that fills up.

        Raises:
            PermissionError: this process may not mount a disk.
        """
        folder = self.folder / "small"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            folder.rmdir()
            raise PermissionError("cannot mount a disk")
        try:
            if self._as_user:
                shutil.chown(folder, self._as_user)
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            folder.rmdir()

    def close(self) -> None:
        """Stop for good and delete everything."""
        with contextlib.suppress(subprocess.CalledProcessError):  # it may be down already
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if program == "pg_ctl":
            command.append(f"--pgdata={self.data}")
        if self._as_user:
            command = ["runuser", "-u", self._as_user, "--", *command]
        # Without a file of its own, the server would keep our pipe open.
        with (self.folder / "commands.log").open("a+") as output:
            start = output.tell()
            try:
                subprocess.run(command, stdout=output, stderr=output, cwd=self.folder, check=True)
            except subprocess.CalledProcessError as error:
                output.seek(start)
                error.stdout = output.read()
                raise


def _without_privileges() -> str:
    """Return the user to run as when we are root, whom PostgreSQL refuses; otherwise empty."""
    if os.geteuid() != 0:
        return ""
    known = Path("/etc/passwd").read_text()
    return next(name for name in _UNPRIVILEGED if f"\n{name}:" in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
