"""The end of a clip's analysis: highlights, decision, what looks alike, and the attachment."""

from __future__ import annotations

from dataclasses import dataclass

from marquee.common.v1.report_pb2 import STEP_OUTCOME_OK, StepReport
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import moderation_service_pb2 as policy_pb
from marquee.vision.v1 import video_pb2 as video_pb
from services.orchestrator.content.media.attachment import Attacher
from services.orchestrator.content.media.clip_findings import ClipFindings
from services.orchestrator.content.media.clip_wishes import ClipWish
from services.orchestrator.content.media.decision import decide
from services.orchestrator.content.media.features import FACES, GAME, HIGHLIGHTS, LABELS, OBJECTS, SAFETY, SIMILAR
from services.orchestrator.content.media.highlights import find_highlights
from services.orchestrator.content.media.looks import STEPS
from services.orchestrator.content.media.probes import vector_model
from services.orchestrator.content.media.similar import SimilarPictures, find_similar
from services.orchestrator.content.media.vision_failures import NOT_ALLOWED, failure_of
from services.orchestrator.content.media.wishes import MOST_LABELS
from services.orchestrator.mesh import Mesh, MeshError
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store.records import ItemVector

_PROBE_SHARE = 0.5


@dataclass(frozen=True)
class ClipSummaries:
    """Sums clips up."""

    mesh: Mesh
    similar: SimilarPictures
    attacher: Attacher
    settings: OrchestratorSettings

    async def summarize(
        self,
        tenant: str,
        wish: ClipWish,
        policy: policy_pb.ModerationPolicy,
        findings: ClipFindings,
        video: video_pb.VideoSummary,
        steps: StepLog,
    ) -> pb.ClipSummary:
        """Return the summary of a clip, and attach it when that is asked for.

        Args:
            tenant: whose clip.
            wish: what is asked.
            policy: what decides.
            findings: what was kept of the clip.
            video: the vision service's own summary.
            steps: where the steps are reported.

        Raises:
            ServiceError: the store cannot be written.
        """
        media = wish.media
        budget = Budget.for_current_call(self.settings.media_seconds)
        _report_models(video, steps)
        summary = _found(wish, findings, video)
        decision = decide(policy, findings.evidence())
        if SAFETY in media.features:
            summary.decision.CopyFrom(decision)
            if not findings.all_screened:
                _fail(findings, "MODEL_UNAVAILABLE", "not all frames could be screened", SAFETY)
        vector = None
        if SIMILAR in media.features or media.attachment is not None:
            vector = await self._vector(video, findings, budget)
        if SIMILAR in media.features and vector is not None:
            summary.similar_items.extend(await self._alike(tenant, wish, vector, findings, steps))
        for feature, failure in sorted(findings.failed.items()):
            if feature in media.features:
                summary.failures.append(failure)
                if feature != FACES or failure.reason != NOT_ALLOWED:
                    steps.lose(STEPS.get(feature, "media/events"), failure.message, "vision")
        if media.attachment is not None:
            labels = findings.labels.best(MOST_LABELS) or None
            attached = await self.attacher.attach(tenant, media.attachment, decision, labels, vector, steps, budget)
            summary.attachment.CopyFrom(attached)
        summary.degraded = steps.degraded
        summary.steps.extend(steps.reports)
        return summary

    async def _alike(
        self, tenant: str, wish: ClipWish, vector: ItemVector, findings: ClipFindings, steps: StepLog
    ) -> list[pb.SimilarMediaItem]:
        without = wish.media.attachment.item_id if wish.media.attachment else ""
        alike = await find_similar(self.similar, tenant, vector, wish.media.similar_count, without, steps)
        if isinstance(alike, pb.MediaFailure):
            findings.failed[SIMILAR] = alike
            return []
        return alike

    async def _vector(self, video: video_pb.VideoSummary, findings: ClipFindings, budget: Budget) -> ItemVector | None:
        """Return the clip's vector with the name of what made it; notes why there is none."""
        if not video.HasField("vector"):
            _fail(findings, "MODEL_UNAVAILABLE", "the clip was given no vector", SIMILAR)
            return None
        try:
            model, version = await vector_model(self.mesh, budget.step(_PROBE_SHARE, self.settings.media_seconds))
        except MeshError as error:
            findings.failed[SIMILAR] = failure_of(SIMILAR, error)
            return None
        if (model, version) not in [(report.model, report.version) for report in video.reports]:
            message = "the model of pictures was replaced while the clip was analysed; send it again"
            _fail(findings, "OTHER_MODEL", message, SIMILAR)
            return None
        return ItemVector(video.vector.values, model, version)


def _found(wish: ClipWish, findings: ClipFindings, video: video_pb.VideoSummary) -> pb.ClipSummary:
    """Return what was asked for of what was found."""
    media = wish.media
    summary = pb.ClipSummary(analyzed_seconds=video.analyzed_seconds, partial=video.partial)
    if HIGHLIGHTS in media.features:
        summary.highlights.extend(find_highlights(findings.seconds, wish.highlight_count))
    if LABELS in media.features:
        summary.labels.extend(findings.labels.best(media.label_count))
    if OBJECTS in media.features:
        summary.objects.extend(findings.objects(media.minimum_object_score))
    if GAME in media.features:
        summary.games.extend(findings.games.best(media.label_count))
    return summary


def _fail(findings: ClipFindings, reason: str, message: str, feature: pb.MediaFeature.ValueType) -> None:
    """Note why a feature did not answer, unless a better reason is known."""
    failure = pb.MediaFailure(feature=feature, reason=reason, message=message)
    findings.failed.setdefault(feature, failure)


def _report_models(video: video_pb.VideoSummary, steps: StepLog) -> None:
    for model in video.reports:
        steps.reports.append(
            StepReport(
                step="media/clip/model",
                service="vision",
                model=model.model,
                version=model.version,
                milliseconds=(model.queue_microseconds + model.compute_microseconds) / 1000,
                outcome=STEP_OUTCOME_OK,
            )
        )
