"""Follows objects as they change, over dropped connections and expired versions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from services.cli.cluster.api import ClusterApi, Object
from services.cli.cluster.refusals import Refused, access_of, refusal
from services.cli.cluster.release import name_of
from services.cli.failures import CommandFailed

_LONGEST_WATCH_SECONDS = 60
_SILENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class WatchExpired(Exception):
    """The server does not keep the changes since the asked version any more (410 Gone)."""


def snapshots(
    api: ClusterApi, path: str, seconds: float, *, every: float = _LONGEST_WATCH_SECONDS, **query: str
) -> Iterator[dict[str, Object]]:
    """Yield all objects of a collection by name: as they are, and again after each change.

    A watch that breaks off is resumed from the last version seen, at once when it ended as agreed and after a growing
    pause when it did not; one whose version expired begins anew with a list. Ends after `seconds`.

    Args:
        api: the cluster.
        path: path of the collection.
        seconds: how long to watch.
        every: yield at least this often, also without a change; in seconds.
        query: `labelSelector` or `fieldSelector`.

    Raises:
        Refused: the server refuses to list or to watch.
        Unreachable: nobody answered in several tries.
    """
    end = time.monotonic() + seconds
    pause = _PAUSE_SECONDS
    while True:
        listed, version = api.objects_and_version(path, **query)
        found = {name_of(one): one for one in listed}
        yield dict(found)
        try:
            while (left := end - time.monotonic()) > 0:
                begin = time.monotonic()
                for event in _events(api, path, query, version, min(every, left, _LONGEST_WATCH_SECONDS)):
                    version = str(event["object"]["metadata"].get("resourceVersion", version))
                    if event["type"] == "BOOKMARK":
                        continue
                    pause = _PAUSE_SECONDS
                    if event["type"] == "DELETED":
                        found.pop(name_of(event["object"]), None)
                    else:
                        found[name_of(event["object"])] = event["object"]
                    yield dict(found)
                    if time.monotonic() >= end:
                        return
                if time.monotonic() - begin < min(every, left, 1.0):  # it broke off: not in a tight loop
                    time.sleep(min(pause, max(0.0, end - time.monotonic())))
                    pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                yield dict(found)
            return
        except WatchExpired:
            continue


def _events(api: ClusterApi, path: str, query: Mapping[str, str], version: str, seconds: float) -> Iterator[Object]:
    """Yield events until the server ends the watch or the connection breaks; both are ordinary."""
    import urllib3

    words = {
        **query,
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(max(1, round(seconds))),
    }
    try:
        with api.lines(path, words, seconds + _SILENCE_SECONDS) as lines:
            for line in lines:
                try:
                    event: Object = json.loads(line)
                except ValueError:  # half a line: the connection broke in the middle of it
                    return
                if event.get("type") == "ERROR":
                    said = event.get("object") or {}
                    _raise(int(said.get("code", 0)), line, path, api.context)
                    return
                yield event
    except Refused as error:
        if error.status != HTTPStatus.GONE:
            raise
        raise WatchExpired from error
    except (urllib3.exceptions.HTTPError, OSError):
        return


def _raise(code: int, line: bytes, path: str, context: str) -> None:
    if code == HTTPStatus.GONE:
        raise WatchExpired
    if code < HTTPStatus.INTERNAL_SERVER_ERROR and code != HTTPStatus.TOO_MANY_REQUESTS:
        body = json.dumps(json.loads(line)["object"]).encode()
        error: CommandFailed = refusal(code, body, access_of("GET", path, watch=True), context)
        raise error
