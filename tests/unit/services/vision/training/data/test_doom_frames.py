"""Frames of Doom: the same seed gives the same ones, and boxes lie around what is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.vision.training.data.doom_frames import (
    LABELS,
    LEAST_AREA,
    TEST_MAPS,
    TRAINING_MAPS,
    VALIDATION_MAPS,
    Frame,
    collect,
    save,
)
from services.vision.training.detection.frames import read, stretch

pytest.importorskip("vizdoom")


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return list(collect([1], seed=5, frames_a_map=8))


def test_maps_are_in_one_part_only() -> None:
    assert sorted((*TRAINING_MAPS, *VALIDATION_MAPS, *TEST_MAPS)) == list(range(1, 33))


def test_the_same_seed_gives_the_same_frames(frames: list[Frame]) -> None:
    again = list(collect([1], seed=5, frames_a_map=8))

    assert len(again) == len(frames) == 8
    for first, second in zip(frames, again, strict=True):
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.boxes, second.boxes)
    assert not np.array_equal(frames[0].pixels, next(collect([1], seed=6, frames_a_map=8)).pixels)


def test_boxes_are_inside_and_large_enough(frames: list[Frame]) -> None:
    boxes = np.concatenate([frame.boxes for frame in frames])
    classes = np.concatenate([frame.classes for frame in frames])

    assert len(boxes)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= 1).all()
    assert ((boxes[:, 2:] - boxes[:, :2]) * [320, 240]).prod(1).min() >= LEAST_AREA - 1e-2
    assert set(classes.tolist()) <= set(range(len(LABELS)))


def test_frames_are_read_as_they_were_saved(frames: list[Frame], tmp_path: Path) -> None:
    save(iter(frames), tmp_path / "MAP01")

    for written, found in zip(frames, read(tmp_path), strict=True):
        assert np.array_equal(written.pixels, found.pixels)
        assert np.array_equal(written.boxes, found.boxes)
        assert np.array_equal(written.classes, found.classes)
        assert np.array_equal(written.ignored, found.ignored)
    assert stretch(frames[0].pixels).shape == (192, 256, 3)
