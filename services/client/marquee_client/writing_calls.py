"""The synchronous client's calls of WritingService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Unpack

from marquee.entertainment.v1 import writing_service_pb2 as writing_pb
from marquee.entertainment.v1.writing_service_pb2_grpc import WritingServiceStub
from marquee_client.options import EXPORT_TIMEOUT
from marquee_client.transport import Transport
from marquee_client.writing import (
    GenerationWishes,
    ReviewLike,
    WritingWishes,
    generation_request,
    review_messages,
)


class WritingCalls(Transport):
    """Explanations, blurbs, review summaries and generated text."""

    def _open_stubs(self) -> None:
        super()._open_stubs()
        self._writing = WritingServiceStub(self._channel)

    def explain_items(
        self,
        user_id: str,
        item_ids: Iterable[str],
        *,
        reason_count: int = 0,
        timeout: float | None = None,
        **wishes: Unpack[WritingWishes],
    ) -> writing_pb.ExplainItemResponse:
        """Say in words why a user might like 1 to 20 items, from the reasons that the scores give."""
        request = writing_pb.ExplainItemRequest(
            user_id=user_id, item_ids=item_ids, reason_count=reason_count, options=writing_pb.WritingOptions(**wishes)
        )
        return self._call(self._writing.ExplainItem, request, timeout)

    def explain_shown(
        self, attribution_token: str, *, timeout: float | None = None, **wishes: Unpack[WritingWishes]
    ) -> writing_pb.ExplainItemResponse:
        """Say in words why an item stood in a list, by the token that came with it."""
        request = writing_pb.ExplainItemRequest(
            attribution_token=attribution_token, options=writing_pb.WritingOptions(**wishes)
        )
        return self._call(self._writing.ExplainItem, request, timeout)

    def write_blurb(
        self,
        item_id: str,
        *,
        length: writing_pb.BlurbLength.ValueType = writing_pb.BLURB_LENGTH_UNSPECIFIED,
        variant_count: int = 0,
        timeout: float | None = None,
        **wishes: Unpack[WritingWishes],
    ) -> writing_pb.WriteBlurbResponse:
        """Write up to ten texts about an item from what the catalogue says of it."""
        request = writing_pb.WriteBlurbRequest(
            item_id=item_id,
            length=length,
            variant_count=variant_count,
            options=writing_pb.WritingOptions(**wishes),
        )
        return self._call(self._writing.WriteBlurb, request, timeout)

    def summarize_reviews(
        self,
        reviews: Iterable[ReviewLike],
        *,
        aspects: Iterable[str] = (),
        subject: str = "",
        rating_scale: float = 0.0,
        quote_count: int = 0,
        timeout: float | None = None,
        **wishes: Unpack[WritingWishes],
    ) -> writing_pb.SummarizeReviewsResponse:
        """Say what 1 to 500 reviews have in common: feelings, aspects, quotes taken word by word."""
        request = writing_pb.SummarizeReviewsRequest(
            reviews=review_messages(reviews),
            aspects=aspects,
            subject=subject,
            rating_scale=rating_scale,
            quote_count=quote_count,
            options=writing_pb.WritingOptions(**wishes),
        )
        return self._call(self._writing.SummarizeReviews, request, timeout)

    def generate_text(
        self,
        prompt: str,
        *,
        model: str = "",
        hold_back: bool = False,
        policy: str = "",
        timeout: float = EXPORT_TIMEOUT,
        **wishes: Unpack[GenerationWishes],
    ) -> Iterator[writing_pb.GenerateTextResponse]:
        """Go on from a prompt with a language model, piece by piece; leaving the loop stops the work."""
        request = generation_request(prompt, model, hold_back, policy, wishes)
        yield from self._stream(self._writing.GenerateText, request, timeout)
