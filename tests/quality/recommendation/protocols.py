"""The offline protocols on MovieLens-100K with their floors: `make quality` runs them after the lists of the API.

Texts and tags come from a mesh with the catalogue in it. Fits are kept in the data folder by what they depend on, so
that a second run measures only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from marquee_client import MarqueeClient
from services.classical.training.protocols.cold_items import OVERLAP, RANDOM
from services.classical.training.protocols.outcome import STACK, Outcome
from services.cli.evaluation_run import PROTOCOLS
from services.cli.local_mesh import LocalMesh
from services.cli.movielens import MovieLens
from services.cli.training_run import TrainingRun, read_training_data
from services.cli.training_wishes import fit_options
from services.runtime.sources import DataSettings
from tests.quality.recommendation.mesh_run import fill

SEEDS = 3


def check_protocols(data: MovieLens, more: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Run every protocol and print it; returns what is below its floor."""
    kept = DataSettings().data_directory / "quality"
    with TemporaryDirectory(prefix="marquee-quality-") as folder, LocalMesh(Path(folder), port=0) as mesh:
        mesh.wait_ready()
        with MarqueeClient(mesh.addresses["orchestrator"]) as client:
            say("writing the catalogue and the events")
            fill(client, data.items, data.events)
            known = read_training_data(client, TrainingRun())
    missed = []
    for name, protocol in PROTOCOLS.items():
        say(f"protocol {name}")
        outcome = protocol(known, fit_options(more), kept, SEEDS)
        print_outcome(outcome)
        missed += [f"{outcome.protocol}: {what}" for what in below_floors(outcome)]
    return missed


def print_outcome(outcome: Outcome) -> None:
    """Print a table with intervals, and what the whole gains."""
    print(f"\n{outcome.protocol}, {outcome.users} users\n")
    print("| system | " + " | ".join(outcome.metrics) + " |")
    print("|---|" + "---|" * len(outcome.metrics))
    for name in outcome.values:
        figures = [outcome.figure(name, number) for number in range(len(outcome.metrics))]
        cells = [f"{one.mean:.4f} ({one.low:.4f} to {one.high:.4f})" for one in figures]
        print(f"| {name} | " + " | ".join(cells) + " |")
    rivals = (("chosen on validation", outcome.chosen_single()), ("best in hindsight", outcome.best_single()))
    for what, system in rivals:
        if system:
            gain = outcome.gain(system)
            print(f"\n{STACK} against {system}, {what}: {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})")
    print(flush=True)


def below_floors(outcome: Outcome) -> Iterator[str]:
    """Yield what a protocol misses."""
    first, last = (outcome.figure(STACK, number).mean for number in range(2))
    chosen = outcome.chosen_single()
    if outcome.protocol == "leave-one-out":
        if chosen and outcome.gain(chosen).low <= 0:
            yield f"the gain over {chosen}, chosen on validation, is within chance"
        yield from _below(outcome, (first, 0.215), (last, 0.120))
    elif outcome.protocol == "random 80/20":
        yield from _below(outcome, (first, 0.360), (last, 0.435))
    elif outcome.protocol == "cold items":
        for baseline in (RANDOM, OVERLAP):
            if outcome.gain(baseline).low <= 0:
                yield f"the gain over {baseline} is within chance"


def _below(outcome: Outcome, *floors: tuple[float, float]) -> Iterator[str]:
    for metric, (value, floor) in zip(outcome.metrics, floors, strict=True):
        if value < floor:
            yield f"{metric} {value:.4f} is below {floor}"
