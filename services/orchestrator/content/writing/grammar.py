"""English that templates need: lists, articles, plurals, numbers, capitals."""

from __future__ import annotations

import re
from collections.abc import Sequence

_VOWEL_SOUND = re.compile(r"(?:[aeio]|u(?!ni|se|ti)|hour|honest|heir|8|11(?!\d)|18(?!\d)|18\d\d(?!\d))", re.IGNORECASE)
# Letters whose names begin with a vowel, for words of capitals that are spelled out.
_SPELLED = re.compile(r"[FHLMNRSX][A-Z]{1,4}\b")
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def listed(names: Sequence[str], word: str = "and") -> str:
    """Return "a", "a and b" or "a, b and c"."""
    if len(names) < 2:
        return names[0] if names else ""
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def with_article(phrase: str) -> str:
    """Return the phrase behind "a" or "an", as it is spoken: "an hour", "a unicorn", "an 18"."""
    vowel = _VOWEL_SOUND.match(phrase) or _SPELLED.match(phrase)
    return f"{'an' if vowel else 'a'} {phrase}"


def plural(noun: str) -> str:
    """Return the plural of a regular noun."""
    if noun in ("series", "species"):
        return noun
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """Return "1 review", "2 reviews", "1,234 reviews"."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def small_number(count: int) -> str:
    """Return numbers up to twelve as words, others as digits."""
    return _SMALL[count] if 0 <= count < len(_SMALL) else f"{count:,}"


def capitalised(sentence: str) -> str:
    """Return the sentence with a capital first letter; a title that is written small keeps its letters elsewhere."""
    return sentence[:1].upper() + sentence[1:]


def ended(sentence: str) -> str:
    """Return the sentence without the second full stop that a title such as "Fame Inc." leaves at its end."""
    return re.sub(r"([.!?…][\"'”’)]*)[.]$", r"\1", sentence.strip())
