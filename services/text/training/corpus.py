"""Real English texts for calibration, measurement and golden samples.

The source is the ground truth of Hutto and Gilbert (2014), published with the vaderSentiment package: film-review
snippets, tweets, sentences of product reviews and of newspaper editorials, each with a human sentiment score.
"""

from __future__ import annotations

import random
import tarfile
from collections import defaultdict
from dataclasses import dataclass

from services.runtime.sources import fetch_package_file

ARCHIVE_SHA256 = "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"
FILMS, PRODUCTS, EDITORIALS, TWEETS = (
    "movieReviewSnippets",
    "amazonReviewSnippets",
    "nytEditorialSnippets",
    "tweets",
)
MIXTURE = {FILMS: 200, TWEETS: 100, PRODUCTS: 100, EDITORIALS: 100}
LONG_DOCUMENTS = 100


@dataclass(frozen=True)
class Snippet:
    """One text, the document it was cut from (its own number where it stands alone) and its mean human score."""

    document: int
    score: float
    text: str


Corpus = dict[str, list[Snippet]]


def load_corpus() -> Corpus:
    """Returns the snippets by source name, in file order.

    Raises:
        SourceUnavailable: The package cannot be fetched or is not the one this project was built with.
    """
    archive = fetch_package_file(
        "vaderSentiment",
        "3.3.2",
        "additional_resources/hutto_ICWSM_2014.tar.gz",
        ARCHIVE_SHA256,
        source_only=True,
    )
    corpus: Corpus = {}
    with tarfile.open(archive) as files:
        for source in (FILMS, PRODUCTS, EDITORIALS, TWEETS):
            file = files.extractfile(f"hutto_ICWSM_2014/{source}_GroundTruth.txt")
            assert file is not None, source
            rows = (line.split("\t") for line in file.read().decode("latin-1").splitlines() if line)
            corpus[source] = [Snippet(int(row[0].split("_")[0]), float(row[1]), row[2]) for row in rows]
    return corpus


def calibration_texts(corpus: Corpus) -> list[str]:
    """Returns 500 short texts of all sources, for choosing quantisation ranges."""
    return _short_texts(corpus)[0]


def held_out_texts(corpus: Corpus) -> list[str]:
    """Returns 600 texts, none of them a calibration text: 500 short ones and 100 whole reviews and editorials."""
    whole: dict[tuple[str, int], list[str]] = defaultdict(list)
    for source in (EDITORIALS, PRODUCTS):
        for snippet in corpus[source]:
            whole[source, snippet.document].append(snippet.text)
    documents = [" ".join(sentences) for sentences in whole.values()]
    return _short_texts(corpus)[1] + random.Random(1).sample(documents, LONG_DOCUMENTS)


def _short_texts(corpus: Corpus) -> tuple[list[str], list[str]]:
    """Draws two disjoint samples of `MIXTURE`, the same ones every time."""
    generator = random.Random(0)
    first: list[str] = []
    second: list[str] = []
    for source, count in MIXTURE.items():
        texts = sorted({snippet.text for snippet in corpus[source]})
        drawn = generator.sample(texts, 2 * count)
        first += drawn[:count]
        second += drawn[count:]
    return first, second
