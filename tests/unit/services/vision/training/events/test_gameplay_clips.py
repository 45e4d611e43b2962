"""Play is repeatable, and its labels say what the emulator said."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, GAMES, HEIGHT, WIDTH, record
from services.vision.training.data.gameplay_clips import labels_of as labels_of_counts

SECONDS = 20


def test_idle_is_a_whole_second_without_input_after_another_one() -> None:
    acted = np.array([False, False, True, False, False, False])

    labels = labels_of_counts(GAMES["breakout"], np.zeros((6, 4), np.float32), acted)

    assert labels[:, EVENTS.index("idle")].tolist() == [0, 1, 0, 0, 1, 1]


def test_what_the_emulator_does_not_say_is_unknown_not_absent() -> None:
    counts = np.ones((2, 4), np.float32)

    labels = labels_of_counts(GAMES["pong"], counts, np.ones(2, bool))

    assert dict(zip(EVENTS, labels[0].tolist(), strict=True)) == {
        "score": 1, "kill": 1, "damage": 1, "life_lost": -1, "idle": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "defend_the_line",
        pytest.param(
            "breakout",
            marks=pytest.mark.skipif(not importlib.util.find_spec("ale_py"), reason="ale-py is for training only"),
        ),
    ],
)
def test_the_same_seed_gives_the_same_stream_and_another_split_another(name: str) -> None:
    clip, again, other = (record(name, split, SECONDS) for split in ("test", "test", "validation"))

    assert clip.frames.shape == (SECONDS * FRAMES_PER_SECOND, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(clip.frames, again.frames)
    np.testing.assert_array_equal(clip.labels, again.labels)
    assert (clip.frames != other.frames).any()


def test_a_player_who_shoots_at_monsters_kills_some() -> None:
    clip = record("defend_the_line", "validation", SECONDS)

    kills = clip.labels[:, EVENTS.index("kill")]

    assert kills.sum() >= 3
    np.testing.assert_array_equal(kills, clip.counts[:, 1] > 0)
