"""What goes into a store and comes out of it. Times are microseconds since the Unix epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ItemVector:
    """A vector and the model that made it; only vectors of one model and version can be compared.

    Attributes:
        values: little-endian float32, four bytes a dimension.
        model: name of the model.
        version: version of the model.
    """

    values: bytes
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class DescribedPicture:
    """What the vision service made of a picture: its labels, most probable first, and its vector."""

    labels: tuple[str, ...]
    vector: ItemVector


@dataclass(frozen=True, slots=True)
class UndescribedPicture:
    """An encoded picture that the vision service has not seen yet; the store keeps the bytes until it has."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """One item as `Store.upsert_items` takes it.

    Attributes:
        text_vector: vector of the item's text. None keeps the stored one where the text is the same, and
            otherwise leaves the item without until `Store.set_text_vectors`.
        picture: None keeps what is stored; a described picture replaces it; an undescribed one replaces it
            and waits.
    """

    item_id: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    maturity_age: int = 0
    release_year: int = 0
    text_vector: ItemVector | None = None
    picture: DescribedPicture | UndescribedPicture | None = None


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One stored item. The vectors are None when there are none yet, or when the read was asked to leave
    them out.
    """

    item_id: str
    title: str
    description: str
    tags: tuple[str, ...]
    maturity_age: int
    release_year: int
    picture_labels: tuple[str, ...]
    update_time: int
    text_vector: ItemVector | None = None
    picture_vector: ItemVector | None = None


@dataclass(frozen=True, slots=True)
class UpsertCounts:
    """Items that a write created and items that it replaced."""

    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class CatalogState:
    """How a tenant's catalogue stands: `sequence` rises with each change of an item or a vector; zero
    before the first.
    """

    sequence: int
    item_count: int


@dataclass(frozen=True, slots=True)
class WaitingText:
    """An item whose text vector is missing. `revision` names the write it comes from."""

    tenant: str
    item_id: str
    revision: int
    title: str
    description: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextVectorUpdate:
    """A vector for a waiting text. It is dropped when the item was written again since. None gives the text
    up.
    """

    tenant: str
    item_id: str
    revision: int
    vector: ItemVector | None


@dataclass(frozen=True, slots=True)
class WaitingPicture:
    """A picture that the vision service has not seen yet. `revision` names the write it comes from."""

    tenant: str
    item_id: str
    revision: int
    picture: UndescribedPicture


@dataclass(frozen=True, slots=True)
class PictureUpdate:
    """What became of a waiting picture. It is dropped when a newer picture came since. None gives the
    picture up.
    """

    tenant: str
    item_id: str
    revision: int
    described: DescribedPicture | None


@dataclass(frozen=True, slots=True)
class EventWrite:
    """One event as `Store.write_events` takes it.

    Attributes:
        kind: number of the contract's EventKind.
        weight: strength of the event, -10 to 10.
        watched_fraction, rating: as the caller sent them, None when not.
    """

    event_id: str
    user_id: str
    item_id: str
    kind: int
    weight: float
    event_time: int
    watched_fraction: float | None = None
    rating: float | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One stored event. `sequence` is its place in the order of storage within the tenant, from 1."""

    sequence: int
    event_id: str
    user_id: str
    item_id: str
    kind: int
    weight: float
    event_time: int
    receive_time: int
    watched_fraction: float | None
    rating: float | None


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """Events that a write stored, and events whose id was there already or came twice."""

    written: int
    duplicates: int


class UserEvent(NamedTuple):
    """One event of a user's history. A named tuple, because each recommendation makes hundreds of them."""

    item_id: str
    weight: float
    kind: int
    event_time: int
    sequence: int


class EventPosition(NamedTuple):
    """Place of an event in a user's history: by time, and by order of storage among equal times."""

    event_time: int
    sequence: int


@dataclass(frozen=True, slots=True)
class EventTotals:
    """Number of a tenant's stored events, and the highest sequence number given out; both zero before the
    first.
    """

    count: int
    maximum_sequence: int


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """What users did with one item, over all stored events.

    Attributes:
        event_count: events with the item.
        positive_weight: sum of the weights above zero.
        last_event_time: time of the newest event.
    """

    item_id: str
    event_count: int
    positive_weight: float
    last_event_time: int


@dataclass(frozen=True, slots=True)
class BundlePointer:
    """Which bundle serves a tenant and which one served before; empty where there is none, and zero time
    then.
    """

    version: str = ""
    previous_version: str = ""
    change_time: int = 0


@dataclass(frozen=True, slots=True)
class RecommendationState:
    """Everything that a recommendation reads from the store, as of one moment.

    Attributes:
        history: the user's newest events up to the limit, oldest first.
        seen_item_ids: every item the user ever had an event with.
        event_count: number of the user's stored events.
        catalog_sequence: which state of the catalogue the answer must know.
        bundle: which bundle serves.
    """

    history: list[UserEvent]
    seen_item_ids: frozenset[str]
    event_count: int
    catalog_sequence: int
    bundle: BundlePointer
