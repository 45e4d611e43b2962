"""What a caller asks of a picture or clip, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marquee.entertainment.v1 import media_service_pb2 as pb
from services.orchestrator.content.media.features import CLIP_FEATURES, FACES, Feature
from services.runtime.validation import Violations

DEFAULT_LABELS, MOST_LABELS = 5, 20
DEFAULT_SIMILAR, MOST_SIMILAR = 10, 100
DEFAULT_TAGS, MOST_TAGS = 5, 20
DEFAULT_OBJECT_SCORE = 0.5
DEFAULT_TAG_PROBABILITY = 0.5


@dataclass(frozen=True)
class AttachmentWish:
    """Attach a picture or clip to an item.

    Attributes:
        item_id: the item.
        minimum_probability: from which on a label becomes a tag, above 0 to 1.
        tag_count: most tags to add.
    """

    item_id: str
    minimum_probability: float
    tag_count: int


@dataclass(frozen=True)
class MediaWish:
    """What to say about a picture or clip, and how much.

    Attributes:
        features: what to say.
        label_count: labels to return.
        minimum_object_score: least score of an object, 0 to 1.
        similar_count: similar items to return.
        policy: moderation policy; empty means the default one.
        attachment: what to attach it to; None only analyses.
    """

    features: frozenset[Feature]
    label_count: int
    minimum_object_score: float
    similar_count: int
    policy: str
    attachment: AttachmentWish | None


def read_wish(
    check: Violations,
    prefix: str,
    features: Sequence[Feature],
    offered: frozenset[Feature],
    options: pb.MediaOptions,
    attach: pb.MediaAttachment | None,
) -> MediaWish:
    """Return what is asked; records what is wrong with it.

    Args:
        check: where it is recorded.
        prefix: path of the message that holds the fields, with its dot; empty for the request itself.
        features: as sent; none means all that are offered, but faces.
        offered: what there is for this kind of media.
        options: as sent.
        attach: as sent; None when it was not.
    """
    for index, feature in enumerate(features):
        if feature not in CLIP_FEATURES:
            check.add(f"{prefix}features[{index}]", f"is {feature}; name a feature, for example MEDIA_FEATURE_LABELS")
        elif feature not in offered:
            check.add(f"{prefix}features[{index}]", f"is {pb.MediaFeature.Name(feature)}, which only clips have")
    score = DEFAULT_OBJECT_SCORE
    if options.HasField("minimum_object_score"):
        score = options.minimum_object_score
        check.within(f"{prefix}options.minimum_object_score", score, 0, 1)
    check.text(f"{prefix}options.policy", options.policy, minimum=0, maximum=64)
    return MediaWish(
        features=frozenset(features) or offered - {FACES},
        label_count=check.size(
            f"{prefix}options.label_count", options.label_count, default=DEFAULT_LABELS, maximum=MOST_LABELS
        ),
        minimum_object_score=score,
        similar_count=check.size(
            f"{prefix}options.similar_count", options.similar_count, default=DEFAULT_SIMILAR, maximum=MOST_SIMILAR
        ),
        policy=options.policy,
        attachment=None if attach is None else _read_attachment(check, f"{prefix}attach", attach),
    )


def _read_attachment(check: Violations, field: str, attach: pb.MediaAttachment) -> AttachmentWish:
    check.identifier(f"{field}.item_id", attach.item_id)
    check.within(f"{field}.minimum_tag_probability", attach.minimum_tag_probability, 0, 1)
    count = check.size(f"{field}.tag_count", attach.tag_count, default=DEFAULT_TAGS, maximum=MOST_TAGS)
    return AttachmentWish(attach.item_id, attach.minimum_tag_probability or DEFAULT_TAG_PROBABILITY, count)
