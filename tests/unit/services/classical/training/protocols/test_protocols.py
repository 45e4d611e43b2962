"""The protocols on the circle, where the answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.classical.training.content import ContentVectors
from services.classical.training.dataset import Event, Interactions
from services.classical.training.options import FitOptions
from services.classical.training.protocols.cold_items import OVERLAP, RANDOM, cold_items
from services.classical.training.protocols.next_event import global_time, leave_one_out
from services.classical.training.protocols.outcome import STACK, Outcome
from services.classical.training.protocols.picture import draw
from services.classical.training.protocols.random_split import _measure, random_split, without_recency


def test_leave_one_out_knows_the_next_step(circle: Interactions, options: FitOptions, tmp_path: Path) -> None:
    found = leave_one_out(circle, {}, None, options, tmp_path, seeds=(1, 2))
    assert found.users == 60
    assert found.figure(STACK, 1).mean > 0.95
    assert found.best_single() in {"ease", "markov", "factors", "ials"}
    assert found.chosen_single() in {"ease", "markov", "factors", "ials"}


def test_the_split_by_time_tells_nothing_of_the_future(
    circle: Interactions, options: FitOptions, tmp_path: Path
) -> None:
    found = global_time(circle, {}, None, options, tmp_path, share=0.2)
    assert 0 < found.users <= 60
    assert found.figure(STACK, 0).mean > 0.9


def test_the_random_split_ranks_what_was_held_out(circle: Interactions, options: FitOptions, tmp_path: Path) -> None:
    found = random_split(circle, {}, None, replace(options, sources=("ease", "ials")), tmp_path)
    assert found.metrics == ("Recall@20", "NDCG@20")
    assert found.figure(STACK, 0).mean == 1.0, "20 items: the whole catalogue fits into the list"
    assert 0 < found.figure(STACK, 1).mean <= 1


def test_recall_and_ndcg_of_a_list() -> None:
    best = np.arange(20)
    assert _measure(best, np.array([0, 1])) == (1.0, 1.0)
    assert _measure(best, np.array([0, 99]))[0] == 0.5
    assert _measure(best, np.array([99])) == (0.0, 0.0)


def test_without_recency_nothing_fades() -> None:
    flat = without_recency(FitOptions())
    assert {flat.ease.decay, flat.markov.decay, flat.factors.decay, flat.ials.decay} == {1.0}
    assert flat.ease.fit_decay == 1.0


@pytest.fixture
def themes() -> tuple[Interactions, list[list[str]], ContentVectors]:
    """Two themes of 30 items; everybody stays with one. Vectors tell the themes apart, tags only half of the time."""
    random = np.random.default_rng(1)
    items = [f"i{number:02}" for number in range(60)]
    events = [
        Event(f"u{user:02}", items[number * 2 + user % 2], float(place), sequence=user * 20 + place)
        for user in range(40)
        for place, number in enumerate(random.permutation(30)[:20])
    ]
    vectors = np.eye(2, dtype=np.float32)[np.arange(60) % 2] + random.normal(scale=0.3, size=(60, 2)).astype(np.float32)
    tags = [["even" if (number % 2 == 0) == (random.random() < 0.7) else "odd"] for number in range(60)]
    return Interactions.from_events(events, items), tags, ContentVectors("text", np.arange(60), vectors)


def test_cold_items_are_found_by_content(
    themes: tuple[Interactions, list[list[str]], ContentVectors], options: FitOptions
) -> None:
    data, tags, vectors = themes
    found = cold_items(data, {"content_text": vectors}, tags, options)
    assert {STACK, RANDOM, OVERLAP, "content_text", "tags"} == set(found.values)
    assert found.figure(STACK, 0).mean > 0.8
    assert found.gain(RANDOM).low > 0
    assert 0.3 < found.figure(RANDOM, 0).mean < 0.7


def test_without_content_nothing_is_said_about_cold_items(circle: Interactions, options: FitOptions) -> None:
    with pytest.raises(ValueError, match="nothing can be said"):
        cold_items(circle, {}, None, options)


def test_intervals_hold_the_mean_and_a_picture_is_drawn(tmp_path: Path) -> None:
    values = {STACK: np.random.default_rng(1).random((2, 50)), "ease": np.zeros((2, 50)), "svm": np.ones((2, 50))}
    outcome = Outcome("made up", ("A", "B"), values, frozenset({"svm"}))
    figure = outcome.figure(STACK, 1)
    assert figure.low < figure.mean < figure.high
    assert outcome.best_single() == "ease"
    assert outcome.chosen_single() is None
    assert outcome.gain("ease").low > 0
    draw(tmp_path / "picture.png", [outcome, outcome])
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_single_one_to_compare_with_is_chosen_before_anything_is_known() -> None:
    values = {STACK: np.ones((1, 5)), "ease": np.full((1, 5), 0.2), "markov": np.full((1, 5), 0.5)}
    outcome = Outcome("made up", ("A",), values, validation={"ease": 0.4, "markov": 0.3, STACK: 0.9, "popularity": 0.8})
    assert outcome.best_single() == "markov"
    assert outcome.chosen_single() == "ease"
