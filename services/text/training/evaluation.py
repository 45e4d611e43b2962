"""Which token weights serve best: three held-out tasks, each with a half to choose on and a half to report.

- Search: a sentence of a newspaper editorial finds the other sentences of the same editorial (R-precision).
- Similar films: films whose texts are nearest are rated by the same people (mean cosine of the rating columns of the 10
  nearest, MovieLens-100K films with at least 20 ratings; text = title, year, genres).
- Sentiment: a linear classifier on the vectors tells positive film-review snippets (F1 of the positive class).

`python -m services.text.training.evaluation` prints the tables that are in the models' cards (5 minutes).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from services.runtime.sources import fetch_package_file
from services.runtime.training.publish import cpu_session
from services.runtime.training.rounding import round_rows
from services.text.training import minilm
from services.text.training.bert_reference import reference_vectors
from services.text.training.corpus import EDITORIALS, FILMS, PRODUCTS, TWEETS, Corpus, load_corpus
from services.text.training.parity import vectors
from services.text.training.word_embedding import Floats, Original, load_original, token_weights, weighted_vectors

MODELS = Path(__file__).resolve().parents[1] / "models"
MOVIELENS = ("recbole", "1.2.1")
ITEMS = (
    "recbole/dataset_example/ml-100k/ml-100k.item",
    "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
)
RATINGS = (
    "recbole/dataset_example/ml-100k/ml-100k.inter",
    "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
)
SMOOTHINGS = (None, 0.03, 0.01, 0.003, 0.001)
# Below this mean relative gain on the choosing halves, equal weights stay.
WORTHWHILE_GAIN = 0.01

Vectorise = Callable[[Sequence[str]], Floats]
Figures = dict[str, float]


@dataclass(frozen=True)
class Films:
    """Texts of the films, and how alike their audiences are: cosine of rating columns, [films, films]."""

    texts: list[str]
    shared_audience: NDArray[np.float64]


def main() -> None:
    """Prints the figures of each choice of token weights, then those of MiniLM before and after rounding."""
    corpus, films = load_corpus(), load_films()
    print_token_weights(corpus, films)
    print_sentence_encoder(corpus, films)


def print_token_weights(corpus: Corpus, films: Films) -> None:
    """Prints one line for each smoothing, the figures of both halves, and what rounding to int8 costs."""
    original = load_original()
    rounded = round_rows(original.vectors)
    table = rounded.values.astype(np.float32) * rounded.scales[:, None]
    known = original.encode(frequency_texts(corpus))
    baseline: Figures = {}
    for smoothing in SMOOTHINGS:
        weights = token_weights(known, len(table), smoothing)
        vectorise = partial(_embed, original, table, weights)
        figures = measure(vectorise, corpus, films)
        baseline = baseline or figures
        gain = np.mean([figures[name] / baseline[name] - 1 for name in figures if name.endswith("choose")])
        print(f"a = {smoothing or 'equal':<6}  gain on choosing halves {gain:+.4f}  {_line(figures)}", flush=True)
    print(f"int8 rows against float32, worst cosine: {_rounding_cosine(original, table, corpus):.6f}")


def print_sentence_encoder(corpus: Corpus, films: Films) -> None:
    """Prints the figures of MiniLM as published, and of the graph in the model repository."""
    original = minilm.load_original()
    graph = cpu_session((MODELS / "minilm-sentence-vectors" / "1" / "model.onnx").read_bytes())
    forms: dict[str, Vectorise] = {
        "published": lambda texts: reference_vectors(original.tensors, original.encode(texts)),
        "served": lambda texts: np.concatenate([vectors(graph, [ids]) for ids in original.encode(texts)]),
    }
    for name, vectorise in forms.items():
        print(f"MiniLM {name:9s}  {_line(measure(vectorise, corpus, films))}", flush=True)


def frequency_texts(corpus: Corpus) -> list[str]:
    """Returns the texts that token frequencies are counted in: nothing of the reporting halves."""
    texts = [snippet.text for source in (PRODUCTS, TWEETS) for snippet in corpus[source]]
    texts += [snippet.text for snippet in corpus[EDITORIALS] if snippet.document % 2 == 0]
    return texts + [snippet.text for snippet in corpus[FILMS] if _fold(snippet.text) > 0]


def measure(vectorise: Vectorise, corpus: Corpus, films: Films) -> Figures:
    """Returns the three tasks' figures on both halves."""
    figures: Figures = {}
    for half, parity in (("choose", 0), ("report", 1)):
        sentences = [snippet for snippet in corpus[EDITORIALS] if snippet.document % 2 == parity]
        documents = np.array([snippet.document for snippet in sentences])
        figures[f"search {half}"] = _r_precision(vectorise([s.text for s in sentences]), documents)
    similar = _audience_of_nearest(vectorise(films.texts), films.shared_audience)
    figures["similar choose"], figures["similar report"] = float(similar[::2].mean()), float(similar[1::2].mean())
    snippets = corpus[FILMS]
    folds = np.array([_fold(snippet.text) for snippet in snippets])
    features = vectorise([snippet.text for snippet in snippets]) * 8
    positive = np.array([snippet.score > 0 for snippet in snippets])
    classifier = LogisticRegression(max_iter=300).fit(features[folds > 1], positive[folds > 1])
    for half, fold in (("choose", 1), ("report", 0)):
        chosen = folds == fold
        figures[f"sentiment {half}"] = float(f1_score(positive[chosen], classifier.predict(features[chosen])))
    return figures


def load_films() -> Films:
    """Returns the MovieLens-100K films with at least 20 ratings."""
    rows = _table(fetch_package_file(*MOVIELENS, *ITEMS).read_text(encoding="utf-8"))
    rated = np.zeros((943, len(rows)))
    for user, item, *_ in _table(fetch_package_file(*MOVIELENS, *RATINGS).read_text(encoding="utf-8")):
        rated[int(user) - 1, int(item) - 1] = 1
    kept = np.flatnonzero(rated.sum(axis=0) >= 20)
    columns = rated[:, kept] / np.linalg.norm(rated[:, kept], axis=0)
    return Films([f"{rows[i][1]} ({rows[i][2]}). {rows[i][3]}" for i in kept], columns.T @ columns)


def _embed(original: Original, table: Floats, weights: Floats, texts: Sequence[str]) -> Floats:
    return weighted_vectors(table, weights, original.encode(texts))


def _line(figures: Figures) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in figures.items())


def _r_precision(answers: Floats, documents: NDArray[np.int64]) -> float:
    likeness = answers @ answers.T
    np.fill_diagonal(likeness, -np.inf)
    precisions = []
    for query, document in enumerate(documents):
        relevant = int((documents == document).sum()) - 1
        if relevant > 0:
            nearest = np.argpartition(-likeness[query], relevant)[:relevant]
            precisions.append((documents[nearest] == document).mean())
    return float(np.mean(precisions))


def _audience_of_nearest(answers: Floats, shared_audience: NDArray[np.float64]) -> NDArray[np.float64]:
    likeness = answers @ answers.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argsort(-likeness, axis=1)[:, :10]
    return np.take_along_axis(shared_audience, nearest, axis=1).mean(axis=1)


def _rounding_cosine(original: Original, table: Floats, corpus: Corpus) -> float:
    weights = np.ones(len(table), np.float32)
    texts = original.encode([snippet.text for source in corpus.values() for snippet in source if snippet.text])
    pairs = weighted_vectors(table, weights, texts) * weighted_vectors(original.vectors, weights, texts)
    return float(pairs.sum(axis=1).min())


def _fold(text: str) -> int:
    """Returns 0-4; texts that differ only in case, spaces and punctuation share a fold."""
    return zlib.crc32("".join(filter(str.isalnum, text.lower())).encode()) % 5


def _table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()[1:]]


if __name__ == "__main__":
    main()
