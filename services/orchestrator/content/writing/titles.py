"""Titles as a sentence says them: "Matrix, The (1999)" is "The Matrix"."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 120
"""Characters of a title that a text shows."""
# Articles that catalogues put behind a title, in the languages that films come from.
_ARTICLES = "The|A|An|La|Le|Les|Un|Une|Il|Lo|Gli|I|El|Los|Las|Una|Der|Die|Das|Ein|Eine|Det|Den|De|Het|O|Os|As|L'"
_MOVED = re.compile(rf"^(?P<name>.+), (?P<article>{_ARTICLES})$", re.IGNORECASE)
_YEAR = re.compile(r"\s*\((?P<year>1[89]\d\d|2[01]\d\d)\)\s*$")
_ASIDES = re.compile(r"(?<=\w)[^\w()]*\s(?:\([^()]*\)\s*)+$")
_ASIDE = re.compile(r"\(([^()]*)\)")
_SPACES = re.compile(r"\s+")
_ALSO_KNOWN_AS = re.compile(r"^(?:a\.?k\.?a\.?|also known as)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Title:
    """A title in pieces.

    Attributes:
        name: as a sentence says it, at most `LONGEST` characters.
        year: the year behind it in parentheses, 0 without one.
        others: other names of it: what stands in parentheses, and the title as it was written.
    """

    name: str
    year: int
    others: tuple[str, ...]


def read_title(written: str) -> Title:
    """Take a catalogue's title apart; invisible, control and direction characters are taken out first."""
    clean = visible(written)
    found = _YEAR.search(clean)
    year = int(found["year"]) if found and found.start() > 0 else 0
    whole = clean[: found.start()] if found and year else clean
    behind = _ASIDES.search(whole)
    asides = _ASIDE.findall(behind[0]) if behind else []
    main = whole[: behind.start()].strip() + behind[0].split(" (")[0].rstrip() if behind else whole
    names = [_front(main), *(_front(_ALSO_KNOWN_AS.sub("", aside.strip())) for aside in asides), whole]
    names = [name for name in dict.fromkeys(names) if any(map(str.isalnum, name))] or [whole or "an untitled item"]
    return Title(shortened(names[0], LONGEST), year, tuple(names[1:]))


def visible(text: str) -> str:
    """Return the text in one line without control, format, private and unassigned characters."""
    spaced = _SPACES.sub(" ", text)
    kept = "".join(character for character in spaced if not unicodedata.category(character).startswith("C"))
    return _SPACES.sub(" ", unicodedata.normalize("NFC", kept)).strip()


def shortened(text: str, most: int) -> str:
    """Return the text, cut between words with "…" where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut[most // 2 :] else cut
    return f"{at_word.rstrip(' ,;:-')}…"


def _front(name: str) -> str:
    moved = _MOVED.match(name)
    if not moved:
        return name
    article = moved["article"]
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{moved['name']}"
