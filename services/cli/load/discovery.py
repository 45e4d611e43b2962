"""Finds users and items in the running mesh, so that a scenario asks for what is there."""

from __future__ import annotations

import contextlib
import itertools

from marquee_client import MarqueeClient
from services.cli.connection import connected
from services.cli.load.variables import Discovered

_MOST_EVENTS_READ = 50_000


def discover(target: str, users: int, items: int) -> tuple[Discovered, list[str]]:
    """Return users who have events, items of the catalogue, and what to tell about them.

    Args:
        target: address of the orchestrator.
        users: how many users at most; 0 looks for none.
        items: how many items at most; 0 looks for none.
    """
    notes = []
    found_users: list[str] = []
    found_items: list[str] = []
    with connected(target) as client:
        if users:
            found_users = _users(client, users)
            notes.append(f"{len(found_users):,} users who have events")
        if items:
            found_items = [item.item_id for item in itertools.islice(client.list_items(page_size=1000), items)]
            notes.append(f"{len(found_items):,} items of the catalogue")
    if users and not found_users:
        notes.append("no user has events yet, so lists are for made-up users; `marquee import movielens` brings some")
    if items and not found_items:
        notes.append("the catalogue is empty, so items are not found; `marquee import movielens` fills it")
    return Discovered(found_users or [f"load-user-{number}" for number in range(100)], found_items or ["none"]), notes


def _users(client: MarqueeClient, most: int) -> list[str]:
    users: dict[str, None] = {}
    with contextlib.closing(iter(client.export_events())) as events:  # type: ignore[type-var]
        for event in itertools.islice(events, _MOST_EVENTS_READ):
            users[event.user_id] = None
            if len(users) >= most:
                break
    return list(users)
