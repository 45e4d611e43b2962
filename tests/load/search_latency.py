"""Latency of `Search` for one warm caller on MovieLens-100K, with each step's share; and of its parts on 100,000
synthetic items, in the process, by the time of one core: `python -m tests.load.search_latency`.

The first part starts a mesh of its own, imports and trains. Queries are half titles, a quarter of them misspelled, and
half words of kinds of films; each comes once, so that no vector comes out of the text service's cache.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy

from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee_client import MarqueeClient, SearchOptions
from services.cli.local_mesh import LocalMesh
from services.cli.movielens import MovieLens, fetch_movielens
from services.orchestrator.catalog.snapshot import build_snapshot
from services.orchestrator.catalog.snapshot_changes import apply_changes
from services.orchestrator.search.fusion import best_rows, fuse
from services.orchestrator.search.index import build_index, follow
from services.orchestrator.search.lexical import match
from services.orchestrator.search.semantic import cosines
from services.orchestrator.store.records import ItemChanges, ItemRecord, ItemVector
from tests.load.recommend_latency import prepare
from tests.quality.text.search import KINDS

_WARM_UP_CALLS = 50
_WORDS = 60_000
_DIMENSIONS = 384
_GENRES = ("Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "War")


def queries(data: MovieLens, count: int, seed: int = 0) -> list[str]:
    """Return distinct queries."""
    generator = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        title = generator.choice(data.items).title
        kind = f"{generator.choice(list(KINDS))} {generator.choice(_GENRES)} {generator.randint(1930, 1998)}"
        place = generator.randrange(max(1, len(title) - 1))
        slip = title[:place] + title[place + 1 :] if generator.random() < 0.25 else title
        found[generator.choice([f"{slip} {generator.choice(_GENRES)}", slip, kind, kind])] = None
    return [query for query in found if query.strip()]


def measure(
    client: MarqueeClient, asked: Sequence[str], options: Callable[[int], SearchOptions]
) -> tuple[list[float], dict[str, list[float]]]:
    """Return the milliseconds of each call as the caller sees it, and of each of its steps."""
    latencies: list[float] = []
    steps: dict[str, list[float]] = defaultdict(list)
    for number, query in enumerate(asked):
        start = time.perf_counter()
        answer = client.search(query, **options(number))
        elapsed = (time.perf_counter() - start) * 1000
        if number >= _WARM_UP_CALLS:
            assert not answer.degraded, answer.steps
            latencies.append(elapsed)
            for step in answer.steps:
                steps[step.step].append(step.milliseconds)
    return latencies, steps


def movielens(calls: int) -> None:
    """Measure through a mesh."""
    data = fetch_movielens()
    users = sorted({event.user_id for event in data.events})
    asked = queries(data, 3 * (calls + _WARM_UP_CALLS))
    third = len(asked) // 3
    ways: dict[str, Callable[[int], SearchOptions]] = {
        "words and meaning": lambda _: SearchOptions(),
        "for a user": lambda number: SearchOptions(user_id=users[number % len(users)]),
        "words alone": lambda _: SearchOptions(mode=pb.SEARCH_MODE_LEXICAL),
    }
    with TemporaryDirectory(prefix="marquee-latency-") as folder, LocalMesh(Path(folder), port=0) as mesh:
        mesh.wait_ready()
        with MarqueeClient(mesh.addresses["orchestrator"]) as client:
            print("importing and training", flush=True)
            prepare(mesh, client, data)
            print("\n| search | p50 ms | p99 ms | steps, p50 ms |\n|---|---|---|---|")
            for place, (name, options) in enumerate(ways.items()):
                latencies, steps = measure(client, asked[place * third : (place + 1) * third], options)
                print(f"| {name} | {_middle(latencies)} | " + _steps(steps) + " |", flush=True)


def synthetic(count: int, calls: int) -> None:
    """Measure the parts over a large catalogue, in this process: the time of one core, whatever else runs."""
    generator = numpy.random.default_rng(0)
    letters = numpy.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["".join(letters[generator.integers(0, 26, size)]) for size in generator.integers(3, 11, _WORDS)]
    weights = 1 / numpy.arange(1, _WORDS + 1)
    drawn = generator.choice(_WORDS, (count, 14), p=weights / weights.sum())
    vectors = generator.standard_normal((count, _DIMENSIONS)).astype("<f4")
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    records = [
        ItemRecord(
            f"item-{row:06}",
            " ".join(vocabulary[word] for word in drawn[row, :4]),
            " ".join(vocabulary[word] for word in drawn[row, 4:]),
            (_GENRES[row % len(_GENRES)], _GENRES[row % 3]),
            0,
            1930 + row % 90,
            (),
            1,
            ItemVector(vectors[row].tobytes(), "synthetic", "1"),
        )
        for row in range(count)
    ]
    snapshot = build_snapshot(1, records, [])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.thread_time()
    index = build_index(snapshot)
    print(
        f"\n{count:,} items, core time: indexed in {time.thread_time() - start:.1f} s, {index.size_bytes / 1e6:.0f} MB",
        end="",
    )
    print(f" (resident memory rose by {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3:.0f} MB)")
    allowed = numpy.ones(count, numpy.bool_)
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(calls):
        row = int(generator.integers(count))
        title = records[row].title
        asked = title[:-2] if number % 4 == 0 else f"{_GENRES[number % 8]} {title.split()[0]}" if number % 2 else title
        marks = [time.thread_time()]
        lexical = match(index, asked)
        marks.append(time.thread_time())
        meaning = cosines(snapshot.text, vectors[row])
        marks.append(time.thread_time())
        relevance = fuse(lexical, meaning, allowed)
        best_rows(relevance.scores, relevance.found, snapshot, 300)
        marks.append(time.thread_time())
        for name, first, last in zip(("words", "meaning", "fusion and page"), marks, marks[1:], strict=False):
            times[name].append((last - first) * 1000)
    for number in range(20):
        changed = ItemRecord(f"item-{number:06}", f"quite new {number}", "", (), 0, 2026, (), 2 + number)
        marks = [time.thread_time()]
        later = apply_changes(snapshot, ItemChanges((changed,), (), snapshot.sequence + 1))
        assert later is not None
        marks.append(time.thread_time())
        index = follow(index, later)
        marks.append(time.thread_time())
        snapshot = later
        times["one change: snapshot"].append((marks[1] - marks[0]) * 1000)
        times["one change: index"].append((marks[2] - marks[1]) * 1000)
    print("| part | p50 ms | p99 ms |\n|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {_middle(values)} |")


def _middle(values: Sequence[float]) -> str:
    low, high = numpy.percentile(values, [50, 99])
    return f"{low:.2f} | {high:.2f}"


def _steps(steps: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {numpy.percentile(values, 50):.2f}" for name, values in steps.items())


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.search_latency", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="measured calls of each kind, after 50 to warm up")
    parser.add_argument("--items", type=int, default=100_000, help="items of the synthetic catalogue; 0 leaves it out")
    parser.add_argument("--only-synthetic", action="store_true", help="no mesh")
    options = parser.parse_args()
    if not options.only_synthetic:
        movielens(options.calls)
    if options.items:
        synthetic(options.items, options.calls)


if __name__ == "__main__":
    main()
