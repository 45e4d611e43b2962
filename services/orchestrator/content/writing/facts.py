"""What is true of an item and of a user's liking for it: the only things that a text may say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.content.writing.instructions import is_instruction
from services.orchestrator.content.writing.titles import Title, read_title, visible
from services.orchestrator.store.records import ItemRecord, UserEvent

Source = Literal["catalog", "events", "ranker", "settings", "slate", "reviews"]
ReasonKind = Literal["history", "alike", "popular", "near", "fresh", "pinned", "taste"]

DEFAULT_KIND = "title"
_STANDINGS = (10, 25, 50, 100)
# A place among the first so many means something only in a catalogue that is much larger.
_STANDING_SHARE = 0.1
_POPULAR_SHARE = 0.25
_RATED_WELL = 0.9
_SENTENCE = re.compile(r"[^.!?…]+(?:[.!?…]+[\"'”’)]*|$)")
_LONGEST_SENTENCE = 300
_MOST_SENTENCES = 3
_KINDS: dict[int, ReasonKind] = {
    recommendation_pb.REASON_KIND_HISTORY_ITEM: "history",
    recommendation_pb.REASON_KIND_CONTENT: "alike",
    recommendation_pb.REASON_KIND_POPULARITY: "popular",
    recommendation_pb.REASON_KIND_FRESH: "fresh",
    recommendation_pb.REASON_KIND_PINNED: "pinned",
    recommendation_pb.REASON_KIND_TASTE: "taste",
}
_WATCHED = frozenset({"film", "movie", "series", "show", "documentary", "episode", "video", "clip"})
_PLAYED = frozenset({"game", "level", "expansion", "match"})
_HEARD = frozenset({"track", "album", "song", "podcast", "audiobook"})


@dataclass(frozen=True, slots=True)
class ReasonFact:
    """One reason.

    Attributes:
        kind: what kind it is.
        title: the other item's title, or the tag; empty where it names nothing.
        verb: what the user did with the other item, "liked" or the like; for history only.
        source: where it comes from.
    """

    kind: ReasonKind
    title: str = ""
    verb: str = ""
    source: Source = "ranker"

    @property
    def phrase(self) -> str:
        """The reason as the language model is told it."""
        return {
            "history": f"you {self.verb} {self.title}",
            "alike": f"it resembles {self.title}",
            "popular": "popular with everyone",
            "near": "close to what you had before",
            "fresh": "new in the catalogue",
            "pinned": "placed here by the service",
            "taste": f"you said that you like {self.title}",
        }[self.kind]


@dataclass(frozen=True)
class Facts:
    """What is true of one item.

    Attributes:
        title: its title.
        kind: what it is, a noun in the singular.
        year: of first release, 0 when unknown.
        genres: its tags, as the catalogue has them.
        maturity_age: youngest age in years, 0 for everyone; None when that is not to be said.
        sentences: of its description, in their order, those that are no instruction to somebody.
        standing: 10 when it is among the ten most popular of the catalogue, and so on; 0 when it is not.
        popular: whether it is in the upper quarter by popularity.
        reasons: why a user might like it, strongest first.
        review_count: reviews that were read, 0 for none.
        rating, rating_scale: their mean rating and the best one, as they are said; empty without one.
        praised, criticised: what the reviews speak well and ill of.
    """

    title: Title
    kind: str = DEFAULT_KIND
    year: int = 0
    genres: tuple[str, ...] = ()
    maturity_age: int | None = None
    sentences: tuple[str, ...] = ()
    standing: int = 0
    popular: bool = False
    reasons: tuple[ReasonFact, ...] = field(default=())
    review_count: int = 0
    rating: str = ""
    rating_scale: str = ""
    praised: tuple[str, ...] = ()
    criticised: tuple[str, ...] = ()

    def with_sentences(self, count: int) -> Facts:
        """Return the same facts with the first so many sentences of the description."""
        return replace(self, sentences=self.sentences[:count])

    def because(self, reasons: Sequence[ReasonFact]) -> Facts:
        """Return the same facts with these reasons."""
        return replace(self, reasons=tuple(reasons))


def item_facts(item: ItemRecord, snapshot: CatalogSnapshot, kind: str = "") -> Facts:
    """Return what the catalogue and the events say of an item."""
    title = read_title(item.title)
    english = not item.locale or item.locale.lower().partition("-")[0] == "en"
    standing, popular = _standing(item.item_id, snapshot)
    return Facts(
        title=title,
        kind=kind or DEFAULT_KIND,
        year=item.release_year or title.year,
        genres=tuple(tag for tag in map(visible, item.tags) if any(map(str.isalnum, tag)) and not is_instruction(tag)),
        maturity_age=item.maturity_age or None,
        sentences=usable_sentences(item.description) if english else (),
        standing=standing,
        popular=popular,
    )


def usable_sentences(description: str) -> tuple[str, ...]:
    """Return the first whole sentences of a description, without those that tell a reader or a model what to do."""
    found: list[str] = []
    for written in _SENTENCE.findall(visible(description)):
        sentence = written.strip()
        if sentence and len(sentence) <= _LONGEST_SENTENCE and not is_instruction(sentence):
            found.append(sentence if sentence[-1] in ".!?…\"'”’)" else f"{sentence}.")
    return tuple(found[:_MOST_SENTENCES])


def reason_facts(
    reasons: Sequence[recommendation_pb.Reason],
    facts: Facts,
    history: Sequence[UserEvent],
    liked_tags: Sequence[str],
    source: Source,
) -> list[tuple[recommendation_pb.Reason, ReasonFact]]:
    """Return the reasons that can be said of an item because they hold, each with what it says.

    Args:
        reasons: as the recommender explains them.
        facts: the item.
        history: the user's events; what was done with an item decides on the verb.
        liked_tags: tags that the user says to like.
        source: where the reasons come from.
    """
    verbs = _verbs(history, facts.kind)
    liked = {tag.casefold() for tag in liked_tags}
    tastes = [tag for tag in facts.genres if tag.casefold() in liked]
    found: dict[ReasonFact, recommendation_pb.Reason] = {}
    for reason in reasons:
        fact = _reason_fact(reason, facts, verbs, tastes, source)
        if fact is not None:
            found.setdefault(fact, reason)
    return [(reason, fact) for fact, reason in found.items()]


def _reason_fact(
    reason: recommendation_pb.Reason, facts: Facts, verbs: Mapping[str, str], tastes: Sequence[str], source: Source
) -> ReasonFact | None:
    """Return what a reason says; None when it does not hold for this item and user."""
    named = read_title(reason.title).name if reason.title else ""
    match _KINDS.get(reason.kind):
        case "history" if reason.item_id in verbs:
            return ReasonFact("history", named, verbs[reason.item_id], source)
        case "alike":
            return ReasonFact("alike", named, source=source) if named else ReasonFact("near", source=source)
        case "popular" if facts.popular:
            return ReasonFact("popular", source="events")
        case "fresh":
            return ReasonFact("fresh", source="catalog")
        case "pinned":
            return ReasonFact("pinned", source=source)
        case "taste" if tastes:
            return ReasonFact("taste", tastes[0], source="settings")
    return None


def _verbs(history: Sequence[UserEvent], kind: str) -> dict[str, str]:
    """Return what the user did with each item that spoke for others: the strongest of the events with it."""
    strongest: dict[str, UserEvent] = {}
    for event in history:
        if event.weight > 0 and (event.item_id not in strongest or _rank(event) >= _rank(strongest[event.item_id])):
            strongest[event.item_id] = event
    return {item_id: _verb(event, kind) for item_id, event in strongest.items()}


def _rank(event: UserEvent) -> int:
    order = (event_pb.EVENT_KIND_VIEW, event_pb.EVENT_KIND_CUSTOM, event_pb.EVENT_KIND_PLAY)
    last = (event_pb.EVENT_KIND_RATING, event_pb.EVENT_KIND_PURCHASE, event_pb.EVENT_KIND_LIKE)
    ranked = (*order, *last)
    return ranked.index(event.kind) if event.kind in ranked else -1


def _verb(event: UserEvent, kind: str) -> str:
    match event.kind:
        case event_pb.EVENT_KIND_LIKE:
            return "liked"
        case event_pb.EVENT_KIND_RATING:
            return "liked" if event.weight >= _RATED_WELL else "rated"
        case event_pb.EVENT_KIND_PURCHASE:
            return "bought"
        case event_pb.EVENT_KIND_VIEW:
            return "looked at"
        case event_pb.EVENT_KIND_PLAY:
            noun = kind.lower().rpartition(" ")[2]
            for nouns, verb in ((_WATCHED, "watched"), (_PLAYED, "played"), (_HEARD, "listened to")):
                if noun in nouns:
                    return verb
    return "spent time with"


def _standing(item_id: str, snapshot: CatalogSnapshot) -> tuple[int, bool]:
    """Return the smallest round number of most popular items it is among, 0 for none, and whether it is popular."""
    row = snapshot.rows.get(item_id)
    if row is None or snapshot.popularity[row] <= 0:
        return 0, False
    # The worst place that it shares with its equals.
    place = int((snapshot.popularity >= snapshot.popularity[row]).sum())
    standing = next((most for most in _STANDINGS if place <= most <= _STANDING_SHARE * len(snapshot)), 0)
    return standing, place <= max(1, _POPULAR_SHARE * len(snapshot))
