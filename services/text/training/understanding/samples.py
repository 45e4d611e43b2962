"""The texts that understanding is fitted and measured on, with their human labels and their split.

Sentiment: the four sources of Hutto and Gilbert (2014), each text with the mean of 15 to 20 human ratings, -4 to 4; a
fifth of each source is held out, near-duplicates on one side. Emotion: GoEmotions (Demszky et al. 2020) with its own
split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.sources import DataSettings, SourceUnavailable
from services.text.training.corpus import FILMS, PRODUCTS, TWEETS, Snippet, load_corpus
from services.text.training.understanding.near_duplicates import groups

Split = Literal["train", "choose", "test"]
EMOTION_COUNT = 28
# Sentences of editorials are long, and far from what players write.
SENTIMENT_SOURCES = (FILMS, PRODUCTS, TWEETS)
_SPLIT_FILES: dict[Split, str] = {"train": "train.tsv", "choose": "dev.tsv", "test": "test.tsv"}


class EmotionData(BaseSettings):
    """Where GoEmotions lies; it is read by path because no package carries it."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_", extra="ignore")

    goemotions_directory: Path = Field(
        default_factory=lambda: DataSettings().data_directory / "goemotions",
        description="Folder with train.tsv, dev.tsv, test.tsv (text, label numbers, id) and labels.txt of GoEmotions.",
    )


@dataclass(frozen=True)
class RatedText:
    """A text with the mean of its human sentiment ratings, -4 to 4."""

    text: str
    rating: float
    source: str
    split: Split


@dataclass(frozen=True)
class EmotionText:
    """A comment with the numbers of its emotions, in the order of `emotion_labels`."""

    text: str
    emotions: frozenset[int]
    split: Split


def rated_texts() -> list[RatedText]:
    """Return all rated texts of all sources.

    Raises:
        SourceUnavailable: the package cannot be fetched.
    """
    return [sample for source, snippets in load_corpus().items() for sample in _split(source, snippets)]


def film_texts(split: Split) -> list[RatedText]:
    """Return the film-review snippets of one split."""
    return [sample for sample in rated_texts() if sample.source == FILMS and sample.split == split]


def emotion_labels() -> tuple[str, ...]:
    """Return the 28 labels; the last is "neutral"."""
    return tuple(_read("labels.txt").split())


def emotion_texts(split: Split) -> list[EmotionText]:
    """Return the comments of one split of GoEmotions.

    Raises:
        SourceUnavailable: the folder does not hold the file.
    """
    rows = (line.split("\t") for line in _read(_SPLIT_FILES[split]).splitlines() if line)
    return [EmotionText(row[0], frozenset(map(int, row[1].split(","))), split) for row in rows]


def _split(source: str, snippets: Sequence[Snippet]) -> Iterator[RatedText]:
    rows = [(snippet.text, snippet.score) for snippet in snippets]
    for (text, rating), group in zip(rows, groups([row[0] for row in rows]), strict=True):
        split: Split = "test" if group % 5 == 0 else "choose" if group // 5 % 10 == 0 else "train"
        yield RatedText(text, rating, source, split)


def _read(name: str) -> str:
    path = EmotionData().goemotions_directory / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceUnavailable(
            f"GoEmotions' {name} is not there ({error.strerror}); point MARQUEE_GOEMOTIONS_DIRECTORY at a folder with "
            "its train.tsv, dev.tsv, test.tsv and labels.txt"
        ) from error
