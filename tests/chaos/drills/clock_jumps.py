"""The orchestrator's wall clock jumps."""

from __future__ import annotations

import time

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee_client import AsyncMarqueeClient, InvalidArgument
from tests.chaos.drill import Drill, Scene
from tests.chaos.needs import Needs

_HOUR = 3_600
_DAY = 24 * _HOUR


async def jumps(scene: Scene) -> None:
    """Set the clock ahead and back while events arrive, and try event times against it."""
    assert scene.mesh.clock is not None
    for seconds in (_HOUR, -_HOUR, 40 * _DAY, 0):
        scene.mesh.clock.jump(seconds)
        await scene.pause(1.0)
        expected = {"a minute ago": (-60, True), "in half a minute": (30, True), "in five minutes": (300, False)}
        for name, (offset, is_right) in expected.items():
            if await _is_taken(scene, f"{seconds}{offset}", time.time() + seconds + offset) != is_right:
                verb = "refused" if is_right else "taken"
                scene.outcome.problems.append(
                    f"with the clock {seconds:+,} s off, an event {name} by that clock was {verb}"
                )
        await scene.pause(0.5)
    await scene.healed()


async def _is_taken(scene: Scene, name: str, when: float) -> bool:
    event = Event(
        event_id=f"clock-{scene.outcome.name}-{name}",
        user_id="clock",
        item_id="1",
        kind=EVENT_KIND_LIKE,
        event_time=Timestamp(seconds=int(when)),
    )
    client: AsyncMarqueeClient = scene.load.client
    try:
        await client.write_events([event])
    except InvalidArgument:
        return False
    return True


DRILLS = [
    Drill(
        "clock jumps",
        jumps,
        "the orchestrator's wall clock jumps an hour ahead, two back, 40 days ahead, and to the true time",
        needs=Needs(shifted_clock=True),
    )
]
