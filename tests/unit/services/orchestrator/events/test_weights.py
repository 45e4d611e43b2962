from __future__ import annotations

import pytest

from marquee.entertainment.v1 import event_service_pb2 as pb
from services.orchestrator.events.weights import event_weight, rating_weight


@pytest.mark.parametrize(
    ("event", "weight"),
    [
        (pb.Event(kind=pb.EVENT_KIND_VIEW), 0.3),
        (pb.Event(kind=pb.EVENT_KIND_PLAY), 1.0),
        (pb.Event(kind=pb.EVENT_KIND_PLAY, watched_fraction=0.25), 0.25),
        (pb.Event(kind=pb.EVENT_KIND_PLAY, watched_fraction=0.0), 0.0),
        (pb.Event(kind=pb.EVENT_KIND_LIKE), 1.0),
        (pb.Event(kind=pb.EVENT_KIND_DISLIKE), -1.0),
        (pb.Event(kind=pb.EVENT_KIND_SKIP), -0.3),
        (pb.Event(kind=pb.EVENT_KIND_PURCHASE), 1.5),
        (pb.Event(kind=pb.EVENT_KIND_CUSTOM, custom_weight=-7.5), -7.5),
    ],
)
def test_the_contract_s_weights(event: pb.Event, weight: float) -> None:
    assert event_weight(event) == pytest.approx(weight)


def test_every_kind_has_a_weight() -> None:
    for kind in pb.EventKind.values():
        if kind != pb.EVENT_KIND_UNSPECIFIED:
            assert -10 <= event_weight(pb.Event(kind=kind, rating=3.0, custom_weight=1.0)) <= 10


def test_a_better_rating_never_weighs_less() -> None:
    weights = [rating_weight(0.5 + step / 10) for step in range(46)]
    assert weights == sorted(weights)
    assert 0 < weights[0] < weights[-1] == 1.0
