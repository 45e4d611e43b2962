"""How good a language model is: bits a character of held-out texts, and how varied and how true to facts it writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.text.training.language_model.facts import facts_of, split_pair
from services.text.training.language_model.ngram import NgramModel
from services.text.training.language_model.served import ServedModel, begin, target_bits
from services.text.training.language_model.texts import FACTS, PROSE, SOURCES, Text
from services.text.training.language_model.tokens import END_TOKEN, Encoded

Floats = NDArray[np.float64]
NextToken = Callable[[Sequence[int]], Floats]

OPENINGS = (
    "The film",
    "A movie",
    "This is",
    "I loved",
    "The story",
    "It's a",
    "The actors",
    "The game",
    "If you",
    "One of the",
)
SEEDS = (0, 1, 2)
TEMPERATURE = 0.8
MOST_TOKENS = 60
_WORD = re.compile(r"[\w']+")
_PLACE = re.compile(r"[A-Z]{3,}|\d+")


@dataclass(frozen=True)
class Figures:
    """What was measured of one model.

    Attributes:
        by_source: bits a character of each source; of facts the sentence alone, with the facts before it.
        prose: bits a character of all sources but facts.
        distinct_2: different pairs of neighbouring words among all pairs, of all samples together.
        repetition: share of runs of four words that were in the same sample before.
        samples: the first sample of each seed.
    """

    by_source: Mapping[str, float]
    prose: float
    distinct_2: float
    repetition: float
    samples: Sequence[str]

    @property
    def perplexity(self) -> float:
        """Perplexity a character of the prose."""
        return float(2**self.prose)


def encode_all(texts: Sequence[Text], tokenizer: Tokenizer) -> list[Encoded]:
    """Return the texts as tokens."""
    return [Encoded(text, tokenizer) for text in texts]


def fit_ngram(texts: Sequence[Encoded], tokens: int) -> NgramModel:
    """Return the baseline, fitted on the same texts."""
    return NgramModel([np.append(text.ids, text.targets[-1]) for text in texts], tokens)


def network_figures(model: ServedModel, texts: Sequence[Encoded], tokenizer: Tokenizer) -> Figures:
    """Measure a served network."""
    bits = [0.0] * len(texts)
    for start in range(0, len(texts), 512):
        some = texts[start : start + 512]
        for place, (logits, text) in enumerate(zip(model.logits(some), some, strict=True)):
            bits[start + place] = float(target_bits(logits, text).sum())
    return _figures(bits, texts, tokenizer, model.generator)


def ngram_figures(model: NgramModel, texts: Sequence[Encoded], tokenizer: Tokenizer) -> Figures:
    """Measure the baseline."""
    bits = [float(model.bits(np.append(text.ids, text.targets[-1]))[text.first :].sum()) for text in texts]
    return _figures(bits, texts, tokenizer, lambda: model.distribution)


def faithful_share(model: ServedModel, texts: Sequence[Text], tokenizer: Tokenizer) -> float:
    """Return the share of facts whose likeliest sentence names every place that is given and no other."""
    kept = []
    for text in texts:
        prompt, _ = split_pair(text.text)
        sentence = sample(model.generator(), tokenizer, prompt, seed=0, temperature=0.0)
        given = set(_PLACE.findall(" ".join(facts_of(prompt).values())))
        kept.append(set(_PLACE.findall(sentence)) == given)
    return float(np.mean(kept))


def sample(next_token: NextToken, tokenizer: Tokenizer, prompt: str, *, seed: int, temperature: float) -> str:
    """Return what a model writes after a prompt, `MOST_TOKENS` tokens at most; temperature 0 takes the likeliest."""
    generator = np.random.default_rng(seed)
    tokens = begin(tokenizer.encode(prompt).ids)
    first = len(tokens)
    while len(tokens) - first < MOST_TOKENS:
        shares = next_token(tokens)
        if temperature > 0:
            shares = shares ** (1 / temperature)
            token = int(generator.choice(len(shares), p=shares / shares.sum()))
        else:
            token = int(shares.argmax())
        if token == END_TOKEN:
            break
        tokens.append(token)
    return str(tokenizer.decode(tokens[first:]))


def distinct_pairs(samples: Sequence[str]) -> float:
    """Return distinct-2 (Li et al. 2016): different pairs of neighbouring words, in lower case, among all pairs."""
    pairs = [pair for text in samples for pair in _runs(text, 2)]
    return len(set(pairs)) / max(1, len(pairs))


def repetition(samples: Sequence[str]) -> float:
    """Return the share of runs of four words that were in the same sample before."""
    repeated = total = 0
    for text in samples:
        runs = _runs(text, 4)
        total += len(runs)
        repeated += len(runs) - len(set(runs))
    return repeated / max(1, total)


def _runs(text: str, length: int) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]


def _figures(
    bits: Sequence[float], texts: Sequence[Encoded], tokenizer: Tokenizer, new_text: Callable[[], NextToken]
) -> Figures:
    sums, characters = dict.fromkeys(SOURCES, 0.0), dict.fromkeys(SOURCES, 0)
    for value, text in zip(bits, texts, strict=True):
        sums[text.source] += value
        characters[text.source] += text.characters
    samples = [
        opening + sample(new_text(), tokenizer, opening, seed=seed, temperature=TEMPERATURE)
        for seed in SEEDS
        for opening in OPENINGS
    ]
    return Figures(
        by_source={source: sums[source] / characters[source] for source in SOURCES if characters[source]},
        prose=sum(sums[source] for source in PROSE) / max(1, sum(characters[source] for source in PROSE)),
        distinct_2=distinct_pairs(samples),
        repetition=repetition(samples),
        samples=samples[:: len(OPENINGS) - 1][:4],
    )


def facts_texts(texts: Sequence[Text], most: int) -> list[Text]:
    """Return the first texts that are facts."""
    return [text for text in texts if text.source == FACTS][:most]
