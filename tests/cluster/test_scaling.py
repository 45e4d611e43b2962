"""More pods take their share of the calls soon, and fewer pods lose none."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.load import running_load
from tests.cluster.mesh import Mesh
from tests.cluster.settings import ClusterTestSettings

_FEW, _MANY = 2, 6
_LOOK_SECONDS = 5
# Of the share that each pod would have if all were alike.
_LEAST = 0.5


def test_new_pods_take_their_share(mesh: Mesh, settings: ClusterTestSettings, tell: Callable[[str], None]) -> None:
    cluster, release = mesh.cluster, mesh.release
    variables = {"LOAD_RATE": str(2 * settings.rate), "LOAD_METHODS": "moderate_text,recommend"}
    with running_load(cluster, mesh.namespace, mesh.helm.test_pod(), **variables) as load:
        cluster.scale(release, "classical", _MANY)
        cluster.rolled_out(release, "classical")
        began = time.monotonic()
        before = cluster.served_calls(release, "classical")
        while True:
            time.sleep(_LOOK_SECONDS)
            now = cluster.served_calls(release, "classical")
            added = {name: count - before.get(name, 0) for name, count in now.items()}
            before = now
            seconds = time.monotonic() - began
            fair = sum(added.values()) / _MANY
            if len(added) == _MANY and fair and min(added.values()) >= _LEAST * fair:
                break
            assert seconds < settings.share_seconds, f"{seconds:.0f} s after all were ready: {added}"
        grown = load.report()
        cluster.scale(release, "classical", _FEW)
        cluster.rolled_out(release, "classical")
        report = load.settled_report()

    shares = ", ".join(f"{count / sum(added.values()):.0%}" for count in added.values())
    tell(f"classical 2 to 6: shares {shares} at the latest {seconds:.0f} s after they were ready; and back: {report}")
    assert not grown.failed, grown.examples
    assert not report.failed, report.examples
