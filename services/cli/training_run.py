"""One training: history out of the orchestrator, a bundle onto the disk, the bundle into service."""

from __future__ import annotations

import datetime
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy

from marquee.common.v1.report_pb2 import StepReport
from marquee.entertainment.v1.catalog_service_pb2 import ExportedItem
from marquee_client import FailedPrecondition, MarqueeClient
from services.classical.training.bundle import fit_bundle
from services.classical.training.content import ContentVectors
from services.classical.training.dataset import Event, Interactions
from services.classical.training.evaluation import quality
from services.classical.training.leave_one_out import measure
from services.classical.training.options import FitOptions
from services.classical.training.parity import BundleParityError
from services.classical.training.promotion import Verdict, compare_with_serving
from services.cli.console import Stage, stage
from services.cli.failures import CommandFailed

ValueT = TypeVar("ValueT")

TENANT = "default"
_ACTIVATION_SECONDS = 120.0


@dataclass
class TrainingRun:
    """What a training did.

    Attributes:
        seconds: duration of each stage, in their order.
        manifest: the bundle's manifest.
        previous_version: bundle that served before; empty when there was none.
        steps: what each service did to load the bundle.
        held_out: (HR@10, NDCG@10) on each user's newest event, which the fit did not see; empty unless asked for.
        user_id: somebody whose events were fitted on.
        verdict: how the fit did against the bundle that served before; None when there was none to compare with.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    previous_version: str = ""
    steps: list[StepReport] = field(default_factory=list)
    held_out: dict[str, tuple[float, float]] = field(default_factory=dict)
    user_id: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class TrainingWishes:
    """What a training is to do.

    Attributes:
        options: of the fit.
        evaluate: also measure a fit that does not see each user's newest event.
        even_if_worse: let it serve without comparing it with the serving bundle.
    """

    options: FitOptions = field(default_factory=FitOptions)
    evaluate: bool = False
    even_if_worse: bool = False


@dataclass(frozen=True)
class TrainingData:
    """What is fitted on."""

    interactions: Interactions
    content: dict[str, ContentVectors]
    tags: list[list[str]]


def train_and_activate(client: MarqueeClient, bundles: Path, wishes: TrainingWishes) -> TrainingRun:
    """Fit a bundle on everything the orchestrator has stored, and let it serve unless it is worse than what serves.

    Args:
        client: connected to the orchestrator.
        bundles: folder of bundles, the one the services load from.
        wishes: what to fit, measure and allow.

    Raises:
        CommandFailed: there is nothing to fit on, the fit is worse than what serves, or no service can load it.
    """
    run = TrainingRun()
    data = read_training_data(client, run)
    run.user_id = data.interactions.user_ids[0]
    if not wishes.even_if_worse:
        _compare(client, data, bundles, wishes, run)
    version = _new_version(bundles)
    with stage("Fit the recommenders", percent=True) as work:
        run.manifest = _fit(data, bundles, version, wishes.options, work)
        work.note = ", ".join(one["name"] for one in run.manifest["scorers"]) + ", ranker"
    run.seconds["fit and write the bundle"] = work.seconds
    if wishes.evaluate:
        _evaluate(data.interactions, wishes.options, run)
    with stage("Load it into the services") as work:
        try:
            activated = client.activate_bundle(version, timeout=_ACTIVATION_SECONDS)
        except FailedPrecondition as error:
            raise CommandFailed(
                error.message, f"The bundle is in {bundles.resolve()}: do the services load from there?"
            ) from error
    run.seconds["load into the services"] = work.seconds
    run.previous_version, run.steps = activated.previous_version, list(activated.steps)
    return run


def _compare(
    client: MarqueeClient, data: TrainingData, bundles: Path, wishes: TrainingWishes, run: TrainingRun
) -> None:
    """Hold a fit against the serving bundle, on what users did since that one was fitted."""
    serving = bundles / TENANT / client.serving_bundle().version
    if serving.name == TENANT or not (serving / "manifest.json").is_file():
        return
    with stage("Compare with the serving bundle") as work:
        run.verdict = compare_with_serving(
            data.interactions,
            serving,
            lambda events, root, tenant, version: fit_bundle(
                events,
                root,
                tenant=tenant,
                version=version,
                content=data.content,
                item_tags=data.tags,
                options=wishes.options,
            ),
        )
        work.note = f"{run.verdict.users} users did something new since"
    run.seconds["compare with the serving bundle"] = work.seconds
    if run.verdict.worse:
        difference = run.verdict.difference
        raise CommandFailed(
            f"the new fit is worse than the serving bundle {serving.name}: NDCG@10 {run.verdict.ours.ndcg:.4f} against "
            f"{run.verdict.theirs.ndcg:.4f} on {run.verdict.users} users"
            + (f", difference {difference.low:+.4f} to {difference.high:+.4f}" if difference else ""),
            "It was not promoted. To serve it all the same: marquee train --even-if-worse",
        )


def _fit(data: TrainingData, bundles: Path, version: str, options: FitOptions, work: Stage) -> dict[str, Any]:
    """Fit and write the bundle in a thread, so that Ctrl-C need not wait for its end; returns the manifest."""
    stopping = threading.Event()

    def report(part: str, share: float) -> None:
        if stopping.is_set():
            raise InterruptedError
        work.say(part)
        work.advance(max(0, round(share * 100) - work.done))

    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(
            fit_bundle,
            data.interactions,
            bundles,
            tenant=TENANT,
            version=version,
            content=data.content,
            item_tags=data.tags,
            options=options,
            progress=report,
        )
        try:
            return fit.result()
        except KeyboardInterrupt:
            stopping.set()
            raise
        except (BundleParityError, ValueError) as error:
            raise CommandFailed(f"cannot fit: {error}") from error


def training_data(items: Iterable[ExportedItem], events: Sequence[Event]) -> TrainingData:
    """Put the parts of an export together; items keep the order of the export, which gives the rows."""
    listed = list(items)
    content: dict[str, ContentVectors] = {}
    for name, service, vectors in (
        ("content_text", "text", [one.text_vector.values for one in listed]),
        ("content_picture", "vision", [one.picture_vector.values for one in listed]),
    ):
        rows = [row for row, values in enumerate(vectors) if values]
        if rows:
            packed = b"".join(vectors[row] for row in rows)
            matrix = numpy.frombuffer(packed, "<f4").reshape(len(rows), -1)
            content[name] = ContentVectors(service, numpy.array(rows, numpy.int64), matrix)
    interactions = Interactions.from_events(events, [one.item.item_id for one in listed])
    return TrainingData(interactions, content, [list(one.item.tags) for one in listed])


def read_training_data(client: MarqueeClient, run: TrainingRun) -> TrainingData:
    """Read the catalogue and the events, and note how long it took.

    Raises:
        CommandFailed: there is nothing to fit on.
    """
    stored = client.serving_bundle()
    if not stored.catalog_count or not stored.event_count:
        missing = "titles" if not stored.catalog_count else "events"
        raise CommandFailed(
            f"there are no {missing} to fit on", "Import some first, for example: marquee import movielens"
        )
    with stage("Read the catalogue", stored.catalog_count) as work:
        items = list(_counted(client.export_items(), work.advance))
    run.seconds["read the catalogue"] = work.seconds
    with stage("Read the events", stored.event_count) as work:
        events = [
            Event(
                event.user_id,
                event.item_id,
                event.event_time.seconds + event.event_time.nanos / 1e9,
                event.weight,
                event.sequence,
            )
            for event in _counted(client.export_events(), work.advance)
        ]
    run.seconds["read the events"] = work.seconds
    try:
        data = training_data(items, events)
    except ValueError as error:
        raise CommandFailed(f"cannot fit: {error}") from error
    if not data.interactions.event_count:
        raise CommandFailed("no event is of a title in the catalogue", "Import the titles that the events name.")
    return data


def _counted(values: Iterable[ValueT], done: Callable[[int], None], every: int = 500) -> Iterator[ValueT]:
    rest = iter(values)
    while part := list(itertools.islice(rest, every)):
        yield from part
        done(len(part))


def _new_version(bundles: Path) -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    names = itertools.chain([now], (f"{now}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not (bundles / TENANT / name).exists())


def _evaluate(interactions: Interactions, options: FitOptions, run: TrainingRun) -> None:
    with stage("Measure on each user's newest event") as work, tempfile.TemporaryDirectory() as folder:
        ranks = measure(interactions, "test", options, Path(folder), "evaluation")
        run.held_out = {name: (quality(values).hit_rate, quality(values).ndcg) for name, values in ranks.items()}
    run.seconds["measure without the newest events"] = work.seconds
