"""Leave-one-out by time, measured through the gRPC API of a running mesh.

Protocol: the last event of each user is the test item, everything before is stored and trained on, and all unseen
items of the
catalogue compete. Events with equal times are put in a seeded random order; figures are the mean of several such seeds.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.entertainment.v1.event_service_pb2 import Event
from marquee.entertainment.v1.recommendation_service_pb2 import RecommendResponse
from marquee_client import MarqueeClient, RecommendOptions

PAGE = 10
TRIES = 5


@dataclass(frozen=True)
class Split:
    """Events to store, in the order to store them, and each user's held-out item."""

    stored: Sequence[Event]
    held_out: dict[str, str]


@dataclass(frozen=True)
class Figures:
    """Hit rate and NDCG of the first ten places, the mean over users; and how many users that were."""

    hit_rate: float
    ndcg: float
    users: int


def split(events: Sequence[Event], seed: int) -> Split:
    """Hold out each user's last event; equal times are ordered by `seed`."""
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    by_user: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(shuffled, key=lambda event: event.event_time.seconds):
        by_user[event.user_id].append(event)
    # The store keeps events with equal times in the order they came, so storing in this order keeps the seed's order.
    stored = [event for history in by_user.values() for event in history[:-1]]
    held_out = {user_id: history[-1].item_id for user_id, history in by_user.items() if len(history) > 1}
    return Split(stored, held_out)


def measure(client: MarqueeClient, held_out: dict[str, str], diversity: float | None) -> Figures:
    """Ask for one page for each user and see where the held-out item stands; None takes the API's default diversity."""
    options = RecommendOptions(page_size=PAGE, reason_count=0, diversity=diversity)
    hits, gain = 0, 0.0
    for user_id, item_id in held_out.items():
        answer = _whole_answer(client, user_id, options)
        shown = [item.item_id for item in answer.items]
        if item_id in shown:
            hits += 1
            gain += 1 / math.log2(shown.index(item_id) + 2)
    return Figures(hits / len(held_out), gain / len(held_out), len(held_out))


def _whole_answer(client: MarqueeClient, user_id: str, options: RecommendOptions) -> RecommendResponse:
    """Ask until no step was late: a machine that is busy with something else now and then keeps one waiting."""
    for _ in range(TRIES):
        answer = client.recommend(user_id, **options)
        if not answer.degraded:
            return answer
        time.sleep(1)
    raise AssertionError(f"a degraded answer measures nothing: {answer.steps}")
