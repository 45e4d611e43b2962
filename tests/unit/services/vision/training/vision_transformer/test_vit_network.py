"""A Vision Transformer answers each picture alone, and its served graph answers the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.runtime.training.publish import cpu_session
from services.vision.training.vision_transformer.fitting import Pixels, answers
from services.vision.training.vision_transformer.graph import compact, export
from services.vision.training.vision_transformer.network import NetworkShape, VisionTransformer


def tiny(mirrored: bool = False, grey: bool = False) -> VisionTransformer:
    torch.manual_seed(0)
    shape = NetworkShape(
        side=12,
        classes=3,
        stem=((8, 3, 1), (16, 3, 2), (16, 3, 1)),
        dimensions=24,
        blocks=2,
        heads=2,
        grey=grey,
        mirrored=mirrored,
    )
    network = VisionTransformer(shape, 100.0, 60.0)
    network.eval()
    return network


def pictures(count: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)


def test_outputs_are_probabilities_and_vectors_of_length_one() -> None:
    probabilities, vectors = answers(tiny(), pictures(5))

    assert probabilities.shape == (5, 3)
    assert vectors.shape == (5, 24)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_mirrored_network_says_the_same_of_a_picture_and_its_mirror_image() -> None:
    network, shown = tiny(mirrored=True), pictures(4)

    left, right = answers(network, shown)[0], answers(network, np.ascontiguousarray(shown[:, :, ::-1]))[0]

    assert np.allclose(left, right, atol=1e-6)


def test_a_grey_network_says_the_same_of_a_grey_picture_with_one_and_with_three_channels() -> None:
    network, shown = tiny(grey=True), pictures(4)[..., :1]

    one, three = answers(network, shown)[0], answers(network, shown.repeat(3, axis=3))[0]

    assert np.allclose(one, three, atol=1e-5)


def test_tokens_a_side_is_what_the_stem_leaves() -> None:
    shape = NetworkShape(side=84, classes=2, stem=((8, 7, 3), (8, 3, 2), (8, 3, 2)), dimensions=8, blocks=1, heads=1)

    assert shape.tokens_a_side == 7
    assert VisionTransformer(shape, 0.0, 1.0).places.shape == (1, 49, 8)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_served_graph_answers_as_the_network_and_each_picture_alone(mirrored: bool) -> None:
    network, shown = tiny(mirrored), pictures(7)
    expected = answers(network, shown)

    graph = compact(export(network))
    session = cpu_session(graph)
    together = session.run(["probabilities", "vectors"], {"pixels": shown})
    alone = [session.run(["probabilities", "vectors"], {"pixels": shown[row : row + 1]}) for row in range(7)]

    assert np.abs(together[0] - expected[0]).max() < 5e-3
    assert np.abs(together[1] - expected[1]).max() < 5e-3
    for output in (0, 1):
        assert np.allclose(np.concatenate([each[output] for each in alone]), together[output], atol=1e-6)
    # Half the bytes is why weights are kept in half precision.
    assert len(graph) < 0.8 * len(export(network).SerializeToString())
