"""What a caller asks of a clip, checked, and what the vision service is asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.vision.v1 import video_pb2 as video_pb
from services.orchestrator.content.media.decision import LABEL_SEEN_FROM
from services.orchestrator.content.media.features import (
    CLIP_FEATURES,
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
from services.orchestrator.content.media.wishes import MOST_LABELS, MediaWish, read_wish
from services.runtime.validation import Violations

DEFAULT_HIGHLIGHTS, MOST_HIGHLIGHTS = 5, 50
VIDEO_FEATURES: dict[Feature, video_pb.VideoFeature.ValueType] = {
    LABELS: video_pb.VIDEO_FEATURE_LABELS,
    OBJECTS: video_pb.VIDEO_FEATURE_OBJECTS,
    FACES: video_pb.VIDEO_FEATURE_FACES,
    SAFETY: video_pb.VIDEO_FEATURE_SAFETY,
    EVENTS: video_pb.VIDEO_FEATURE_EVENTS,
    HIGHLIGHTS: video_pb.VIDEO_FEATURE_EVENTS,
    SCENE_CUTS: video_pb.VIDEO_FEATURE_SCENE_CUTS,
    SIMILAR: video_pb.VIDEO_FEATURE_VECTOR,
    GAME: video_pb.VIDEO_FEATURE_GAME,
}


@dataclass(frozen=True)
class ClipWish:
    """What to say about a clip.

    Attributes:
        media: what a picture may be asked too.
        highlight_count: most highlights to return.
        start: the message as sent, for what goes to the vision service as it is.
    """

    media: MediaWish
    highlight_count: int
    start: pb.ClipStart


def read_clip_wish(check: Violations, start: pb.ClipStart) -> ClipWish:
    """Return what is asked; records what is wrong with it."""
    attach = start.attach if start.HasField("attach") else None
    media = read_wish(check, "start.", start.features, CLIP_FEATURES, start.options, attach)
    if start.sample_interval_seconds:
        check.within("start.sample_interval_seconds", start.sample_interval_seconds, 0.5, 60)
    if start.checkpoint_interval_seconds:
        check.within("start.checkpoint_interval_seconds", start.checkpoint_interval_seconds, 1, 600)
    count = check.size(
        "start.highlight_count", start.highlight_count, default=DEFAULT_HIGHLIGHTS, maximum=MOST_HIGHLIGHTS
    )
    return ClipWish(media, count, start)


def video_start(wish: ClipWish, features: frozenset[Feature]) -> video_pb.VideoStart:
    """Return the vision service's first message.

    Args:
        wish: what the caller asks.
        features: what must be looked for, which may be more.
    """
    score = wish.media.minimum_object_score
    return video_pb.VideoStart(
        # None at all would mean the service's own choice.
        features=sorted({VIDEO_FEATURES[feature] for feature in features}) or [video_pb.VIDEO_FEATURE_SCENE_CUTS],
        sample_interval_seconds=wish.start.sample_interval_seconds,
        # The mean over a clip wants more of each frame than its first few labels.
        label_count=MOST_LABELS,
        minimum_object_score=score if OBJECTS in wish.media.features else LABEL_SEEN_FROM,
        checkpoint_interval_seconds=wish.start.checkpoint_interval_seconds,
        checkpoint=wish.start.checkpoint,
    )
