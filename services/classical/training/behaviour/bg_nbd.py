"""BG/NBD and Gamma-Gamma: what customer-base analysis has predicted return and value with since 2005."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, hyp2f1, logsumexp

Doubles = NDArray[np.float64]


class BgNbd(NamedTuple):
    """P. Fader, B. Hardie, K. Lee, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
    Marketing Science 24, 2005. Purchases are Poisson with a rate from Gamma(r, alpha); after each purchase a
    customer is lost with a probability from Beta(a, b).
    """

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, frequency: Doubles, recency: Doubles, observed: Doubles) -> Doubles:
        """Equation 6 of the paper, for each customer.

        Args:
            frequency: float64[C], repeat purchases.
            recency: float64[C], time of the last one, 0 without; same unit as `observed`.
            observed: float64[C], time since the first purchase.
        """
        r, alpha, a, b = self
        start = gammaln(r + frequency) - gammaln(r) + r * np.log(alpha)
        alive = betaln(a, b + frequency) - betaln(a, b) - (r + frequency) * np.log(alpha + observed)
        repeated = frequency > 0
        lost = np.full(len(frequency), -np.inf)
        lost[repeated] = (
            betaln(a + 1, b + frequency[repeated] - 1)
            - betaln(a, b)
            - (r + frequency[repeated]) * np.log(alpha + recency[repeated])
        )
        return np.asarray(start + logsumexp([alive, lost], axis=0))

    def probability_alive(self, frequency: Doubles, recency: Doubles, observed: Doubles) -> Doubles:
        """Probability that a customer is not lost; 1 for those who have not bought again."""
        r, alpha, a, b = self
        log_odds = (r + frequency) * np.log((alpha + observed) / (alpha + recency)) + np.log(
            a / (b + np.maximum(frequency, 1) - 1)
        )
        return np.where(frequency > 0, 1 / (1 + np.exp(log_odds)), 1.0)

    def expected_purchases(self, horizon: float, frequency: Doubles, recency: Doubles, observed: Doubles) -> Doubles:
        """Equation 10: purchases within the horizon after the time of observation."""
        r, alpha, a, b = self
        share = horizon / (alpha + observed + horizon)
        kept = ((alpha + observed) / (alpha + observed + horizon)) ** (r + frequency)
        growth = hyp2f1(r + frequency, b + frequency, a + b + frequency - 1, share)
        top = (a + b + frequency - 1) / (a - 1) * (1 - kept * growth)
        lost = (a / (b + np.maximum(frequency, 1) - 1)) * ((alpha + observed) / (alpha + recency)) ** (r + frequency)
        return np.asarray(top / (1 + np.where(frequency > 0, lost, 0.0)))


def fit_bg_nbd(frequency: Doubles, recency: Doubles, observed: Doubles) -> BgNbd:
    """Fits by maximum likelihood (Nelder-Mead over the logarithms of the parameters)."""

    def loss(logarithms: Doubles) -> float:
        return -float(BgNbd(*np.exp(logarithms)).log_likelihood(frequency, recency, observed).mean())

    found = scipy.optimize.minimize(
        loss, np.zeros(4), method="Nelder-Mead", options={"maxiter": 5_000, "xatol": 1e-6, "fatol": 1e-10}
    )
    return BgNbd(*np.exp(found.x))


class GammaGamma(NamedTuple):
    """P. Fader, B. Hardie, "The Gamma-Gamma Model of Monetary Value", 2013: what a purchase is worth to a customer."""

    p: float
    q: float
    v: float

    def expected_value(self, frequency: Doubles, mean_value: Doubles) -> Doubles:
        """Expected value of a purchase, given the mean over `frequency` repeat purchases."""
        p, q, v = self
        own = p * frequency / (p * frequency + q - 1)
        return np.asarray(own * mean_value + (1 - own) * (p * v / (q - 1)))


def fit_gamma_gamma(frequency: Doubles, mean_value: Doubles) -> GammaGamma:
    """Fits by maximum likelihood on customers with repeat purchases of a value above 0."""
    usable = (frequency > 0) & (mean_value > 0)
    x, m = frequency[usable], mean_value[usable]

    def loss(logarithms: Doubles) -> float:
        p, q, v = np.exp(logarithms)
        likelihood = (
            gammaln(p * x + q)
            - gammaln(p * x)
            - gammaln(q)
            + q * np.log(v)
            + (p * x - 1) * np.log(m)
            + p * x * np.log(x)
            - (p * x + q) * np.log(x * m + v)
        )
        return -float(likelihood.mean())

    found = scipy.optimize.minimize(
        loss, np.log([6.0, 4.0, 15.0]), method="Nelder-Mead", options={"maxiter": 5_000, "xatol": 1e-6, "fatol": 1e-9}
    )
    return GammaGamma(*np.exp(found.x))
