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
PREDICT = f"{SERVICE}/PredictBehaviour"
TOXICITY = f"{SERVICE}/ScoreToxicity"
CHAT = ("what a great film", "shut up you stupid moron", "gg", "\u200b", "idiot " * 500)
DAY = 86_400.0
USERS = ((990.0, 995.0, 999.0), (100.0,), (1.0, 300.0, 600.0, 900.0))
TASKS = ("return", "engagement", "value", "next-session")
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


def behaviour(*users: Sequence[float], **changes: Any) -> pb.PredictBehaviourRequest:
    """Return a request about users who came on these days before the thousandth."""
    fields: dict[str, Any] = {"task": pb.BEHAVIOUR_TASK_RETURN, "horizon_days": 30.0, **changes}
    request = pb.PredictBehaviourRequest(**fields)
    request.now.FromSeconds(1_000 * int(DAY))
    for days in users or USERS:
        request.users.add(event_seconds=[day * DAY for day in days], event_values=[1.0] * len(days))
    return request


def predictions_of(reply: Any) -> list[Answer]:
    """Take what was said of each user."""
    return [Answer(scores=[value]) for value in reply.values]


def bad_behaviour() -> list[BadCall]:
    """Return predictions that must be refused."""
    uneven = behaviour()
    uneven.users[0].event_values.pop()
    endless = behaviour()
    endless.users[1].event_seconds[0] = float("inf")
    return [
        BadCall("a prediction of nothing", PREDICT, behaviour(task=0), field="task"),
        BadCall("a prediction of something unknown", PREDICT, behaviour(task=99), field="task"),
        BadCall(
            "a prediction for nobody", PREDICT, pb.PredictBehaviourRequest(task=pb.BEHAVIOUR_TASK_RETURN), field="users"
        ),
        BadCall("a prediction for 257 users", PREDICT, behaviour(*[[1.0]] * 257), field="users"),
        BadCall("a prediction from no event", PREDICT, behaviour([]), field="users[0].event_seconds"),
        BadCall("a prediction from 10,001 events", PREDICT, behaviour([1.0] * 10_001), field="users[0].event_seconds"),
        BadCall("values that do not fit the times", PREDICT, uneven, field="users[0].event_values"),
        BadCall("a time that is no number", PREDICT, endless, field="users[1].event_seconds"),
        BadCall("a horizon in the past", PREDICT, behaviour(horizon_days=-1), field="horizon_days"),
        BadCall("a horizon that is no number", PREDICT, behaviour(horizon_days=float("nan")), field="horizon_days"),
        BadCall(
            "a prediction by a model for something else",
            PREDICT,
            behaviour(model="value-svm"),
            grpc.StatusCode.NOT_FOUND,
            field="model",
        ),
        BadCall(
            "a prediction by an unknown model", PREDICT, behaviour(model="oracle"), grpc.StatusCode.NOT_FOUND, "model"
        ),
    ]


def toxicity(texts: Sequence[str] = CHAT, model: str = "") -> pb.ScoreToxicityRequest:
    """Return a request for toxicity."""
    return pb.ScoreToxicityRequest(texts=texts, model=model)


def toxicity_of(reply: Any) -> list[Answer]:
    """Take what was said of each text."""
    return [
        Answer(scores=[result.probability, *(word.contribution for word in result.words)]) for result in reply.results
    ]


def bad_toxicity() -> list[BadCall]:
    """Return calls for toxicity that must be refused."""
    return [
        BadCall("toxicity of nothing", TOXICITY, toxicity([]), field="texts"),
        BadCall("toxicity of a blank text", TOXICITY, toxicity(["a", " "]), field="texts[1]"),
        BadCall("toxicity of an over-long text", TOXICITY, toxicity(["x" * 10_001]), field="texts[0]"),
        BadCall("toxicity of 257 texts", TOXICITY, toxicity(["x"] * 257), field="texts"),
        BadCall("toxicity, not UTF-8", TOXICITY, invalid_text(toxicity(["a", "@@"])), field="texts[1]"),
        BadCall("toxicity by another model", TOXICITY, toxicity(model="segments"), grpc.StatusCode.NOT_FOUND, "model"),
    ]


def cases() -> Cases:
    """Return everything the classical service is asked; its recommenders come in bundles, some of its models are the
    tests'."""
    candidates = CandidateCases(f"{SERVICE}/GenerateCandidates", pb.GenerateCandidatesRequest, ["near", "next"])
    return Cases(
        good=[
            GoodCall("a ranking", RANK, rank()),
            GoodCall("a ranking without history", RANK, rank(history=[])),
            GoodCall("a ranking with unknown items", RANK, rank(["item-1", "unknown"])),
            GoodCall("a ranking of unknown items only", RANK, rank(["unknown"])),
            GoodCall("a huge number of contributions", RANK, rank(contribution_count=2**31 - 1)),
            *(
                GoodCall(
                    f"{task} by {family}", PREDICT, behaviour(task=number, model=f"{task}-{family}"), f"{task}-{family}"
                )
                for number, task in enumerate(TASKS, start=1)
                for family in ("gradient", "svm", "forest")
            ),
            GoodCall("segments", PREDICT, behaviour(task=pb.BEHAVIOUR_TASK_SEGMENT), "segments"),
            GoodCall("a prediction for somebody who comes later", PREDICT, behaviour([1_001.0])),
            GoodCall("toxicity", TOXICITY, toxicity(), "toxicity-svm"),
            *candidates.good(),
        ],
        bad=[*bad_calls(), *bad_behaviour(), *bad_toxicity(), *candidates.bad()],
        independence=[
            IndependenceCase("a ranking", RANK, rank(), [rank([item]) for item in ITEMS], items_of),
            IndependenceCase("return", PREDICT, behaviour(), [behaviour(user) for user in USERS], predictions_of),
            IndependenceCase("toxicity", TOXICITY, toxicity(), [toxicity([text]) for text in CHAT], toxicity_of),
            *candidates.independence(),
        ],
        scorers=["near", "next"],
        models={
            "forest-values": "1",
            "linear-scores": "1",
            "segments": "1",
            "toxicity-svm": "1",
            **{f"{task}-{family}": "1" for task in TASKS for family in ("gradient", "svm", "forest")},
        },
    )
