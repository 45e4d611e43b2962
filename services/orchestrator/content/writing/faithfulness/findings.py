"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "characters",
    "markup",
    "language",
    "length",
    "number",
    "name",
    "quote",
    "genre",
    "claim",
    "negation",
    "superlative",
    "relation",
    "vocabulary",
    "omission",
    "blocked",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in a text that its facts do not bear out: its kind, the words, a sentence for people."""

    kind: Kind
    found: str
    message: str
