"""How genres are said, and which words claim one. The table is data: `data/genres.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from services.orchestrator.content.writing.grammar import listed, with_article

_FILE = Path(__file__).parent / "data" / "genres.yaml"
# The noun that a kind is named by when several genres have one, first first.
_HEADS = ("thriller", "comedy", "western", "musical", "documentary", "mystery", "drama", "romance", "satire", "shooter")
_MOST_SAID = 3


@dataclass(frozen=True)
class Genre:
    """One genre.

    Attributes:
        key: its name in lower case.
        of: as a substance: "a mix of horror".
        before: in front of a noun.
        noun: as a noun that can be counted; empty where there is none.
        words: every word that claims it, in lower case.
    """

    key: str
    of: str
    before: str
    noun: str
    words: frozenset[str]


def genre_of(tag: str) -> Genre:
    """Return how a tag is said; one that is not in the table is said as it is written."""
    known = _by_name().get(_folded(tag))
    if known:
        return known
    said = tag if any(map(str.isupper, tag[1:])) else tag.lower()
    return Genre(said.casefold(), said, said, "", frozenset(_words(said)))


def mixed(tags: Sequence[str]) -> str:
    """Return "action, crime and suspense"; empty for fewer than two genres."""
    said = list(dict.fromkeys(genre_of(tag).of for tag in tags))[:_MOST_SAID]
    return listed(said) if len(said) > 1 else ""


def kind_of(tags: Sequence[str], noun: str) -> str:
    """Return what an item is: "a crime drama", "an action title", "a mix of action, crime and suspense".

    Args:
        tags: the item's genres; empty gives an empty phrase.
        noun: what it is called where no genre has a noun of its own: "film", "game", "title".
    """
    genres = list({genre.key: genre for genre in map(genre_of, tags)}.values())
    if not genres:
        return ""
    if len(genres) > 2:
        return f"a mix of {mixed(tags)}"
    heads = [genre for name in _HEADS for genre in genres if genre.noun == name]
    head = heads[0] if heads else None
    before = [genre.before for genre in genres if genre is not head]
    return with_article(" ".join([*([listed(before)] if before else []), head.noun if head else noun]))


def claims(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield (word, keys of the genres it may stand for) for each word of a lower-case text that claims a genre."""
    for match in _pattern().finditer(text):
        yield match[0], _by_word()[_folded(match[0])]


@lru_cache(maxsize=1)
def _table() -> tuple[Genre, ...]:
    rows = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Genre(
            row["names"][0],
            row["of"],
            row["before"],
            row.get("noun", ""),
            frozenset(
                map(str.lower, (*row["names"], row["before"], row.get("noun", row["before"]), *row.get("also", ())))
            ),
        )
        for row in rows
    )


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, Genre]:
    rows = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {_folded(name): genre for row, genre in zip(rows, _table(), strict=True) for name in row["names"]}


@lru_cache(maxsize=1)
def _by_word() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for genre in _table():
        for word in genre.words:
            found.setdefault(_folded(word), set()).add(genre.key)
    return {word: frozenset(keys) for word, keys in found.items()}


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    words = sorted({word for genre in _table() for word in genre.words}, key=len, reverse=True)
    body = "|".join(re.escape(word).replace(r"\-", "[- ]?").replace(r"\ ", "[- ]") for word in words)
    return re.compile(rf"(?<![\w'])(?:{body})(?![\w])", re.IGNORECASE)


def _folded(name: str) -> str:
    return re.sub(r"[^\w]", "", name.casefold())


def _words(text: str) -> list[str]:
    return [text.lower(), *re.findall(r"\w+", text.lower())]
