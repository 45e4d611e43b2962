"""Docker or podman, whichever works on this machine, for building images and for tests that run them.

    engine = find_engine()
    engine.build(["--file", "deploy/images/Containerfile", "--tag", "marquee-text", "."])
    with engine.run("marquee-text", hardened=True) as container:
        print(container.address(), container.logs())

podman without systemd, or with limits lower than it likes to set, needs a containers.conf of its own; it is written
below `.cache/images` and named in the environment of the calls made here, nowhere else.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "images"
PROGRAMS = ("docker", "podman")  # a daemon that answers comes first
# podman would raise these for every container; more than we have ourselves is refused.
MOST_OPEN_FILES, MOST_PROCESSES = 65_536, 16_384
# What the pods of the chart run with.
HARDENED = (
    "--read-only", "--tmpfs=/tmp:rw,mode=1777,size=268435456", "--user=65532:65532", "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)  # fmt: skip


class NoEngine(RuntimeError):
    """Neither docker nor podman works here. The text says why and what to do."""


class EngineFailed(RuntimeError):
    """A command of the engine failed. The text is the command and the end of what it said."""


@dataclass(frozen=True)
class Engine:
    """A container engine, with the environment that its commands need."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a call."""
        return [self.program, *arguments]

    def variables(self) -> dict[str, str]:
        """Return the environment of a call: ours, and what the engine needs."""
        return {**os.environ, **self.environment}

    def call(self, *arguments: str, timeout: float = 120, accept_failure: bool = False) -> str:
        """Run a command of the engine and return what it printed, without the final newline.

        Raises:
            EngineFailed: it failed, or took longer than `timeout` seconds.
        """
        try:
            done = subprocess.run(
                self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False,
                env=self.variables(),
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise EngineFailed(f"{self.program} {arguments[0]} took longer than {timeout:g} s") from error
        if done.returncode and not accept_failure:
            raise EngineFailed(f"{self.program} {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def build(self, arguments: Sequence[str], log: Path | None = None) -> Iterable[str]:
        """Build an image in the repository's folder; yields the engine's lines as they come, also kept in `log`.

        Raises:
            EngineFailed: the build failed; its last lines are in the text.
        """
        variables = {**self.variables(), "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        log = log or Path(os.devnull)
        log.parent.mkdir(parents=True, exist_ok=True)
        last: deque[str] = deque(maxlen=25)
        with (
            log.open("w") as kept,
            subprocess.Popen(
                self.command("build", *arguments), cwd=REPOSITORY, env=variables, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process,
        ):  # fmt: skip
            for line in process.stdout or ():
                last.append(line)
                kept.write(line)
                kept.flush()
                yield line.rstrip()
        if process.returncode:
            raise EngineFailed("".join(last))

    def has_image(self, image: str) -> bool:
        """Tell whether the image is in the engine's store."""
        return bool(self.call("images", "--quiet", image, accept_failure=True))

    def image(self, image: str) -> dict[str, Any]:
        """Return what the engine knows about an image: `Size` in bytes, `Config` with user, labels, entrypoint."""
        found: list[dict[str, Any]] = json.loads(self.call("image", "inspect", image))
        return found[0]

    def read_file(self, image: str, path: str) -> str:
        """Return the text of a file in an image."""
        return self.call("run", "--rm", "--network=none", "--entrypoint=/bin/cat", image, path)

    def create_network(self, name: str) -> None:
        """Make a network whose containers find each other by name."""
        self.call("network", "create", name)

    def remove_network(self, name: str) -> None:
        """Remove a network; nothing happens when it is gone."""
        self.call("network", "rm", name, accept_failure=True)

    def run(
        self,
        image: str,
        *command: str,
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[str, str] | None = None,
        network: str | None = None,
        hardened: bool = True,
        options: Sequence[str] = (),
    ) -> Container:
        """Start a container in the background.

        Args:
            image: what to run.
            command: arguments of the image's entrypoint.
            name: its name, which others on the same network resolve.
            environment: settings.
            volumes: volume name or host folder -> path in the container, `:ro` may follow.
            network: a network made with `create_network`, or `host`, or `none`.
            hardened: read-only, without capabilities, as nobody: what the chart's pods get.
            options: further options of the engine, for example `--memory=512m`.

        Raises:
            EngineFailed: the container could not be started.
        """
        arguments = ["run", "--detach", "--pull=never"]
        arguments += [f"--name={name}"] if name else []
        arguments += [f"--network={network}"] if network else []
        arguments += [f"--env={key}={value}" for key, value in (environment or {}).items()]
        arguments += [f"--volume={source}:{target}" for source, target in (volumes or {}).items()]
        arguments += HARDENED if hardened else ()
        return Container(self, self.call(*arguments, *options, image, *command))


@dataclass(frozen=True)
class Container:
    """A container that was started here. As a context manager it is removed at the end."""

    engine: Engine
    identity: str

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows about the container."""
        found: list[dict[str, Any]] = json.loads(self.engine.call("container", "inspect", self.identity))
        return found[0]

    def running(self) -> bool:
        """Tell whether its process runs."""
        return bool(self.inspect()["State"]["Running"])

    def exit_code(self) -> int:
        """Return the exit code of its process, which has ended."""
        return int(self.inspect()["State"]["ExitCode"])

    def address(self) -> str:
        """Return its IP address, which this machine reaches: ports need not be published."""
        settings = self.inspect()["NetworkSettings"]
        found = [settings.get("IPAddress"), *(entry["IPAddress"] for entry in settings.get("Networks", {}).values())]
        return next((address for address in found if address), "127.0.0.1")

    def memory_bytes(self) -> int:
        """Return the resident memory of all its processes, in bytes, without the page cache of files it only read."""
        table = self.engine.call("top", self.identity, "-eo", "pid,rss") if self.engine.program == "docker" else ""
        if table:
            return sum(int(line.split()[1]) for line in table.splitlines()[1:]) << 10
        identities = self.engine.call("top", self.identity, "hpid").split()[1:]
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in identities)
        return pages * resource.getpagesize()

    def exec(self, *command: str, timeout: float = 60) -> str:
        """Run a program inside and return what it printed."""
        return self.engine.call("exec", self.identity, *command, timeout=timeout)

    def logs(self) -> str:
        """Return what it wrote to its two outputs."""
        done = subprocess.run(
            self.engine.command("logs", self.identity), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, env=self.engine.variables(),
        )  # fmt: skip
        return done.stdout

    def stop(self, grace_seconds: int = 30) -> int:
        """Ask it to end, as Kubernetes does: SIGTERM, and SIGKILL after the grace period. Returns its exit code."""
        self.engine.call("stop", "-t", str(grace_seconds), self.identity, timeout=grace_seconds + 60)
        return self.exit_code()

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to its process; the default ends it without warning."""
        self.engine.call("kill", f"--signal={signal}", self.identity)

    def remove(self) -> None:
        """Remove it with its volumes of no name, running or not."""
        self.engine.call("rm", "--force", "--volumes", self.identity, accept_failure=True)


def _limit(kind: int, most: int) -> int:
    own = resource.getrlimit(kind)[1]
    return most if own == resource.RLIM_INFINITY else min(own, most)


def podman_environment() -> dict[str, str]:
    """Return the variables with which podman works here, writing its settings when it needs any."""
    if "CONTAINERS_CONF" in os.environ or Path("/run/systemd/system").exists():
        return {}
    files = _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    processes = _limit(resource.RLIMIT_NPROC, MOST_PROCESSES)
    lines = ["[engine]", 'cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    lines += ['runtime = "runc"'] if shutil.which("runc") else []
    lines += ["[containers]", f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]']
    path = CACHE / "containers.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return {"CONTAINERS_CONF": str(path)}


def find_engine(wanted: str | None = None) -> Engine:
    """Return the first engine that answers; `wanted` (or MARQUEE_CONTAINER_ENGINE) takes only that one.

    Raises:
        NoEngine: none does.
    """
    wanted = wanted or os.environ.get("MARQUEE_CONTAINER_ENGINE")
    problems = []
    for program in (wanted,) if wanted else PROGRAMS:
        if shutil.which(program) is None:
            problems.append(f"{program} is not installed")
            continue
        engine = Engine(program, podman_environment() if program == "podman" else {})
        try:
            engine.call("info", timeout=90)
        except EngineFailed as error:
            problems.append(f"{program} does not answer ({str(error).splitlines()[-1][:160]})")
            continue
        return engine
    raise NoEngine(
        f"no container engine: {'; '.join(problems)}. Start Docker, or install podman: `make container-engine` does "
        "it on Debian and Ubuntu"
    )
