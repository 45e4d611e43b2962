"""Long texts in pieces that a model reads whole."""

from __future__ import annotations

from collections.abc import Iterator

# A token has at least one character, and models read 256 tokens, two of them their own.
LONGEST_PIECE = 250
_OVERLAP = 50


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield (start, piece) of a text, each of at most `LONGEST_PIECE` characters and not blank.

    Pieces start at words where there are any, and overlap, so that a short phrase stands whole in one of them.
    """
    start = 0
    while start < len(text):
        piece = text[start : start + LONGEST_PIECE]
        if piece.strip():
            yield start, piece
        if start + LONGEST_PIECE >= len(text):
            return
        # The last start of a word that leaves the overlap, or a cut through a very long word.
        space = text.rfind(" ", start + LONGEST_PIECE // 2, start + LONGEST_PIECE - _OVERLAP)
        start = space + 1 if space >= 0 else start + LONGEST_PIECE - _OVERLAP
