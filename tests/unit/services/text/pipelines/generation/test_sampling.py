from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy
import pytest

from services.text.pipelines.generation.sampling import Floats, Sampler, SamplingOptions

PROBABILITIES = [0.5, 0.25, 0.15, 0.1]
DRAWS = 4_000


def logits(probabilities: list[float] = PROBABILITIES) -> Floats:
    return numpy.log(numpy.array(probabilities, numpy.float32)) + numpy.float32(3)


def shares(options: SamplingOptions, scores: Floats | None = None) -> dict[int, float]:
    """Return how often each token is drawn."""
    given = logits() if scores is None else scores
    sampler = Sampler(options, 1, [], len(given))
    counts = Counter(sampler.choose(given).token for _ in range(DRAWS))
    return {token: counts[token] / DRAWS for token in sorted(counts)}


def expected(probabilities: list[float]) -> Any:
    total = sum(probabilities)
    return pytest.approx({token: value / total for token, value in enumerate(probabilities)}, abs=0.03)


def test_tokens_come_as_often_as_the_model_says() -> None:
    assert shares(SamplingOptions(temperature=1)) == expected(PROBABILITIES)


def test_a_low_temperature_sharpens_and_a_high_one_flattens() -> None:
    assert shares(SamplingOptions(temperature=0.5)) == expected([p**2 for p in PROBABILITIES])
    assert shares(SamplingOptions(temperature=2)) == expected([p**0.5 for p in PROBABILITIES])


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-5])
def test_at_no_temperature_the_most_probable_token_wins(temperature: float) -> None:
    assert shares(SamplingOptions(temperature=temperature)) == {0: 1.0}


def test_top_k_draws_from_so_many_tokens() -> None:
    assert shares(SamplingOptions(temperature=1, top_k=2)) == expected(PROBABILITIES[:2])
    assert shares(SamplingOptions(temperature=1, top_k=1_000)) == expected(PROBABILITIES)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.6, 2), (0.74, 2), (0.8, 3), (0.99, 4), (1e-9, 1)])
def test_top_p_draws_from_the_fewest_tokens_of_that_probability(top_p: float, kept: int) -> None:
    assert shares(SamplingOptions(temperature=1, top_p=top_p)) == expected(PROBABILITIES[:kept])


def test_top_p_counts_within_top_k() -> None:
    assert shares(SamplingOptions(temperature=1, top_k=3, top_p=0.8)) == expected(PROBABILITIES[:2])


def test_a_flat_distribution_keeps_more_than_the_tokens_sorted_first() -> None:
    flat = numpy.zeros(5_000, numpy.float32)
    sampler = Sampler(SamplingOptions(temperature=1, top_p=0.9), 1, [], len(flat))
    drawn = {sampler.choose(flat).token for _ in range(DRAWS)}
    assert max(drawn) < 4_500
    assert len(drawn) > 2_000


def test_the_penalty_falls_on_tokens_that_came_before() -> None:
    scores = numpy.array([2.0, 1.5, -1.0, -1.1], numpy.float32)
    options = SamplingOptions(temperature=0, repetition_penalty=2)
    assert Sampler(options, 1, [], 4).choose(scores).token == 0
    sampler = Sampler(options, 1, [0], 4)
    assert [sampler.choose(scores).token for _ in range(2)] == [1, 0]
    assert Sampler(options, 1, [0], 4).choose(scores - 3).token == 1, "negative logits get more negative"
    assert list(scores) == pytest.approx([2.0, 1.5, -1.0, -1.1]), "the logits are left as they are"


def test_log_probabilities_are_the_models_own_whatever_shapes_the_draw() -> None:
    options = SamplingOptions(temperature=0.3, top_k=1, repetition_penalty=2, log_probabilities=True, alternatives=3)
    choice = Sampler(options, 1, [0], 4).choose(logits())
    assert choice.log_probability == pytest.approx(numpy.log(PROBABILITIES[choice.token]), abs=1e-5)
    assert [token for token, _ in choice.alternatives] == [0, 1, 2]
    assert [value for _, value in choice.alternatives] == pytest.approx(numpy.log(PROBABILITIES[:3]), abs=1e-5)


def test_the_seed_decides_every_draw() -> None:
    def draws(seed: int, **options: Any) -> list[int]:
        sampler = Sampler(SamplingOptions(temperature=1, **options), seed, [], 4)
        return [sampler.choose(logits()).token for _ in range(50)]

    assert draws(7) == draws(7)
    assert all(draws(one) != draws(other) for one, other in pairwise([0, 1, 2**63, 2**64 - 1]))
    assert draws(7, alternatives=4) == draws(7), "what is told changes nothing"


def test_tokens_that_a_model_rules_out_never_come() -> None:
    scores = numpy.array([0, -numpy.inf, 0, -numpy.inf], numpy.float32)
    assert set(shares(SamplingOptions(temperature=2), scores)) == {0, 2}
    assert set(shares(SamplingOptions(temperature=2, top_k=3), scores)) == {0, 2}
    assert set(shares(SamplingOptions(temperature=2, top_p=0.999), scores)) == {0, 2}


def test_a_large_vocabulary_takes_milliseconds_at_most() -> None:
    scores = numpy.random.default_rng(0).normal(size=150_000).astype(numpy.float32)
    for options in ({}, {"top_k": 40}, {"top_p": 0.9}, {"repetition_penalty": 1.2, "alternatives": 20}):
        choice = Sampler(SamplingOptions(temperature=1, **options), 1, [1, 2], 150_000).choose(scores)
        assert 0 <= choice.token < 150_000
