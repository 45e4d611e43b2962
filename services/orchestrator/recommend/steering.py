"""What a caller asks of a list beyond its filters: wishes, weights and places, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import CategoryCap, Taste
from services.runtime.validation import Violations

MOST_CAPS = 20
MOST_WISHES = 50
MOST_SOURCES = 20
MOST_EXPLORED = 20
HIGHEST_POSITION = 99
EXPLORE_EVERY = 5
"""One place in so many is drawn unless the request names the places; the last of each stretch."""
DEFAULT_TEMPERATURE = 1.0
_LARGEST_BOOST = 5.0
_LARGEST_WEIGHT = 10.0
_LARGEST_TEMPERATURE = 10.0


@dataclass(frozen=True)
class ExplorationOptions:
    """Places to draw, ascending from 0, and how freely."""

    positions: tuple[int, ...]
    temperature: float


@dataclass(frozen=True)
class Steering:
    """Checked wishes of a request.

    Attributes:
        item_boosts: standard deviations of the candidates' scores to move, by item id.
        tag_boosts: the same by case-folded tag: promotions and tastes together.
        liked_tags: tags with a positive taste, as they were written, strongest first.
        source_weights: factor of each source's say, by its name.
        caps: most items on a page by case-folded tag.
        fatigue: 0 to 1.
        arm: name of the route's arm to take; empty for the user's own.
        seed: of every random choice; None draws one.
        exploration: None when nothing is tried out.
    """

    item_boosts: Mapping[str, float] = field(default_factory=dict)
    tag_boosts: Mapping[str, float] = field(default_factory=dict)
    liked_tags: tuple[str, ...] = ()
    source_weights: Mapping[str, float] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    fatigue: float = 0.0
    arm: str = ""
    seed: int | None = None
    exploration: ExplorationOptions | None = None

    @property
    def moves(self) -> bool:
        """Whether anything but the ranker decides about the order."""
        boosts = (self.item_boosts, self.tag_boosts, self.source_weights, self.caps)
        return any(boosts) or self.fatigue > 0 or self.exploration is not None


def read_steering(check: Violations, request: pb.RecommendRequest, page_size: int) -> Steering:
    """Read the wishes of a request; what is bad is added to the violations."""
    boosts = _read_promotions(check, request.promotions)
    tastes = _read_tastes(check, request.tastes)
    for tag, weight in tastes.items():
        boosts.tags[tag] = boosts.tags.get(tag, 0.0) + weight
    if check.count("source_weights", request.source_weights, maximum=MOST_SOURCES):
        for name, weight in request.source_weights.items():
            check.within(f"source_weights[{name[:64]}]", weight, 0.0, _LARGEST_WEIGHT)
    check.within("impression_fatigue", request.impression_fatigue, 0.0, 1.0)
    check.text("arm", request.arm, minimum=0, maximum=64)
    return Steering(
        item_boosts=boosts.items,
        tag_boosts=boosts.tags,
        liked_tags=tuple(sorted((tag for tag, weight in tastes.items() if weight > 0), key=lambda tag: -tastes[tag])),
        source_weights=dict(request.source_weights),
        caps=_read_caps(check, request.category_caps),
        fatigue=request.impression_fatigue,
        arm=request.arm,
        seed=request.seed if request.HasField("seed") else None,
        exploration=_read_exploration(check, request, page_size),
    )


@dataclass(frozen=True)
class _Boosts:
    items: dict[str, float] = field(default_factory=dict)
    tags: dict[str, float] = field(default_factory=dict)


def _read_promotions(check: Violations, promotions: Sequence[pb.Promotion]) -> _Boosts:
    boosts = _Boosts()
    if not check.count("promotions", promotions, maximum=MOST_WISHES):
        return boosts
    for index, promotion in enumerate(promotions):
        name = f"promotions[{index}]"
        check.within(f"{name}.boost", promotion.boost, -_LARGEST_BOOST, _LARGEST_BOOST)
        match promotion.WhichOneof("target"):
            case "item_id":
                check.identifier(f"{name}.item_id", promotion.item_id)
                boosts.items[promotion.item_id] = boosts.items.get(promotion.item_id, 0.0) + promotion.boost
            case "tag":
                check.text(f"{name}.tag", promotion.tag, maximum=64)
                tag = promotion.tag.casefold()
                boosts.tags[tag] = boosts.tags.get(tag, 0.0) + promotion.boost
            case _:
                check.add(name, "names neither an item_id nor a tag")
    return boosts


def _read_tastes(check: Violations, tastes: Sequence[Taste]) -> dict[str, float]:
    found: dict[str, float] = {}
    if check.count("tastes", tastes, maximum=MOST_WISHES):
        for index, taste in enumerate(tastes):
            check.text(f"tastes[{index}].tag", taste.tag, maximum=64)
            check.within(f"tastes[{index}].weight", taste.weight, -1.0, 1.0)
            tag = taste.tag.casefold()
            if tag in found:
                check.add(f"tastes[{index}].tag", f"{taste.tag[:64]!r} is stated twice")
            found[tag] = taste.weight
    return found


def _read_caps(check: Violations, caps: Sequence[CategoryCap]) -> dict[str, int]:
    found: dict[str, int] = {}
    if check.count("category_caps", caps, maximum=MOST_CAPS):
        for index, cap in enumerate(caps):
            check.text(f"category_caps[{index}].tag", cap.tag, maximum=64)
            check.within(f"category_caps[{index}].maximum", cap.maximum, 0, 100)
            tag = cap.tag.casefold()
            if tag in found:
                check.add(f"category_caps[{index}].tag", f"{cap.tag[:64]!r} has another cap already")
            found[tag] = cap.maximum
    return found


def _read_exploration(check: Violations, request: pb.RecommendRequest, page_size: int) -> ExplorationOptions | None:
    if not request.HasField("exploration"):
        return None
    wanted = request.exploration
    temperature = wanted.temperature if wanted.HasField("temperature") else DEFAULT_TEMPERATURE
    if not (math.isfinite(temperature) and 0 < temperature <= _LARGEST_TEMPERATURE):
        check.add(
            "exploration.temperature", f"is {temperature:g}; it must be above 0, at most {_LARGEST_TEMPERATURE:g}"
        )
    if check.count("exploration.positions", wanted.positions, maximum=MOST_EXPLORED):
        for index, position in enumerate(wanted.positions):
            check.within(f"exploration.positions[{index}]", position, 0, HIGHEST_POSITION)
        check.unique("exploration.positions", [str(position) for position in wanted.positions])
    pinned = {slot.position for slot in request.slots} & set(wanted.positions)
    if pinned:
        check.add("exploration.positions", f"{min(pinned)} is also the position of a slot; it can be only one of both")
    positions = tuple(sorted(wanted.positions)) or tuple(range(EXPLORE_EVERY - 1, page_size, EXPLORE_EVERY))
    return ExplorationOptions(positions, temperature)
