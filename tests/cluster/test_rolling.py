"""Every Deployment is restarted under load, and pods are evicted: no call may fail."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import pytest

from marquee_client import MarqueeClient
from services.cli.cluster.release import COMPONENTS, name_of
from tests.cluster.load import running_load
from tests.cluster.load_pod import LoadReport
from tests.cluster.mesh import Mesh
from tests.cluster.settings import ClusterTestSettings

# Of answers that lack a part: one pod's successor is found when the old one says that it ends.
_MOST_INCOMPLETE = 0.03
_LONGEST_BREAK_SECONDS = 60


def check(report: LoadReport) -> None:
    """No call failed, and next to no answer lacks a part."""
    assert report.total > 0
    assert not report.failed, f"{report}: {report.failed}, for example {report.examples}"
    assert sum(report.incomplete.values()) <= _MOST_INCOMPLETE * report.total, f"{report}: {report.incomplete}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_rolling_restart_under_load_loses_no_call(
    mesh: Mesh, settings: ClusterTestSettings, component: str, tell: Callable[[str], None]
) -> None:
    if component == "orchestrator" and not mesh.replicated:
        pytest.skip(f"one orchestrator with SQLite cannot be replaced without a break: {mesh.why_not}")
    before = {name_of(pod) for pod in mesh.release.pods(component)}

    with running_load(mesh.cluster, mesh.namespace, mesh.helm.test_pod(), LOAD_RATE=str(settings.rate)) as load:
        mesh.cluster.restart(mesh.release, component)
        seconds = mesh.cluster.rolled_out(mesh.release, component)
        mesh.cluster.until(
            lambda: not before & {name_of(pod) for pod in mesh.release.pods(component)}, "old pods do not go away"
        )
        report = load.settled_report()

    tell(f"{component} restarted in {seconds:.0f} s: {report}")
    check(report)


def test_all_deployments_at_once_lose_no_call(
    mesh: Mesh, settings: ClusterTestSettings, tell: Callable[[str], None]
) -> None:
    components = [name for name in COMPONENTS if name != "orchestrator" or mesh.replicated]
    with running_load(mesh.cluster, mesh.namespace, mesh.helm.test_pod(), LOAD_RATE=str(settings.rate)) as load:
        for component in components:
            mesh.cluster.restart(mesh.release, component)
        for component in components:
            mesh.cluster.rolled_out(mesh.release, component)
        report = load.settled_report()

    tell(f"{', '.join(components)} restarted together: {report}")
    assert not report.failed, f"{report}: {report.failed}, for example {report.examples}"


def test_with_sqlite_a_restart_is_a_short_break_and_loses_no_event(
    mesh: Mesh, settings: ClusterTestSettings, tell: Callable[[str], None]
) -> None:
    if mesh.replicated:
        pytest.skip("this mesh keeps its store in PostgreSQL, which is tested above")
    with running_load(mesh.cluster, mesh.namespace, mesh.helm.test_pod(), LOAD_RATE=str(settings.rate)) as load:
        mesh.cluster.restart(mesh.release, "orchestrator")
        mesh.cluster.rolled_out(mesh.release, "orchestrator")
        began = load.settled_report()
        report = load.settled_report()

    tell(f"the one orchestrator restarted: {report}")
    assert report.longest_gap_seconds < _LONGEST_BREAK_SECONDS
    assert report.failed == began.failed, "calls still fail long after the restart"
    assert report.acknowledged > began.acknowledged


def test_eviction_keeps_one_pod(mesh: Mesh, settings: ClusterTestSettings, tell: Callable[[str], None]) -> None:
    cluster, release = mesh.cluster, mesh.release
    with running_load(cluster, mesh.namespace, mesh.helm.test_pod(), LOAD_RATE=str(settings.rate)) as load:
        cluster.until(
            lambda: cluster.evictions_allowed(release, "classical") == 1, "no pod of classical may be evicted"
        )
        first, second = cluster.ready_pods(release, "classical")
        answers = [cluster.evict(first), cluster.evict(second)]
        cluster.rolled_out(release, "classical")
        report = load.settled_report()

    tell(f"a pod evicted, the other one kept: {report}")
    assert answers == [HTTPStatus.CREATED, HTTPStatus.TOO_MANY_REQUESTS]
    assert name_of(second) in {name_of(pod) for pod in cluster.ready_pods(release, "classical")}
    check(report)


def test_acknowledged_events_are_all_there(mesh: Mesh, client: MarqueeClient, settings: ClusterTestSettings) -> None:
    variables = {"LOAD_RATE": str(settings.rate), "LOAD_METHODS": "write_events"}
    with running_load(mesh.cluster, mesh.namespace, mesh.helm.test_pod(), **variables) as load:
        mesh.cluster.restart(mesh.release, "orchestrator")
        mesh.cluster.rolled_out(mesh.release, "orchestrator")
        report = load.settled_report()

    stored = sum(1 for _ in client.list_user_events(report.writer, page_size=1000))
    assert stored >= report.acknowledged > 0
