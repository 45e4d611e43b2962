"""The logs of many containers as one stream of lines."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from services.cli.cluster.api import ClusterApi, Object
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import component_of, container_of, name_of
from services.cli.cluster.watching import snapshots
from services.cli.failures import CommandFailed

_SILENCE_SECONDS = 3600.0
_READ_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 60.0
_NOTHING_YET = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""What a container that has not started, and a pod that is gone, answer."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_ENDED = ("Succeeded", "Failed")
_WAITING_LINES = 10_000


@dataclass(frozen=True)
class LogLine:
    """One line of one pod's log; `time` is the node's, RFC 3339 in UTC without its Z."""

    pod: str
    component: str
    time: str
    text: str


@dataclass(frozen=True)
class LogWishes:
    """Which lines are wanted.

    Attributes:
        since_seconds: not older than so many seconds; 0 for all that is kept.
        tail: at most so many last lines of each pod; negative for all.
    """

    since_seconds: int = 0
    tail: int = -1


def read_logs(api: ClusterApi, namespace: str, pods: list[Object], wishes: LogWishes) -> list[LogLine]:
    """Return what the pods have said, in the order of time."""
    lines: list[LogLine] = []
    for pod in pods:
        try:
            with _lines(api, namespace, pod, wishes, follow=False) as found:
                lines += found
        except Refused as error:
            if error.status not in _NOTHING_YET:
                raise
    return sorted(lines, key=lambda line: line.time)


class LogFollower:
    """Follows the logs of all pods that a selector finds: new pods, restarted containers and broken connections too.

    Args:
        api: the cluster.
        namespace: of the pods.
        selector: label selector.
        wishes: which lines.
    """

    def __init__(self, api: ClusterApi, namespace: str, selector: str, wishes: LogWishes) -> None:
        self._api = api
        self._namespace = namespace
        self._selector = selector
        self._wishes = wishes
        self._lines: queue.Queue[LogLine | CommandFailed] = queue.Queue(_WAITING_LINES)
        self._pods: dict[str, Object] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()

    def lines(self, seconds: float) -> Iterator[LogLine]:
        """Yield lines as they come, until `seconds` have passed or the caller stops.

        Raises:
            CommandFailed: the cluster refused, or does not answer any more.
        """
        end = time.monotonic() + seconds
        threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()
        try:
            while (left := end - time.monotonic()) > 0:
                try:
                    line = self._lines.get(timeout=min(left, _LONGEST_WAIT_SECONDS))
                except queue.Empty:
                    continue
                if isinstance(line, CommandFailed):
                    raise line
                yield line
        finally:
            self._stopping.set()

    def _watch(self, seconds: float) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        try:
            for pods in snapshots(self._api, path, seconds, labelSelector=self._selector):
                if self._stopping.is_set():
                    return
                self._pods = pods
                for name, pod in pods.items():
                    if name not in self._threads and (pod.get("status") or {}).get("phase", "Pending") != "Pending":
                        thread = threading.Thread(target=self._follow, args=(pod,), daemon=True)
                        self._threads[name] = thread
                        thread.start()
        except CommandFailed as error:
            self._lines.put(error)

    def _follow(self, pod: Object) -> None:
        """Follow one pod until it is gone; a line is told once, however often the connection breaks."""
        name, last, pause = name_of(pod), "", _FIRST_PAUSE_SECONDS
        wishes = self._wishes
        while not self._stopping.is_set():
            told = 0
            try:
                with _lines(self._api, self._namespace, pod, wishes, follow=True, since=last) as found:
                    for line in found:
                        if line.time and line.time <= last:
                            continue
                        last, told = line.time or last, told + 1
                        self._lines.put(line)
                        if self._stopping.is_set():
                            return
            except Refused as error:
                if error.status == HTTPStatus.FORBIDDEN:
                    self._lines.put(error)
                    return
                if error.status == HTTPStatus.NOT_FOUND:
                    return
            except CommandFailed as error:
                self._lines.put(error)
                return
            pod = self._pods.get(name, pod)
            if name not in self._pods or (pod.get("status") or {}).get("phase") in _ENDED:
                return
            pause = _FIRST_PAUSE_SECONDS if told else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._stopping.wait(pause)  # the container is started again, or the connection broke


@contextmanager
def _lines(
    api: ClusterApi, namespace: str, pod: Object, wishes: LogWishes, *, follow: bool, since: str = ""
) -> Iterator[Iterator[LogLine]]:
    """Open one pod's log; its lines end where the container ends or the connection breaks."""
    query = {"timestamps": "true", "container": str(container_of(pod)["name"])}
    if follow:
        query["follow"] = "true"
    if since:
        query["sinceTime"] = since[:19] + "Z"  # whole seconds; what was told already is left out
    elif wishes.since_seconds:
        query["sinceSeconds"] = str(wishes.since_seconds)
    if wishes.tail >= 0 and not since:
        query["tailLines"] = str(wishes.tail)
    path = f"/api/v1/namespaces/{namespace}/pods/{name_of(pod)}/log"
    with api.lines(path, query, _SILENCE_SECONDS if follow else _READ_SECONDS) as raw:
        yield _parsed(pod, raw)


def _parsed(pod: Object, raw: Iterator[bytes]) -> Iterator[LogLine]:
    import urllib3

    try:
        for line in raw:
            time_, _, text = line.decode(errors="replace").partition(" ")
            # Without the Z, times of different precision have the order of their letters.
            yield LogLine(name_of(pod), component_of(pod), time_.rstrip("Z"), text)
    except (urllib3.exceptions.HTTPError, OSError):
        return
