"""A catalogue with pictures, some history and a trained bundle: made once, copied for every mesh."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import Event
from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh
from services.cli.movielens import fetch_movielens
from tests.quality.recommendation.mesh_run import train

_ITEMS, _USERS = 500, 150
_PICTURES = Path(__file__).parents[1] / "data" / "pictures"
_ITEMS_PER_CALL, _EVENTS_PER_CALL = 250, 1_000


@dataclass(frozen=True)
class Prepared:
    """What every mesh starts from.

    Attributes:
        folder: holds `marquee.sqlite` and `bundles`.
        items: the catalogue.
        events: the history.
        users: users that have one.
        bundle_version: the bundle that was trained on it.
    """

    folder: Path
    items: Sequence[Item]
    events: Sequence[Event]
    users: Sequence[str]
    bundle_version: str

    def copy_to(self, folder: Path, *, with_store: bool) -> None:
        """Give a mesh its own copy of the bundles, and of the SQLite file when it is to have one."""
        shutil.copytree(self.folder / "bundles", folder / "bundles")
        if with_store:
            shutil.copy(self.folder / "marquee.sqlite", folder / "marquee.sqlite")

    def write_to(self, client: MarqueeClient) -> None:
        """Write catalogue and history through the API, and let the bundle serve."""
        write(client, self.items, self.events)
        client.activate_bundle(self.bundle_version, timeout=60)


def prepare(folder: Path, say: Callable[[str], None]) -> Prepared:
    """Make it: a part of MovieLens-100K, some titles with a picture.

    Args:
        folder: where to put it; must not exist.
        say: told what happens.
    """
    data = fetch_movielens()
    items = [Item.FromString(item.SerializeToString()) for item in data.items[:_ITEMS]]
    for item, picture in zip(items, sorted(_PICTURES.glob("*.jpg")), strict=False):
        item.picture = picture.read_bytes()
    known = {item.item_id for item in items}
    users = sorted({event.user_id for event in data.events}, key=int)[:_USERS]
    chosen = set(users)
    events = [event for event in data.events if event.user_id in chosen and event.item_id in known]
    say(f"preparing: {len(items):,} titles, {len(events):,} events, one bundle")
    with LocalMesh(folder, port=0) as mesh:
        mesh.wait_ready()
        with MarqueeClient(mesh.addresses["orchestrator"]) as client:
            write(client, items, events)
            train(mesh)
            version = client.serving_bundle().version
    return Prepared(folder, items, events, sorted({event.user_id for event in events}), version)


def write(client: MarqueeClient, items: Sequence[Item], events: Sequence[Event]) -> None:
    """Write items with their vectors, then events."""
    for start in range(0, len(items), _ITEMS_PER_CALL):
        client.upsert_items(items[start : start + _ITEMS_PER_CALL], timeout=120)
    for start in range(0, len(events), _EVENTS_PER_CALL):
        client.write_events(events[start : start + _EVENTS_PER_CALL], timeout=60)
