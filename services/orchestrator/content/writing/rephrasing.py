"""The language model's turn: it may put facts into other words, and its text is used only if it is faithful to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, ModelReport, StepReport
from marquee.entertainment.v1 import writing_service_pb2 as pb
from marquee.text.v1 import generation_pb2 as generation_pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.moderation.moderator import Moderator
from services.orchestrator.content.moderation.policy import BLOCK, decide
from services.orchestrator.content.moderation.toxicity import Reading
from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithful import check_faithful
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.names import folded_title
from services.orchestrator.content.writing.options import Wording
from services.orchestrator.content.writing.prompt import STOPS, facts_prompt, filled
from services.orchestrator.content.writing.titles import read_title
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.budget import Budget
from services.orchestrator.recommend.steps import StepLog, describe_model

STEP = "rephrase"
_ATTEMPTS = 3
# The first try is the most probable text, nearly; later ones dare more.
_TEMPERATURES = (0.2, 0.6, 0.9)
_MOST_TOKENS = 120
_MOST_REFUSALS = 20
_LONGEST_FOUND = 100
_SHARE = 0.9


@dataclass(frozen=True)
class Rephrased:
    """A text of the language model that may be used, empty when none may; and why others may not."""

    text: str
    refusals: Sequence[pb.WritingRefusal]


@dataclass(frozen=True)
class Rephraser:
    """Has facts put into words by a language model of the mesh."""

    mesh: Mesh
    moderator: Moderator

    async def rephrase(
        self,
        tenant: str,
        facts: Facts,
        wording: Wording,
        known_titles: Set[str],
        steps: StepLog,
        budget: Budget,
        *,
        variant: int = 0,
        not_again: Sequence[str] = (),
    ) -> Rephrased:
        """Return the first faithful text of a few tries.

        Args:
            tenant: whose policy blocks phrases.
            facts: all that the text may say.
            wording: length, seed and model.
            known_titles: titles of the catalogue, see `catalogue_titles`.
            steps: where the step is reported; a service that is down or has no such model leaves the answer degraded.
            budget: time there is.
            variant: changes the model's draws.
            not_again: texts that are there already.
        """
        refusals: list[pb.WritingRefusal] = []
        with steps.measure(STEP, "text") as report:
            policy = await self.moderator.policy(tenant, "")
            for attempt in range(_ATTEMPTS):
                seconds = budget.step(_SHARE / (_ATTEMPTS - attempt), 60.0)
                text = await self._generate(facts, wording, variant * _ATTEMPTS + attempt, attempt, report, seconds)
                found = check_faithful(text, facts, most_characters=wording.most_characters, known_titles=known_titles)
                if not found and decide(policy, text, Reading(canonical(text, load_lexicon())), None).action == BLOCK:
                    found = [
                        Finding("blocked", text[:_LONGEST_FOUND], "holds a phrase that the tenant's policy blocks")
                    ]
                if not found and text not in not_again:
                    return Rephrased(text, refusals)
                refusals += [_refusal(finding) for finding in found]
            report.detail = f"{_ATTEMPTS} texts of the model were not used; the template's text is the answer"
        return Rephrased("", refusals[:_MOST_REFUSALS])

    async def _generate(
        self, facts: Facts, wording: Wording, number: int, attempt: int, report: StepReport, seconds: float
    ) -> str:
        options = generation_pb.GenerationOptions(
            max_tokens=min(_MOST_TOKENS, wording.most_characters // 2),
            temperature=_TEMPERATURES[attempt],
            top_p=0.95,
            stop=STOPS,
            seed=(wording.seed + number) % (1 << 63),
        )
        request = generation_pb.GenerateTextRequest(prompt=facts_prompt(facts), model=wording.model, options=options)
        text, answered = "", ModelReport()
        async with aclosing(self.mesh.generate_text(request, seconds)) as pieces:
            async for piece in pieces:
                text += piece.text
                if piece.HasField("report"):
                    answered = piece.report
        describe_model(report, answered)
        return filled(text.strip(), facts)


def model_gone(steps: StepLog) -> bool:
    """Return whether the last try of this answer found no model; asking again would only take time."""
    return any(report.step == STEP and report.outcome == STEP_OUTCOME_FALLBACK for report in steps.reports)


async def catalogue_titles(snapshot: CatalogSnapshot) -> frozenset[str]:
    """Return the catalogue's titles of two words or more in the form that the check looks for."""
    return await asyncio.to_thread(_titles_of, snapshot.titles)


@lru_cache(maxsize=16)
def _titles_of(titles: tuple[str, ...]) -> frozenset[str]:
    folded = (folded_title(read_title(title).name) for title in titles)
    return frozenset(title for title in folded if " " in title)


def _refusal(finding: Finding) -> pb.WritingRefusal:
    return pb.WritingRefusal(kind=finding.kind, found=finding.found[:_LONGEST_FOUND], message=finding.message)
