"""GenerateCandidates is the same in every family, and so are its cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from marquee.common.v1 import candidate_pb2
from tests.contract.cases.kinds import Answer, BadCall, GoodCall, IndependenceCase, invalid_text
from tests.support.bundles import ITEMS

BUNDLE = "v1"
HISTORY = (("item-3", 1.0), ("item-8", 2.0))


def query(**changes: Any) -> candidate_pb2.CandidateQuery:
    """Return a good query with some fields changed."""
    history = [candidate_pb2.HistoryItem(item_id=item, weight=weight) for item, weight in HISTORY]
    return candidate_pb2.CandidateQuery(**{"bundle_version": BUNDLE, "history": history, **changes})


class CandidateCases:
    """Cases of one family's GenerateCandidates.

    Args:
        method: "/package.Service/GenerateCandidates".
        request: message type of its request.
        scorers: scorers that the family serves from the tests' bundle.
    """

    def __init__(self, method: str, request: type[Message], scorers: Sequence[str]) -> None:
        self._method = method
        self._request: Any = request
        self._scorers = scorers

    def good(self) -> list[GoodCall]:
        """Return calls that must be answered."""
        queries = {
            "candidates": query(),
            "candidates without history": query(history=[]),
            "candidates for unknown history": query(history=[candidate_pb2.HistoryItem(item_id="?", weight=1)]),
            "candidates under a filter": query(allowed_items=b"\xf0\x0f", excluded_item_ids=["item-4", "unknown"]),
            "candidates, a huge count": query(candidates_per_scorer=2**31 - 1),
        }
        model = "+".join(self._scorers)
        return [GoodCall(name, self._method, self._request(query=one), model) for name, one in queries.items()]

    def independence(self) -> list[IndependenceCase]:
        """Return the case that asks all scorers together and each alone."""
        return [
            IndependenceCase(
                "candidates",
                self._method,
                self._request(query=query(scorers=self._scorers)),
                [self._request(query=query(scorers=[scorer])) for scorer in self._scorers],
                lambda reply: [
                    Answer(labels=list(found.item_ids), scores=list(found.scores)) for found in reply.candidates.scorers
                ],
            )
        ]

    def bad(self) -> list[BadCall]:
        """Return calls that must be refused."""
        event = candidate_pb2.HistoryItem
        fields = {
            "candidates without a query": (self._request(), "query.bundle_version"),
            "candidates, a negative count": (query(candidates_per_scorer=-1), "query.candidates_per_scorer"),
            "candidates, a bad tenant": (query(tenant="../x"), "query.tenant"),
            "candidates, a path as version": (query(bundle_version="../v1"), "query.bundle_version"),
            "candidates, an over-long version": (query(bundle_version="v" * 65), "query.bundle_version"),
            "candidates, a weight that is no number": (
                query(history=[event(item_id=ITEMS[0], weight=float("nan"))]),
                "query.history[0].weight",
            ),
            "candidates, too much history": (query(history=[event(item_id="x", weight=1)] * 1_001), "query.history"),
            "candidates, too many exclusions": (query(excluded_item_ids=["x"] * 10_001), "query.excluded_item_ids"),
            "candidates, an unknown scorer": (query(scorers=["deep"]), "query.scorers[0]"),
            "candidates, one scorer a thousand times": (query(scorers=[self._scorers[0]] * 1_000), "query.scorers"),
            "candidates, a short filter": (query(allowed_items=b"\xff"), "query.allowed_items"),
        }
        refused = [
            BadCall(name, self._method, self._wrap(content), field=field) for name, (content, field) in fields.items()
        ]
        unloaded = BadCall(
            "candidates of a bundle that is not loaded",
            self._method,
            self._request(query=query(bundle_version="v2")),
            grpc.StatusCode.FAILED_PRECONDITION,
            reason="BUNDLE_NOT_LOADED",
        )
        not_utf8 = BadCall(
            "candidates, invalid text deep inside",
            self._method,
            invalid_text(self._request(query=query(history=[event(item_id="a"), event(item_id="@@")]))),
            field="query.history[1].item_id",
        )
        return [*refused, unloaded, not_utf8]

    def _wrap(self, content: Message) -> Message:
        if isinstance(content, candidate_pb2.CandidateQuery):
            wrapped: Message = self._request(query=content)
            return wrapped
        return content
