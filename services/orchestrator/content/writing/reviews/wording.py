"""A summary as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.content.writing.composing import compose
from services.orchestrator.content.writing.grammar import counted, listed
from services.orchestrator.content.writing.options import Wording

_FEELINGS = (
    (0.5, "very positive"),
    (0.2, "positive"),
    (0.1, "rather positive"),
    (-0.1, "mixed"),
    (-0.2, "rather negative"),
    (-0.5, "negative"),
    (-1.1, "very negative"),
)
_SAID = 3


def summary_text(reply: pb.SummarizeReviewsResponse, rating_scale: float, wording: Wording) -> pb.WrittenText:
    """Return the template's text for a filled reply, with the figures that it states as facts."""
    felt = reply.HasField("mean_sentiment")
    rated = reply.HasField("mean_rating")
    praised, criticised = (_said(side) for side in (reply.praised, reply.criticised))
    count = counted(reply.review_count, "review")
    one = reply.review_count == 1
    feeling = _feeling(reply) if felt else ""
    values = {
        "count": count,
        "verb": "was" if one else "were",
        "say": "says" if one else "say",
        "feeling": feeling,
        "positive": str(reply.positive_count) if felt else "",
        "positive_verb": "is" if reply.positive_count == 1 else "are",
        "negative": str(reply.negative_count) if felt else "",
        "rating": f"{reply.mean_rating:.1f}" if rated else "",
        "scale": f"{rating_scale:g}",
        "rated": counted(reply.rated_count, "rating"),
        "praised": praised,
        "criticised": criticised,
    }
    sides = ["summary.both"] if praised and criticised else ["summary.praised", "summary.criticised"]
    first = "summary.count" if felt else "summary.unread"
    composed = compose([first, "summary.rating", *sides], wording.style, values, wording.seed, wording.most_characters)
    facts = [pb.WritingFact(field="reviews", value=str(reply.review_count), source="reviews")]
    stated = {
        "feeling": ("sentiment", f"{reply.mean_sentiment:+.2f}: {feeling}"),
        "positive": ("sentiment", f"{reply.positive_count} positive, {reply.negative_count} negative"),
        "rating": ("rating", f"{values['rating']} of {values['scale']}, from {values['rated']}"),
        "praised": ("praised", praised),
        "criticised": ("criticised", criticised),
    }
    for slot in composed.slots:
        if slot in stated:
            field, value = stated[slot]
            facts.append(pb.WritingFact(field=field, value=value, source="reviews"))
    return pb.WrittenText(text=composed.text, facts=facts)


def _feeling(reply: pb.SummarizeReviewsResponse) -> str:
    """Return how the reviews feel together; a mean near nothing with many on either side is divided."""
    sides = min(reply.positive_count, reply.negative_count)
    if abs(reply.mean_sentiment) < 0.1 and 3 * sides >= reply.review_count:
        return "they are divided" if reply.review_count > 1 else "mixed"
    return next(name for least, name in _FEELINGS if reply.mean_sentiment >= least)


def _said(aspects: Sequence[pb.ReviewAspect]) -> str:
    return listed([f"the {one.aspect}" for one in aspects[:_SAID]])
