"""ContentService: checks requests and hands them to the analyzer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from marquee.entertainment.v1 import content_service_pb2 as pb
from marquee.entertainment.v1.content_service_pb2_grpc import ContentServiceServicer
from services.orchestrator.content.analysis import TAGS, TextAnalyzer, Wish
from services.orchestrator.content.request_checks import MAXIMUM_CHARACTERS, check_language, check_texts
from services.orchestrator.content.streams import waiting_together
from services.orchestrator.recommend.steps import StepLog
from services.runtime.request_context import CallContext
from services.runtime.validation import Violations

MOST_TAGS, DEFAULT_TAGS = 100, 5
# Messages of a stream that are analysed together.
_MOST_TOGETHER = 64


class ContentServicer(ContentServiceServicer):
    """See content_service.proto for what the methods promise."""

    def __init__(self, analyzer: TextAnalyzer) -> None:
        self._analyzer = analyzer

    async def AnalyzeText(self, request: pb.AnalyzeTextRequest, context: CallContext) -> pb.AnalyzeTextResponse:
        """Analyse texts."""
        check = Violations()
        check_texts(check, request.texts)
        wish = _wish(check, request)
        check.raise_if_any()
        steps = StepLog()
        analyses = await self._analyzer.analyze(request.texts, wish, steps)
        return pb.AnalyzeTextResponse(analyses=analyses, degraded=steps.degraded, steps=steps.reports)

    async def StreamAnalyzeText(
        self, request_iterator: AsyncIterator[pb.StreamAnalyzeTextRequest], context: CallContext
    ) -> AsyncIterator[pb.StreamAnalyzeTextResponse]:
        """Analyse messages as they come."""
        wish: Wish | None = None
        async with aclosing(waiting_together(request_iterator, _MOST_TOGETHER)) as waiting:
            async for messages in waiting:
                if wish is None:
                    check = Violations()
                    wish = _wish(check, messages[0])
                    check.raise_if_any()
                for reply in await self._analyze(messages, wish):
                    yield reply

    async def _analyze(
        self, messages: Sequence[pb.StreamAnalyzeTextRequest], wish: Wish
    ) -> list[pb.StreamAnalyzeTextResponse]:
        """Analyse messages of one stream together."""
        errors = [message_error(message.message_id, message.text) for message in messages]
        good = [message.text for message, error in zip(messages, errors, strict=True) if not error]
        steps = StepLog()
        analyses = iter(await self._analyzer.analyze(good, wish, steps) if good else [])
        replies = []
        for message, error in zip(messages, errors, strict=True):
            reply = pb.StreamAnalyzeTextResponse(message_id=message.message_id[:128], error=error)
            if not error:
                reply.analysis.CopyFrom(next(analyses))
                reply.degraded = steps.degraded
            replies.append(reply)
        return replies


def message_error(message_id: str, text: str) -> str:
    """Return what is wrong with a message of a stream, or nothing."""
    check = Violations()
    check.text("message_id", message_id, minimum=0, maximum=128)
    check.text("text", text, maximum=MAXIMUM_CHARACTERS)
    return "; ".join(f"{found.field} {found.description}" for found in check.found)


def _wish(check: Violations, request: pb.AnalyzeTextRequest | pb.StreamAnalyzeTextRequest) -> Wish:
    known = frozenset(pb.TextFeature.values()) - {pb.TEXT_FEATURE_UNSPECIFIED}
    for index, feature in enumerate(request.features):
        if feature not in known:
            check.add(f"features[{index}]", f"is {feature}; name a feature, for example TEXT_FEATURE_SENTIMENT")
    features = frozenset(request.features) or known
    if not request.features and not request.tags:
        features -= {TAGS}
    count = _check_tags(check, request.tags, request.tag_count) if TAGS in features else DEFAULT_TAGS
    check_language(check, request.language)
    return Wish(features, list(request.tags), count, request.language)


def _check_tags(check: Violations, tags: Sequence[str], count: int) -> int:
    if check.count("tags", tags, minimum=2, maximum=MOST_TAGS):
        for index, tag in enumerate(tags):
            check.text(f"tags[{index}]", tag, maximum=200)
        check.unique("tags", tags)
    return min(check.size("tag_count", count, default=DEFAULT_TAGS, maximum=MOST_TAGS), max(1, len(tags)))
