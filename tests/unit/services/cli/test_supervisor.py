from __future__ import annotations

from typing import Any, cast

from services.cli.local_mesh import LocalMesh
from services.cli.supervisor import Supervisor


class Service:
    """Stands for a service process that dies when told to."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.startup_seconds = 1.0
        self.starts = 0

    def start(self) -> None:
        self.exit_code = None
        self.starts += 1

    def health(self, seconds: float) -> None: ...


class Mesh:
    def __init__(self) -> None:
        self.services = {"text": Service(), "vision": Service()}


def test_a_dead_service_is_started_again_after_a_growing_pause() -> None:
    mesh, now = Mesh(), [0.0]
    supervisor = Supervisor(cast(LocalMesh, cast(Any, mesh)), lambda: now[0])
    assert list(supervisor.look()) == []
    for pause in (0.5, 1.0, 2.0):
        mesh.services["text"].exit_code = -9
        (said,) = supervisor.look()
        assert said == f"text was ended by signal 9; starting it again in {pause:g} s"
        now[0] += pause * 0.9
        assert list(supervisor.look()) == []
        now[0] += pause * 0.2
        assert list(supervisor.look()) == ["text: started again"]
    assert mesh.services["text"].starts == 3
    assert mesh.services["vision"].starts == 0


def test_one_that_keeps_dying_stays_down() -> None:
    mesh, now = Mesh(), [0.0]
    supervisor = Supervisor(cast(LocalMesh, cast(Any, mesh)), lambda: now[0])
    said: list[str] = []
    for _ in range(40):
        if not said or "started again" in said[-1]:
            mesh.services["text"].exit_code = 1
        said += supervisor.look()
        now[0] += 1
    assert "stays down" in said[-1]
    assert supervisor.given_up == {"text"}
    assert mesh.services["text"].starts == 5
