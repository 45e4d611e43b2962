from __future__ import annotations

import pytest

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.orchestrator.content.moderation.moderator import Moderator, policy_message
from services.orchestrator.content.moderation.policy import ALLOW, BLOCK, BUILT_IN, REVIEW
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.runtime.errors import NotFound

NOWHERE = "127.0.0.1:9"


@pytest.fixture
async def moderator(store: Store) -> Moderator:
    """Before model services that do not answer."""
    return Moderator(store, Mesh({"text": NOWHERE, "vision": NOWHERE, "classical": NOWHERE}), OrchestratorSettings())


async def test_the_built_in_policy_decides_until_one_is_set_and_then_each_version_can_be_read(
    moderator: Moderator, store: Store
) -> None:
    assert await moderator.policy("studio", "") == BUILT_IN
    for note in ("one", "two"):
        policy = pb.ModerationPolicy(name="default", note=note)
        await store.add_moderation_policy("studio", "default", policy.SerializeToString(), expected=0)
    assert (await moderator.policy("studio", "")).note == "two"
    assert (await moderator.policy("studio", "default", 1)).note == "one"
    assert await moderator.policy("arcade", "") == BUILT_IN


@pytest.mark.parametrize(("name", "version"), [("strict", 0), ("", 3), ("default", 1)])
async def test_what_was_never_set_is_not_found(moderator: Moderator, name: str, version: int) -> None:
    with pytest.raises(NotFound):
        await moderator.policy("studio", name, version)


async def test_a_stored_policy_says_its_version_and_time(store: Store) -> None:
    sent = pb.ModerationPolicy(name="default", version=77, when_unknown=BLOCK).SerializeToString()
    message = policy_message(await store.add_moderation_policy("studio", "default", sent, expected=0))
    assert (message.version, message.when_unknown) == (1, BLOCK)
    assert message.create_time.seconds > 1_700_000_000


async def test_nothing_is_allowed_because_nobody_could_look(moderator: Moderator) -> None:
    steps = StepLog()
    trial = pb.ModerationPolicy(when_unknown=ALLOW)
    found = await moderator.moderate("studio", ["gg", "hi there"], "", steps, trial=trial)
    assert [decision.action for decision in found.decisions] == [REVIEW, REVIEW]
    assert [decision.action for decision in found.tried] == [ALLOW, ALLOW]
    assert steps.degraded


async def test_no_message_needs_no_model(moderator: Moderator) -> None:
    steps = StepLog()
    assert not (await moderator.moderate("studio", [], "", steps)).decisions
    assert not steps.degraded
