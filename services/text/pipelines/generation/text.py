"""From tokens to the text that a reader gets: whole characters only, and nothing that may yet become a stop text."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

_PART = "\ufffd"
# A character is 4 bytes at most. More tokens than this without a whole one are no beginning of any.
_LONGEST_PART = 8
_WORD_START = "\u2581"


class Detokenizer:
    """Turns the tokens of one text into whole characters, one by one.

    What a token adds is the difference of two decodings, since a tokeniser may join neighbours (spaces, bytes of one
    character) in its own way.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._before = ""
        self._told = 0

    def add(self, token: int) -> str:
        """Return the characters that are whole now; empty while one is in the middle."""
        self._tokens.append(token)
        text = self._tokenizer.decode(self._tokens)
        waiting = len(self._tokens) - self._told
        if text.endswith(_PART) and waiting < _LONGEST_PART:
            return ""
        added = text[len(self._before) :]
        # The last tokens told stay as the context in which the next ones are decoded.
        self._tokens = self._tokens[self._told :]
        self._told = len(self._tokens)
        self._before = self._tokenizer.decode(self._tokens)
        return added


class StopTexts:
    """Holds back what may be the beginning of a stop text, and cuts the text where one is found.

    Args:
        stops: the stop texts, none of them empty.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    def add(self, text: str) -> str:
        """Return what may be told of the text so far; after a stop text was found, nothing more."""
        if not self._stops:
            return text
        whole = self._held + text
        places = [place for stop in self._stops if (place := whole.find(stop)) >= 0]
        if places:
            self.found, self._held = True, ""
            return whole[: min(places)]
        kept = max(_beginning(whole, stop) for stop in self._stops)
        self._held = whole[len(whole) - kept :]
        return whole[: len(whole) - kept]

    def flush(self) -> str:
        """Return what was held back, for a text that ends otherwise."""
        held, self._held = self._held, ""
        return held


def show_token(tokenizer: Tokenizer, token: int) -> str:
    """Return a token as text by itself; a part of a character shows as U+FFFD."""
    text: str = tokenizer.decode([token], skip_special_tokens=False)
    if not text.startswith(" ") and (tokenizer.id_to_token(token) or "").startswith(_WORD_START):
        return f" {text}"
    return text


def _beginning(text: str, stop: str) -> int:
    """Return the length of the longest end of the text that is a beginning of the stop text, and not all of it."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
