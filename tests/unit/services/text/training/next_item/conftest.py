"""Walkers around a circle of items: the next item is the one after; and a network nobody has fitted."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from services.text.training.next_item.options import NextItemOptions
from services.text.training.next_item.scorer import NextItemTransformer
from tests.unit.services.text.training.next_item.walks import ITEM_COUNT, Walks

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_fitting.py"]


@pytest.fixture(scope="session")
def walks() -> Walks:
    """60 users with 12 events each."""
    starts = np.random.default_rng(0).integers(0, ITEM_COUNT, 60)
    return Walks([[(start + step) % ITEM_COUNT for step in range(12)] for start in starts.tolist()])


@pytest.fixture(scope="session")
def options() -> NextItemOptions:
    """A small network with a window that some histories are longer than."""
    return NextItemOptions(window=8, dimensions=16, layers=2, epochs=20, batch=16, learning_rate=0.01)


@pytest.fixture(scope="session")
def unfitted(options: NextItemOptions) -> NextItemTransformer:
    """Random weights of the right shapes."""
    random = np.random.default_rng(1)
    width, inner = options.dimensions, options.expansion * options.dimensions
    shapes: dict[str, tuple[int, ...]] = {
        "items": (ITEM_COUNT + 1, width),
        "values": (ITEM_COUNT + 1, width),
        "candidates": (ITEM_COUNT, width),
        "slopes": (options.pooling_heads,),
    }
    norms, linear = ["norm"], dict.fromkeys(("query", "key", "value"), (width, width))
    for layer in range(options.layers):
        block = f"blocks.{layer}."
        shapes[block + "slopes"] = (options.heads,)
        norms += [block + "norm", block + "inner_norm"]
        linear.update({block + "mix": (3 * width, width), block + "join": (width, width)})
        linear.update({block + "widen": (inner, width), block + "narrow": (width, inner)})
    for name in norms:
        shapes.update({name + ".weight": (width,), name + ".bias": (width,)})
    for name, shape in linear.items():
        shapes.update({name + ".weight": shape, name + ".bias": shape[:1]})
    drawn = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    return NextItemTransformer(
        {name: np.abs(values) if name.endswith("slopes") else values for name, values in drawn.items()}, options
    )
