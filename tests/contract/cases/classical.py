"""What the classical service is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.common.v1 import candidate_pb2
from tests.contract.cases.candidates import BUNDLE, HISTORY, CandidateCases
from tests.contract.cases.kinds import Answer, BadCall, Cases, GoodCall, IndependenceCase, invalid_text
from tests.support.bundles import ITEMS

SERVICE = "/marquee.classical.v1.ClassicalService"
RANK = f"{SERVICE}/RankCandidates"
MESSAGE_LIMIT = 4 << 20


def rank(item_ids: Sequence[str] = ITEMS, **changes: Any) -> pb.RankCandidatesRequest:
    """Return a request for a ranking."""
    history = [candidate_pb2.HistoryItem(item_id=item, weight=weight) for item, weight in HISTORY]
    fields = {"bundle_version": BUNDLE, "history": history, **changes}
    return pb.RankCandidatesRequest(item_ids=item_ids, **fields)


def items_of(reply: Any) -> list[Answer]:
    """Take what was said of each item, in the order of their ids."""
    return [
        Answer(
            labels=[one.item_id, *(part.item_id for part in one.history)],
            scores=[
                one.score,
                one.linear_score,
                one.positive_history_total,
                *(part.contribution for part in one.features),
                *(part.contribution for part in one.history),
            ],
        )
        for one in sorted(reply.candidates, key=lambda one: ITEMS.index(one.item_id))
    ]


def bad_calls() -> list[BadCall]:
    """Return rankings that must be refused."""
    event = candidate_pb2.HistoryItem
    return [
        BadCall("a ranking of nothing", RANK, rank([]), field="item_ids"),
        BadCall("a ranking of 2,001 items", RANK, rank([str(n) for n in range(2_001)]), field="item_ids"),
        BadCall("a ranking of an item twice", RANK, rank(["item-1", "item-2", "item-1"]), field="item_ids[2]"),
        BadCall("a ranking by no version", RANK, rank(bundle_version=""), field="bundle_version"),
        BadCall("a ranking by a path", RANK, rank(bundle_version="../v1"), field="bundle_version"),
        BadCall("a ranking for a bad tenant", RANK, rank(tenant="A"), field="tenant"),
        BadCall("a negative number of contributions", RANK, rank(contribution_count=-1), field="contribution_count"),
        BadCall("a ranking with too much history", RANK, rank(history=[event()] * 1_001), field="history"),
        BadCall(
            "a ranking with an endless weight",
            RANK,
            rank(history=[event(item_id="item-1", weight=float("inf"))]),
            field="history[0].weight",
        ),
        BadCall("a ranking of invalid text", RANK, invalid_text(rank(["item-1", "@@"])), field="item_ids[1]"),
        BadCall("bytes that are no message", RANK, b"\xff\xff\xff\xff", field="request", reason="INVALID_MESSAGE"),
        BadCall(
            "a ranking by a bundle that is not loaded",
            RANK,
            rank(bundle_version="v2"),
            grpc.StatusCode.FAILED_PRECONDITION,
            reason="BUNDLE_NOT_LOADED",
        ),
        BadCall(
            "an oversize message",
            RANK,
            rank(["x" * (MESSAGE_LIMIT + 1)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "request",
            "MESSAGE_TOO_LARGE",
        ),
        BadCall(
            "a message that the transport refuses",
            RANK,
            rank(["x" * (MESSAGE_LIMIT * 2 + 1)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
        BadCall("a passed deadline", RANK, rank(), grpc.StatusCode.DEADLINE_EXCEEDED, seconds=-1),
    ]


def cases() -> Cases:
    """Return everything the classical service is asked; its recommenders come in bundles, its models are the tests'."""
    candidates = CandidateCases(f"{SERVICE}/GenerateCandidates", pb.GenerateCandidatesRequest, ["near", "next"])
    return Cases(
        good=[
            GoodCall("a ranking", RANK, rank()),
            GoodCall("a ranking without history", RANK, rank(history=[])),
            GoodCall("a ranking with unknown items", RANK, rank(["item-1", "unknown"])),
            GoodCall("a ranking of unknown items only", RANK, rank(["unknown"])),
            GoodCall("a huge number of contributions", RANK, rank(contribution_count=2**31 - 1)),
            *candidates.good(),
        ],
        bad=[*bad_calls(), *candidates.bad()],
        independence=[
            IndependenceCase("a ranking", RANK, rank(), [rank([item]) for item in ITEMS], items_of),
            *candidates.independence(),
        ],
        scorers=["near", "next"],
        models={"forest-values": "1", "linear-scores": "1"},
    )
