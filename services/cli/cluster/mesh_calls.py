"""How all calls of the orchestrator did over a time."""

from __future__ import annotations

from typing import Any

from services.cli.cluster.mesh import this_pod
from services.cli.cluster.metrics_page import OWN_FAULTS, Page, read_page
from services.cli.cluster.release import ORCHESTRATOR, Release, is_ready, name_of, port_of
from services.cli.cluster.tunnel import Tunnel

_SECONDS = 3.0


class MeshCalls:
    """Counts the orchestrator's calls from now on, by the metrics of its pods.

    Args:
        release: the mesh.
    """

    def __init__(self, release: Release) -> None:
        self._release = release
        self._before = self._pages()

    def since(self) -> dict[str, Any]:
        """Return calls and failures since the beginning; pods that came or restarted count from their own start."""
        calls = failures = 0.0
        pages = self._pages()
        for name, page in pages.items():
            before = self._before.get(name, Page(0.0)).calls
            if sum(before.values()) > sum(page.calls.values()):
                before = {}
            for code, count in page.calls.items():
                added = count - before.get(code, 0.0)
                calls += added
                failures += added if code in OWN_FAULTS else 0.0
        if not pages:
            return {}
        return {
            "calls of the orchestrator": int(calls),
            "failed through its own fault": int(failures),
            "pods asked": len(pages),
        }

    def _pages(self) -> dict[str, Page]:
        pages = {}
        for pod in self._release.pods(ORCHESTRATOR):
            if is_ready(pod):
                with Tunnel(self._release.api, this_pod(self._release, pod), port_of(pod, "metrics")) as tunnel:
                    try:
                        pages[name_of(pod)] = read_page(tunnel.address, _SECONDS)
                    except (OSError, ValueError):  # a figure that is missing in the report, no more
                        continue
        return pages
