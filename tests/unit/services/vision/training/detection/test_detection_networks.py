"""Both detectors: what they answer, what their losses want, and that the graph says what the network says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.runtime.training.publish import cpu_session
from services.vision.training.detection.convolutional import ConvolutionalDetector, suppressed
from services.vision.training.detection.fitting import rate_share
from services.vision.training.detection.frames import HEIGHT, WIDTH
from services.vision.training.detection.graph import compact, export
from services.vision.training.detection.network import QUERIES, Detector

CLASSES = 3
TARGETS = [
    {
        "class_labels": torch.tensor([0, 2]),
        "boxes": torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.7, 0.6, 0.1, 0.1]]),
    },
    {"class_labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)},
]


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    network = Detector(CLASSES)
    network.eval()
    return network


@pytest.fixture(scope="module")
def convolutional() -> ConvolutionalDetector:
    torch.manual_seed(0)
    network = ConvolutionalDetector(CLASSES)
    network.eval()
    return network


def test_answers_are_scores_and_boxes_in_parts(detector: Detector, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        scores, boxes = detector(pixels)

    assert scores.shape == (3, QUERIES, CLASSES)
    assert boxes.shape == (3, QUERIES, 4)
    for values in (scores, boxes):
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1
    assert bool((boxes[..., 2:] >= boxes[..., :2]).all())


def test_the_loss_is_of_a_set(detector: Detector, pixels: torch.Tensor) -> None:
    turned = [{name: values.flip(0) for name, values in target.items()} for target in TARGETS]
    with torch.no_grad():
        features = detector.backbone(pixels[:2])
        losses = [float(detector.loss(features, targets)) for targets in (TARGETS, turned)]

    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_later_stages_continue_the_backbone(detector: Detector, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        features = detector.backbone(pixels[:1])
        continued = detector.backbone.continued(features[0], features[1])

    for whole, part in zip(features, continued, strict=True):
        assert torch.equal(whole, part)


def test_the_graph_says_what_the_network_says_for_any_batch(detector: Detector, pixels: torch.Tensor) -> None:
    session = cpu_session(compact(export(detector)))
    with torch.inference_mode():
        expected = [values.numpy() for values in detector(pixels)]

    together = session.run(["scores", "boxes"], {"pixels": pixels.numpy()})
    alone = session.run(["scores", "boxes"], {"pixels": pixels[:1].numpy()})

    for wanted, given, single in zip(expected, together, alone, strict=True):
        assert given == pytest.approx(wanted, abs=0.02)
        assert single[0] == pytest.approx(given[0], abs=1e-5)


def test_every_object_has_cells_that_answer_for_it(convolutional: ConvolutionalDetector, pixels: torch.Tensor) -> None:
    cells, (numbers, boxes) = convolutional._assigned(TARGETS[0]["boxes"])
    with torch.no_grad():
        losses = convolutional.loss(convolutional.backbone(pixels[:2]), TARGETS)

    assert set(numbers.tolist()) == {0, 1}
    places = convolutional.places[cells]
    assert bool(((places > boxes[:, :2]) & (places < boxes[:, 2:])).all())
    assert float(losses) > 0


def test_doubles_of_one_class_are_suppressed() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0.5, 0.5, 1, 1]], dtype=np.float32)
    scores = np.array([[0.9, 0.0], [0.8, 0.7], [0.5, 0.001]], dtype=np.float32)

    found = suppressed(scores, boxes)

    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert found.classes.tolist() == [0, 1, 0]


def test_the_rate_rises_stays_and_falls() -> None:
    rates = [rate_share(step, 1000) for step in range(1000)]

    assert rates[0] == pytest.approx(0.01)
    assert rates[100:640] == [1.0] * 540
    assert rates[-1] < 0.01
