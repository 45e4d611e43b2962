"""What is kept of a clip while its answers pass by, and what it comes to at the end."""

from __future__ import annotations

from collections.abc import Iterable

from marquee.common.v1 import media_pb2
from marquee.common.v1.media_pb2 import MediaLabel
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.vision.v1 import video_pb2 as video_pb
from services.orchestrator.content.media.decision import Evidence, Seen
from services.orchestrator.content.media.features import (
    EVENTS,
    FACES,
    GAME,
    HIGHLIGHTS,
    LABELS,
    OBJECTS,
    SAFETY,
    SCENE_CUTS,
    SIMILAR,
    Feature,
)
from services.orchestrator.content.media.highlights import ScoredSecond

_MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
# The vision service's sentence begins with what cannot be found.
_SUBJECTS: dict[str, tuple[Feature, ...]] = {
    "events": (EVENTS, HIGHLIGHTS),
    "labels": (LABELS,),
    "objects": (OBJECTS,),
    "faces": (FACES,),
    "safety": (SAFETY,),
    "vector": (SIMILAR,),
    "game": (GAME,),
}


class LabelMeans:
    """Mean probability of labels over frames; a label that a frame does not name counts as zero there."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._frames = 0

    def add(self, labels: Iterable[MediaLabel]) -> None:
        """Take in one frame's labels."""
        self._frames += 1
        for label in labels:
            self._sums[label.label] = self._sums.get(label.label, 0.0) + label.probability

    def best(self, count: int) -> list[MediaLabel]:
        """Return the labels of highest mean, best first."""
        ordered = sorted(self._sums.items(), key=lambda entry: -entry[1])[:count]
        return [MediaLabel(label=label, probability=min(1.0, total / self._frames)) for label, total in ordered]


class ClipFindings:
    """The sums of one clip. They grow with its seconds, not with its bytes.

    Attributes:
        seconds: those with events.
        labels: what it shows.
        games: which game.
        failed: why features did not answer.
        sampled_frames: frames that picture models looked at.
    """

    def __init__(self) -> None:
        self.seconds: list[ScoredSecond] = []
        self.labels = LabelMeans()
        self.games = LabelMeans()
        self.failed: dict[Feature, pb.MediaFailure] = {}
        self.sampled_frames = 0
        self._unsafe: Seen | None = None
        self._screened_frames = 0
        self._labelled: dict[str, Seen] = {}
        self._objects: dict[str, Seen] = {}

    def add(self, segment: media_pb2.VideoSegment) -> None:
        """Take in a second."""
        if segment.events:
            events = {one.event: one.probability for one in segment.events}
            self.seconds.append(ScoredSecond(segment.start_seconds, segment.end_seconds, segment.highlight, events))
        if not segment.HasField("sample_seconds"):
            return
        time = segment.sample_seconds
        self.sampled_frames += 1
        if segment.labels:
            self.labels.add(segment.labels)
            _raise(self._labelled, ((label.label, label.probability) for label in segment.labels), time)
        if segment.games:
            self.games.add(segment.games)
        _raise(self._objects, ((one.label, one.score) for one in segment.objects), time)
        if segment.HasField("unsafe_probability"):
            self._screened_frames += 1
            if self._unsafe is None or segment.unsafe_probability > self._unsafe.probability:
                self._unsafe = Seen("unsafe", segment.unsafe_probability, time)

    def note(self, problem: media_pb2.VideoProblem) -> None:
        """Take in a problem: a model that is missing is the failure of its features."""
        if problem.reason == _MODEL_UNAVAILABLE:
            for feature in _SUBJECTS.get(problem.message.partition(" ")[0], ()):
                self.failed[feature] = pb.MediaFailure(
                    feature=feature, reason=_MODEL_UNAVAILABLE, message=problem.message
                )

    @property
    def all_screened(self) -> bool:
        """Whether every sampled frame was screened."""
        return 0 < self._screened_frames == self.sampled_frames and SAFETY not in self.failed

    def objects(self, minimum_score: float) -> list[MediaLabel]:
        """Return the kinds of objects, each with its highest score, surest first."""
        ordered = sorted(self._objects.values(), key=lambda one: -one.probability)
        return [
            MediaLabel(label=one.label, probability=one.probability)
            for one in ordered
            if one.probability >= minimum_score
        ]

    def evidence(self) -> Evidence:
        """Return what a policy decides by."""
        return Evidence(
            self._unsafe.probability if self._unsafe else None,
            self._unsafe.time_seconds if self._unsafe else None,
            unsafe_all=self.all_screened,
            seen=[*self._labelled.values(), *self._objects.values()],
            seen_all=not self.failed.keys() & {LABELS, OBJECTS},
        )


def told(
    response: video_pb.AnalyzeVideoResponse, features: frozenset[Feature], label_count: int, minimum_score: float
) -> pb.AnalyzeClipResponse | None:
    """Return an answer as the caller asked for it; None for one that is not for the caller."""
    match response.WhichOneof("payload"):
        case "info":
            return pb.AnalyzeClipResponse(info=response.info)
        case "scene_cut":
            return pb.AnalyzeClipResponse(scene_cut=response.scene_cut) if SCENE_CUTS in features else None
        case "checkpoint":
            return pb.AnalyzeClipResponse(checkpoint=response.checkpoint)
        case "problem":
            return pb.AnalyzeClipResponse(problem=response.problem)
        case "segment":
            segment = pb.AnalyzeClipResponse(segment=response.segment).segment
            _strip(segment, features)
            del segment.labels[label_count:], segment.games[label_count:]
            kept = [one for one in segment.objects if one.score >= minimum_score]
            del segment.objects[:]
            segment.objects.extend(kept)
            return pb.AnalyzeClipResponse(segment=segment)
    return None


def _strip(segment: media_pb2.VideoSegment, features: frozenset[Feature]) -> None:
    """Take out what was looked for without the caller's asking."""
    if EVENTS not in features:
        segment.ClearField("events")
        segment.ClearField("highlight")
    if LABELS not in features:
        segment.ClearField("labels")
    if OBJECTS not in features:
        segment.ClearField("objects")
    if SAFETY not in features:
        segment.ClearField("unsafe_probability")


def _raise(kept: dict[str, Seen], seen: Iterable[tuple[str, float]], time: float) -> None:
    for label, probability in seen:
        if label not in kept or probability > kept[label].probability:
            kept[label] = Seen(label, probability, time)
