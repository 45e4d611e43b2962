"""Leave-one-out by time, measured through the gRPC API of a running mesh.

Protocol: the last event of each user is the test item, everything before is stored and trained on, and all unseen
items of the
catalogue compete. Events with equal times are put in a seeded random order; figures are the mean of several such seeds.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.entertainment.v1.catalog_service_pb2 import Item
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
    """What the first ten places are like.

    Attributes:
        hit_rate: share of users whose held-out item is among them.
        ndcg: its NDCG, mean over the users.
        users: how many users that were.
        similarity: mean cosine of the tags of two items of a list, mean over the users: intra-list similarity.
        coverage: share of the catalogue that somebody was shown.
    """

    hit_rate: float
    ndcg: float
    users: int
    similarity: float
    coverage: float


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


def measure(client: MarqueeClient, items: Sequence[Item], held_out: dict[str, str], diversity: float | None) -> Figures:
    """Ask for one page for each user and see where the held-out item stands; None takes the API's default diversity."""
    options = RecommendOptions(page_size=PAGE, reason_count=0, diversity=diversity)
    tags = {item.item_id: frozenset(item.tags) for item in items}
    hits, gain, similarity, everything = 0, 0.0, 0.0, set[str]()
    for user_id, item_id in held_out.items():
        answer = _whole_answer(client, user_id, options)
        shown = [item.item_id for item in answer.items]
        if item_id in shown:
            hits += 1
            gain += 1 / math.log2(shown.index(item_id) + 2)
        similarity += _similarity([tags[one] for one in shown])
        everything.update(shown)
    users = len(held_out)
    return Figures(hits / users, gain / users, users, similarity / users, len(everything) / len(items))


def _similarity(tags: Sequence[frozenset[str]]) -> float:
    """Mean cosine of all pairs; an item without tags is like no other."""
    pairs = [
        len(one & other) / math.sqrt(len(one) * len(other)) if one and other else 0.0
        for one, other in itertools.combinations(tags, 2)
    ]
    return sum(pairs) / len(pairs) if pairs else 0.0


def _whole_answer(client: MarqueeClient, user_id: str, options: RecommendOptions) -> RecommendResponse:
    """Ask until no step was late: a machine that is busy with something else now and then keeps one waiting."""
    for _ in range(TRIES):
        answer = client.recommend(user_id, **options)
        if not answer.degraded:
            return answer
        time.sleep(1)
    raise AssertionError(f"a degraded answer measures nothing: {answer.steps}")
