"""Makes pairs of facts and a sentence that says them: which facts there are, and how they are said, is drawn."""

from __future__ import annotations

import random

from services.text.training.language_model.facts import OTHER, PLACES, facts_pair
from services.text.training.language_model.phrasings import BY_REASON, say

_NAMING = ("you liked", "you watched", "it resembles")
"""Reasons that name another title."""
_SHARES = {"year": 0.85, "genres": 0.85, "rating": 0.3, "reviews": 0.25, "liked": 0.15, "disliked": 0.15}
_REASON_SHARE = 0.85


class FactsMaker:
    """Draws pairs."""

    def __init__(self, seed: int) -> None:
        """Begin with this seed; the same one makes the same pairs."""
        self._draw = random.Random(seed)

    def pair(self) -> str:
        """Return the next pair as one text."""
        draw = self._draw
        facts = {name: place for name, place in PLACES.items() if draw.random() < _SHARES.get(name, 1.0)}
        if draw.random() < _REASON_SHARE:
            start = draw.choice(("you liked", "you liked", *BY_REASON))
            facts["reason"] = f"{start} {OTHER}" if start in _NAMING else start
        return facts_pair(facts, say(facts, draw))
