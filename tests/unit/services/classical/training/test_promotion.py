"""Promotion: a better and an equal fit pass, a broken one does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.classical.training.bundle import fit_bundle
from services.classical.training.dataset import Interactions
from services.classical.training.options import FitOptions
from services.classical.training.promotion import compare_with_serving, tail_positions
from tests.unit.services.classical.training.conftest import ITEMS, walk_events


@pytest.fixture(scope="module")
def grown(circle: Interactions) -> Interactions:
    """The circle's events, those of the last three steps stored after all others."""
    late = np.arange(circle.event_count) >= np.repeat(circle.offsets[1:] - 3, circle.lengths)
    return replace(circle, sequences=np.where(late, 10_000 + circle.sequences, circle.sequences))


@pytest.fixture(scope="module")
def serving(grown: Interactions, options: FitOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was fitted before the last three steps."""
    root = tmp_path_factory.mktemp("serving")
    fit_bundle(grown.without_newest(3), root, tenant="default", version="old", options=options)
    return root / "default" / "old"


def test_the_tail_is_what_came_after_the_watermark(grown: Interactions) -> None:
    tail = tail_positions(grown, 5_000, seed=1)
    assert len(tail) == grown.user_count
    assert (tail.ends == grown.offsets[1:] - 1).all()
    assert len(tail_positions(grown, 20_000, seed=1)) == 0


def test_a_fit_of_the_same_kind_is_not_worse(grown: Interactions, serving: Path, options: FitOptions) -> None:
    verdict = compare_with_serving(
        grown,
        serving,
        lambda events, root, tenant, version: fit_bundle(events, root, tenant=tenant, version=version, options=options),
    )
    assert verdict.users == 60
    assert verdict.ours.hit_rate > 0.9
    assert verdict.theirs.hit_rate > 0.9
    assert not verdict.worse


def test_a_fit_on_noise_is_worse(grown: Interactions, serving: Path, options: FitOptions) -> None:
    def fit_noise(events: Interactions, root: Path, tenant: str, version: str) -> None:
        shuffled = np.random.default_rng(1).permutation(events.items)
        fit_bundle(replace(events, items=shuffled), root, tenant=tenant, version=version, options=options)

    verdict = compare_with_serving(grown, serving, fit_noise)
    assert verdict.worse
    assert verdict.difference is not None
    assert verdict.difference.high < 0


def test_without_new_events_there_is_nothing_to_compare(
    circle: Interactions, options: FitOptions, tmp_path: Path
) -> None:
    fit_bundle(circle, tmp_path, tenant="default", version="now", options=options)
    verdict = compare_with_serving(circle, tmp_path / "default" / "now", lambda *_: pytest.fail("nothing to fit"))
    assert (verdict.users, verdict.difference, verdict.worse) == (0, None, False)


def test_items_that_the_serving_bundle_does_not_know_count_against_it(options: FitOptions, tmp_path: Path) -> None:
    events = walk_events(60, 12)
    known = Interactions.from_events([one for one in events if one.item_id in ITEMS[:15]], ITEMS[:15])
    fit_bundle(
        replace(known, sequences=np.zeros(known.event_count, np.int64)),
        tmp_path,
        tenant="default",
        version="small",
        options=options,
    )
    everything = Interactions.from_events(events, ITEMS)
    verdict = compare_with_serving(
        everything,
        tmp_path / "default" / "small",
        lambda given, root, tenant, version: fit_bundle(given, root, tenant=tenant, version=version, options=options),
    )
    assert verdict.difference is not None
    assert verdict.difference.low > 0
