from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.classical.training import leave_one_out
from services.classical.training.dataset import Interactions
from services.classical.training.leave_one_out import main, measure, read_ratings
from services.classical.training.options import FitOptions
from tests.unit.services.classical.training.conftest import walk_events


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    lines = ["user_id\titem_id\trating\ttimestamp"]
    lines += [f"{event.user_id}\t{event.item_id}\t4\t{event.time}" for event in walk_events(30, 8)]
    path = tmp_path / "ratings.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_ratings_become_weighted_events(ratings: Path) -> None:
    interactions = read_ratings(ratings)
    assert (interactions.user_count, interactions.event_count, interactions.item_count) == (30, 240, 20)
    np.testing.assert_allclose(interactions.weights, 0.9)


@pytest.mark.parametrize("position", ["test", "validation"])
def test_each_user_is_ranked_once(circle: Interactions, options: FitOptions, tmp_path: Path, position: str) -> None:
    ranks = measure(circle, position, options, tmp_path, "1")
    rankers = [name for name in ranks if name in {"linear", "svm", "forest"}]
    assert len(rankers) == 3
    assert list(ranks) == ["ease", "markov", "factors", "ials", *rankers, "ranker"]
    assert all(values.shape == (60,) for values in ranks.values())
    assert (ranks["markov"] == 0).all()


def test_the_test_event_is_not_seen_when_validating(
    circle: Interactions, options: FitOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Interactions] = []

    def remember(interactions: Interactions, *arguments: object, **named: object) -> None:
        seen.append(interactions)
        raise InterruptedError

    monkeypatch.setattr(leave_one_out, "fit_bundle", remember)
    for position in ("validation", "test"):
        with pytest.raises(InterruptedError):
            measure(circle, position, options, tmp_path, "1")
    np.testing.assert_array_equal(seen[0].lengths, 10)
    np.testing.assert_array_equal(seen[1].lengths, 11)


def test_the_command_prints_each_seed_and_the_mean(ratings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(ratings), "--tie-seeds", "0", "1"])
    printed = capsys.readouterr().out
    assert "tie seed 1" in printed
    assert "validation position, mean of tie seeds [0, 1]" in printed
    assert "95 % interval" in printed
