"""The texts that the language models are fitted and measured on, by source, and their split.

Held out: a fifth of the film snippets and of the tweets, by groups of near-duplicates; a tenth of the product reviews,
whole reviews; 1,000 of the test set of GoEmotions; 300 reviews of clothes of which none is learned from; facts drawn
anew. A text to learn from that is nearly the same as a held-out one of its source is left out.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from services.text.training.corpus import FILMS, PRODUCTS, TWEETS, load_corpus
from services.text.training.language_model.made_facts import FactsMaker
from services.text.training.language_model.reviews import load_reviews
from services.text.training.moderation.word_list import load_word_list
from services.text.training.understanding.near_duplicates import groups
from services.text.training.understanding.samples import emotion_texts, rated_texts

Split = Literal["train", "choose", "test"]
SPLITS: tuple[Split, ...] = ("train", "choose", "test")
COMMENTS, CLOTHES, FACTS = "goemotions", "clothes", "facts"
PROSE = (FILMS, TWEETS, PRODUCTS, COMMENTS, CLOTHES)
SOURCES = (*PROSE, FACTS)

LONGEST_CHARACTERS = 700
"""Longer documents are cut at sentences."""
FACTS_COUNTS: dict[Split, int] = {"train": 3_000, "choose": 200, "test": 400}
# As much as networks fitted on a part of one core can read several times. Clothes and small talk are kept to a fourth:
# the models are for talk of films.
_MOST_READ = {COMMENTS: 18_000, CLOTHES: 3_500}
_MOST_KEPT: dict[tuple[str, Split], int] = {
    (COMMENTS, "train"): 3_000,
    (COMMENTS, "test"): 1_000,
    (CLOTHES, "train"): 800,
    (CLOTHES, "test"): 300,
}
# Handles, links and the marks that GoEmotions puts for names teach nothing that anybody wants to read.
_MARKS = re.compile(r"@\w|https?:|www\.|\[[A-Z]+\]|<[a-z/]|\x85|\x97")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Text:
    """One text to learn from or to be measured on."""

    text: str
    source: str
    split: Split


def load_texts(splits: Iterable[Split] = SPLITS) -> list[Text]:
    """Return the texts of these splits, in a fixed order.

    Raises:
        SourceUnavailable: a package cannot be fetched, or GoEmotions is not where its setting says.
    """
    wanted = set(splits)
    texts = list(_prose())
    kept = [each for each in _without_near_duplicates(texts) if each.split in wanted]
    return kept + [each for each in _facts() if each.split in wanted]


def _prose() -> Iterator[Text]:
    offensive = load_word_list().any_entry
    for text in _unchecked():
        if not _MARKS.search(text.text) and not offensive.search(text.text) and len(text.text) >= 12:
            yield text


def _unchecked() -> Iterator[Text]:
    for rated in rated_texts():
        if rated.source in (FILMS, TWEETS):
            yield Text(clean(rated.text), rated.source, rated.split)
    documents: dict[int, list[str]] = defaultdict(list)
    for snippet in load_corpus()[PRODUCTS]:
        documents[snippet.document].append(clean(snippet.text))
    for number, sentences in documents.items():
        split = _tenth(f"{PRODUCTS} {number}")
        for piece in cut(sentences):
            yield Text(piece, PRODUCTS, split)
    for comment_split in SPLITS:
        for comment in emotion_texts(comment_split)[: _MOST_READ[COMMENTS]]:
            yield Text(clean(comment.text), COMMENTS, comment_split)
    left = _MOST_READ[CLOTHES]
    for review in load_reviews():
        place = zlib.crc32(f"garment {review.garment}".encode()) % 20
        garment_split: Split = "test" if place == 0 else "choose" if place == 1 else "train"
        left -= garment_split == "train"
        if garment_split != "train" or left >= 0:
            headline = f"{clean(review.headline)}\n" if review.headline else ""
            yield Text(headline + clean(review.text), CLOTHES, garment_split)


def cut(sentences: Iterable[str]) -> list[str]:
    """Join sentences into pieces of at most `LONGEST_CHARACTERS`, or of one longer sentence."""
    pieces: list[str] = []
    for sentence in sentences:
        if pieces and len(pieces[-1]) + 1 + len(sentence) <= LONGEST_CHARACTERS:
            pieces[-1] = f"{pieces[-1]} {sentence}"
        else:
            pieces.append(sentence)
    return pieces


def _without_near_duplicates(texts: list[Text]) -> Iterator[Text]:
    """Leave out what is nearly a held-out text of its source, and all but the first of equal texts."""
    for source in PROSE:
        rows = [text for text in texts if text.source == source]
        numbers = groups([row.text for row in rows])
        held_out = {number for number, row in zip(numbers, rows, strict=True) if row.split == "test"}
        seen: set[str] = set()
        kept: Counter[Split] = Counter()
        for number, row in zip(numbers, rows, strict=True):
            if row.text in seen or (row.split != "test" and number in held_out):
                continue
            seen.add(row.text)
            kept[row.split] += 1
            if kept[row.split] <= _MOST_KEPT.get((source, row.split), len(rows)):
                yield row


def _facts() -> Iterator[Text]:
    for number, (split, count) in enumerate(FACTS_COUNTS.items()):
        maker = FactsMaker(seed=number)
        for _ in range(count):
            yield Text(maker.pair(), FACTS, split)


def _tenth(name: str) -> Split:
    place = zlib.crc32(name.encode()) % 10
    return "test" if place == 0 else "choose" if place == 1 else "train"


def clean(text: str) -> str:
    """Return the text as the models read it: escapes of quotes and runs of white space undone."""
    return _SPACES.sub(" ", text.replace("\\'", "'")).strip()
