"""What a caller of the whole mesh sees: personal lists with true reasons, filters, and the newest event at once."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_OK
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee_client import MarqueeClient, NotFound
from services.cli.local_mesh import LocalMesh

pytestmark = pytest.mark.e2e

PICTURES = Path(__file__).parents[1] / "data" / "pictures"
USER = "196"


def like(client: MarqueeClient, user_id: str, item_id: str) -> None:
    event = event_pb.Event(event_id=uuid.uuid4().hex, user_id=user_id, item_id=item_id, kind=event_pb.EVENT_KIND_LIKE)
    assert client.write_events([event]).written_count == 1


def test_list_is_computed_by_separate_processes(movielens_mesh: LocalMesh, client: MarqueeClient) -> None:
    assert len(set(movielens_mesh.pids.values())) == 4
    answer = client.recommend(USER)
    assert len(answer.items) == 10
    assert not answer.degraded
    ran = {step.step: step for step in answer.steps if step.outcome == STEP_OUTCOME_OK}
    assert {ran["candidates/classical"].service, ran["candidates/text"].service} == {"classical", "text"}
    assert ran["rank"].version == answer.bundle_version == client.serving_bundle().version
    assert all(step.milliseconds > 0 for step in ran.values())


def test_list_differs_between_users_and_repeats_nothing_seen(client: MarqueeClient) -> None:
    lists = {user: [item.item_id for item in client.recommend(user).items] for user in (USER, "405", "13")}
    assert len({tuple(items) for items in lists.values()}) == 3
    for user, items in lists.items():
        seen = {event.item_id for event in client.list_user_events(user)}
        assert not seen & set(items)
        assert len(set(items)) == len(items)


def test_reasons_name_history_items_strongest_first(client: MarqueeClient) -> None:
    seen = {event.item_id for event in client.list_user_events(USER)}
    for item in client.recommend(USER, reason_count=5).items:
        shares = [reason.share for reason in item.reasons]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1.001
        named = {reason.item_id for reason in item.reasons if reason.kind == pb.REASON_KIND_HISTORY_ITEM}
        assert named <= seen
    assert any(item.reasons for item in client.recommend(USER).items)


def test_newest_event_changes_the_very_next_answer(client: MarqueeClient) -> None:
    user = f"new-{uuid.uuid4().hex[:8]}"
    before = client.recommend(user)
    assert before.history_count == 0
    like(client, user, "50")  # Star Wars
    after = client.recommend(user)
    assert after.history_count == 1
    assert [item.item_id for item in after.items] != [item.item_id for item in before.items]
    assert "50" not in {item.item_id for item in after.items}
    assert "181" in {item.item_id for item in after.items}  # Return of the Jedi
    like(client, user, "172")  # The Empire Strikes Back
    assert "172" not in {item.item_id for item in client.recommend(user).items}


def test_narrow_filter_still_fills_the_page(client: MarqueeClient) -> None:
    answer = client.recommend(USER, page_size=10, required_tags=["film-noir"], excluded_tags=["Comedy"])
    assert len(answer.items) == 10
    for item in answer.items:
        tags = {tag.casefold() for tag in item.tags}
        assert "film-noir" in tags
        assert "comedy" not in tags


def test_excluded_items_stay_out(client: MarqueeClient) -> None:
    first = [item.item_id for item in client.recommend(USER).items]
    second = [item.item_id for item in client.recommend(USER, excluded_item_ids=first).items]
    assert len(second) == 10
    assert not set(first) & set(second)


def test_same_state_gives_the_same_list(client: MarqueeClient) -> None:
    answers = [[(item.item_id, item.score) for item in client.recommend("13").items] for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]


def test_diversity_brings_other_genres(client: MarqueeClient) -> None:
    def genres(diversity: float) -> float:
        users = ("13", "405", "655", "450", "276")
        lists = [client.recommend(user, page_size=10, diversity=diversity).items for user in users]
        return sum(len({tag for item in items for tag in item.tags}) for items in lists) / len(lists)

    assert genres(0.7) > genres(0.0)


def test_similar_items_are_alike(client: MarqueeClient) -> None:
    answer = client.similar_items("50", page_size=5)
    assert not answer.degraded
    assert "50" not in {item.item_id for item in answer.items}
    assert {"172", "181"} & {item.item_id for item in answer.items}
    with pytest.raises(NotFound) as refused:
        client.similar_items("no-such-item")
    assert refused.value.field_violations[0].field == "item_id"


def test_new_item_with_picture_is_recommended_at_once(client: MarqueeClient) -> None:
    item = catalog_pb.Item(
        item_id=f"espresso-{uuid.uuid4().hex[:6]}",
        title="The Last Espresso",
        description="A comedy about a café and its guests.",
        tags=["Comedy"],
        picture=(PICTURES / "coffee.jpg").read_bytes(),
    )
    try:
        assert not client.upsert_items([item]).degraded
        stored = client.get_item(item.item_id)
        assert "espresso" in stored.picture_labels
        assert not stored.picture
        found = {shown.item_id: shown for shown in client.recommend(USER).items}
        assert item.item_id in found
        kinds = {reason.kind for reason in found[item.item_id].reasons}
        assert pb.REASON_KIND_CONTENT in kinds
        alike = client.similar_items(item.item_id, page_size=5).items
        assert len(alike) == 5
    finally:
        client.delete_item(item.item_id)
    assert item.item_id not in {shown.item_id for shown in client.recommend(USER).items}


def test_known_user_can_be_required(client: MarqueeClient) -> None:
    assert len(client.recommend("nobody-yet").items) == 10
    with pytest.raises(NotFound) as refused:
        client.recommend("nobody-yet", require_known_user=True)
    assert refused.value.field_violations[0].field == "user_id"


@pytest.mark.timeout(300)
def test_rollback_serves_the_bundle_before(movielens_mesh: LocalMesh, client: MarqueeClient) -> None:
    from tests.e2e.conftest import run_marquee  # noqa: PLC0415

    first = client.serving_bundle().version
    time.sleep(1.1)  # versions are named after the second they were made in
    run_marquee(movielens_mesh, "train")
    second = client.serving_bundle().version
    assert second != first
    assert client.recommend(USER).bundle_version == second
    assert client.rollback_bundle().version == first
    assert client.recommend(USER).bundle_version == first
