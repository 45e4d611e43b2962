"""Moderation of messages: language, disguises, models, policy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.orchestrator.content.language import Language, identify
from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.moderation.policy import BUILT_IN, DEFAULT_NAME, decide
from services.orchestrator.content.moderation.toxicity import Reading, read_messages
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import StoredPolicy
from services.runtime.errors import NotFound

_SHARE = 0.9


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

    async def policy(self, tenant: str, name: str, version: int = 0) -> pb.ModerationPolicy:
        """Return a version of a policy, with 0 the one that decides.

        Raises:
            NotFound: it was never set.
            ServiceError: the store cannot be read.
        """
        stored = await self.store.moderation_policy(tenant, name or DEFAULT_NAME, version)
        if stored is not None:
            return policy_message(stored)
        if version or (name or DEFAULT_NAME) != DEFAULT_NAME:
            raise NotFound("policy", "moderation policy", name, "set it with SetModerationPolicy, or name none")
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
            languages = [Language(language, 1.0)] * len(texts) if language else await _identify(texts)
        known = [row for row, found in enumerate(languages) if found.supported]
        budget = Budget.for_current_call(self.settings.content_seconds)
        seconds = budget.step(_SHARE, self.settings.content_seconds)
        answers = await read_messages(self.mesh, [texts[row] for row in known], steps, seconds) if known else []
        readings = dict(zip(known, answers, strict=True))
        unknown = [_why_unknown(languages[row], readings.get(row)) for row in range(len(texts))]
        read = [readings.get(row) or Reading(canonical(texts[row], load_lexicon())) for row in range(len(texts))]
        rows = range(len(texts))
        return Moderated(
            [decide(policy, texts[row], read[row], unknown[row]) for row in rows],
            [decide(trial, texts[row], read[row], unknown[row]) for row in rows] if trial is not None else [],
            policy.version,
        )


def policy_message(stored: StoredPolicy) -> pb.ModerationPolicy:
    """Return a stored policy as it is sent."""
    message = pb.ModerationPolicy.FromString(stored.policy)
    message.name, message.version = stored.name, stored.version
    message.create_time.FromMicroseconds(stored.create_time)
    return message


async def _identify(texts: Sequence[str]) -> list[Language]:
    """Identify on a thread when there is much to read."""
    if sum(map(len, texts)) < 2_000:
        return [identify(text) for text in texts]
    return await asyncio.to_thread(lambda: [identify(text) for text in texts])


def _why_unknown(language: Language, reading: Reading | None) -> tuple[str, str] | None:
    if not language.supported:
        return "unsupported_language", f"no loaded model knows the language {language.code!r}"
    if reading is not None and not reading.findings:
        return "unavailable", "no model answered"
    return None
