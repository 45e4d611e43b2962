"""Connections that are slow, thin, silent or broken, and a network that is cut."""

from __future__ import annotations

from functools import partial
from typing import Final

from tests.chaos import sandbox
from tests.chaos.drill import Drill, Scene
from tests.chaos.needs import Needs

_FAULT_SECONDS: Final = 4.0
_DELAY_SECONDS: Final = 0.2
_BYTES_PER_SECOND: Final = 2_000
_BETWEEN_RESETS_SECONDS: Final = 0.1
_PROXIED = Needs(proxied=True)
_APART = Needs(apart="classical")


async def slow_peer(scene: Scene, peer: str) -> None:
    """Delay every byte."""
    scene.mesh.proxies[peer].delay_seconds = _DELAY_SECONDS
    await _hold(scene, peer)


async def thin_peer(scene: Scene, peer: str) -> None:
    """Let only a few bytes through a second."""
    scene.mesh.proxies[peer].bytes_per_second = _BYTES_PER_SECOND
    await _hold(scene, peer)


async def silent_peer(scene: Scene, peer: str) -> None:
    """Forward nothing."""
    scene.mesh.proxies[peer].blackhole()
    await _hold(scene, peer)


async def broken_peer(scene: Scene, peer: str) -> None:
    """Reset all connections again and again."""
    for _ in range(round(_FAULT_SECONDS / _BETWEEN_RESETS_SECONDS)):
        scene.mesh.proxies[peer].reset()
        await scene.pause(_BETWEEN_RESETS_SECONDS)
    await scene.healed()


async def partition(scene: Scene) -> None:
    """Pull the cable to a service that runs in a network of its own."""
    assert scene.mesh.cable is not None
    scene.mesh.cable.pull()
    await scene.pause(_FAULT_SECONDS)
    scene.mesh.cable.plug()
    await scene.healed()


async def _hold(scene: Scene, peer: str) -> None:
    await scene.pause(_FAULT_SECONDS)
    scene.mesh.proxies[peer].heal()
    await scene.healed()


def no_namespaces() -> str:
    """Return why no network can be made here; empty when one can."""
    return "" if sandbox.is_inside() else "needs root and iproute2, to make network namespaces"


DRILLS = [
    *(
        Drill(
            f"{peer} behind a slow connection",
            partial(slow_peer, peer=peer),
            f"every byte between orchestrator and {peer} service takes {_DELAY_SECONDS * 1000:.0f} ms longer, each way",
            needs=_PROXIED,
            felt_by="lists",
            short=peer == "text",
        )
        for peer in ("text", "classical")
    ),
    Drill(
        "classical behind a thin connection",
        partial(thin_peer, peer="classical"),
        f"{_BYTES_PER_SECOND:,} bytes a second between orchestrator and classical service",
        needs=_PROXIED,
        felt_by="lists",
    ),
    Drill(
        "classical behind a silent connection",
        partial(silent_peer, peer="classical"),
        f"no byte passes between orchestrator and classical service for {_FAULT_SECONDS:.0f} s; connections stay open",
        needs=_PROXIED,
        felt_by="lists",
    ),
    Drill(
        "text behind a broken connection",
        partial(broken_peer, peer="text"),
        f"connections of the text service are reset ten times a second for {_FAULT_SECONDS:.0f} s",
        needs=_PROXIED,
    ),
    Drill(
        "classical cut off",
        partition,
        f"the classical service's network namespace is cut off for {_FAULT_SECONDS:.0f} s: packets vanish",
        needs=_APART,
        felt_by="lists",
        missing=no_namespaces,
    ),
]
