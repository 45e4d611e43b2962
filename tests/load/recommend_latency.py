"""Latency of `Recommend` for one warm caller on MovieLens-100K, with each step's share: `make latency`.

Starts a mesh of its own, imports, trains, then asks for known users one after the other.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy

from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh
from services.cli.movielens import MovieLens, fetch_movielens
from tests.quality.recommendation.mesh_run import fill, train

_WARM_UP_CALLS = 200


def prepare(mesh: LocalMesh, client: MarqueeClient, data: MovieLens) -> None:
    """Write everything and train."""
    fill(client, data.items, data.events)
    train(mesh)


def measure(client: MarqueeClient, users: list[str], calls: int) -> tuple[list[float], dict[str, list[float]]]:
    """Return the milliseconds of each call as the caller sees it, and of each of its steps."""
    latencies: list[float] = []
    steps: dict[str, list[float]] = defaultdict(list)
    for number in range(_WARM_UP_CALLS + calls):
        start = time.perf_counter()
        answer = client.recommend(users[number % len(users)])
        elapsed = (time.perf_counter() - start) * 1000
        if number >= _WARM_UP_CALLS:
            assert not answer.degraded, answer.steps
            latencies.append(elapsed)
            for step in answer.steps:
                steps[step.step].append(step.milliseconds)
    return latencies, steps


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.recommend_latency", description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000, help="measured calls, after 200 to warm up")
    calls = parser.parse_args().calls
    data = fetch_movielens()
    users = sorted({event.user_id for event in data.events})
    with TemporaryDirectory(prefix="marquee-latency-") as folder, LocalMesh(Path(folder), port=0) as mesh:
        mesh.wait_ready()
        with MarqueeClient(mesh.addresses["orchestrator"]) as client:
            print("importing and training", flush=True)
            prepare(mesh, client, data)
            latencies, steps = measure(client, users, calls)
            memory = mesh.resident_bytes()
            starts = {name: service.startup_seconds or 0.0 for name, service in mesh.services.items()}
    p50, p90, p99 = numpy.percentile(latencies, [50, 90, 99])
    print(
        f"\nRecommend, known user, warm, one caller, {calls} calls: p50 {p50:.2f} ms, p90 {p90:.2f} "
        f"ms, p99 {p99:.2f} ms"
    )
    print("| step | p50 ms | p99 ms | share of the whole |")
    print("|---|---|---|---|")
    whole = sum(latencies)
    for name, values in steps.items():
        low, high = numpy.percentile(values, [50, 99])
        print(f"| {name} | {low:.2f} | {high:.2f} | {sum(values) / whole:.0%} |")
    print("\nCandidate steps run side by side, so shares may add up to more than 100 %.\n")
    print("| service | start to SERVING, s | resident memory, MB |")
    print("|---|---|---|")
    for name, seconds in starts.items():
        print(f"| {name} | {seconds:.2f} | {memory[name] / 1e6:.0f} |")


if __name__ == "__main__":
    main()
