from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.text.training.language_model.graphs import decoder_graph, recurrent_graph
from services.text.training.language_model.networks import Decoder, DecoderShape, Recurrent, RecurrentShape
from services.text.training.language_model.served import ServedModel
from services.text.training.language_model.version import decoder_states, recurrent_states

TOKENS = 50


def _decoder() -> tuple[ServedModel, NDArray[np.float32]]:
    network = Decoder(DecoderShape(tokens=TOKENS, width=16, layers=2, heads=2, hidden=32))
    for value in network.parameters():
        if value.ndim == 2:
            torch.nn.init.normal_(value, std=0.2)
    graph = decoder_graph(network).SerializeToString()
    served = ServedModel(graph, json.dumps({"states": decoder_states(network.shape)}).encode())
    with torch.no_grad():
        return served, (network(torch.from_numpy(IDS)) @ network.table.T).numpy()


def _recurrent() -> tuple[ServedModel, NDArray[np.float32]]:
    network = Recurrent(RecurrentShape(tokens=TOKENS, width=16, hidden=24)).eval()
    torch.nn.init.normal_(network.table, std=0.5)
    torch.nn.init.normal_(network.projection.weight, std=0.5)
    graph = recurrent_graph(network).SerializeToString()
    served = ServedModel(graph, json.dumps({"states": recurrent_states(network.shape)}).encode())
    with torch.no_grad():
        return served, (network(torch.from_numpy(IDS)) @ network.table.T).numpy()


IDS = np.random.default_rng(0).integers(0, TOKENS, (3, 12))


@pytest.fixture(params=[_decoder, _recurrent])
def model(request: pytest.FixtureRequest) -> tuple[ServedModel, NDArray[np.float32]]:
    torch.manual_seed(0)
    result: tuple[ServedModel, NDArray[np.float32]] = request.param()
    return result


def test_the_graph_answers_what_the_network_answers(model: tuple[ServedModel, NDArray[np.float32]]) -> None:
    served, expected = model
    logits, _ = served.run(IDS, served.start(3))
    assert expected.std() > 0.05
    np.testing.assert_allclose(logits, expected, atol=0.01)


@pytest.mark.parametrize("pieces", [[1] * 12, [5, 7], [11, 1]])
def test_a_text_in_pieces_gets_the_same_answers(
    model: tuple[ServedModel, NDArray[np.float32]], pieces: list[int]
) -> None:
    served, _ = model
    whole, _ = served.run(IDS, served.start(3))
    states, start, found = served.start(3), 0, []
    for size in pieces:
        logits, states = served.run(IDS[:, start : start + size], states)
        found.append(logits)
        start += size
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(model: tuple[ServedModel, NDArray[np.float32]]) -> None:
    served, _ = model
    together, _ = served.run(IDS, served.start(3))
    for row in range(3):
        alone, _ = served.run(IDS[row : row + 1], served.start(1))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_padding_before_a_text_changes_nothing() -> None:
    torch.manual_seed(0)
    served, _ = _decoder()
    whole, _ = served.run(IDS, served.start(3))
    padded = np.concatenate([np.full((3, 4), 7), IDS], axis=1)
    feeds = served.feeds(padded, served.start(3))
    feeds["attention_mask"][:, :4] = 0
    feeds["position_ids"] = np.maximum(feeds["position_ids"] - 4, 0)
    (logits,) = served.session.run(["logits"], feeds)
    np.testing.assert_allclose(logits[:, 4:], whole, atol=1e-5)
