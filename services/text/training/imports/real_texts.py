"""The texts that an import is compared on: of films, series, games and chat, a few of them in other languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

GOLDEN = 5


def real_texts() -> list[str]:
    """Return 60 texts of 1 to 20 words, and 4 of some 200 made of them."""
    lines = (Path(__file__).parent / "texts.txt").read_text(encoding="utf-8").splitlines()
    return [*lines, *(" ".join(lines[start::4]) for start in range(4))]


def compared_texts() -> str:
    """Return what the texts are, for a card."""
    return f"{len(real_texts())} real texts that ship with Marquee (films, series, games and chat; 1 to 200 words)"


def as_tokens(tokenizer: Tokenizer, longest: int, begin: Sequence[int] = (), special: bool = True) -> list[list[int]]:
    """Return the token ids of each text that has any, at most `longest`, `begin` before each."""
    found = [
        [*begin, *encoding.ids][:longest]
        for encoding in tokenizer.encode_batch(real_texts(), add_special_tokens=special)
    ]
    return [ids for ids in found if ids]
