"""Generated text for callers: as it comes, or a sentence at a time once moderation allows it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from marquee.entertainment.v1 import writing_service_pb2 as pb
from marquee.text.v1 import generation_pb2 as generation_pb
from services.orchestrator.content.model_errors import as_service_error
from services.orchestrator.content.moderation.moderator import Moderator
from services.orchestrator.content.moderation.policy import BLOCK
from services.orchestrator.mesh import Mesh, MeshError
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.request_context import current_request

# A sentence ends with a mark and a space, or with a line; a text without either is judged in pieces.
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*\s|\n")
_LONGEST_PIECE = 600
# What came before belongs to what a sentence means.
_CONTEXT_CHARACTERS = 400
_UNJUDGED = frozenset({"unavailable"})


@dataclass(frozen=True)
class Generation:
    """Passes generated text on."""

    mesh: Mesh
    moderator: Moderator
    settings: OrchestratorSettings

    async def generate(self, tenant: str, request: pb.GenerateTextRequest) -> AsyncGenerator[pb.GenerateTextResponse]:
        """Yield the text of a checked request as it is made; whoever stops reading stops the work.

        Raises:
            ServiceError: the text service refused the request, knows no such model or is down; or the policy was
                never set.
        """
        asked = generation_pb.GenerateTextRequest(prompt=request.prompt, model=request.model, options=request.options)
        remaining = current_request().remaining_seconds()
        seconds = self.settings.generation_seconds if remaining is None else remaining
        try:
            async with (
                aclosing(self.mesh.generate_text(asked, seconds)) as pieces,
                aclosing(
                    self._held_back(tenant, request.policy, pieces) if request.hold_back else _passed(pieces)
                ) as replies,
            ):
                async for reply in replies:
                    yield reply
        except MeshError as error:
            raise as_service_error(error, "ask for fewer tokens or more time") from error

    async def _held_back(
        self, tenant: str, policy: str, pieces: AsyncIterator[generation_pb.GenerateTextResponse]
    ) -> AsyncGenerator[pb.GenerateTextResponse]:
        """Yield whole sentences that moderation allows; the first that it does not ends the text."""
        await self.moderator.policy(tenant, policy)
        waiting, said, seed = "", "", 0
        async for piece in pieces:
            waiting += piece.text
            seed = piece.seed or seed
            last = piece.HasField("usage") or piece.HasField("report")
            cut = len(waiting) if last or len(waiting) > _LONGEST_PIECE else _last_end(waiting)
            ready, waiting = waiting[:cut], waiting[cut:]
            why = await self._why_withheld(tenant, policy, said, ready) if ready.strip() else ""
            if why:
                yield pb.GenerateTextResponse(seed=seed, withheld=why)
                return
            said = (said + ready)[-_CONTEXT_CHARACTERS:]
            if ready or last:
                reply = pb.GenerateTextResponse(text=ready, seed=seed, finish_reason=piece.finish_reason)
                if piece.HasField("usage"):
                    reply.usage.CopyFrom(piece.usage)
                if piece.HasField("report"):
                    reply.report.CopyFrom(piece.report)
                seed = 0
                yield reply

    async def _why_withheld(self, tenant: str, policy: str, before: str, sentence: str) -> str:
        found = await self.moderator.moderate(tenant, [sentence, before + sentence], policy, StepLog(), language="en")
        for decision in found.decisions:
            if decision.action == BLOCK:
                reasons = ", ".join(reason.code for reason in decision.reasons)
                return f"the policy blocks what comes next: {reasons}"
            if any(reason.code in _UNJUDGED for reason in decision.reasons):
                return "no model answered that could judge what comes next"
        return ""


async def _passed(
    pieces: AsyncIterator[generation_pb.GenerateTextResponse],
) -> AsyncGenerator[pb.GenerateTextResponse]:
    async for piece in pieces:
        reply = pb.GenerateTextResponse(
            text=piece.text, tokens=piece.tokens, finish_reason=piece.finish_reason, seed=piece.seed
        )
        if piece.HasField("usage"):
            reply.usage.CopyFrom(piece.usage)
        if piece.HasField("report"):
            reply.report.CopyFrom(piece.report)
        yield reply


def _last_end(text: str) -> int:
    """Return the place behind the last whole sentence, 0 without one."""
    return max((match.end() for match in _SENTENCE_END.finditer(text)), default=0)
