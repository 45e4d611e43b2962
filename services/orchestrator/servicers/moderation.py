"""ModerationService: checks requests, hands messages to the moderator, keeps policies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceServicer
from services.orchestrator.content.moderation.moderator import Moderator, policy_message
from services.orchestrator.content.moderation.policy import DEFAULT_NAME, check_policy
from services.orchestrator.content.request_checks import check_language, check_texts
from services.orchestrator.content.streams import waiting_together
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.servicers.content import message_error
from services.orchestrator.store import Store
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

# Messages of a stream that are decided together.
_MOST_TOGETHER = 64


class ModerationServicer(ModerationServiceServicer):
    """See moderation_service.proto for what the methods promise."""

    def __init__(self, store: Store, moderator: Moderator) -> None:
        self._store = store
        self._moderator = moderator

    async def ModerateText(self, request: pb.ModerateTextRequest, context: CallContext) -> pb.ModerateTextResponse:
        """Decide on messages."""
        check = Violations()
        check_texts(check, request.texts)
        check.text("policy", request.policy, minimum=0, maximum=64)
        check_language(check, request.language)
        trial = request.dry_run if request.HasField("dry_run") else None
        if trial is not None:
            check_policy(check, "dry_run", trial, named=False)
        check.raise_if_any()
        steps = StepLog()
        found = await self._moderator.moderate(
            current_request().tenant, request.texts, request.policy, steps, trial=trial, language=request.language
        )
        return pb.ModerateTextResponse(
            decisions=found.decisions,
            dry_run_decisions=found.tried,
            changed_count=sum(
                before.action != after.action for before, after in zip(found.decisions, found.tried, strict=False)
            ),
            policy_version=found.policy_version,
            degraded=steps.degraded,
            steps=steps.reports,
        )

    async def StreamModerateText(
        self, request_iterator: AsyncIterator[pb.StreamModerateTextRequest], context: CallContext
    ) -> AsyncIterator[pb.StreamModerateTextResponse]:
        """Decide on messages as they come."""
        first: pb.StreamModerateTextRequest | None = None
        async with aclosing(waiting_together(request_iterator, _MOST_TOGETHER)) as waiting:
            async for messages in waiting:
                if first is None:
                    first = messages[0]
                    check = Violations()
                    check.text("policy", first.policy, minimum=0, maximum=64)
                    check_language(check, first.language)
                    check.raise_if_any()
                for reply in await self._decide(messages, first):
                    yield reply

    async def _decide(
        self, messages: Sequence[pb.StreamModerateTextRequest], first: pb.StreamModerateTextRequest
    ) -> list[pb.StreamModerateTextResponse]:
        """Decide on messages of one stream together, by what its first message asked."""
        errors = [message_error(message.message_id, message.text) for message in messages]
        good = [message.text for message, error in zip(messages, errors, strict=True) if not error]
        steps = StepLog()
        found = await self._moderator.moderate(
            current_request().tenant, good, first.policy, steps, language=first.language
        )
        decisions = iter(found.decisions)
        replies = []
        for message, error in zip(messages, errors, strict=True):
            reply = pb.StreamModerateTextResponse(message_id=message.message_id[:128], error=error)
            if not error:
                reply.decision.CopyFrom(next(decisions))
                reply.degraded = steps.degraded
            replies.append(reply)
        return replies

    async def SetModerationPolicy(
        self, request: pb.SetModerationPolicyRequest, context: CallContext
    ) -> pb.SetModerationPolicyResponse:
        """Make a new version of a policy."""
        check = Violations()
        check_policy(check, "policy", request.policy)
        if request.expected_version < 0:
            check.add("expected_version", f"is {request.expected_version}; it must not be negative")
        check.raise_if_any()
        kept = pb.ModerationPolicy()
        kept.CopyFrom(request.policy)
        kept.ClearField("version")
        kept.ClearField("create_time")
        stored = await self._store.add_moderation_policy(
            current_request().tenant, kept.name, kept.SerializeToString(), expected=request.expected_version
        )
        return pb.SetModerationPolicyResponse(policy=policy_message(stored))

    async def GetModerationPolicy(
        self, request: pb.GetModerationPolicyRequest, context: CallContext
    ) -> pb.GetModerationPolicyResponse:
        """Return a policy."""
        check = Violations()
        check.text("name", request.name, minimum=0, maximum=64)
        if request.version < 0:
            check.add("version", f"is {request.version}; it must not be negative")
        check.raise_if_any()
        tenant = current_request().tenant
        policy = await self._moderator.policy(tenant, request.name or DEFAULT_NAME, request.version)
        return pb.GetModerationPolicyResponse(policy=policy)

    async def ListModerationPolicies(
        self, request: pb.ListModerationPoliciesRequest, context: CallContext
    ) -> pb.ListModerationPoliciesResponse:
        """List all versions."""
        check = Violations()
        limit = check.size("limit", request.limit, default=100, maximum=1_000)
        check.raise_if_any()
        stored = await self._store.moderation_policies(current_request().tenant, limit)
        policies = [policy_message(each) for each in stored]
        for policy in policies:
            del policy.blocked_phrases[:], policy.allowed_phrases[:]
        return pb.ListModerationPoliciesResponse(policies=policies)
