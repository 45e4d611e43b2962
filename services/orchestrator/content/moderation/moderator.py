"""Moderation of messages: language, disguises, models, policy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.orchestrator.content.language import Language, identify_all
from services.orchestrator.content.moderation.policy import BUILT_IN, DEFAULT_NAME, decide
from services.orchestrator.content.moderation.toxicity import Reading, read_disguises, read_messages
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import StoredPolicy
from services.runtime.errors import NotFound

_SHARE = 0.9
_INLINE_CHARACTERS = 10_000


@dataclass(frozen=True)
class Moderated:
    """Decisions in the order of the messages: by the policy, and by the one to try, if any."""

    decisions: Sequence[pb.ModerationDecision]
    tried: Sequence[pb.ModerationDecision]
    policy_version: int


@dataclass(frozen=True)
class Moderator:
    """Decides on messages."""

    store: Store
    mesh: Mesh
    settings: OrchestratorSettings

    async def policy(self, tenant: str, name: str, version: int = 0, field: str = "policy") -> pb.ModerationPolicy:
        """Return a version of a policy, with 0 the one that decides; `field` is where the request names it.

        Raises:
            NotFound: it was never set.
            ServiceError: the store cannot be read.
        """
        stored = await self.store.moderation_policy(tenant, name or DEFAULT_NAME, version)
        if stored is not None:
            return policy_message(stored)
        if version or (name or DEFAULT_NAME) != DEFAULT_NAME:
            raise NotFound(field, "moderation policy", name, "set it with SetModerationPolicy, or name none")
        return BUILT_IN

    async def moderate(
        self,
        tenant: str,
        texts: Sequence[str],
        policy_name: str,
        steps: StepLog,
        *,
        trial: pb.ModerationPolicy | None = None,
        language: str = "",
    ) -> Moderated:
        """Decide on checked messages.

        Raises:
            NotFound: the policy was never set.
            ServiceError: the store cannot be read.
        """
        with steps.measure("policy"):
            policy = await self.policy(tenant, policy_name)
        with steps.measure("language"):
            languages = [Language(language, 1.0)] * len(texts) if language else await identify_all(texts)
        known = [row for row, found in enumerate(languages) if found.supported]
        budget = Budget.for_current_call(self.settings.content_seconds)
        seconds = budget.step(_SHARE, self.settings.content_seconds)
        answers = await read_messages(self.mesh, [texts[row] for row in known], steps, seconds) if known else []
        others = [row for row, found in enumerate(languages) if not found.supported]
        plain = await read_disguises([texts[row] for row in others])
        readings = dict(zip(known, answers, strict=True)) | dict(zip(others, map(Reading, plain), strict=True))
        rows = range(len(texts))
        unknown = [_why_unknown(languages[row], readings[row]) for row in rows]

        def decisions(by: pb.ModerationPolicy) -> list[pb.ModerationDecision]:
            return [decide(by, texts[row], readings[row], unknown[row]) for row in rows]

        def both() -> Moderated:
            return Moderated(decisions(policy), decisions(trial) if trial is not None else [], policy.version)

        # Looking for a thousand phrases takes about 1 ms for 5,000 characters.
        return both() if sum(map(len, texts)) <= _INLINE_CHARACTERS else await asyncio.to_thread(both)


def policy_message(stored: StoredPolicy) -> pb.ModerationPolicy:
    """Return a stored policy as it is sent."""
    message = pb.ModerationPolicy.FromString(stored.policy)
    message.name, message.version = stored.name, stored.version
    message.create_time.FromMicroseconds(stored.create_time)
    return message


def _why_unknown(language: Language, reading: Reading) -> tuple[str, str] | None:
    if not language.supported:
        return "unsupported_language", f"no loaded model knows the language {language.code!r}"
    if not reading.findings:
        return "unavailable", "no model answered"
    if not reading.whole:
        return "unavailable", "the models did not come to the end of the message"
    return None
