"""Users of Marquee for Locust: players of a game and viewers of a streaming service. See docs/load-testing.md.

    python -m locust -f tests/load/locustfile.py --host 127.0.0.1:50060                   # web page on port 8089
    python -m locust -f tests/load/locustfile.py --headless -u 50 -r 10 -t 60s            # without it
    python -m locust -f tests/load/locustfile.py --master                                 # distributed …
    python -m locust -f tests/load/locustfile.py --worker --master-host 10.0.0.5          # … on each machine

Users write events under made-up names (locust-player-…, locust-viewer-…). Locust is a closed loop: users wait for each
answer before they think and ask again. For latency under a given rate use `marquee load --rate`.
"""

from __future__ import annotations

import os
import random

from locust import User, between, task

from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from tests.load.locust_calls import Mesh, call, connect, unique

_DEFAULT_TARGET = "127.0.0.1:50060"
_PLAYERS = 5000
_VIEWERS = 5000


class MarqueeUser(User):
    """Somebody who uses a product that asks Marquee."""

    abstract = True
    host = os.environ.get("MARQUEE_TARGET", _DEFAULT_TARGET)
    mesh: Mesh
    name: str

    def on_start(self) -> None:
        """Connect, and take a name."""
        self.mesh = connect(self.host or _DEFAULT_TARGET)

    def item(self) -> str:
        """Return an item of the catalogue; few are wanted often, most seldom."""
        return self.mesh.items[int(len(self.mesh.items) * random.random() ** 2)]

    def write(self, name: str, *events: event_pb.Event) -> None:
        """Write events."""
        request = event_pb.WriteEventsRequest(events=events)
        call(self.environment, name, self.mesh.event.WriteEvents, request, 2.0)

    def event(self, kind: event_pb.EventKind.ValueType, item: str) -> event_pb.Event:
        """Return an event of this user."""
        return event_pb.Event(event_id=unique("locust"), user_id=self.name, item_id=item, kind=kind)

    def recommend(self, name: str, count: int) -> list[str]:
        """Ask for a list and return its items."""
        request = recommendation_pb.RecommendRequest(user_id=self.name, page_size=count)
        answer = call(self.environment, name, self.mesh.recommendation.Recommend, request, 1.0)
        return [item.item_id for item in answer.items] if answer else []


class GamePlayer(MarqueeUser):
    """Plays: sends what happened in batches, and wants to know what to play next."""

    wait_time = between(0.5, 2.0)
    weight = 1

    def on_start(self) -> None:
        """Connect, and take a name."""
        super().on_start()
        self.name = f"locust-player-{random.randrange(_PLAYERS)}"

    @task(5)
    def play(self) -> None:
        """Play for a while."""
        item = self.item()
        played = self.event(event_pb.EVENT_KIND_PLAY, item)
        played.watched_fraction = random.random()
        viewed, skipped = self.event(event_pb.EVENT_KIND_VIEW, item), self.event(event_pb.EVENT_KIND_SKIP, self.item())
        self.write("game: session events", viewed, played, skipped)

    @task(3)
    def what_next(self) -> None:
        """Look at the end-of-level offer."""
        self.recommend("game: what to play next", 5)

    @task(1)
    def like(self) -> None:
        """Like something."""
        self.write("game: like", self.event(event_pb.EVENT_KIND_LIKE, self.item()))


class StreamingViewer(MarqueeUser):
    """Browses: home page, a title's page, titles like it, and sometimes watches."""

    wait_time = between(1.0, 4.0)
    weight = 2

    def on_start(self) -> None:
        """Connect, and take a name."""
        super().on_start()
        self.name = f"locust-viewer-{random.randrange(_VIEWERS)}"
        self.shelf: list[str] = []

    @task(4)
    def home_page(self) -> None:
        """Open the home page."""
        self.shelf = self.recommend("streaming: home page", 20)

    @task(3)
    def title_page(self) -> None:
        """Open a title's page, mostly one from the home page."""
        item = random.choice(self.shelf) if self.shelf else self.item()
        get = catalog_pb.GetItemRequest(item_id=item)
        call(self.environment, "streaming: title page", self.mesh.catalog.GetItem, get, 1.0)
        similar = recommendation_pb.SimilarItemsRequest(item_id=item, page_size=12)
        call(self.environment, "streaming: titles like it", self.mesh.recommendation.SimilarItems, similar, 1.0)
        self.write("streaming: page view", self.event(event_pb.EVENT_KIND_VIEW, item))

    @task(1)
    def watch(self) -> None:
        """Watch something."""
        watched = self.event(event_pb.EVENT_KIND_PLAY, self.item())
        watched.watched_fraction = random.random()
        self.write("streaming: watched", watched)
