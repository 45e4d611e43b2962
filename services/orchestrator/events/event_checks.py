"""Checks events that callers want stored against the limits of event_service.proto."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from marquee.entertainment.v1 import event_service_pb2 as pb
from services.orchestrator.events.weights import event_weight
from services.orchestrator.recommend.slate_tokens import Attribution
from services.orchestrator.store.records import EventWrite
from services.runtime.errors import InvalidRequest
from services.runtime.validation import Violations

_MAXIMUM_EVENTS = 1_000
# The range that the contract's Timestamp type defines: years 1 to 9999.
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799

_OWN_FIELDS: dict[str, tuple[int, str, float, float, bool]] = {
    "watched_fraction": (pb.EVENT_KIND_PLAY, "plays", 0.0, 1.0, False),
    "rating": (pb.EVENT_KIND_RATING, "ratings", 0.5, 5.0, True),
    "custom_weight": (pb.EVENT_KIND_CUSTOM, "custom events", -10.0, 10.0, True),
}
"""Field → (the kind it belongs to, that kind in words, lowest, highest, required there)."""


class Attributions(Protocol):
    """Reads the tokens that came with lists."""

    def read_attribution(self, token: str, *, tenant: str, user_id: str, item_id: str, now: int) -> Attribution:
        """Return what a token says; raises `InvalidRequest` for one that is changed, expired or another's."""


@dataclass(frozen=True)
class EventChecks:
    """Checks events of one deployment.

    Attributes:
        attributions: reads attribution tokens.
        skew_microseconds: how far ahead of ours a sender's clock may be.
    """

    attributions: Attributions
    skew_microseconds: int = 60_000_000

    def checked(self, tenant: str, events: Sequence[pb.Event], now: int, prefix: str = "") -> list[EventWrite]:
        """Return the events as the store takes them.

        Args:
            tenant: whose events they are.
            events: the caller's events.
            now: microseconds since 1970; the time of events that carry none.
            prefix: of field names, for example "batches[3].".

        Raises:
            InvalidRequest: names every invalid field.
        """
        violations = Violations()
        attributions: list[Attribution | None] = []
        if violations.count(f"{prefix}events", events, minimum=1, maximum=_MAXIMUM_EVENTS):
            for index, event in enumerate(events):
                field = f"{prefix}events[{index}]"
                _check(violations, field, event, now, self.skew_microseconds)
                attributions.append(self._attribution(violations, field, tenant, event, now))
        violations.raise_if_any()
        return [_write(event, now, attribution) for event, attribution in zip(events, attributions, strict=True)]

    def _attribution(
        self, violations: Violations, field: str, tenant: str, event: pb.Event, now: int
    ) -> Attribution | None:
        if not event.attribution_token:
            return None
        try:
            return self.attributions.read_attribution(
                event.attribution_token, tenant=tenant, user_id=event.user_id, item_id=event.item_id, now=now
            )
        except InvalidRequest as error:
            violations.add(f"{field}.attribution_token", error.violations[0].description)
            return None


def _check(violations: Violations, field: str, event: pb.Event, now: int, skew: int) -> None:
    violations.identifier(f"{field}.event_id", event.event_id)
    violations.identifier(f"{field}.user_id", event.user_id)
    violations.identifier(f"{field}.item_id", event.item_id)
    if event.kind == pb.EVENT_KIND_UNSPECIFIED:
        violations.add(f"{field}.kind", "is not set; it is required")
    elif event.kind not in pb.EventKind.values():
        violations.add(f"{field}.kind", f"is {event.kind}, which is no kind that this version knows")
    if event.HasField("event_time"):
        _check_time(violations, f"{field}.event_time", event, now, skew)
    for name, (kind, words, lowest, highest, required) in _OWN_FIELDS.items():
        if event.HasField(name):  # type: ignore[arg-type]  # the stub wants a literal
            if event.kind != kind:
                violations.add(f"{field}.{name}", f"belongs to {words} only; leave it out")
            else:
                violations.within(f"{field}.{name}", getattr(event, name), lowest, highest)
        elif required and event.kind == kind:
            violations.add(f"{field}.{name}", f"is not set; {words} need it")


def _check_time(violations: Violations, field: str, event: pb.Event, now: int, skew: int) -> None:
    time = event.event_time
    if not (_FIRST_SECOND <= time.seconds <= _LAST_SECOND and 0 <= time.nanos < 1_000_000_000):
        violations.add(field, "is no valid time: years 1 to 9999, nanos 0 to 999,999,999")
    elif _microseconds(event) > now + skew:
        description = f"is more than {skew / 1e6:g} seconds in the future; check the sender's clock"
        violations.add(field, description)


def _microseconds(event: pb.Event) -> int:
    return event.event_time.seconds * 1_000_000 + event.event_time.nanos // 1_000


def _write(event: pb.Event, now: int, attribution: Attribution | None) -> EventWrite:
    return EventWrite(
        event_id=event.event_id,
        user_id=event.user_id,
        item_id=event.item_id,
        kind=event.kind,
        weight=event_weight(event),
        event_time=_microseconds(event) if event.HasField("event_time") else now,
        watched_fraction=event.watched_fraction if event.HasField("watched_fraction") else None,
        rating=event.rating if event.HasField("rating") else None,
        has_own_time=event.HasField("event_time"),
        slate_id=attribution.slate_id if attribution else "",
        position=attribution.position if attribution else None,
    )
