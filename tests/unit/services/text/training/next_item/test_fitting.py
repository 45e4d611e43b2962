"""Needs torch: `make test-training` runs this."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from services.text.training.next_item.fitting import fit_next_item, parameter_arrays
from services.text.training.next_item.network import NextItemNetwork
from services.text.training.next_item.options import NextItemOptions
from services.text.training.next_item.scorer import NextItemTransformer
from services.text.training.next_item.sequences import history_windows
from tests.unit.services.text.training.next_item.walks import ITEM_COUNT, Histories, Walks


@pytest.fixture(scope="module")
def fitted(walks: Walks, options: NextItemOptions) -> NextItemTransformer:
    return fit_next_item(walks, options, seed=1)


def whole(walks: Walks) -> Histories:
    return Histories(walks.offsets[:-1], walks.offsets[1:])


def test_it_learns_what_comes_next(fitted: NextItemTransformer, walks: Walks) -> None:
    newest = walks.items[walks.offsets[1:] - 1]
    best = fitted.score(walks, whole(walks)).argmax(axis=1)
    assert (best == (newest + 1) % ITEM_COUNT).mean() > 0.95


def test_the_order_of_events_decides(fitted: NextItemTransformer) -> None:
    forwards, backwards = Walks([[4, 5, 6]]), Walks([[6, 5, 4]])
    assert fitted.score(forwards, whole(forwards)).argmax() == 7
    assert not np.allclose(fitted.score(forwards, whole(forwards)), fitted.score(backwards, whole(backwards)))


def test_the_reference_computes_what_the_network_computes(walks: Walks, options: NextItemOptions) -> None:
    generator = torch.Generator().manual_seed(1)
    network = NextItemNetwork(ITEM_COUNT, options, generator).eval()
    with torch.no_grad():
        for values in network.parameters():
            values.add_(torch.randn(values.shape, generator=generator) * 0.2)
    rows, weights, last = history_windows(walks, whole(walks), options.window)
    users = network(torch.from_numpy(rows), torch.from_numpy(weights))[torch.arange(len(rows)), torch.from_numpy(last)]
    expected = (users @ network.candidates.T).detach().numpy()
    found = NextItemTransformer(parameter_arrays(network), options).score(walks, whole(walks))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_same_seed_gives_the_same_weights(walks: Walks, options: NextItemOptions) -> None:
    short = replace(options, epochs=1, minimum_steps=1)
    one, same, other = (fit_next_item(walks, short, seed).parameters for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["candidates"], other["candidates"])


def test_progress_rises_to_the_end_and_no_events_are_no_error(options: NextItemOptions) -> None:
    shares: list[float] = []
    walks = Walks([[1, 2, 3]])
    fit_next_item(walks, replace(options, epochs=1, minimum_steps=5), 1, shares.append)
    assert shares == [0.2, 0.4, 0.6, 0.8, 1.0]
    nothing = Walks([[1], [2]])
    assert fit_next_item(nothing, options, 1).score(nothing, whole(nothing)).shape == (2, ITEM_COUNT)
