"""A catalogue of 100,000 items with 1,000,000 events: `make bench-scale`.

Starts a mesh of its own, writes synthetic items and events through the API, fits a bundle with `marquee train`, and
measures what the issue of large catalogues asks: time and memory of the fit, and the latency of `Recommend`.

The data has a long tail: popularity falls as 1 / rank, as titles of large catalogues do; every user likes three of 200
groups of items and takes four of five items from those, the others from anywhere.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import psutil

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh
from tests.load.recommend_latency import measure

GROUPS = 200
GROUPS_OF_A_USER = 3
SHARE_FROM_GROUPS = 0.8
EVENTS_OF_A_USER = 50
_FIRST_SECOND = 1_600_000_000
_ITEMS_PER_CALL = 500
_EVENTS_PER_CALL = 1_000


class LongTail:
    """Synthetic users; the same seed gives the same data.

    Args:
        item_count: at least 200.
        event_count: about as many events are made.
        seed: seeds everything.
    """

    def __init__(self, item_count: int, event_count: int, seed: int = 0) -> None:
        random = numpy.random.default_rng(seed)
        self.group_of = random.integers(0, GROUPS, item_count)
        weights = 1 / numpy.arange(1, item_count + 1)
        random.shuffle(weights)
        self._everywhere = numpy.cumsum(weights) / weights.sum()
        members = [numpy.flatnonzero(self.group_of == group) for group in range(GROUPS)]
        within = [numpy.cumsum(weights[rows]) / max(weights[rows].sum(), 1e-12) for rows in members]
        self._groups = list(zip(members, within, strict=True))
        self._random = random
        self.user_count = max(1, event_count // EVENTS_OF_A_USER)

    def histories(self) -> Iterator[tuple[str, list[int]]]:
        """Yield users with the rows of their items, oldest first."""
        random = self._random
        last = len(self._everywhere) - 1
        lengths = random.geometric(1 / EVENTS_OF_A_USER, self.user_count) + 1
        for user, length in enumerate(lengths.tolist()):
            own = random.integers(0, GROUPS, GROUPS_OF_A_USER)
            draws = random.random(length)
            anywhere = numpy.minimum(numpy.searchsorted(self._everywhere, draws), last)
            from_groups = random.random(length) < SHARE_FROM_GROUPS
            rows = []
            for number, group in enumerate(own[random.integers(0, GROUPS_OF_A_USER, length)].tolist()):
                members, within = self._groups[group]
                if from_groups[number] and len(members):
                    place = min(int(numpy.searchsorted(within, draws[number])), len(members) - 1)
                    rows.append(int(members[place]))
                else:
                    rows.append(int(anywhere[number]))
            yield user_id(user), rows


def write_items(client: MarqueeClient, data: LongTail) -> None:
    """Write the catalogue; a title says little, so that texts are no help."""
    count = len(data.group_of)
    for start in range(0, count, _ITEMS_PER_CALL):
        client.upsert_items(
            [
                Item(item_id=f"item-{row:06}", title=f"Title {row}", tags=[f"group-{data.group_of[row]}"])
                for row in range(start, min(count, start + _ITEMS_PER_CALL))
            ],
            timeout=120,
        )


def write_events(client: MarqueeClient, data: LongTail) -> int:
    """Write all histories; return the number of events."""
    written, waiting = 0, []
    for user, rows in data.histories():
        for number, row in enumerate(rows):
            event = Event(event_id=f"{user}-{number}", user_id=user, item_id=f"item-{row:06}", kind=EVENT_KIND_LIKE)
            event.event_time.seconds = _FIRST_SECOND + 60 * written + number
            waiting.append(event)
        while len(waiting) >= _EVENTS_PER_CALL:
            client.write_events(waiting[:_EVENTS_PER_CALL], timeout=120)
            written, waiting = written + _EVENTS_PER_CALL, waiting[_EVENTS_PER_CALL:]
    if waiting:
        client.write_events(waiting, timeout=120)
    return written + len(waiting)


def train(mesh: LocalMesh) -> tuple[float, int]:
    """Run `marquee train`; return its seconds and the largest resident memory seen, in bytes."""
    environment = {
        **os.environ,
        "MARQUEE_TARGET": mesh.addresses["orchestrator"],
        "MARQUEE_DATA_DIRECTORY": str(mesh.data_directory),
    }
    started, largest = time.perf_counter(), 0
    with subprocess.Popen([sys.executable, "-m", "services.cli.main", "train"], env=environment) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                largest = max(largest, watched.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.2)
        status = process.wait()
    if status:
        raise SystemExit(f"marquee train failed with status {status}")
    return time.perf_counter() - started, largest


def fill_and_train(mesh: LocalMesh, client: MarqueeClient, data: LongTail) -> None:
    """Write everything, train, and print what that took."""
    print(f"writing {len(data.group_of):,} items", flush=True)
    started = time.perf_counter()
    write_items(client, data)
    print(f"writing the events ({time.perf_counter() - started:.0f} s for the items)", flush=True)
    started = time.perf_counter()
    written = write_events(client, data)
    print(f"training on {written:,} events ({time.perf_counter() - started:.0f} s to write them)", flush=True)
    seconds, memory = train(mesh)
    print(f"\n{len(data.group_of):,} items, {written:,} events, {data.user_count:,} users\n")
    print("| check | measured | floor |")
    print("|---|---|---|")
    print(f"| `marquee train`, reading and loading included | {seconds / 60:.1f} min | 15 min |")
    print(f"| its largest resident memory | {memory / 2**30:.2f} GiB | 8 GB |\n", flush=True)


def user_id(number: int) -> str:
    """Return the id of a user."""
    return f"user-{number:06}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.large_catalogue", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=1_000, help="measured calls, after 200 to warm up")
    parser.add_argument("--data", type=Path, help="keep store and bundle here; if they are there, only ask")
    chosen = parser.parse_args()
    if chosen.items < GROUPS or chosen.events < EVENTS_OF_A_USER:
        parser.error(f"at least {GROUPS} items and {EVENTS_OF_A_USER} events are needed")
    with ExitStack() as cleanup:
        folder = chosen.data or Path(cleanup.enter_context(TemporaryDirectory(prefix="marquee-scale-")))
        there = (folder / "bundles").exists()
        mesh = cleanup.enter_context(LocalMesh(folder, port=0))
        mesh.wait_ready()
        with MarqueeClient(mesh.addresses["orchestrator"]) as client:
            if not there:
                fill_and_train(mesh, client, LongTail(chosen.items, chosen.events))
            user_numbers = numpy.random.default_rng(1).integers(0, chosen.events // EVENTS_OF_A_USER, 500)
            print("asking", flush=True)
            latencies, steps = measure(client, [user_id(number) for number in user_numbers.tolist()], chosen.calls)
            resident = mesh.resident_bytes()
    p50, p99 = numpy.percentile(latencies, [50, 99])
    print()
    print("| check | measured | floor |\n|---|---|---|")
    print(f"| `Recommend` p99, warm, one caller | {p99:.1f} ms (p50 {p50:.1f}) | 40 ms |")
    print("\n| step | p50 ms | p99 ms |\n|---|---|---|")
    for name, values in steps.items():
        print(f"| {name} | {numpy.percentile(values, 50):.2f} | {numpy.percentile(values, 99):.2f} |")
    print("\n| service | resident memory, MB |\n|---|---|")
    for name, size in resident.items():
        print(f"| {name} | {size / 1e6:.0f} |")


if __name__ == "__main__":
    main()
