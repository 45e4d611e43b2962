from __future__ import annotations

import pytest

from services.orchestrator.content.moderation.pieces import LONGEST_PIECE, pieces

WORDS = " ".join(f"word{number}" for number in range(1_500))


@pytest.mark.parametrize("text", ["short", WORDS, "x" * 10_000, "\U0001f600" * 3_000, "a b " * 2_000])
def test_pieces_cover_the_text_and_none_is_too_long(text: str) -> None:
    found = list(pieces(text))
    assert all(text[start : start + len(piece)] == piece for start, piece in found)
    assert all(len(piece) <= LONGEST_PIECE for _, piece in found)
    covered: set[int] = set()
    for start, piece in found:
        covered.update(range(start, start + len(piece)))
    assert covered == set(range(len(text)))


def test_pieces_start_at_words_and_a_short_phrase_stands_whole_in_one() -> None:
    found = list(pieces(WORDS))
    assert all(piece.startswith("word") for _, piece in found)
    words = WORDS.split()
    for first in range(0, len(words) - 4, 7):
        phrase = " ".join(words[first : first + 4])
        assert any(phrase in piece for _, piece in found), phrase


def test_blank_pieces_are_left_out() -> None:
    assert list(pieces("")) == []
    assert list(pieces(" " * 1_000)) == []
    assert [piece.strip() for _, piece in pieces("a" + " " * 1_000 + "b")] == ["a", "b"]
