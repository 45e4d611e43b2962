"""Which language a text is in, as far as it can be told.

Words are looked at first: short chat is mostly English words, names and signs, which no statistical identifier tells
from other languages. The rest is asked of `py3langid` (97 languages, by byte n-grams; chosen over lingua, whose models
take 100 MB).
"""

from __future__ import annotations

import asyncio
import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from services.orchestrator.content.moderation.lexicon import load_lexicon

UNKNOWN = "und"
MODEL_LANGUAGES = frozenset({"en"})
"""Languages that the loaded text models know."""
_WORD = re.compile(r"[^\W\d_]+")
# A text with this share of English words is English, whatever else it holds.
_ENGLISH_SHARE = 0.6
# Fewer letters than this do not tell one Latin-script language from another.
_FEWEST_LETTERS = 10
_LEAST_CONFIDENCE = 0.75
# Identifying takes about 1 µs a character.
_INLINE_CHARACTERS = 2_000
_loading = threading.Lock()


@dataclass(frozen=True)
class Language:
    """A BCP 47 language, "und" when it cannot be told, and how sure that is, 0 to 1."""

    code: str
    confidence: float

    @property
    def supported(self) -> bool:
        """Whether the text models may be asked: always, unless it is known to be a language they do not know."""
        return self.code == UNKNOWN or self.code.partition("-")[0].lower() in MODEL_LANGUAGES


def identify(text: str) -> Language:
    """Return the language of a text."""
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words))
    if not letters:
        return Language(UNKNOWN, 0.0)
    latin = sum(1 for word in words for letter in word if _is_latin(letter))
    lexicon = load_lexicon()
    english = sum(1 for word in words if word in lexicon.known or word in lexicon.offensive) / len(words)
    if latin >= letters / 2 and english >= _ENGLISH_SHARE:
        return Language("en", english)
    code, confidence = _identifier().classify(text)
    if latin < letters / 2:
        return Language(code if code != "en" else UNKNOWN, float(confidence) if code != "en" else 0.0)
    if letters < _FEWEST_LETTERS or confidence < _LEAST_CONFIDENCE:
        return Language(UNKNOWN, float(confidence))
    return Language(code, float(confidence))


async def identify_all(texts: Sequence[str]) -> list[Language]:
    """Return the language of each text, found on a thread when there is much to read or the tables are not loaded."""
    if _identifier.cache_info().currsize and sum(map(len, texts)) <= _INLINE_CHARACTERS:
        return [identify(text) for text in texts]
    return await asyncio.to_thread(_identify_many, texts)


def load_tables() -> None:
    """Read what identification needs, which takes a second or two; otherwise the first text does."""
    with _loading:
        _identifier()
        load_lexicon()


def load_tables_soon() -> None:
    """Load them on a thread of their own: lists, which need no language, do not wait for them."""
    threading.Thread(target=load_tables, name="language-tables", daemon=True).start()


def _identify_many(texts: Sequence[str]) -> list[Language]:
    load_tables()
    return [identify(text) for text in texts]


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=4096)
def _is_latin(letter: str) -> bool:
    plain = unicodedata.normalize("NFKC", letter)
    return plain.isascii() or "LATIN" in unicodedata.name(letter, "")
