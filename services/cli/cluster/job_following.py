"""Follows a Job to its end: what its pods say, and how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from rich.markup import escape

from services.cli.cluster.api import Object
from services.cli.cluster.log_streams import LogFollower, LogWishes, read_logs
from services.cli.cluster.release import Release, name_of, state_of
from services.cli.cluster.watching import snapshots
from services.cli.console import output
from services.cli.failures import EXIT_FAILED, CommandFailed
from services.cli.tables import printable

_LOOK_SECONDS = 5.0
_LAST_LINES_SECONDS = 2.0
_SAID_SECONDS = 15.0


def follow_job(release: Release, name: str, seconds: float) -> int:
    """Print what a Job's pods say until it ends, and return the exit code of its container.

    Args:
        release: the mesh.
        name: of the Job.
        seconds: longest time to follow.

    Raises:
        CommandFailed: the Job is gone, or the time is over; the Job goes on then.
    """
    selector = f"batch.kubernetes.io/job-name={name}"
    stopping = threading.Event()
    printed: set[tuple[str, str, str]] = set()
    printer = threading.Thread(target=_print_lines, args=(release, selector, seconds, stopping, printed), daemon=True)
    printer.start()
    begin = said = time.monotonic()
    try:
        for job in _looks(release, name, seconds):
            ended = ending_of(job)
            if ended:
                break
            if time.monotonic() - said > _SAID_SECONDS and not printed:
                said = time.monotonic()
                states = [f"{name_of(pod)}: {state_of(pod)}" for pod in _pods(release, selector)]
                output.print(f"[dim]waiting: {escape('; '.join(states) or 'no pod yet')}[/]")
        else:
            raise CommandFailed(
                f"Job {name} has not ended after {seconds:.0f} s; it goes on",
                f"Follow it with: kubectl logs --namespace {release.namespace} --follow job/{name}",
            )
    finally:
        printer.join(_LAST_LINES_SECONDS)
        stopping.set()
    pods = _pods(release, selector)
    for line in read_logs(release.api, release.namespace, pods, LogWishes()):  # what following missed
        if (line.pod, line.time, line.text) not in printed:
            print(printable(line.text), flush=True)
    code = max((exit_code_of(pod) for pod in pods), default=0)
    if ended == "Complete":
        output.print(f"[green]✓[/] Job {escape(name)} [bold]{time.monotonic() - begin:.1f} s[/]")
        return 0
    why = "; ".join(f"{name_of(pod)}: {state_of(pod)}" for pod in pods)
    output.print(f"[red]Job {escape(name)} failed[/] ({escape(ended)}). {escape(why)}")
    return code or EXIT_FAILED


def ending_of(job: Object) -> str:
    """Return how a Job ended: "Complete", or why it failed; empty while it runs."""
    for one in (job.get("status") or {}).get("conditions") or []:
        if one["status"] == "True" and one["type"] in ("Complete", "Failed"):
            return "Complete" if one["type"] == "Complete" else str(one.get("reason") or "Failed")
    return ""


def exit_code_of(pod: Object) -> int:
    """Return the exit code of a pod's containers; 0 while they run."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    ended = [(one.get("state") or {}).get("terminated") or {} for one in statuses]
    return max((int(one.get("exitCode", 0)) for one in ended), default=0)


def _looks(release: Release, name: str, seconds: float) -> Iterator[Object]:
    path = release.path("jobs", "batch/v1")
    for found in snapshots(release.api, path, seconds, every=_LOOK_SECONDS, fieldSelector=f"metadata.name={name}"):
        if name not in found:
            raise CommandFailed(f"Job {name} was deleted before its end")
        yield found[name]


def _pods(release: Release, selector: str) -> list[Object]:
    return release.api.objects(release.path("pods"), labelSelector=selector)


def _print_lines(
    release: Release, selector: str, seconds: float, stopping: threading.Event, printed: set[tuple[str, str, str]]
) -> None:
    follower = LogFollower(release.api, release.namespace, selector, LogWishes())
    try:
        for line in follower.lines(seconds):
            if stopping.is_set():
                return
            printed.add((line.pod, line.time, line.text))
            print(printable(line.text), flush=True)
    except CommandFailed as error:
        if not stopping.is_set():
            output.print(f"[yellow]The log cannot be followed: {escape(str(error))}[/]")
