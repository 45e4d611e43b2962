"""Choosing the next token: penalty, temperature, top-k, top-p, and a draw that only the reader's own seed decides.

Each reader's logits are looked at alone, so that a choice never depends on other rows. Every step over the vocabulary
is one numpy call.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

Floats = numpy.typing.NDArray[numpy.float32]
Numbers = numpy.typing.NDArray[numpy.int64]

# Below this the most probable token wins whatever the draw; dividing by less would overflow.
_COLDEST = 1e-4
# Tokens that are sorted to find the nucleus; only the flattest distributions are sorted whole.
_SORTED_FIRST = (1 << 10, 1 << 14)


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How tokens are chosen.

    Attributes:
        temperature: 0 to 2; 0 takes the most probable token.
        top_k: draw from so many most probable tokens; 0 for all.
        top_p: draw from the fewest tokens that have this probability together; 1 for all.
        repetition_penalty: factor by which tokens that came before lose, 1 for none.
        log_probabilities: whether to tell the chosen token's log-probability.
        alternatives: most probable tokens to tell.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    log_probabilities: bool = False
    alternatives: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token; its log-probability under the model, and (token, log-probability) of the alternatives, where
    asked for.
    """

    token: int
    log_probability: float = 0.0
    alternatives: Sequence[tuple[int, float]] = ()


class Sampler:
    """Chooses the tokens of one text.

    Args:
        options: how.
        seed: decides every draw; 0 to 2^64 - 1.
        prompt: token ids that count as having come before.
        vocabulary: number of tokens.
    """

    def __init__(self, options: SamplingOptions, seed: int, prompt: Sequence[int], vocabulary: int) -> None:
        self._options = options
        # Python promises that this generator's numbers stay the same from version to version.
        self._random = random.Random(seed)  # noqa: S311  # texts, not secrets
        self._seen: numpy.typing.NDArray[numpy.bool_] | None = None
        if options.repetition_penalty != 1:
            self._seen = numpy.zeros(vocabulary, numpy.bool_)
            self._seen[numpy.asarray(prompt, numpy.int64)] = True

    def choose(self, logits: Floats) -> Choice:
        """Return the next token by the model's logits, float32[V]; they are not changed."""
        options = self._options
        scores = logits if self._seen is None else self._penalised(logits, self._seen)
        # Drawn for every token, so that what follows does not depend on how this one was chosen.
        chance = self._random.random()
        token = int(scores.argmax()) if options.temperature < _COLDEST else self._draw(scores, chance)
        if self._seen is not None:
            self._seen[token] = True
        if not options.log_probabilities and not options.alternatives:
            return Choice(token)
        top = logits.max()
        normaliser = top + numpy.log(numpy.exp(logits - top).sum(dtype=numpy.float64))
        best = _largest(logits, options.alternatives) if options.alternatives else ()
        return Choice(
            token, float(logits[token] - normaliser), [(int(one), float(logits[one] - normaliser)) for one in best]
        )

    def _penalised(self, logits: Floats, seen: numpy.typing.NDArray[numpy.bool_]) -> Floats:
        """Keskar et al. 2019, "CTRL": positive logits of tokens that came before are divided, negative multiplied."""
        penalty = numpy.float32(self._options.repetition_penalty)
        scores = logits.copy()
        places = numpy.flatnonzero(seen)
        values = scores[places]
        scores[places] = numpy.where(values > 0, values / penalty, values * penalty)
        return scores

    def _draw(self, scores: Floats, chance: float) -> int:
        options = self._options
        if options.top_k and options.top_k < len(scores):
            places = _largest(scores, options.top_k)
            weights = self._weights(scores[places])
            total = float(weights.sum(dtype=numpy.float64))
        else:
            weights = self._weights(scores)
            if options.top_p == 1:
                # No order is needed: any fixed one gives each token its share.
                return _pick(weights.cumsum(dtype=numpy.float64), chance)
            total = float(weights.sum(dtype=numpy.float64))
            places = _nucleus(weights, options.top_p * total)
            weights = weights[places]
        cumulated = weights.cumsum(dtype=numpy.float64)
        if options.top_p < 1:
            cumulated = cumulated[: int(numpy.searchsorted(cumulated, options.top_p * total)) + 1]
        return int(places[_pick(cumulated, chance)])

    def _weights(self, scores: Floats) -> Floats:
        weights: Floats = numpy.exp((scores - scores.max()) * numpy.float32(1 / self._options.temperature))
        return weights


def _nucleus(weights: Floats, mass: float) -> Numbers:
    """Return places of the largest weights, largest first, that have at least this mass together."""
    for count in (*_SORTED_FIRST, len(weights)):
        places = _largest(weights, count)
        if float(weights[places].sum(dtype=numpy.float64)) >= mass:
            break
    return places


def _pick(cumulated: numpy.typing.NDArray[numpy.float64], chance: float) -> int:
    place = int(numpy.searchsorted(cumulated, chance * cumulated[-1], side="right"))
    return min(place, len(cumulated) - 1)


def _largest(scores: Floats, count: int) -> Numbers:
    """Return the places of the largest values, largest first, equal ones by place."""
    if count >= len(scores):
        return numpy.argsort(-scores, kind="stable")
    places = numpy.sort(numpy.argpartition(scores, len(scores) - count)[len(scores) - count :])
    result: Numbers = places[numpy.argsort(-scores[places], kind="stable")]
    return result
