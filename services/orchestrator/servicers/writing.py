"""WritingService: checks requests and hands them to what writes."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import aclosing

from marquee.entertainment.v1 import writing_service_pb2 as pb
from marquee.entertainment.v1.writing_service_pb2_grpc import WritingServiceServicer
from services.orchestrator.content.writing.blurbs import Blurbs
from services.orchestrator.content.writing.explanations import Explanations
from services.orchestrator.content.writing.generation import Generation
from services.orchestrator.content.writing.options import LONGEST_MODEL, read_wording
from services.orchestrator.content.writing.reviews.summaries import ReviewSummaries, SummaryWish
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

MOST_ITEMS, MOST_REASONS, DEFAULT_REASONS = 20, 5, 3
MOST_VARIANTS = 10
MOST_REVIEWS, LONGEST_REVIEW, MOST_CHARACTERS = 500, 10_000, 1_000_000
MOST_ASPECTS, LONGEST_ASPECT = 50, 100
DEFAULT_SCALE, LARGEST_SCALE = 5.0, 1_000.0
LONGEST_PROMPT = 100_000
_LONGEST_TOKEN = 256
_LONGEST_SUBJECT = 500


class WritingServicer(WritingServiceServicer):
    """See writing_service.proto for what the methods promise."""

    def __init__(
        self, explanations: Explanations, blurbs: Blurbs, summaries: ReviewSummaries, generation: Generation
    ) -> None:
        self._explanations = explanations
        self._blurbs = blurbs
        self._summaries = summaries
        self._generation = generation

    async def ExplainItem(self, request: pb.ExplainItemRequest, context: CallContext) -> pb.ExplainItemResponse:
        """Say why a user might like items."""
        check = Violations()
        wording = read_wording(check, request.options)
        count = check.size("reason_count", request.reason_count, default=DEFAULT_REASONS, maximum=MOST_REASONS)
        if request.attribution_token:
            for name in ("user_id", "item_ids"):
                if getattr(request, name):
                    check.add(name, "has no place beside an attribution token, which names user and item; leave it out")
            check.text("attribution_token", request.attribution_token, maximum=_LONGEST_TOKEN)
        else:
            check.identifier("user_id", request.user_id)
            if check.count("item_ids", request.item_ids, minimum=1, maximum=MOST_ITEMS):
                for index, item_id in enumerate(request.item_ids):
                    check.identifier(f"item_ids[{index}]", item_id)
                check.unique("item_ids", request.item_ids)
        check.raise_if_any()
        tenant = current_request().tenant
        if request.attribution_token:
            return await self._explanations.shown(tenant, request.attribution_token, count, wording)
        return await self._explanations.items(tenant, request.user_id, request.item_ids, count, wording)

    async def WriteBlurb(self, request: pb.WriteBlurbRequest, context: CallContext) -> pb.WriteBlurbResponse:
        """Write about an item."""
        check = Violations()
        check.identifier("item_id", request.item_id)
        if request.length not in pb.BlurbLength.values():
            check.add("length", f"is {request.length}, which is no length that this version knows")
        count = check.size("variant_count", request.variant_count, default=1, maximum=MOST_VARIANTS)
        wording = read_wording(check, request.options)
        check.raise_if_any()
        return await self._blurbs.write(current_request().tenant, request.item_id, request.length, count, wording)

    async def SummarizeReviews(
        self, request: pb.SummarizeReviewsRequest, context: CallContext
    ) -> pb.SummarizeReviewsResponse:
        """Say what reviews have in common."""
        check = Violations()
        scale = request.rating_scale or DEFAULT_SCALE
        if not (math.isfinite(scale) and 0 < scale <= LARGEST_SCALE):
            check.add("rating_scale", f"is {request.rating_scale:g}; the range is above 0 to {LARGEST_SCALE:g}")
            scale = LARGEST_SCALE
        _check_reviews(check, request, scale)
        if request.aspects and check.count("aspects", request.aspects, minimum=2, maximum=MOST_ASPECTS):
            for index, aspect in enumerate(request.aspects):
                check.text(f"aspects[{index}]", aspect, maximum=LONGEST_ASPECT)
            check.unique("aspects", request.aspects)
        check.text("subject", request.subject, minimum=0, maximum=_LONGEST_SUBJECT)
        wish = SummaryWish(
            reviews=request.reviews,
            aspects=list(request.aspects),
            aspect_count=check.size("aspect_count", request.aspect_count, default=5, maximum=20),
            quote_count=check.size("quote_count", request.quote_count, default=4, maximum=20),
            rating_scale=scale,
            subject=request.subject,
            wording=read_wording(check, request.options),
        )
        check.raise_if_any()
        return await self._summaries.summarize(current_request().tenant, wish)

    async def GenerateText(
        self, request: pb.GenerateTextRequest, context: CallContext
    ) -> AsyncIterator[pb.GenerateTextResponse]:
        """Go on from a prompt."""
        check = Violations()
        check.text("prompt", request.prompt, maximum=LONGEST_PROMPT)
        check.text("model", request.model, minimum=0, maximum=LONGEST_MODEL)
        check.text("policy", request.policy, minimum=0, maximum=64)
        if request.hold_back and (request.options.alternatives or request.options.log_probabilities):
            check.add("options.alternatives", "has no place with hold_back, which gives whole sentences; leave it out")
        check.raise_if_any()
        async with aclosing(self._generation.generate(current_request().tenant, request)) as replies:
            async for reply in replies:
                yield reply


def _check_reviews(check: Violations, request: pb.SummarizeReviewsRequest, scale: float) -> None:
    if not check.count("reviews", request.reviews, minimum=1, maximum=MOST_REVIEWS):
        return
    for index, review in enumerate(request.reviews):
        check.text(f"reviews[{index}].text", review.text, maximum=LONGEST_REVIEW)
        if review.HasField("rating"):
            check.within(f"reviews[{index}].rating", review.rating, 0, scale)
    total = sum(len(review.text) for review in request.reviews)
    if total > MOST_CHARACTERS:
        check.add("reviews", f"have {total:,} characters together; the limit is {MOST_CHARACTERS:,}")
