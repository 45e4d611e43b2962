"""Analysis of a clip while it arrives: passed on to the vision service and back, and summed up at the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import grpc

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.vision.v1 import video_pb2 as video_pb
from services.orchestrator.content.media.attachment import Attacher
from services.orchestrator.content.media.clip_findings import ClipFindings, told
from services.orchestrator.content.media.clip_requests import video_requests
from services.orchestrator.content.media.clip_summary import ClipSummaries
from services.orchestrator.content.media.clip_wishes import ClipWish, video_start
from services.orchestrator.content.media.features import FACES
from services.orchestrator.content.media.image import needed
from services.orchestrator.content.media.probes import faces_refused
from services.orchestrator.content.media.vision_failures import faces_not_allowed
from services.orchestrator.content.model_errors import as_service_error
from services.orchestrator.content.moderation.moderator import Moderator
from services.orchestrator.mesh import Mesh, MeshError
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.errors import ServiceError, Unavailable
from services.runtime.request_context import current_request

# What is left of the caller's time when the vision service must be done.
_SUMMARY_SHARE, _LONGEST_SUMMARY_SECONDS = 0.1, 5.0


@dataclass(frozen=True)
class ClipAnalyzer:
    """Analyses clips with the vision service."""

    mesh: Mesh
    moderator: Moderator
    attacher: Attacher
    summaries: ClipSummaries
    settings: OrchestratorSettings

    async def analyze(
        self, tenant: str, wish: ClipWish, requests: AsyncIterator[pb.AnalyzeClipRequest]
    ) -> AsyncGenerator[pb.AnalyzeClipResponse]:
        """Yield the answers of a clip as they come, and the summary at the end.

        Nothing is kept of what passes by but sums: a chunk is taken from the caller when the vision service takes it,
        an answer when the caller takes it.

        Raises:
            NotFound: the policy was never set, or there is no item to attach the clip to.
            ServiceError: the clip is none, the vision service refuses it or is down, the store cannot be read.
        """
        steps = StepLog()
        media = wish.media
        with steps.measure("policy"):
            policy = await self.moderator.policy(tenant, media.policy, field="start.options.policy")
        if media.attachment is not None:
            await self.attacher.check(tenant, media.attachment, "start.attach")
        features, findings = needed(media, policy), ClipFindings()
        if FACES in features and await faces_refused(self.mesh, self.settings.media_seconds):
            features -= {FACES}
            findings.failed[FACES] = faces_not_allowed()
        left = current_request().remaining_seconds() or self.settings.default_stream_deadline_seconds
        seconds = left - min(_SUMMARY_SHARE * left, _LONGEST_SUMMARY_SECONDS)
        sent = video_requests(video_start(wish, features), requests)
        summary: video_pb.VideoSummary | None = None
        checkpoint: float | None = None
        with steps.measure("media/clip", "vision"):
            try:
                async with aclosing(sent), aclosing(self.mesh.analyze_video(sent, seconds)) as answers:
                    async for answer in answers:
                        match answer.WhichOneof("payload"):
                            case "segment":
                                findings.add(answer.segment)
                            case "problem":
                                findings.note(answer.problem)
                            case "checkpoint":
                                checkpoint = answer.checkpoint.next_seconds
                            case "summary":
                                summary = answer.summary
                        reply = told(answer, media.features, media.label_count, media.minimum_object_score)
                        if reply is not None:
                            yield reply
            except MeshError as error:
                raise _ended(error, checkpoint) from error
        if summary is None:
            raise Unavailable("VISION_SERVICE_UNAVAILABLE", "the vision service ended without a summary; try again")
        found = await self.summaries.summarize(tenant, wish, policy, findings, summary, steps)
        yield pb.AnalyzeClipResponse(summary=found)


def _ended(error: MeshError, checkpoint: float | None) -> ServiceError:
    """Return what the caller is told of a clip that the vision service ended, with the way to go on."""
    if checkpoint is None:
        advice = "send the clip again, with checkpoint_interval_seconds to be able to go on where it ends"
    else:
        advice = f"send the clip again with the checkpoint of second {checkpoint:g}"
    found = as_service_error(error, f"ask for less or give it more time; {advice}")
    if found.code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable("VISION_SERVICE_UNAVAILABLE", f"{error.summary()}; {advice}")
    return found
