"""The figures of the cards on data with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from services.vision.training.vision_transformer import measuring
from services.vision.training.vision_transformer.measuring import Confusion


def test_the_error_of_pictures_that_stand_alone_is_that_of_a_share() -> None:
    given, true = np.array([0] * 90 + [1] * 10), np.zeros(100, np.int64)

    found = measuring.accuracy(given, true)

    assert found.value == pytest.approx(0.9)
    assert found.error == pytest.approx(0.03)
    assert str(found) == "90.00% ± 5.88%"


def test_pictures_of_one_run_that_are_wrong_together_count_as_one() -> None:
    given, true = np.array([0] * 90 + [1] * 10), np.zeros(100, np.int64)

    found = measuring.accuracy(given, true, run=np.arange(100) // 10)

    # As ten pictures of which one is wrong.
    assert found.error == pytest.approx(np.sqrt(0.9 * 0.1 / 10))


def test_confusions_come_largest_first() -> None:
    given, true = np.array([0, 1, 1, 1, 2, 0]), np.array([0, 0, 0, 1, 1, 2])

    found = measuring.confusions(given, true, 2)

    assert found[0] == Confusion(0, 1, 2)
    assert found[1].pictures == 1
    assert "| a | b | 2 of 3 |" in measuring.confusion_table(found, ["a", "b", "c"], 3)


def test_repeated_pictures_are_those_seen_before() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)

    assert measuring.repeated_pictures(pixels, pixels[2:4]).tolist() == [False, False, True, True, False, False]


def test_the_nearest_centroid_ignores_brightness() -> None:
    random = np.random.default_rng(0)
    kinds = random.integers(20, 120, (3, 42, 42, 3))
    classes = np.repeat(np.arange(3), 5)
    fit = np.clip(kinds[classes] + random.integers(-15, 16, (15, 42, 42, 3)), 0, 255).astype(np.uint8)

    found = measuring.nearest_centroid(fit, classes, (kinds * 2).astype(np.uint8))

    assert found.tolist() == [0, 1, 2]


def test_linear_classifier_on_vectors_finds_separated_classes() -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 16)).astype(np.float32)
    classes = np.repeat(np.arange(3), 20)
    vectors = centres[classes] + random.normal(scale=0.1, size=(60, 16)).astype(np.float32)

    found = measuring.linear_on_vectors(vectors[::2], classes[::2], vectors[1::4], classes[1::4], vectors[3::4])

    assert found.tolist() == classes[3::4].tolist()
