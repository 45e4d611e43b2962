"""What the caller asked for, checked and with defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1 import search_service_pb2 as search_pb
from services.orchestrator.catalog.item_checks import REGION
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.recommend.filters import CompiledFilter, FilterInvalid, compile_filter
from services.orchestrator.recommend.slots import read_slots
from services.orchestrator.recommend.steering import Steering, read_steering
from services.runtime.validation import Violations

Filtering = pb.RecommendRequest | pb.SimilarItemsRequest | search_pb.SearchRequest | search_pb.SuggestRequest

DEFAULT_PAGE = 10
MAXIMUM_PAGE = 100
DEFAULT_DIVERSITY = 0.1
DEFAULT_REASONS = 3
MAXIMUM_REASONS = 10
_MAXIMUM_TAGS = 50
_MAXIMUM_EXCLUDED = 1_000
_MAXIMUM_SESSION = 50
_OLDEST_AGE = 21


@dataclass(frozen=True)
class ItemFilter:
    """Which items of the catalogue may be shown at all."""

    required_tags: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()
    maximum_maturity_age: int | None = None
    region: str = ""
    entitlements: tuple[str, ...] = ()
    expression: CompiledFilter | None = None

    def mask(self, snapshot: CatalogSnapshot) -> Mask:
        """Return bool[N], the items of a catalogue that pass."""
        allowed = snapshot.mask(
            self.required_tags,
            self.excluded_tags,
            self.maximum_maturity_age,
            region=self.region,
            entitlements=self.entitlements,
        )
        if self.expression is not None:
            allowed &= self.expression.mask(snapshot)
        return allowed


@dataclass(frozen=True)
class RecommendOptions:
    """A checked `RecommendRequest`."""

    user_id: str
    page_size: int
    excluded_item_ids: frozenset[str]
    filter: ItemFilter
    diversity: float
    include_seen: bool
    reason_count: int
    require_known_user: bool
    novelty: float = 0.0
    session_item_ids: tuple[str, ...] = ()
    slots: Mapping[int, str] = field(default_factory=dict)
    steering: Steering = field(default_factory=Steering)


@dataclass(frozen=True)
class SimilarOptions:
    """A checked `SimilarItemsRequest`."""

    item_id: str
    page_size: int
    filter: ItemFilter


def read_recommend(request: pb.RecommendRequest) -> RecommendOptions:
    """Check a request; raises `InvalidRequest` naming every bad field."""
    check = Violations()
    check.identifier("user_id", request.user_id)
    check.text("surface", request.surface, minimum=0, maximum=64)
    check.count("excluded_item_ids", request.excluded_item_ids, maximum=_MAXIMUM_EXCLUDED)
    diversity = request.diversity if request.HasField("diversity") else DEFAULT_DIVERSITY
    check.within("diversity", diversity, 0.0, 1.0)
    check.within("novelty", request.novelty, 0.0, 1.0)
    if check.count("session_item_ids", request.session_item_ids, maximum=_MAXIMUM_SESSION):
        for index, item_id in enumerate(request.session_item_ids):
            check.identifier(f"session_item_ids[{index}]", item_id)
    reasons = DEFAULT_REASONS
    if request.HasField("reason_count"):
        reasons = min(request.reason_count, MAXIMUM_REASONS)
        if reasons < 0:
            check.add(
                "reason_count",
                f"is {request.reason_count}; it must not be negative (the limit is {MAXIMUM_REASONS})",
            )
    page_size = check.size("page_size", request.page_size, default=DEFAULT_PAGE, maximum=MAXIMUM_PAGE)
    options = RecommendOptions(
        user_id=request.user_id,
        page_size=page_size,
        excluded_item_ids=frozenset(request.excluded_item_ids),
        filter=read_filter(check, request),
        diversity=diversity,
        include_seen=request.include_seen,
        reason_count=reasons,
        require_known_user=request.require_known_user,
        novelty=request.novelty,
        session_item_ids=tuple(request.session_item_ids),
        slots=read_slots(check, request.slots, set(request.excluded_item_ids)),
        steering=read_steering(check, request, page_size),
    )
    check.raise_if_any()
    return options


def read_similar(request: pb.SimilarItemsRequest) -> SimilarOptions:
    """Check a request; raises `InvalidRequest` naming every bad field."""
    check = Violations()
    check.identifier("item_id", request.item_id)
    options = SimilarOptions(
        item_id=request.item_id,
        page_size=check.size("page_size", request.page_size, default=DEFAULT_PAGE, maximum=MAXIMUM_PAGE),
        filter=read_filter(check, request),
    )
    check.raise_if_any()
    return options


def read_filter(check: Violations, request: Filtering) -> ItemFilter:
    """Check the fields of a filter, which several requests have, and return it."""
    _check_tags(check, "required_tags", request.required_tags)
    _check_tags(check, "excluded_tags", request.excluded_tags)
    age = request.maximum_maturity_age if request.HasField("maximum_maturity_age") else None
    if age is not None:
        check.within("maximum_maturity_age", age, 0, _OLDEST_AGE)
    if request.region and not REGION.fullmatch(request.region):
        check.add("region", 'is no ISO 3166 code of 2 letters with an optional subdivision, such as "DE" or "US-CA"')
    _check_tags(check, "entitlements", request.entitlements)
    expression = None
    if request.filter:
        try:
            expression = compile_filter(request.filter)
        except FilterInvalid as error:
            check.add("filter", f"cannot be used: {error}")
    return ItemFilter(
        tuple(request.required_tags),
        tuple(request.excluded_tags),
        age,
        request.region.upper(),
        tuple(request.entitlements),
        expression,
    )


def _check_tags(check: Violations, field: str, tags: Sequence[str]) -> None:
    if check.count(field, tags, maximum=_MAXIMUM_TAGS):
        for index, tag in enumerate(tags):
            check.text(f"{field}[{index}]", tag, maximum=64)
