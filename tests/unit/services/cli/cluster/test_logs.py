from __future__ import annotations

import threading
import time

from services.cli.cluster.api import ClusterApi
from services.cli.cluster.log_streams import LogFollower, LogWishes
from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import fill, pod
from tests.unit.services.cli.conftest import Run

PODS = "/api/v1/namespaces/media/pods"
CALL = '{"timestamp": "2026-11-29T06:00:02.1Z", "level": "info", "event": "ready to serve"}'
WARNING = '{"timestamp": "2026-11-29T06:00:03.1Z", "level": "warning", "event": "queue is full"}'


def test_the_logs_of_all_pods_are_merged_by_time(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    cluster.say("marquee-text-0", f"2026-11-29T06:00:03.1Z {WARNING}")
    cluster.say("marquee-vision-0", "2026-11-29T06:00:01.5Z Segmentation", f"2026-11-29T06:00:02.1Z {CALL}")
    lines = run("cluster", "logs").output.splitlines()
    assert [line.split()[0] for line in lines] == ["marquee-vision-0", "marquee-vision-0", "marquee-text-0"]
    assert lines[1].endswith("06:00:02 ready to serve")
    assert run("cluster", "logs", "--warnings", "vision").output.split() == [
        "marquee-vision-0",
        "06:00:01",
        "Segmentation",
    ]
    assert '"event": "queue is full"' in run("cluster", "logs", "text", "--json", "--since", "1h").output
    assert cluster.count("GET", "sinceSeconds=3600") == 1


def test_a_time_span_that_is_none(cluster: FakeCluster, run: Run) -> None:
    assert run("cluster", "logs", "--since", "yesterday").exit_code == 2


def test_following_goes_on_over_broken_connections_restarts_and_new_pods(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.put(PODS, pod("text", 0))
    cluster.say("marquee-text-0", "2026-11-29T06:00:01.1Z one", "2026-11-29T06:00:01.2Z two")
    follower = LogFollower(api, "media", "app.kubernetes.io/component=text", LogWishes())
    said: list[str] = []

    def break_off() -> None:
        cluster.drop_watches()
        cluster.say("marquee-text-0", "2026-11-29T06:00:01.3Z three")

    def start_again() -> None:
        cluster.end_log("marquee-text-0")
        time.sleep(0.3)
        cluster.ended_logs.clear()
        cluster.say("marquee-text-0", "2026-11-29T06:00:05Z four")

    def scale_up() -> None:
        cluster.say("marquee-text-1", "2026-11-29T06:00:06Z five")
        cluster.put(PODS, pod("text", 1))

    steps = {"two": break_off, "three": start_again, "four": scale_up}
    for line in follower.lines(60):
        said.append(line.text)
        if line.text in steps:
            threading.Thread(target=steps[line.text]).start()
        if line.text == "five":
            break
    assert said == ["one", "two", "three", "four", "five"]
