"""BG/NBD against the published fit of the CDNOW sample, and its own formulas against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from services.classical.training.behaviour.bg_nbd import BgNbd, GammaGamma, fit_bg_nbd, fit_gamma_gamma
from services.classical.training.behaviour.logs import load_cdnow_summary

PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)


def test_the_fit_has_the_published_parameters() -> None:
    fitted = fit_bg_nbd(*load_cdnow_summary().T)
    for ours, published in zip(fitted, PUBLISHED, strict=True):
        assert ours == pytest.approx(published, abs=0.002)


def test_the_published_parameters_give_the_published_likelihood() -> None:
    total = float(PUBLISHED.log_likelihood(*load_cdnow_summary().T).sum())
    assert total == pytest.approx(-9_582.4, abs=0.1)


def test_expected_purchases_of_the_paper_s_example() -> None:
    one = [np.array([value]) for value in (2.0, 30.43, 38.86)]
    assert PUBLISHED.expected_purchases(39.0, *one)[0] == pytest.approx(1.226, abs=0.002)


def test_somebody_who_has_not_bought_again_is_alive() -> None:
    alive = PUBLISHED.probability_alive(np.array([0.0, 5.0]), np.array([0.0, 5.0]), np.array([30.0, 30.0]))
    assert alive[0] == 1.0
    assert 0 < alive[1] < 1


def test_gamma_gamma_finds_the_parameters_of_its_own_world() -> None:
    random = np.random.default_rng(1)
    p, q, v = 6.0, 4.0, 15.0
    frequency = random.integers(1, 10, 4_000).astype(float)
    rates = random.gamma(q, 1 / v, 4_000)
    means = random.gamma(p * frequency, 1 / (rates * frequency))
    fitted = fit_gamma_gamma(frequency, means)
    expected = GammaGamma(p, q, v).expected_value(frequency, means)
    np.testing.assert_allclose(fitted.expected_value(frequency, means), expected, rtol=0.1)
