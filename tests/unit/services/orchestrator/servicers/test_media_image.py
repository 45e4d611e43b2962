"""`MediaService.AnalyzeImage` before a vision service that says what the tests have it say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import moderation_service_pb2 as policy_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from services.runtime.errors import NotFound, ServiceError, Unavailable
from tests.support.clients import Outcome, outcome_of
from tests.support.content_mesh import ContentStubs, content_mesh
from tests.support.scripted_vision import BROKEN, Script, scripted_vision
from tests.support.tenant_caller import Caller

PICTURE = b"\xff\xd8\xff a picture"
ALLOW, REVIEW, BLOCK = (
    policy_pb.MODERATION_ACTION_ALLOW,
    policy_pb.MODERATION_ACTION_REVIEW,
    policy_pb.MODERATION_ACTION_BLOCK,
)
DOWN = Unavailable("DOWN", "connection refused")


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def channel(tmp_path: Path, script: Script) -> AsyncIterator[grpc.aio.Channel]:
    async with (
        scripted_vision(script) as address,
        content_mesh(tmp_path, with_text=False, with_classical=False, vision_address=address) as mesh,
    ):
        yield mesh.orchestrator


@pytest.fixture
def caller(channel: grpc.aio.Channel) -> Caller:
    return Caller(channel, "default")


async def analyze(caller: Caller, image: bytes = PICTURE, **fields: Any) -> pb.AnalyzeImageResponse:
    request = pb.AnalyzeImageRequest(image=image, **fields)
    reply: pb.AnalyzeImageResponse = await caller.one("MediaService.AnalyzeImage", request)
    return reply


async def refused(caller: Caller, image: bytes = PICTURE, **fields: Any) -> Outcome:
    return await outcome_of(asyncio.ensure_future(analyze(caller, image, **fields)))


async def add_item(caller: Caller, item_id: str, picture: bytes = b"", **fields: Any) -> None:
    item = catalog_pb.Item(item_id=item_id, title=f"Title {item_id}", picture=picture, **fields)
    await caller.ask("CatalogService.UpsertItems", catalog_pb.UpsertItemsRequest(items=[item]))


async def item_of(caller: Caller, item_id: str) -> catalog_pb.Item:
    found: catalog_pb.Item = (
        await caller.one("CatalogService.GetItem", catalog_pb.GetItemRequest(item_id=item_id))
    ).item
    return found


def failures(analysis: pb.ImageAnalysis) -> dict[int, str]:
    return {failure.feature: failure.reason for failure in analysis.failures}


async def test_everything_but_faces_is_said_when_nothing_is_named(caller: Caller, script: Script) -> None:
    script.faces_allowed = True
    reply = await analyze(caller)
    found = reply.analysis
    assert [label.label for label in found.labels] == ["tabby", "tiger cat", "lynx"]
    assert [one.label for one in found.objects] == ["Cacodemon", "Medikit"]
    assert (found.width, found.height) == (320, 240)
    assert [game.label for game in found.games] == ["breakout", "pong"]
    assert found.decision.action == ALLOW
    assert (found.decision.policy, found.decision.policy_version) == ("default", 0)
    assert found.decision.unsafe_probability == pytest.approx(0.01)
    assert not found.faces
    assert not reply.degraded
    assert not reply.HasField("attachment")
    models = {step.step: step.model for step in reply.steps if step.service == "vision"}
    assert models["media/labels"] == "labels"
    assert "media/faces" not in models


@pytest.mark.parametrize(
    ("feature", "method"),
    [
        (pb.MEDIA_FEATURE_LABELS, "ClassifyImage"),
        (pb.MEDIA_FEATURE_OBJECTS, "DetectObjects"),
        (pb.MEDIA_FEATURE_FACES, "DetectFaces"),
        (pb.MEDIA_FEATURE_SAFETY, "ScreenImage"),
        (pb.MEDIA_FEATURE_SIMILAR_ITEMS, "EmbedImage"),
        (pb.MEDIA_FEATURE_GAME, "vit-atari-games"),
    ],
)
async def test_only_what_is_asked_for_is_looked_at(
    caller: Caller, script: Script, feature: pb.MediaFeature.ValueType, method: str
) -> None:
    await analyze(caller, features=[feature])
    assert script.asked == [(method, "default")]


async def test_faces_are_said_where_the_operator_allows_them(caller: Caller, script: Script) -> None:
    features = [pb.MEDIA_FEATURE_FACES, pb.MEDIA_FEATURE_LABELS]
    reply = await analyze(caller, features=features)
    assert failures(reply.analysis) == {pb.MEDIA_FEATURE_FACES: "FACES_NOT_ALLOWED"}
    assert reply.analysis.labels
    assert not reply.degraded
    script.faces_allowed = True
    reply = await analyze(caller, features=features)
    assert len(reply.analysis.faces) == 1
    assert not reply.analysis.failures


async def test_what_fails_is_named_and_the_rest_answers(caller: Caller, script: Script) -> None:
    script.failures = {
        "DetectObjects": NotFound("model", "model", "doom-detector"),
        "ScreenImage": DOWN,
        "vit-atari-games": ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", "too much"),
    }
    reply = await analyze(caller)
    assert reply.degraded
    assert failures(reply.analysis) == {
        pb.MEDIA_FEATURE_OBJECTS: "MODEL_UNAVAILABLE",
        pb.MEDIA_FEATURE_SAFETY: "SERVICE_UNAVAILABLE",
        pb.MEDIA_FEATURE_GAME: "SERVICE_OVERLOADED",
    }
    assert reply.analysis.labels
    lost = {step.step for step in reply.steps if step.outcome == STEP_OUTCOME_FALLBACK}
    assert lost == {"media/objects", "media/safety", "media/game"}
    decision = reply.analysis.decision
    assert decision.action == REVIEW, "the policy decides on what is not known"
    assert [reason.code for reason in decision.reasons] == ["unavailable"]
    assert not decision.HasField("unsafe_probability")


async def test_a_slow_model_costs_its_own_feature_only(caller: Caller, script: Script) -> None:
    script.slow = {"DetectObjects": 30.0}
    request = pb.AnalyzeImageRequest(image=PICTURE)
    media = caller.channel.unary_unary(
        "/marquee.entertainment.v1.MediaService/AnalyzeImage",
        request_serializer=pb.AnalyzeImageRequest.SerializeToString,
        response_deserializer=pb.AnalyzeImageResponse.FromString,
    )
    reply: Any = await media(request, timeout=3)
    assert failures(reply.analysis) == {pb.MEDIA_FEATURE_OBJECTS: "DEADLINE_EXCEEDED"}
    assert reply.analysis.labels


async def test_without_a_vision_service_every_feature_is_named(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_text=False, with_classical=False) as mesh:
        reply = await analyze(Caller(mesh.orchestrator, "default"))
    assert reply.degraded
    assert len(reply.analysis.failures) == 5
    assert reply.analysis.decision.action == REVIEW


@pytest.mark.parametrize(
    ("fields", "field", "limit"),
    [
        ({"image": b""}, "image", "required"),
        ({"image": BROKEN}, "image", "no picture"),
        ({"features": [99]}, "features[0]", "MEDIA_FEATURE_LABELS"),
        ({"features": [pb.MEDIA_FEATURE_LABELS, pb.MEDIA_FEATURE_HIGHLIGHTS]}, "features[1]", "only clips"),
        ({"options": pb.MediaOptions(label_count=-1)}, "options.label_count", "20"),
        ({"options": pb.MediaOptions(similar_count=-1)}, "options.similar_count", "100"),
        ({"options": pb.MediaOptions(minimum_object_score=1.5)}, "options.minimum_object_score", "0 to 1"),
        ({"options": pb.MediaOptions(policy="x" * 65)}, "options.policy", "64"),
        ({"attach": pb.MediaAttachment()}, "attach.item_id", "required"),
        ({"attach": pb.MediaAttachment(item_id="x", tag_count=-1)}, "attach.tag_count", "20"),
        (
            {"attach": pb.MediaAttachment(item_id="x", minimum_tag_probability=float("nan"))},
            "attach.minimum_tag_probability",
            "0 to 1",
        ),
    ],
)
async def test_bad_input_names_the_field_and_the_limit(
    caller: Caller, fields: dict[str, Any], field: str, limit: str
) -> None:
    outcome = await refused(caller, **fields)
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations[field]


async def test_an_unknown_policy_or_item_is_not_found_before_anything_is_analysed(
    caller: Caller, script: Script
) -> None:
    for fields in (
        {"options": pb.MediaOptions(policy="never-set"), "features": [pb.MEDIA_FEATURE_LABELS]},
        {"attach": pb.MediaAttachment(item_id="nowhere")},
    ):
        outcome = await refused(caller, **fields)
        assert outcome.code is grpc.StatusCode.NOT_FOUND
    assert outcome.violations.keys() == {"attach.item_id"}
    assert not script.asked


@pytest.mark.parametrize(
    ("unsafe", "action"), [(0.2, ALLOW), (0.5, REVIEW), (0.84, REVIEW), (0.85, BLOCK), (1.0, BLOCK)]
)
async def test_the_built_in_rule_reviews_from_half_and_blocks_from_85_percent(
    caller: Caller, script: Script, unsafe: float, action: int
) -> None:
    script.unsafe = unsafe
    decision = (await analyze(caller, features=[pb.MEDIA_FEATURE_SAFETY])).analysis.decision
    assert decision.action == action
    assert [reason.code for reason in decision.reasons] == (["unsafe"] if action != ALLOW else [])


async def test_the_tenants_policy_decides_and_can_be_gone_back_to(channel: grpc.aio.Channel, script: Script) -> None:
    caller, stubs = Caller(channel, "default"), ContentStubs(channel)
    rule = policy_pb.ImageRule(review_from=0.005, block_from=0.9, blocked_labels=["TABBY", "medikit"])
    first = await stubs.set_policy(image_rule=rule)
    assert first.image_rule == rule
    reply = await analyze(caller, features=[pb.MEDIA_FEATURE_SAFETY])
    decision = reply.analysis.decision
    assert (decision.action, decision.policy_version) == (BLOCK, 1)
    assert [reason.code for reason in decision.reasons] == ["unsafe", "blocked_label", "blocked_label"]
    assert not reply.analysis.labels, "what is looked at for the policy alone is not said"
    await stubs.set_policy(when_unknown=BLOCK)
    assert (await analyze(caller)).analysis.decision.action == ALLOW
    script.failures = {"ScreenImage": DOWN}
    assert (await analyze(caller)).analysis.decision.action == BLOCK
    again = await stubs.set_policy(image_rule=rule, expected_version=2)
    assert (again.version, again.image_rule) == (3, rule)


async def test_a_policy_that_cannot_be_followed_is_not_taken_for_kept(
    channel: grpc.aio.Channel, script: Script
) -> None:
    await ContentStubs(channel).set_policy(image_rule=policy_pb.ImageRule(blocked_labels=["rifle"]))
    script.failures = {"DetectObjects": DOWN}
    decision = (await analyze(Caller(channel, "default"))).analysis.decision
    assert decision.action == REVIEW
    assert [reason.code for reason in decision.reasons] == ["unavailable"]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (policy_pb.ImageRule(review_from=1.5), "policy.image_rule.review_from"),
        (policy_pb.ImageRule(review_from=0.8, block_from=0.5), "policy.image_rule.block_from"),
        (policy_pb.ImageRule(block_from=-0.1), "policy.image_rule.block_from"),
        (policy_pb.ImageRule(blocked_labels=[" "]), "policy.image_rule.blocked_labels[0]"),
        (policy_pb.ImageRule(blocked_labels=["x"] * 101), "policy.image_rule.blocked_labels"),
        (policy_pb.ImageRule(blocked_labels=["x" * 101]), "policy.image_rule.blocked_labels[0]"),
    ],
)
async def test_a_bad_image_rule_is_refused(channel: grpc.aio.Channel, rule: policy_pb.ImageRule, field: str) -> None:
    outcome = await outcome_of(asyncio.ensure_future(ContentStubs(channel).set_policy(image_rule=rule)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in outcome.violations


async def test_alike_items_are_those_that_everyone_can_see(caller: Caller, script: Script) -> None:
    jpeg = b"\xff\xd8\xff"
    script.vectors = {jpeg + b"near": (1, 0.1, 0), jpeg + b"far": (0, 0, 1), jpeg + b"same": (1, 0, 0)}
    for name in ("near", "far", "same"):
        await add_item(caller, name, jpeg + name.encode())
    await add_item(caller, "in-france", jpeg + b"same", availability=catalog_pb.Availability(regions=["FR"]))
    await add_item(caller, "no-picture")
    reply = await analyze(caller, features=[pb.MEDIA_FEATURE_SIMILAR_ITEMS], options=pb.MediaOptions(similar_count=2))
    assert [item.item_id for item in reply.analysis.similar_items] == ["same", "near"]
    assert reply.analysis.similar_items[0].similarity == pytest.approx(1.0)
    assert reply.analysis.similar_items[0].title == "Title same"
    assert not await other_tenants_similar(caller)


async def other_tenants_similar(caller: Caller) -> list[pb.SimilarMediaItem]:
    reply = await analyze(Caller(caller.channel, "somebody-else"), features=[pb.MEDIA_FEATURE_SIMILAR_ITEMS])
    return list(reply.analysis.similar_items)


async def test_an_attached_picture_counts_from_the_next_call_on(caller: Caller, script: Script) -> None:
    jpeg = b"\xff\xd8\xff"
    script.vectors = {PICTURE: (0, 1, 0), jpeg + b"1": (0, 1, 0.1), jpeg + b"2": (1, 0, 0)}
    await add_item(caller, "liked", jpeg + b"1")
    await add_item(caller, "other", jpeg + b"2")
    await add_item(caller, "new", tags=["Tabby", "Cosy"])
    script.labels = (("tabby", 0.6), ("tiger cat", 0.55), ("lynx", 0.05))
    reply = await analyze(caller, attach=pb.MediaAttachment(item_id="new"))
    assert reply.attachment == pb.AttachmentResult(attached=True, added_tags=["tiger cat"])
    assert "new" not in [item.item_id for item in reply.analysis.similar_items]
    similar = await caller.one(
        "RecommendationService.SimilarItems", recommendation_pb.SimilarItemsRequest(item_id="new")
    )
    assert similar.items[0].item_id == "liked"
    item = await item_of(caller, "new")
    assert list(item.tags) == ["Tabby", "Cosy", "tiger cat"]
    assert list(item.picture_labels) == ["tabby", "tiger cat"]
    alike = await analyze(caller, features=[pb.MEDIA_FEATURE_SIMILAR_ITEMS])
    assert alike.analysis.similar_items[0].item_id == "new"


async def test_what_is_blocked_or_not_seen_is_not_attached(caller: Caller, script: Script) -> None:
    await add_item(caller, "item")
    script.unsafe = 0.99
    blocked = await analyze(caller, attach=pb.MediaAttachment(item_id="item"), features=[pb.MEDIA_FEATURE_LABELS])
    assert not blocked.attachment.attached
    assert "not safe for work" in blocked.attachment.detail
    assert not blocked.analysis.HasField("decision")
    script.unsafe, script.failures = 0.0, {"EmbedImage": DOWN}
    unseen = await analyze(caller, attach=pb.MediaAttachment(item_id="item"))
    assert not unseen.attachment.attached
    assert "try again" in unseen.attachment.detail
    item = await item_of(caller, "item")
    assert not item.tags
    assert not item.picture_labels


async def test_attachments_and_updates_at_once_lose_nothing(caller: Caller, script: Script) -> None:
    await add_item(caller, "item", tags=["Mine"])
    script.labels = (("tabby", 0.9), ("lynx", 0.8))
    script.slow = {"ClassifyImage": 0.05}

    async def update() -> None:
        request = catalog_pb.UpdateItemRequest(item=catalog_pb.Item(item_id="item", description="New words"))
        request.update_mask.paths.append("description")
        await caller.ask("CatalogService.UpdateItem", request)

    attached = pb.MediaAttachment(item_id="item", tag_count=1)
    replies = await asyncio.gather(
        *(analyze(caller, attach=attached) for _ in range(3)),
        analyze(caller, attach=pb.MediaAttachment(item_id="item")),
        *(update() for _ in range(3)),
    )
    assert all(reply.attachment.attached for reply in replies if reply is not None)
    item = await item_of(caller, "item")
    assert item.description == "New words"
    assert sorted(item.tags) == ["Mine", "lynx", "tabby"]


async def test_no_item_gets_more_tags_than_it_may_have(caller: Caller, script: Script) -> None:
    await add_item(caller, "full", tags=[f"tag {number}" for number in range(49)])
    script.labels = (("tabby", 0.6), ("tiger cat", 0.55))
    reply = await analyze(caller, attach=pb.MediaAttachment(item_id="full"))
    assert list(reply.attachment.added_tags) == ["tabby"]
