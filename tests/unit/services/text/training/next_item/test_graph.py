from __future__ import annotations

import numpy as np
import pytest

from services.classical.training.parity import ScorerSession
from services.text.training.next_item.scorer import NextItemTransformer
from tests.unit.services.text.training.next_item.walks import ITEM_COUNT, Histories, Walks


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 500])
def test_the_graph_answers_what_the_reference_answers(unfitted: NextItemTransformer, length: int) -> None:
    walks = Walks([[(7 * step) % ITEM_COUNT for step in range(length)]])
    spans = Histories(np.array([0]), np.array([length]))
    expected = unfitted.score(walks, spans)[0]
    session = ScorerSession(unfitted.graph().SerializeToString())
    everything = np.arange(ITEM_COUNT)
    outputs = session.run(walks.items, walks.weights, walks.items[:3], 5, everything, ITEM_COUNT)
    np.testing.assert_allclose(outputs["candidate_scores"], expected, atol=1e-4)
    np.testing.assert_allclose(outputs["statistics"], [expected.mean(), expected.std()], atol=1e-4)
    assert outputs["contributions"].shape == (length, ITEM_COUNT)
    np.testing.assert_allclose(outputs["contributions"].sum(axis=0), expected, atol=1e-4)
    assert not np.isin(outputs["top_rows"], walks.items[:3]).any()
    if length:
        assert expected.std() > 0.01


def test_events_before_the_window_say_nothing(unfitted: NextItemTransformer) -> None:
    walks = Walks([[1, 2, 3, *range(4, 12)], [13, 14, 15, *range(4, 12)]])
    walks_alike = Histories(np.array([3, 14]), np.array([11, 22]))
    whole = Histories(np.array([0, 11]), np.array([11, 22]))
    np.testing.assert_array_equal(unfitted.score(walks, whole), unfitted.score(walks, walks_alike))
    weights = np.ones(11, np.float32)
    session = ScorerSession(unfitted.graph().SerializeToString())
    outputs = session.run(walks.items[:11], weights, walks.items[:0], 5, np.arange(ITEM_COUNT), ITEM_COUNT)
    np.testing.assert_array_equal(outputs["contributions"][:3], 0)
    assert (np.abs(outputs["contributions"][3:]).sum(axis=1) > 0).all()
