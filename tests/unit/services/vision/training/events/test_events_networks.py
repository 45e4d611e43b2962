"""The exported graph answers second by second what the network answers on the whole stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from services.runtime.training.publish import cpu_session
from services.vision.training.data.gameplay_clips import FRAMES_PER_SECOND, HEIGHT, WIDTH
from services.vision.training.events.fitting import fit_recurrent, fit_stack, recurrent_answers, stack_answers
from services.vision.training.events.graph import export, export_stack
from services.vision.training.events.measuring import graph_answers
from services.vision.training.events.networks import GRID, STATE_CHANNELS, RecurrentEvents, StackedEvents
from services.vision.training.events.streams import Streams

SECONDS = 16


@pytest.fixture(scope="module")
def streams() -> Streams:
    """Six streams of noise; one flashes white in the seconds in which a point is won."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 60, (6, SECONDS * FRAMES_PER_SECOND, HEIGHT, WIDTH, 3), dtype=np.uint8)
    labels = np.zeros((6, SECONDS, 5), np.int8)
    labels[:, ::4, 0] = 1
    for second in range(0, SECONDS, 4):
        frames[:, second * FRAMES_PER_SECOND + 6 : (second + 1) * FRAMES_PER_SECOND] += 150
    counts = np.zeros((6, SECONDS, 4), np.float32)
    counts[..., 0] = labels[..., 0]
    return Streams(["pong"] * 6, frames, counts, labels)


@pytest.fixture(scope="module")
def network() -> RecurrentEvents:
    """Unfitted, but with the statistics of a few frames in its normalisations."""
    torch.manual_seed(0)
    made = RecurrentEvents()
    made(torch.randint(0, 255, (2, 1, 8, HEIGHT, WIDTH, 3), dtype=torch.uint8), torch.zeros(2, STATE_CHANNELS, *GRID))
    made.eval()
    return made


def test_the_graph_answers_as_the_network_alone_and_in_a_batch(network: RecurrentEvents, streams: Streams) -> None:
    session = cpu_session(export(network).SerializeToString())
    frames = streams.frames[:3, : 4 * FRAMES_PER_SECOND]

    together = graph_answers(session, frames)

    for row, alone in enumerate(frames):
        np.testing.assert_allclose(together[row], graph_answers(session, alone[None])[0], atol=1e-5)
        np.testing.assert_allclose(together[row], recurrent_answers(network, alone), atol=1e-5)


def test_what_came_before_changes_the_answer(network: RecurrentEvents, streams: Streams) -> None:
    frames = streams.frames[0, : 2 * FRAMES_PER_SECOND]

    after, afresh = recurrent_answers(network, frames)[1], recurrent_answers(network, frames[FRAMES_PER_SECOND:])[0]

    assert np.abs(after - afresh).max() > 1e-4


def test_the_exported_stack_sees_only_the_last_frames(streams: Streams) -> None:
    torch.manual_seed(0)
    stack = StackedEvents(4).eval()
    frames = streams.frames[0, :FRAMES_PER_SECOND].copy()
    (from_graph,) = cpu_session(export_stack(stack).SerializeToString()).run(None, {"frames": frames[None, -4:]})
    expected = stack_answers(stack, frames)

    frames[:4] = 255

    np.testing.assert_allclose(from_graph, expected, atol=1e-5)
    np.testing.assert_array_equal(stack_answers(stack, frames), expected)


def test_a_fit_learns_a_flash_and_goes_on_where_it_was_cut(streams: Streams, tmp_path: Path) -> None:
    kept = tmp_path / "stack.pt"
    fitted = fit_stack(streams, 3.0, 4, kept)
    again = fit_stack(streams, 3.0, 4, kept)

    assert again.seconds == fitted.seconds
    scores = stack_answers(again.network, streams.frames[0])[:, 0]
    assert scores[::4].min() > np.delete(scores, np.s_[::4]).max()


def test_the_recurrent_fit_ends_after_its_epochs(streams: Streams, tmp_path: Path) -> None:
    fitted = fit_recurrent(streams, 1, tmp_path / "recurrent.pt")

    assert np.isfinite(recurrent_answers(fitted.network, streams.frames[0])).all()
