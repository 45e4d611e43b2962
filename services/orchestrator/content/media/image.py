"""Analysis of one picture: what it shows, what may be done with it, what looks alike, what it is attached to."""

from __future__ import annotations

from dataclasses import dataclass

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import moderation_service_pb2 as policy_pb
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from services.orchestrator.content.media.attachment import Attacher
from services.orchestrator.content.media.decision import LABEL_SEEN_FROM, Evidence, Seen, decide
from services.orchestrator.content.media.features import LABELS, OBJECTS, SAFETY, SIMILAR, Feature
from services.orchestrator.content.media.looks import Looked, PictureQuestions
from services.orchestrator.content.media.similar import SimilarPictures, find_similar
from services.orchestrator.content.media.wishes import MediaWish
from services.orchestrator.content.moderation.image_rule import image_rule_of
from services.orchestrator.content.moderation.moderator import Moderator
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings

# The rest is for what is alike and for storing.
_SHARE = 0.8


@dataclass(frozen=True)
class ImageAnalyzer:
    """Analyses pictures with the models of the mesh."""

    mesh: Mesh
    moderator: Moderator
    similar: SimilarPictures
    attacher: Attacher
    settings: OrchestratorSettings

    async def analyze(self, tenant: str, image: vision_pb.Image, wish: MediaWish) -> pb.AnalyzeImageResponse:
        """Return what is found; features that fail are named.

        Raises:
            InvalidRequest: the picture cannot be read.
            NotFound: the policy was never set, or there is no item to attach it to.
            ServiceError: the store cannot be read.
        """
        budget = Budget.for_current_call(self.settings.media_seconds)
        steps = StepLog()
        with steps.measure("policy"):
            policy = await self.moderator.policy(tenant, wish.policy, field="options.policy")
        if wish.attachment is not None:
            await self.attacher.check(tenant, wish.attachment, "attach")
        features = needed(wish, policy)
        blocking = bool(image_rule_of(policy).blocked_labels)
        questions = PictureQuestions(
            self.mesh,
            image,
            wish.label_count,
            min(wish.minimum_object_score, LABEL_SEEN_FROM) if blocking else wish.minimum_object_score,
            budget.step(_SHARE, self.settings.media_seconds),
        )
        looked = await questions.ask(features, steps)
        analysis = _analysis(wish, looked)
        decision = decide(policy, _evidence(looked)) if SAFETY in features else pb.MediaDecision()
        if SAFETY in wish.features:
            analysis.decision.CopyFrom(decision)
        if SIMILAR in wish.features and looked.vector is not None:
            without = wish.attachment.item_id if wish.attachment else ""
            alike = await find_similar(self.similar, tenant, looked.vector, wish.similar_count, without, steps)
            if isinstance(alike, pb.MediaFailure):
                analysis.failures.append(alike)
            else:
                analysis.similar_items.extend(alike)
        response = pb.AnalyzeImageResponse(analysis=analysis)
        if wish.attachment is not None:
            attached = await self.attacher.attach(
                tenant, wish.attachment, decision, looked.labels, looked.vector, steps, budget
            )
            response.attachment.CopyFrom(attached)
        response.degraded = steps.degraded
        response.steps.extend(steps.reports)
        return response


def needed(wish: MediaWish, policy: policy_pb.ModerationPolicy) -> frozenset[Feature]:
    """Return what must be looked at for a wish; SIMILAR stands for the vector."""
    features = set(wish.features)
    if wish.attachment is not None:
        # What is blocked is not attached, whatever the caller wants to be told.
        features |= {LABELS, SIMILAR, SAFETY}
    if SAFETY in features and image_rule_of(policy).blocked_labels:
        features |= {LABELS, OBJECTS}
    return frozenset(features)


def _analysis(wish: MediaWish, looked: Looked) -> pb.ImageAnalysis:
    """Return what was asked for of what was found."""
    width, height = looked.size
    analysis = pb.ImageAnalysis(width=width, height=height)
    if LABELS in wish.features:
        analysis.labels.extend(looked.labels or ())
    if OBJECTS in wish.features and looked.objects is not None:
        analysis.objects.extend(one for one in looked.objects.objects if one.score >= wish.minimum_object_score)
    if looked.faces is not None:
        analysis.faces.extend(looked.faces.faces)
    analysis.games.extend(looked.games or ())
    analysis.failures.extend(
        failure for feature, failure in sorted(looked.failures.items()) if feature in wish.features
    )
    return analysis


def _evidence(looked: Looked) -> Evidence:
    seen = [Seen(label.label, label.probability) for label in looked.labels or ()]
    if looked.objects is not None:
        best: dict[str, float] = {}
        for one in looked.objects.objects:
            best[one.label] = max(one.score, best.get(one.label, 0.0))
        seen += [Seen(label, score) for label, score in best.items()]
    answered = looked.labels is not None and looked.objects is not None
    return Evidence(looked.unsafe_probability, seen=seen, seen_all=answered)
