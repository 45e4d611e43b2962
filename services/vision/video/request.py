"""What a caller asks of a video, checked and with its defaults."""

from __future__ import annotations

from dataclasses import dataclass

from marquee.vision.v1 import video_pb2 as pb
from services.runtime.validation import Violations
from services.vision.video.checkpoint import MAXIMUM_SEALED_BYTES

DEFAULT_FEATURES = frozenset({pb.VIDEO_FEATURE_EVENTS, pb.VIDEO_FEATURE_SCENE_CUTS})
PICTURE_FEATURES = frozenset(pb.VideoFeature.values()) - DEFAULT_FEATURES - {pb.VIDEO_FEATURE_UNSPECIFIED}
"""What is found in sampled frames."""
DEFAULT_LABELS, MAXIMUM_LABELS = 5, 20
_DEFAULT_SCORE = 0.5
_DEFAULT_INTERVAL, _DEFAULT_THRESHOLD = 1.0, 10.0
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """A checked `VideoStart`.

    Attributes:
        features: what to look for.
        sample_interval: seconds between frames for picture models; 0 when no feature needs them.
        label_count: labels of a second.
        minimum_object_score: least score of an object.
        cut_threshold: least score of a change of scene; 0 when they are not asked for.
        checkpoint_interval: seconds between checkpoints; 0 for none.
        start: the message itself, for the models' names and the checkpoint.
    """

    features: frozenset[int]
    sample_interval: float
    label_count: int
    minimum_object_score: float
    cut_threshold: float
    checkpoint_interval: float
    start: pb.VideoStart


def read_start(start: pb.VideoStart) -> VideoRequest:
    """Return what is asked for.

    Raises:
        InvalidRequest: a field is out of its range.
    """
    check = Violations()
    for index, feature in enumerate(start.features):
        if feature not in pb.VideoFeature.values() or feature == pb.VIDEO_FEATURE_UNSPECIFIED:
            check.add(f"start.features[{index}]", f"is {feature}; name a feature, for example VIDEO_FEATURE_EVENTS")
    features = frozenset(start.features) or DEFAULT_FEATURES
    interval = _DEFAULT_INTERVAL
    if start.sample_interval_seconds and check.within(
        "start.sample_interval_seconds", start.sample_interval_seconds, 0.5, 60.0
    ):
        interval = start.sample_interval_seconds
    labels = check.size("start.label_count", start.label_count, default=DEFAULT_LABELS, maximum=MAXIMUM_LABELS)
    score = start.minimum_object_score if start.HasField("minimum_object_score") else _DEFAULT_SCORE
    check.within("start.minimum_object_score", score, 0.0, 1.0)
    threshold = _DEFAULT_THRESHOLD
    if start.scene_cut_threshold and check.within("start.scene_cut_threshold", start.scene_cut_threshold, 1.0, 100.0):
        threshold = start.scene_cut_threshold
    if start.checkpoint_interval_seconds:
        check.within("start.checkpoint_interval_seconds", start.checkpoint_interval_seconds, 1.0, 600.0)
    if len(start.checkpoint) > MAXIMUM_SEALED_BYTES:
        check.add("start.checkpoint", f"has {len(start.checkpoint):,} bytes; the limit is {MAXIMUM_SEALED_BYTES:,}")
    for name in ("events_model", "labels_model", "objects_model"):
        check.text(f"start.{name}", getattr(start, name), minimum=0, maximum=_LONGEST_NAME, blank=True)
    check.raise_if_any()
    return VideoRequest(
        features=features,
        sample_interval=interval if features & PICTURE_FEATURES else 0.0,
        label_count=labels,
        minimum_object_score=score,
        cut_threshold=threshold if pb.VIDEO_FEATURE_SCENE_CUTS in features else 0.0,
        checkpoint_interval=start.checkpoint_interval_seconds,
        start=start,
    )
