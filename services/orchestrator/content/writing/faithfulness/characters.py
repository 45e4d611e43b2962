"""Characters: only those that English is written with, or that the facts hold; no look-alikes, nothing invisible."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import Reading

_PUNCTUATION = frozenset(" .,;:!?'\"()-–—…&’‘“”/")
_MARKUP = re.compile(
    r"https?:|www\.|\b\w+\.(?:com|net|org|io|tv)\b|[<>{}\[\]\\^~`=*#@_|]|\b(?:facts|text):", re.IGNORECASE
)
# "A drama and drama film".
_AGAIN = re.compile(r"(?<!\w)(\w{3,})(?: and|, and|, | or) \1(?!\w)")
_SHORTEST_WORDS = 3


def check_characters(text: str, reading: Reading, facts: Facts, most_characters: int) -> Iterator[Finding]:
    """Yield what is wrong with the text's characters, form and length."""
    given = set("".join(_given(facts)))
    odd = [character for character in text if not _plain(character) and character not in given]
    if odd:
        shown = " ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(odd))[:80]
        yield Finding("characters", shown, "holds characters that no fact holds")
    markup = _MARKUP.search(reading.rest.replace("|", " "))
    if markup:
        yield Finding("markup", markup[0], "holds a link, a mark-up sign or a piece of a prompt")
    words = [token for token in reading.tokens if token.kind in ("word", "mention")]
    if len(text) > most_characters:
        yield Finding("length", f"{len(text)} characters", f"is longer than {most_characters} characters")
    if len(words) < _SHORTEST_WORDS:
        yield Finding("length", text[:80], "is too short to say anything")
    elif not re.search(r"[.!?…][\"')]*$", reading.text):
        yield Finding("length", text[-40:], "does not end with the end of a sentence")
    pairs = zip(reading.tokens, reading.tokens[1:], strict=False)
    repeated = next((one for one, two in pairs if one.lower == two.lower and one.kind != "mark"), None)
    again = _AGAIN.search(reading.rest.lower())
    if repeated or again:
        said = repeated.text if repeated else again[0] if again else ""
        yield Finding("length", said[:100], "says the same word twice")


def _plain(character: str) -> bool:
    """Return whether a character may stand in any English text: a Latin letter without tricks, a digit, a mark."""
    if character.isascii():
        return character.isalnum() or character in _PUNCTUATION
    return character in _PUNCTUATION


def _given(facts: Facts) -> Iterator[str]:
    yield from (facts.title.name, *facts.title.others, facts.kind, *facts.genres, *facts.sentences)
    for reason in facts.reasons:
        yield reason.title
    for text in (*facts.praised, *facts.criticised):
        yield unicodedata.normalize("NFC", text)
