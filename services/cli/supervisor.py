"""Starts services again that died, with growing pauses, and gives up on one that keeps dying."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from services.cli.local_mesh import LocalMesh

_FIRST_PAUSE_SECONDS = 0.5
_MOST_RESTARTS = 5
_FORGET_SECONDS = 120.0


class Supervisor:
    """Looks after the services of a local mesh.

    Args:
        mesh: the running mesh.
        clock: seconds, never going back.

    Attributes:
        given_up: services that died six times within two minutes and stay down.
    """

    def __init__(self, mesh: LocalMesh, clock: Callable[[], float] = time.monotonic) -> None:
        self.given_up: set[str] = set()
        self._mesh = mesh
        self._clock = clock
        self._deaths: dict[str, list[float]] = {name: [] for name in mesh.services}
        self._restart_at: dict[str, float] = {}

    def look(self) -> Iterator[str]:
        """Notice deaths, restart what is due, and say so, one sentence each."""
        now = self._clock()
        for name, service in self._mesh.services.items():
            if name in self.given_up:
                continue
            if name in self._restart_at:
                if now >= self._restart_at[name]:
                    del self._restart_at[name]
                    service.start()
                    yield f"{name}: started again"
                else:
                    service.health(0.05)
            elif service.exit_code is not None:
                yield self._note_death(name, service.exit_code, now)
            elif service.startup_seconds is None:
                service.health(0.05)  # notes when it serves again

    def _note_death(self, name: str, exit_code: int, now: float) -> str:
        deaths = [when for when in self._deaths[name] if now - when < _FORGET_SECONDS]
        self._deaths[name] = [*deaths, now]
        how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with code {exit_code}"
        if len(deaths) >= _MOST_RESTARTS:
            self.given_up.add(name)
            return f"{name} {how}, {len(deaths) + 1} times in two minutes: it stays down; see its log"
        pause = _FIRST_PAUSE_SECONDS * 2 ** len(deaths)
        self._restart_at[name] = now + pause
        return f"{name} {how}; starting it again in {pause:g} s"
