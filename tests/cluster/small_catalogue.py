"""A catalogue and a history that are small enough to send through a port-forward, and large enough to be fitted."""

from __future__ import annotations

import random
import time

from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee_client import MarqueeClient

ITEMS = 40
USERS = 40
_EVENTS_PER_USER = 15
_GENRES = ("Comedy", "Drama", "Horror", "Space")
_DAY = 86_400


def items() -> list[catalog_pb.Item]:
    """Return titles of four genres."""
    return [
        catalog_pb.Item(
            item_id=f"item-{number}",
            title=f"{_GENRES[number % 4]} Night {number}",
            description=f"A {_GENRES[number % 4].lower()} story about the people of town {number}.",
            tags=[_GENRES[number % 4]],
            release_year=1980 + number,
        )
        for number in range(ITEMS)
    ]


def events(seed: int = 1) -> list[event_pb.Event]:
    """Return what users watched: mostly one genre each."""
    chosen = random.Random(seed)
    now = int(time.time())
    made = []
    for user in range(USERS):
        own = [number for number in range(ITEMS) if number % 4 == user % 4]
        watched = chosen.sample(own, 8) + chosen.sample(range(ITEMS), _EVENTS_PER_USER - 8)
        for place, number in enumerate(watched):
            event = event_pb.Event(
                event_id=f"seed-{user}-{place}",
                user_id=f"user-{user}",
                item_id=f"item-{number}",
                kind=event_pb.EVENT_KIND_LIKE if number % 4 == user % 4 else event_pb.EVENT_KIND_VIEW,
            )
            event.event_time.FromSeconds(now - _DAY * (_EVENTS_PER_USER - place) - 60 * user)
            made.append(event)
    return made


def fill(client: MarqueeClient) -> None:
    """Store the catalogue and the history."""
    client.upsert_items(items(), timeout=60)
    client.write_events(events(), timeout=60)
