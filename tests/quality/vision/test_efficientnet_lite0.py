"""The committed image network on real pictures, without the libraries it was built with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.image_decoding import decode_image
from tests.support.repositories import load_on_cpu

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "services" / "vision" / "models" / "efficientnet-lite0" / "1"
PICTURES = ROOT / "tests" / "data" / "pictures"
# A picture and the labels of which at least one must be among its first two.
EXPECTED = {
    "cat": {"tabby cat", "tiger cat", "Egyptian cat"},
    "coffee": {"espresso"},
    "flower": {"daisy"},
    "officer": {"military uniform", "academic gown", "graduation cap"},
    "pagoda": {"palace"},
    "photographer": {"tripod"},
    "rocket": {"missile", "projectile"},
}

pytestmark = pytest.mark.quality
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_on_cpu(FOLDER)


@pytest.fixture(scope="module")
def pixels() -> dict[str, Pixels]:
    return {path.stem: decode_image(path.read_bytes()) for path in sorted(PICTURES.glob("*.jpg"))}


def test_golden_outputs_are_reproduced(model: LoadedModel) -> None:
    assert model.parity.cases == 2
    assert model.parity.max_difference < 1e-3
    assert model.parity.decision_flips == 0


def test_labels_are_a_name_for_each_class(model: LoadedModel) -> None:
    labels = model.labels()

    assert len(labels) == len(set(labels)) == 1_000
    assert all(label == label.strip() and label for label in labels)
    # Anchors over the whole range: one missing line would shift all that follow.
    anchors = {0: "tench", 207: "Golden Retriever", 404: "airliner", 817: "sports car", 999: "toilet paper"}
    assert {number: labels[number] for number in anchors} == anchors


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_real_pictures_get_the_right_names(model: LoadedModel, pixels: dict[str, Pixels], name: str) -> None:
    probabilities = model.onnx.run({"pixels": pixels[name][None]})["probabilities"][0]
    labels = model.labels()

    first_two = {labels[number] for number in np.argsort(-probabilities.astype(np.float32))[:2]}

    assert first_two & EXPECTED[name], first_two


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_the_file_format_does_not_change_the_answer(model: LoadedModel, suffix: str) -> None:
    jpeg, other = (decode_image((PICTURES / f"cat.{kind}").read_bytes()) for kind in ("jpg", suffix))
    outputs = model.onnx.run({"pixels": np.stack([jpeg, other])})
    vectors, probabilities = outputs["vectors"].astype(float), outputs["probabilities"].astype(float)

    assert vectors[0] @ vectors[1] > 0.95
    names = EXPECTED["cat"]
    labels = model.labels()
    for row in probabilities:
        assert sum(row[number] for number in range(1_000) if labels[number] in names) > 0.8


def test_outputs_are_probabilities_and_vectors_of_length_one(model: LoadedModel, pixels: dict[str, Pixels]) -> None:
    black, white = np.zeros((224, 224, 3), np.uint8), np.full((224, 224, 3), 255, np.uint8)
    outputs = model.onnx.run({"pixels": np.stack([*pixels.values(), black, white])})
    probabilities, vectors = outputs["probabilities"].astype(float), outputs["vectors"].astype(float)

    assert probabilities.shape == (len(pixels) + 2, 1_000)
    assert vectors.shape == (len(pixels) + 2, 1_280)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities >= 0).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_answer_does_not_depend_on_the_batch(model: LoadedModel, pixels: dict[str, Pixels]) -> None:
    together = model.onnx.run({"pixels": np.stack(list(pixels.values()))})
    alone = [model.onnx.run({"pixels": picture[None]}) for picture in pixels.values()]

    for number, single in enumerate(alone):
        cosine = together["vectors"][number].astype(float) @ single["vectors"][0].astype(float)
        assert cosine >= 0.9995
        assert (
            np.argsort(-together["probabilities"][number].astype(float))[:5].tolist()
            == np.argsort(-single["probabilities"][0].astype(float))[:5].tolist()
        )
        assert np.abs(together["probabilities"][number].astype(float) - single["probabilities"][0]).max() < 1e-5


def test_similar_pictures_are_closer_than_others(model: LoadedModel, pixels: dict[str, Pixels]) -> None:
    mirrored = model.onnx.run({"pixels": np.stack([picture[:, ::-1] for picture in pixels.values()])})["vectors"]
    upright = model.onnx.run({"pixels": np.stack(list(pixels.values()))})["vectors"]

    similarity = upright.astype(float) @ mirrored.astype(float).T

    assert similarity.argmax(axis=1).tolist() == list(range(len(pixels)))


def test_the_card_tells_a_parity_within_the_floor() -> None:
    """The comparison itself needs the original's own code and weights: `python -m services.vision.training`."""
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| 16 bits a weight \(served\).*$", card, re.MULTILINE)
    _, samples, same_first, _, _, _, cosine = (cell.strip() for cell in row.strip("|").split("|"))

    assert int(samples) >= 200
    assert float(same_first.rstrip("%")) >= 99
    assert float(cosine) >= 0.99
    assert "Accuracy on ImageNet is the authors' figure, 74.8–75.1 %" in card
