"""From facts to one text: the template's, or the language model's where that is wished for and faithful."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.content.writing.composing import compose
from services.orchestrator.content.writing.facts import Facts, ReasonFact
from services.orchestrator.content.writing.options import Wording
from services.orchestrator.content.writing.phrases import fact_messages, item_phrases, reason_phrases, stated
from services.orchestrator.content.writing.rephrasing import Rephraser, model_gone
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog

_REPEATED_KINDS = ("history",)
"""Kinds of which several reasons are said in one sentence."""


@dataclass(frozen=True)
class ItemWriter:
    """Writes about one item."""

    rephraser: Rephraser

    def explanation(self, facts: Facts, wording: Wording) -> pb.WrittenText:
        """Return the template's text on why a user might like an item."""
        said = _said_together(facts.reasons)
        part = f"explain.{said[0].kind}" if said else "explain.nothing"
        values = item_phrases(facts) | reason_phrases(said)
        composed = compose([part, "explain.more"], wording.style, values, wording.seed, wording.most_characters)
        return pb.WrittenText(text=composed.text, facts=stated(composed.slots, facts, said))

    def blurb(self, facts: Facts, parts: Sequence[str], wording: Wording, seed: int) -> pb.WrittenText:
        """Return the template's text about an item."""
        composed = compose(parts, wording.style, item_phrases(facts), seed, wording.most_characters)
        return pb.WrittenText(text=composed.text, facts=stated(composed.slots, facts))

    async def rephrased(
        self,
        tenant: str,
        written: pb.WrittenText,
        facts: Facts,
        wording: Wording,
        known_titles: Set[str],
        steps: StepLog,
        budget: Budget,
        *,
        variant: int = 0,
        not_again: Sequence[str] = (),
    ) -> pb.WrittenText:
        """Return the language model's text in place of the template's, if it is wished for and faithful."""
        if not wording.rephrase or model_gone(steps):
            return written
        found = await self.rephraser.rephrase(
            tenant, facts, wording, known_titles, steps, budget, variant=variant, not_again=not_again
        )
        if not found.text:
            written.refusals.extend(found.refusals)
            return written
        told = fact_messages(facts)
        told += [pb.WritingFact(field="reason", value=one.phrase, source=one.source) for one in facts.reasons]
        return pb.WrittenText(text=found.text, rephrased=True, facts=told, refusals=found.refusals)


def _said_together(reasons: Sequence[ReasonFact]) -> list[ReasonFact]:
    """Return the reasons that the text states: the strongest, with others of its kind where a list reads well."""
    if not reasons:
        return []
    first = reasons[0]
    return [one for one in reasons if one.kind == first.kind] if first.kind in _REPEATED_KINDS else [first]
