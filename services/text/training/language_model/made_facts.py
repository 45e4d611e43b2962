"""Makes facts to rephrase, over film titles of MovieLens-100K and over names made of random words and syllables.

A model that is to copy names must meet many, and must not be able to know the rest by heart: half the films get another
year and other genres. A fifth of the film titles is held out and appears in no text to learn from.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from services.runtime.sources import fetch_package_file
from services.text.training.language_model.facts import facts_pair
from services.text.training.language_model.phrasings import BY_REASON, say

_KINDS = ("film", "series", "game", "show", "documentary", "book", "album", "podcast", "concert", "dress", "jacket")
_GENRES = """
    Action, Adventure, Animation, Comedy, Crime, Drama, Fantasy, Horror, Musical, Mystery, Romance, Sci-Fi, Thriller,
    War, Western, Strategy, Puzzle, Racing, Role-playing, Simulation, Sports, Platform, Shooter, Card, Party, History,
    Family, Music, Biography, Survival, Stealth, Casual
"""
_ASPECTS = """
    the acting, the music, the story, the pace, the ending, the characters, the dialogue, the pictures, the humour,
    the controls, the price, the length, the fit, the colour, the fabric, the sound, the levels, the loading times,
    the camera, the voices, the costumes, the effects, the plot, the cast, the menus, the difficulty
"""
_SYLLABLES = (
    "ka ro mi ven tar lu sha dor el bri nos qui zan tho mar il fen gra wy pol ash ur be jo cal dri os yn hex va"
)
_FILMS = (
    "recbole",
    "1.2.1",
    "recbole/dataset_example/ml-100k/ml-100k.item",
    "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
)
_ARTICLE = re.compile(r"^(.*), (The|A|An|La|Le|Les|Il|Das|Der|Die|El|L')$")


@dataclass(frozen=True)
class Film:
    """One film of MovieLens."""

    title: str
    year: str
    genres: tuple[str, ...]

    @property
    def held_out(self) -> bool:
        """Whether no text to learn from may name it; the same for all spellings in case and signs."""
        return zlib.crc32("".join(filter(str.isalnum, self.title.lower())).encode()) % 5 == 0


def load_films() -> list[Film]:
    """Return the films with a year and a known genre, articles put in front of their titles.

    Raises:
        SourceUnavailable: the package cannot be fetched.
    """
    path = fetch_package_file(*_FILMS)
    films = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        _, title, year, genres = line.split("\t")
        moved = _ARTICLE.match(title)
        title = f"{moved[2]} {moved[1]}" if moved else title
        if year.isdigit() and genres != "unknown" and "|" not in title and " = " not in title:
            films.append(Film(title, year, tuple(genres.split(" ")[:3])))
    return films


class FactsMaker:
    """Draws pairs of facts and a sentence."""

    def __init__(self, films: Sequence[Film], words: Sequence[str], seed: int) -> None:
        """Make titles from these films and from these words."""
        self._films, self._words, self._draw = films, words, random.Random(seed)
        self._genres, self._aspects = (" ".join(names.split()).split(", ") for names in (_GENRES, _ASPECTS))
        self._syllables = _SYLLABLES.split()

    def pair(self) -> str:
        """Return the next pair as one text."""
        draw = self._draw
        film = draw.choice(self._films) if draw.random() < 0.4 else None
        other_film = draw.choice(self._films) if draw.random() < 0.4 else None
        facts: dict[str, str] = {"title": film.title if film else self.name()}
        if film is None or draw.random() < 0.3:
            facts["kind"] = draw.choice(_KINDS[:3]) if draw.random() < 0.7 else draw.choice(_KINDS)
        true = film is not None and draw.random() < 0.5
        if draw.random() < 0.85:
            facts["year"] = film.year if film and true else str(draw.randint(1920, 2029))
        if draw.random() < 0.85:
            genres = film.genres if film and true else draw.sample(self._genres, draw.choice((1, 1, 2, 2, 3)))
            facts["genres"] = ", ".join(genres)
        if draw.random() < 0.3:
            facts["rating"] = f"{draw.randint(10, 50) / 10} of 5"
        if draw.random() < 0.25:
            facts["reviews"] = str(draw.randint(2, 10 ** draw.randint(1, 5)))
        if draw.random() < 0.2:
            self._add_aspects(facts)
        if draw.random() < 0.85:
            start = draw.choice(("you liked", "you liked", *BY_REASON))
            other = other_film.title if other_film else self.name()
            facts["reason"] = f"{start} {other}" if start in ("you liked", "you watched", "it resembles") else start
        return facts_pair(facts, say(facts, draw))

    def _add_aspects(self, facts: dict[str, str]) -> None:
        chosen = self._draw.sample(self._aspects, 4)
        liked, disliked = chosen[: self._draw.randint(0, 2)], chosen[2 : 2 + self._draw.randint(0, 2)]
        if liked:
            facts["liked"] = ", ".join(liked)
        if disliked:
            facts["disliked"] = ", ".join(disliked)

    def name(self) -> str:
        """Return a made-up title of one to five words, some with a number or a subtitle."""
        draw = self._draw
        words = [self._word() for _ in range(draw.choice((1, 1, 2, 2, 2, 3, 4)))]
        name = " ".join(words)
        shape = draw.random()
        if shape < 0.12:
            name = f"The {name}"
        elif shape < 0.20:
            name = f"{name} {draw.randint(2, 9)}"
        elif shape < 0.25:
            name = f"{name} {draw.randint(10, 3000)}"
        elif shape < 0.33:
            name = f"{name}: {self._word()} {self._word()}"
        elif shape < 0.40:
            name = f"{name} of the {self._word()}"
        elif shape < 0.44:
            name = f"{name} & {self._word()}"
        return name

    def _word(self) -> str:
        if self._draw.random() < 0.3:
            return "".join(self._draw.choices(self._syllables, k=self._draw.randint(2, 4))).capitalize()
        return self._draw.choice(self._words).capitalize()
