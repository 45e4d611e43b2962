"""Summaries of reviews: counts, feelings, aspects and quotes, all taken from the reviews themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.content.language import identify
from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.options import Wording
from services.orchestrator.content.writing.reviews.aspects import mentions
from services.orchestrator.content.writing.reviews.clauses import Clause, clauses_of
from services.orchestrator.content.writing.reviews.feelings import MOST_CLAUSES, fitting_aspects, sentiments
from services.orchestrator.content.writing.reviews.wording import summary_text
from services.orchestrator.content.writing.titles import read_title
from services.orchestrator.content.writing.writer import ItemWriter
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.settings import OrchestratorSettings

_LEANS, _CLEARLY = 0.1, 0.15
_ASPECTS_SHARE, _SHARE = 0.3, 0.8
_MOST_INDICES = 50
_REVIEWS_A_SHARE = 100
_LONGEST_SECONDS = 600.0
_LANGUAGE_CHARACTERS = 400
_LONGEST_READ = 2_000
"""Characters of a review that are read for feelings: more than any model reads."""


@dataclass(frozen=True)
class SummaryWish:
    """What is asked of a summary: reviews, the caller's aspects, counts, the best rating, what the reviews are of."""

    reviews: Sequence[pb.Review]
    aspects: Sequence[str]
    aspect_count: int
    quote_count: int
    rating_scale: float
    subject: str
    wording: Wording


@dataclass(frozen=True)
class ReviewSummaries:
    """Summarises reviews."""

    writer: ItemWriter
    settings: OrchestratorSettings

    async def summarize(self, tenant: str, wish: SummaryWish) -> pb.SummarizeReviewsResponse:
        """Summarise checked reviews; those in a language that no model knows are counted out."""
        # Many reviews take a model longer than the few texts that the setting is meant for.
        longest = self.settings.content_seconds * (1 + len(wish.reviews) / _REVIEWS_A_SHARE)
        steps, budget = StepLog(), Budget.for_current_call(longest)
        reply = pb.SummarizeReviewsResponse()
        read = await self._readable(wish.reviews, steps, reply)
        reply.review_count = len(read)
        _rate(wish.reviews, reply)
        with steps.measure("reviews/clauses"):
            clauses = await asyncio.to_thread(clauses_of, [wish.reviews[row].text for row in read], read)
            spoken = await asyncio.to_thread(mentions, clauses, wish.aspects)
        mesh = self.writer.rephraser.mesh
        seconds = budget.step(_ASPECTS_SHARE, longest)
        if wish.aspects and clauses:
            for aspect, places in (await fitting_aspects(mesh, clauses, wish.aspects, steps, seconds)).items():
                spoken[aspect] = sorted({*spoken.get(aspect, []), *places})
        if read:
            await self._feel(wish, read, clauses, spoken, reply, steps, budget)
        await self._write(tenant, wish, reply, steps, budget)
        reply.degraded = steps.degraded
        reply.steps.extend(steps.reports)
        return reply

    async def _readable(
        self, reviews: Sequence[pb.Review], steps: StepLog, reply: pb.SummarizeReviewsResponse
    ) -> list[int]:
        with steps.measure("language"):
            languages = await asyncio.to_thread(lambda: [identify(one.text[:_LANGUAGE_CHARACTERS]) for one in reviews])
        read = []
        for row, (review, language) in enumerate(zip(reviews, languages, strict=True)):
            if not any(map(str.isalpha, review.text)):
                reply.skipped.add(review_index=row, reason="no_words", message="holds no word")
            elif not language.supported:
                message = f"no loaded model knows the language {language.code!r}"
                reply.skipped.add(review_index=row, reason="unsupported_language", message=message)
            else:
                read.append(row)
        return read

    async def _feel(
        self,
        wish: SummaryWish,
        read: Sequence[int],
        clauses: Sequence[Clause],
        spoken: dict[str, list[int]],
        reply: pb.SummarizeReviewsResponse,
        steps: StepLog,
        budget: Budget,
    ) -> None:
        asked = _clauses_to_ask(clauses, spoken)
        texts = [wish.reviews[row].text[:_LONGEST_READ] for row in read]
        found = await sentiments(
            self.writer.rephraser.mesh,
            texts,
            [clauses[place].text[:_LONGEST_READ] for place in asked],
            steps,
            budget.step(_SHARE, _LONGEST_SECONDS),
        )
        if found is None:
            return
        whole, parts = found
        scores = dict(zip(asked, parts, strict=False))
        reply.mean_sentiment = sum(whole) / len(whole)
        reply.positive_count = sum(score >= _LEANS for score in whole)
        reply.negative_count = sum(score <= -_LEANS for score in whole)
        aspects = [_aspect(name, places, clauses, scores) for name, places in spoken.items()]
        known = [aspect for aspect in aspects if aspect is not None]
        known.sort(key=lambda aspect: (-aspect.review_count, -abs(aspect.sentiment)))
        reply.praised.extend([one for one in known if one.sentiment >= _CLEARLY][: wish.aspect_count])
        reply.criticised.extend([one for one in known if one.sentiment <= -_CLEARLY][: wish.aspect_count])
        reply.quotes.extend(_quotes(clauses, spoken, scores, reply, wish.quote_count))

    async def _write(
        self, tenant: str, wish: SummaryWish, reply: pb.SummarizeReviewsResponse, steps: StepLog, budget: Budget
    ) -> None:
        with steps.measure("write"):
            written = summary_text(reply, wish.rating_scale, wish.wording)
        if wish.wording.rephrase and not wish.subject:
            steps.skip("rephrase", "text", "the reviews are of no named subject, which a language model would need")
        elif wish.wording.rephrase:
            facts = Facts(
                title=read_title(wish.subject),
                kind=wish.wording.kind or "title",
                review_count=reply.review_count,
                rating=f"{reply.mean_rating:.1f}" if reply.HasField("mean_rating") else "",
                rating_scale=f"{wish.rating_scale:g}" if reply.HasField("mean_rating") else "",
                praised=tuple(f"the {one.aspect}" for one in reply.praised[:2]),
                criticised=tuple(f"the {one.aspect}" for one in reply.criticised[:2]),
            )
            written = await self.writer.rephrased(tenant, written, facts, wish.wording, frozenset(), steps, budget)
        reply.summary.CopyFrom(written)


def _rate(reviews: Sequence[pb.Review], reply: pb.SummarizeReviewsResponse) -> None:
    ratings = [review.rating for review in reviews if review.HasField("rating")]
    reply.rated_count = len(ratings)
    if ratings:
        reply.mean_rating = sum(ratings) / len(ratings)


def _clauses_to_ask(clauses: Sequence[Clause], spoken: dict[str, list[int]]) -> list[int]:
    """Return the places of clauses to ask about: those of aspects in turn, then others that may be quoted."""
    chosen: dict[int, None] = {}
    deepest = max((len(places) for places in spoken.values()), default=0)
    for depth in range(deepest):
        for places in spoken.values():
            if depth < len(places):
                chosen[places[depth]] = None
        if len(chosen) >= MOST_CLAUSES:
            break
    for place, clause in enumerate(clauses):
        if len(chosen) >= MOST_CLAUSES:
            break
        if clause.quotable:
            chosen[place] = None
    return sorted(list(chosen)[:MOST_CLAUSES])


def _aspect(
    name: str, places: Sequence[int], clauses: Sequence[Clause], scores: dict[int, float]
) -> pb.ReviewAspect | None:
    known = [place for place in places if place in scores]
    if not known:
        return None
    reviews = sorted({clauses[place].review for place in places})
    return pb.ReviewAspect(
        aspect=name,
        review_count=len(reviews),
        sentiment=sum(scores[place] for place in known) / len(known),
        review_indices=reviews[:_MOST_INDICES],
    )


def _quotes(
    clauses: Sequence[Clause],
    spoken: dict[str, list[int]],
    scores: dict[int, float],
    reply: pb.SummarizeReviewsResponse,
    count: int,
) -> list[pb.ReviewQuote]:
    """Return the clearest quotes of either side, those on a named aspect first; one a review while there are others."""
    aspect_of = {
        place: aspect.aspect
        for side in (reply.praised, reply.criticised)
        for aspect in reversed(side)
        for place in spoken[aspect.aspect]
    }
    usable = [place for place in scores if clauses[place].quotable and abs(scores[place]) >= _CLEARLY]
    usable.sort(key=lambda place: (place not in aspect_of, -abs(scores[place]), place))
    good = [place for place in usable if scores[place] > 0]
    bad = [place for place in usable if scores[place] < 0]
    quotes: list[pb.ReviewQuote] = []
    seen: set[str] = set()
    quoted: set[int] = set()
    sides = [good, bad] if reply.mean_sentiment >= 0 else [bad, good]
    while len(quotes) < count and any(sides):
        for side in sides:
            place = next((one for one in side if clauses[one].review not in quoted), side[0] if side else None)
            if place is None or len(quotes) == count:
                continue
            side.remove(place)
            clause = clauses[place]
            if clause.text.casefold() in seen:
                continue
            seen.add(clause.text.casefold())
            quoted.add(clause.review)
            quotes.append(
                pb.ReviewQuote(
                    review_index=clause.review,
                    start=clause.start,
                    end=clause.end,
                    text=clause.text,
                    sentiment=scores[place],
                    aspect=aspect_of.get(place, ""),
                )
            )
    return quotes
