"""Runs the offline protocols on what the orchestrator has stored."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from marquee_client import MarqueeClient
from services.classical.training.options import FitOptions
from services.classical.training.protocols.cold_items import cold_items
from services.classical.training.protocols.next_event import global_time, leave_one_out
from services.classical.training.protocols.outcome import Outcome
from services.classical.training.protocols.random_split import random_split
from services.cli.console import stage
from services.cli.failures import CommandFailed
from services.cli.training_run import TrainingData, TrainingRun, read_training_data
from services.cli.training_wishes import fit_options

Protocol = Callable[[TrainingData, FitOptions, Path, int], Outcome]
PROTOCOLS: dict[str, Protocol] = {
    "leave-one-out": lambda data, options, root, seeds: leave_one_out(
        data.interactions, data.content, data.tags, options, root, tuple(range(1, seeds + 1))
    ),
    "time": lambda data, options, root, seeds: global_time(data.interactions, data.content, data.tags, options, root),
    "random": lambda data, options, root, seeds: random_split(
        data.interactions, data.content, data.tags, options, root
    ),
    "cold": lambda data, options, root, seeds: cold_items(data.interactions, data.content, data.tags, options),
}


def run_protocols(client: MarqueeClient, names: Sequence[str], seeds: int, more: Sequence[str]) -> list[Outcome]:
    """Read what is stored and run the protocols.

    Raises:
        CommandFailed: there is nothing to fit on, or too little for a protocol.
    """
    options = fit_options(more)
    data = read_training_data(client, TrainingRun())
    outcomes = []
    for name in names:
        with stage(f"Measure: {name}") as work, tempfile.TemporaryDirectory() as folder:
            try:
                outcome = PROTOCOLS[name](data, options, Path(folder), seeds)
            except (ValueError, IndexError) as error:
                raise CommandFailed(f"cannot measure {name}: {error}") from error
            work.note = f"{outcome.users} users"
        outcomes.append(outcome)
    return outcomes
