"""Training rows of all three tasks in one list; a task that a row says nothing about is masked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.text.training.moderation.evasion import evade
from services.text.training.moderation.evasions_seen import TRANSFORMS
from services.text.training.moderation.rare_kinds import game_talk, group_insults, threats
from services.text.training.moderation.teacher import Teacher
from services.text.training.understanding.samples import EMOTION_COUNT, SENTIMENT_SOURCES, emotion_texts, rated_texts

# Copies of offensive texts with their offensive words disguised, and of harmless ones with others disguised.
EVADED_OFFENSIVE, EVADED_HARMLESS = 7000, 4000
THREATS, GROUP_INSULTS, GAME_LINES = 700, 900, 900

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One text with what is known of it: rating -4 to 4, emotion numbers, toxicity targets 0 to 1."""

    text: str
    rating: float | None = None
    emotions: frozenset[int] | None = None
    toxicity: Floats | None = None
    offensive_words: frozenset[str] = frozenset()

    def emotion_targets(self) -> Floats:
        """Return float64 [28] of zeros and ones."""
        targets = np.zeros(EMOTION_COUNT)
        targets[list(self.emotions or ())] = 1
        return targets


def training_rows(seed: int) -> list[Row]:
    """Return the rows of the training splits; the disguises are drawn from the half that may be seen."""
    teacher, generator = Teacher(), random.Random(seed)
    rows = [
        Row(sample.text, rating=sample.rating, toxicity=teacher.categories(sample.text))
        for sample in rated_texts()
        if sample.split == "train" and sample.source in SENTIMENT_SOURCES
    ]
    for comment in emotion_texts("train"):
        words = teacher.offensive_words(comment.text)
        rows.append(Row(comment.text, None, comment.emotions, teacher.categories(comment.text), words))
    return rows + _rare(rows, teacher, generator) + _evaded(rows, generator)


def _rare(rows: Sequence[Row], teacher: Teacher, generator: random.Random) -> list[Row]:
    """Return rows of kinds that the comments hardly hold."""
    harmless = [row.text for row in rows if row.toxicity is not None and row.toxicity[0] <= 0.1 and len(row.text) < 120]
    offensive = [
        (row.text, word)
        for row in rows
        if row.toxicity is not None and row.toxicity[0] >= 0.8
        for word in sorted(row.offensive_words)
    ]
    threat, harm = np.array([0.97, 0, 1, 0, 0, 1.0]), np.array([0.97, 1, 1, 0, 1, 0.0])
    made = [Row(text, toxicity=threat) for text in threats(harmless, THREATS, generator)]
    for text, word in group_insults(offensive, teacher.words, GROUP_INSULTS, generator):
        made.append(Row(text, toxicity=harm, offensive_words=frozenset({word.lower()})))
    return made + [Row(text, toxicity=np.zeros(len(threat))) for text in game_talk(GAME_LINES, generator)]


def _evaded(rows: Sequence[Row], generator: random.Random) -> list[Row]:
    offensive = [row for row in rows if row.offensive_words and row.toxicity is not None and row.toxicity[0] >= 0.6]
    harmless = [row for row in rows if row.toxicity is not None and row.toxicity[0] <= 0.1]
    copies = []
    for number in range(EVADED_OFFENSIVE):
        row = offensive[number % len(offensive)]
        transform = generator.choice(list(TRANSFORMS.values()))
        copies.append(Row(evade(row.text, row.offensive_words, transform, generator), toxicity=row.toxicity))
    for row in generator.sample(harmless, EVADED_HARMLESS):
        words = [word.lower() for word in row.text.split() if len(word) > 3 and word.isalpha()]
        if words:
            transform = generator.choice(list(TRANSFORMS.values()))
            chosen = generator.sample(words, min(len(words), 2))
            copies.append(Row(evade(row.text, chosen, transform, generator), toxicity=row.toxicity))
    return copies
