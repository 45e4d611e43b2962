"""How well found items fit a user: what the collaborative scorers say of them, or else their texts and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from marquee.entertainment.v1.preference_pb2 import UserSettings
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Floats
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.recommend.sources.bundle_scorers import propose
from services.orchestrator.recommend.sources.source import SourceInput
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.store.records import RecommendationState

Key = TypeVar("Key", int, str)

NEUTRAL = 0.5
MOST_JUDGED = 200
_STATED_TASTE = 0.25
"""How far a stated liking of weight 1 moves an item with that tag."""


@dataclass(frozen=True)
class Person:
    """Whose taste it is.

    Attributes:
        tenant: where the user belongs.
        state: history and settings.
        bundle: what scores items for them; None judges by texts.
    """

    tenant: str
    state: RecommendationState
    bundle: ServingBundle | None


async def taste_of(
    mesh: Mesh, person: Person, snapshot: CatalogSnapshot, rows: Sequence[int], steps: StepLog, seconds: float
) -> Floats:
    """Return float32[N], 0 to 1: how well each of the rows fits compared with the others; 0.5 where nothing is known.

    Args:
        mesh: the model services.
        person: whose taste.
        snapshot: the catalogue.
        rows: found items, best first; at most `MOST_JUDGED` are judged.
        steps: where it is reported.
        seconds: longest wait for the scorers.
    """
    state = person.state
    taste = np.full(len(snapshot), NEUTRAL, np.float32)
    judged = list(rows[:MOST_JUDGED])
    if judged and state.history:
        allowed = np.zeros(len(snapshot), np.bool_)
        allowed[judged] = True
        request = SourceInput(person.tenant, state.history, snapshot, allowed, person.bundle, len(judged))
        proposed = await propose(mesh, "classical", request, steps, seconds, "personal")
        by_row = _by_scorers(snapshot, proposed.by_source) or _by_texts(snapshot, judged, state)
        for row, share in by_row.items():
            taste[row] = share
    if judged and state.settings:
        for stated in UserSettings.FromString(state.settings).tastes:
            taste[snapshot.rows_with_tag(stated.tag)] += _STATED_TASTE * stated.weight
    return np.clip(taste, 0, 1)


def _by_scorers(snapshot: CatalogSnapshot, by_source: Mapping[str, Mapping[str, float]]) -> dict[int, float]:
    """Return the mean place of each item among those that a scorer knows, 1 for the best."""
    places: dict[int, list[float]] = {}
    for scores in by_source.values():
        for item_id, share in _places(scores).items():
            if (row := snapshot.rows.get(item_id)) is not None:
                places.setdefault(row, []).append(share)
    return {row: sum(shares) / len(shares) for row, shares in places.items()}


def _by_texts(snapshot: CatalogSnapshot, rows: Sequence[int], state: RecommendationState) -> dict[int, float]:
    """Compare the items' texts with the mean of those of the history, by weight."""
    known = [(row, event.weight) for event in state.history if (row := snapshot.rows.get(event.item_id)) is not None]
    total = sum(abs(weight) for _, weight in known)
    if not total or not snapshot.text.present.any():
        return {}
    vectors, weights = snapshot.text.values, np.array([weight for _, weight in known], np.float32)
    # What sets the history apart: most of any mean of texts is what all texts have in common.
    liking = weights @ vectors[[row for row, _ in known]] / total - vectors[snapshot.text.present].mean(axis=0)
    judged = [row for row in rows if snapshot.text.present[row]]
    likeness = vectors[judged] @ liking
    return _places(dict(zip(judged, likeness.tolist(), strict=True)))


def _places(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Return 1 for the highest, 0 for the lowest, evenly between; 0.5 for a single one."""
    order = sorted(scores, key=lambda key: scores[key])
    if len(order) == 1:
        return {order[0]: NEUTRAL}
    return {key: place / (len(order) - 1) for place, key in enumerate(order)}
