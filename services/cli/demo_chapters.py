"""The chapters of the demo: each makes real calls and shows what came back."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape

from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, EVENT_KIND_PLAY, Event
from marquee.entertainment.v1.recommendation_service_pb2 import RecommendedItem, RecommendResponse
from marquee_client import MarqueeClient
from services.cli.console import output, stage
from services.cli.demo_titles import LATE_ARRIVAL, NEW_TITLES, PICTURES, ROCKET, NewTitle
from services.cli.importing import import_movielens
from services.cli.latency import Latency, latency_table, measure_recommend, percentile
from services.cli.local_mesh import LocalMesh
from services.cli.tables import items_table, megabytes, plain_table, steps_table, titled
from services.cli.train import print_run, run_training

USER = "367"
"""A real person of the data set, whose taste nobody can miss."""
_SIMILAR_TO = "185"  # Psycho
_LIKED = "50"  # Star Wars: quite another kind of film
_MEASURED_CALLS = 200
_RECOVERY_SECONDS = 30.0


@dataclass
class Demo:
    """Tells the story on a running, empty mesh.

    Attributes:
        seconds: duration of each part, for the summary.
        users: users to measure with.
        list_before: the last list of the demo's user.
        latency: what was measured.
        at_rest: seconds to SERVING and memory of each service when the mesh had just started.
    """

    mesh: LocalMesh
    client: MarqueeClient
    seconds: dict[str, float] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    list_before: RecommendResponse = field(default_factory=RecommendResponse)
    latency: Latency = field(default_factory=Latency)
    at_rest: dict[str, tuple[float, int]] = field(init=False)

    def __post_init__(self) -> None:
        """Note how the services started, before they have any work."""
        memory = self.mesh.resident_bytes()
        self.at_rest = {name: (one.startup_seconds or 0.0, memory[name]) for name, one in self.mesh.services.items()}

    def fill(self) -> None:
        """Import a catalogue, its history, and titles that nobody has watched."""
        _chapter("A catalogue and a history", "1,682 films and 100,000 ratings that real people gave.")
        start = time.monotonic()
        data = import_movielens(self.client)
        self.seconds["import MovieLens-100K"] = time.monotonic() - start
        self.users = sorted({event.user_id for event in data.events}, key=int)
        _chapter(
            "New titles",
            "Nobody has watched them: models read their words and look at their covers instead.",
        )
        if not PICTURES.exists():
            output.print("[yellow]without covers:[/] the photographs come with the repository, not with the package")
        self._add(NEW_TITLES)

    def train(self) -> None:
        """Fit the recommenders and let them serve."""
        _chapter("Training", "Scorers and a ranker become ONNX graphs in one bundle that all services load.")
        start = time.monotonic()
        run = run_training(self.client, self.mesh.data_directory / "bundles")
        self.seconds["train"] = time.monotonic() - start
        self.seconds["  of it: fit and write the bundle"] = run.seconds["fit and write the bundle"]
        print_run(run)

    def recommend(self) -> None:
        """Show what a user watched, and the list for that user with reasons and steps."""
        _chapter(f"A list for user {USER}", "First what this person watched, newest first; then what Marquee suggests.")
        table = plain_table()
        table.add_column("title", style="bold")
        table.add_column("tags", style="cyan")
        table.add_column("stars", style="yellow")
        for event in itertools.islice(self.client.list_user_events(USER, page_size=8), 8):
            item = self.client.get_item(event.item_id)
            table.add_row(escape(item.title), escape(", ".join(item.tags)), "★" * round(event.rating))
        output.print(titled(f"User {USER} watched", table))
        self._ask()  # the first call makes the orchestrator read the catalogue
        response, milliseconds = self._ask()
        output.print(items_table(f"Recommended, from {response.history_count} events", response.items))
        output.print(steps_table(response.steps, milliseconds, "as the caller saw it"))

    def react(self) -> None:
        """Let the user do something new, and show how the very next list differs."""
        liked = self.client.get_item(_LIKED).title
        _chapter(
            "The newest event changes the very next answer",
            f"User {USER} plays [bold]{escape(ROCKET.title)}[/] to the end, then likes [bold]{escape(liked)}[/]. "
            f"A moment earlier [bold]{escape(LATE_ARRIVAL.title)}[/] joined the catalogue, after the training.",
        )
        self._add([LATE_ARRIVAL])
        events = [
            _event(ROCKET.item_id, kind=EVENT_KIND_PLAY, watched_fraction=1.0),
            _event(_LIKED, kind=EVENT_KIND_LIKE),
        ]
        start = time.perf_counter()
        self.client.write_events(events)
        written = (time.perf_counter() - start) * 1000
        before = self.list_before
        response, milliseconds = self._ask()
        output.print(f"Events on disk after {written:.1f} ms, the next list after {milliseconds:.1f} ms more:")
        output.print(items_table("", response.items, marks=changes(before.items, response.items)))

    def resemble(self) -> None:
        """Show titles like one title."""
        title = self.client.get_item(_SIMILAR_TO).title
        _chapter(f"Titles like {title}", "From what people watched together, and from what the titles are about.")
        output.print(items_table("", self.client.similar_items(_SIMILAR_TO, page_size=5).items))

    def measure(self) -> None:
        """Measure many lists, and show where the time goes."""
        _chapter("How fast", "The same question for two hundred people, one after the other.")
        self.latency = measure_recommend(self.client, self.users, _MEASURED_CALLS)
        output.print(latency_table(self.latency))

    def survive(self) -> None:
        """Kill the service that matters most, and show that lists still come."""
        _chapter("What if a service dies?", "The classical service generates most candidates and ranks them. Kill it.")
        self.mesh.kill("classical")
        response, milliseconds = self._ask()
        flag = "[yellow]degraded[/]" if response.degraded else "[red]not flagged as degraded[/]"
        output.print(f"Killed. The next list came after {milliseconds:.1f} ms, flagged {flag}.")
        output.print(items_table("Without the classical service", response.items[:5]))
        output.print(steps_table(response.steps, milliseconds, "as the caller saw it"))
        start = time.monotonic()
        self.mesh.restart("classical")
        with stage("Start it again") as work:
            self.mesh.wait_ready()
            while self._ask()[0].degraded and time.monotonic() - start < _RECOVERY_SECONDS:
                time.sleep(0.05)
            work.note = "loaded the bundle again; lists are whole"
        self.seconds["recover from a killed service"] = time.monotonic() - start

    def sum_up(self, seconds: float) -> None:
        """Show all times and the memory."""
        _chapter("In numbers")
        table = plain_table()
        table.add_column("service")
        for name in ("start to SERVING", "memory at rest", "memory now"):
            table.add_column(name, justify="right")
        for name, now in self.mesh.resident_bytes().items():
            startup, rest = self.at_rest[name]
            table.add_row(name, f"{startup:.1f} s", megabytes(rest), megabytes(now))
        output.print(table)
        table = plain_table()
        table.add_column("what")
        table.add_column("time", justify="right")
        for what, duration in [*self.seconds.items(), ("the whole demo", seconds)]:
            table.add_row(what, f"{duration:.1f} s")
        for percent in (50, 99):
            measured = percentile(self.latency.calls, percent)
            table.add_row(f"one list, p{percent} of {_MEASURED_CALLS}", f"{measured:.1f} ms")
        output.print(table)

    def _ask(self) -> tuple[RecommendResponse, float]:
        start = time.perf_counter()
        self.list_before = self.client.recommend(USER)
        return self.list_before, (time.perf_counter() - start) * 1000

    def _add(self, titles: Sequence[NewTitle]) -> None:
        with stage(f"Add {len(titles)} new {'title' if len(titles) == 1 else 'titles'}") as work:
            response = self.client.upsert_items([title.item() for title in titles], timeout=60)
            work.note = "; ".join(f"{step.step} {step.milliseconds:.0f} ms" for step in response.steps)
        table = plain_table()
        table.add_column("new title", style="bold")
        table.add_column("cover", style="dim")
        table.add_column("what the vision model saw", style="magenta")
        for title in titles:
            labels = self.client.get_item(title.item_id).picture_labels[:3]
            table.add_row(title.title, title.picture, escape(", ".join(labels)))
        output.print(table)


def _event(item_id: str, **facts: Any) -> Event:
    now = Timestamp(seconds=int(time.time()))
    return Event(event_id=f"demo-{uuid.uuid4().hex}", user_id=USER, item_id=item_id, event_time=now, **facts)


def changes(before: Sequence[RecommendedItem], after: Sequence[RecommendedItem]) -> dict[str, str]:
    """Return a mark for each item of a list that is new or has moved."""
    places = {item.item_id: place for place, item in enumerate(before)}
    marks = {}
    for place, item in enumerate(after):
        moved = places.get(item.item_id, -1) - place
        if item.item_id not in places:
            marks[item.item_id] = "[bold green]new[/]"
        elif moved:
            marks[item.item_id] = f"[green]↑{moved}[/]" if moved > 0 else f"[red]↓{-moved}[/]"
    return marks


def _chapter(title: str, text: str = "") -> None:
    output.print()
    output.rule(f"[bold]{escape(title)}", align="left")
    if text:
        output.print(f"[dim]{text}[/]")
