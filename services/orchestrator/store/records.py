"""What goes into a store and comes out of it. Times are microseconds since the Unix epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from services.runtime.errors import FailedPrecondition, ServiceError


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
class Availability:
    """Where, when and to whom an item may be shown.

    Attributes:
        regions: ISO 3166 codes in upper case, "DE" or "US-CA"; empty means everywhere.
        start_time: first moment; None means since ever.
        end_time: first moment at which it may no longer be shown; None means for ever.
        entitlements: the user must hold one of them; empty means everyone.
    """

    regions: tuple[str, ...] = ()
    start_time: int | None = None
    end_time: int | None = None
    entitlements: tuple[str, ...] = ()


EVERYWHERE = Availability()


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
    picture_uri: str = ""
    locale: str = ""
    availability: Availability = EVERYWHERE


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One stored item. The vectors are None when there are none yet, or when the read was asked to leave
    them out. `revision` names the write that it comes from.
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
    picture_uri: str = ""
    locale: str = ""
    availability: Availability = EVERYWHERE
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """What happened to a catalogue after one state of it.

    Attributes:
        items: items that were written or got a vector since, with vectors, as they are now.
        deleted_item_ids: items that were deleted since and are not there now.
        sequence: the state that these changes lead to.
    """

    items: tuple[ItemRecord, ...]
    deleted_item_ids: tuple[str, ...]
    sequence: int


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
        has_own_time: whether the caller gave the time; otherwise it is the time of the first receipt.
        slate_id: list that the event followed from, empty when none is known.
        position: place of the item in that list, from 0.
    """

    event_id: str
    user_id: str
    item_id: str
    kind: int
    weight: float
    event_time: int
    watched_fraction: float | None = None
    rating: float | None = None
    has_own_time: bool = True
    slate_id: str = ""
    position: int | None = None


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
    slate_id: str = ""
    position: int | None = None


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """What became of a batch of events.

    Attributes:
        written: events that were stored.
        duplicates: events whose id was there already or came twice.
        conflicts: ids of those duplicates whose content differs from the first, in the order of the batch.
        erased: events that were dropped because their user was erased after they happened.
    """

    written: int
    duplicates: int
    conflicts: tuple[str, ...] = ()
    erased: int = 0


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


SEEN_EVENTS = 50_000
"""Newest events of a user that count as seen: bounds the read for a user with millions of events."""


@dataclass(frozen=True, slots=True)
class RouteArm:
    """One choice of a route; see route_service.proto."""

    name: str
    model: str
    version: str
    weight: int


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a task; `key` is the number of the contract's RouteKey."""

    task: str
    key: int
    arms: tuple[RouteArm, ...]
    salt: str = ""
    update_time: int = 0


@dataclass(frozen=True, slots=True)
class Slate:
    """A list that was served.

    Attributes:
        slate_id: unique over all tenants.
        expire_time: pages and attribution are answered until then.
        arm: of the route that chose the bundle; empty without one.
        item_ids: all items of all pages, best first.
        propensities: little-endian float32 for each item: the probability with which it got its place.
        content: what later pages are made of, as the recommendation pipeline packed it.
    """

    slate_id: str
    user_id: str
    surface: str
    create_time: int
    expire_time: int
    bundle_version: str
    arm: str
    item_ids: tuple[str, ...]
    propensities: bytes
    content: bytes


class AttributedEvent(NamedTuple):
    """An event that followed from a list, as far as reports need it."""

    sequence: int
    slate_id: str
    position: int
    weight: float
    watched_fraction: float | None


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What `Store.erase_user` erased, and when."""

    event_count: int
    slate_count: int
    erase_time: int


@dataclass(frozen=True, slots=True)
class Retention:
    """What `Store.maintain` may delete; times are ages in microseconds.

    Attributes:
        events: events that were received longer ago; None keeps them for ever.
        deduplication: how long the store knows that it has an event; the window of exactly once.
        deletions: how long `Store.item_changes` can tell deleted items.
    """

    events: int | None
    deduplication: int
    deletions: int


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What `Store.maintain` deleted. `unfinished` tells that more is left for the next call."""

    events: int
    receipts: int
    slates: int
    unfinished: bool


@dataclass(frozen=True, slots=True)
class RecommendationState:
    """Everything that a recommendation reads from the store, as of one moment.

    Attributes:
        history: the user's newest events up to the limit, oldest first.
        seen_item_ids: every item of the user's newest `SEEN_EVENTS` events.
        event_count: number of the user's stored events, at most `SEEN_EVENTS`.
        catalog_sequence: which state of the catalogue the answer must know.
        bundle: which bundle serves.
        route: arms of the task "recommend"; None without a route.
        settings: the user's settings, a serialised message; empty without any.
    """

    history: list[UserEvent]
    seen_item_ids: frozenset[str]
    event_count: int
    catalog_sequence: int
    bundle: BundlePointer
    route: Route | None = None
    settings: bytes = b""


@dataclass(frozen=True)
class StoredPolicy:
    """One version of a moderation policy.

    Attributes:
        version: from 1.
        policy: a serialised ModerationPolicy message.
        create_time: microseconds since 1970.
    """

    name: str
    version: int
    policy: bytes
    create_time: int


def policy_changed(name: str, current: int, expected: int) -> ServiceError:
    """Return the error of a write that expected another version of a policy."""
    return FailedPrecondition(
        "POLICY_CHANGED",
        f"policy {name!r} is at version {current}, not {expected}; read it and decide again",
        metadata={"current_version": str(current), "expected_version": str(expected)},
    )
