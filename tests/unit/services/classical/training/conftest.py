"""A tiny data set with a known answer: everybody walks around a circle of items, so the next item is the one after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.classical.training.dataset import Event, Interactions
from services.classical.training.options import (
    EaseOptions,
    FactorOptions,
    FitOptions,
    MarkovOptions,
    RankerOptions,
)

ITEMS = tuple(f"item-{number:02}" for number in range(20))


def walk_events(users: int, steps: int, seed: int = 0) -> list[Event]:
    """Users start anywhere on the circle and take each following item."""
    random = np.random.default_rng(seed)
    return [
        Event(
            user_id=f"user-{user:03}",
            item_id=ITEMS[(start + step) % len(ITEMS)],
            time=1_000.0 + step,
            weight=1.0,
            sequence=user * steps + step + 1,
        )
        for user, start in enumerate(random.integers(0, len(ITEMS), users))
        for step in range(steps)
    ]


@pytest.fixture(scope="session")
def circle() -> Interactions:
    """60 users with 12 events each, on 20 items."""
    return Interactions.from_events(walk_events(60, 12), ITEMS)


@pytest.fixture(scope="session")
def options() -> FitOptions:
    """Weak regularisation, as little data needs."""
    return replace(
        FitOptions(),
        ease=EaseOptions(regularization=1.0, decay=0.5),
        markov=MarkovOptions(decay=0.5, fit_decay=0.5),
        factors=FactorOptions(dimensions=16, learning_rate=0.05, decay=0.5, weight_decay=0.01),
        ranker=RankerOptions(candidates_per_scorer=5),
    )
