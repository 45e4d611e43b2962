"""The steps of one composed answer: measured, and reported in every response."""

from __future__ import annotations

import time
from types import TracebackType

from marquee.common.v1 import report_pb2
from marquee.common.v1.report_pb2 import (
    STEP_OUTCOME_FAILED,
    STEP_OUTCOME_FALLBACK,
    STEP_OUTCOME_OK,
    STEP_OUTCOME_SKIPPED,
    StepReport,
)
from services.orchestrator.mesh import MeshError

ORCHESTRATOR = "orchestrator"


class MeasuredStep:
    """One running step. A `MeshError` inside ends it with the outcome FALLBACK and goes no further."""

    def __init__(self, report: StepReport) -> None:
        self._report = report
        self._start = time.monotonic()

    def __enter__(self) -> StepReport:
        return self._report

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._report.milliseconds = (time.monotonic() - self._start) * 1000
        if not isinstance(error, MeshError):
            return False
        self._report.outcome = STEP_OUTCOME_FALLBACK
        self._report.detail = f"{error.summary()}; {FALLBACKS.get(self._report.step, 'the list goes on without it')}"
        return True


class StepLog:
    """Collects the step reports of one answer, in the order the steps started."""

    def __init__(self) -> None:
        self.reports: list[StepReport] = []

    @property
    def degraded(self) -> bool:
        """Whether any step failed or was replaced by its fallback."""
        return any(report.outcome in (STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK) for report in self.reports)

    def measure(self, step: str, service: str = ORCHESTRATOR) -> MeasuredStep:
        """Time a step, as a context manager that gives its report."""
        report = StepReport(step=step, service=service, outcome=STEP_OUTCOME_OK)
        self.reports.append(report)
        return MeasuredStep(report)

    def lose(self, step: str, why: str, service: str = ORCHESTRATOR) -> None:
        """Record something that should have been there and is not: the answer is degraded."""
        self.reports.append(StepReport(step=step, service=service, outcome=STEP_OUTCOME_FALLBACK, detail=why))

    def skip(self, step: str, service: str, why: str) -> None:
        """Record a step that had nothing to do."""
        self.reports.append(StepReport(step=step, service=service, outcome=STEP_OUTCOME_SKIPPED, detail=why))


FALLBACKS: dict[str, str] = {
    "history": "the list goes by what this replica last knew of the user, or by what is popular",
    "filter": "the catalogue is as this replica last knew it",
    "bundle": "the serving bundle stands in for an arm's; without any, the list is what is popular",
    "ranker": "the bundle's default ranker stands in for the arm's",
    "continue": "the home page has no row of what was begun",
    "because": "the home page has no row that goes back to that item",
    "impressions": "what stood on top of earlier lists does not sink",
    "slate": "the list has no further page and no attribution tokens",
    "candidates/classical": "the other candidate sources fill the list",
    "candidates/text": "the other candidate sources fill the list",
    "candidates/vision": "the other candidate sources fill the list",
    "rank": "candidates are ordered by the mean of their sources' scores, then by popularity",
    "behaviour/return": "nothing is said about return and churn",
    "behaviour/engagement": "nothing is said about expected sessions",
    "behaviour/value": "nothing is said about expected value",
    "behaviour/next-session": "nothing is said about the next session",
    "behaviour/segment": "no segment is named",
    "sentiment": "nothing is said about sentiment",
    "emotion": "nothing is said about emotions",
    "toxicity": "nothing is said about toxicity",
    "tags": "no tags are scored",
    "toxicity/transformer": "the words alone decide; without them too, the policy's when_unknown",
    "toxicity/svm": "the Transformer alone decides; without it too, the policy's when_unknown",
    "rephrase": "the template's text is the answer",
    "reviews/sentiment": "the summary counts reviews and ratings, and says nothing of feelings or aspects",
    "reviews/aspects": "aspects of your own are found by their words alone",
    "search/lexical": "meaning alone decides",
    "search/semantic": "words alone decide",
    "search/word-vectors": "words alone decide",
    "personal/classical": "taste is judged by the texts of the user's history",
    "similar/classical": "likeness is judged by content alone",
    "similar/text": "likeness is judged without text",
    "similar/vision": "likeness is judged without pictures",
    "media/labels": "nothing is said about what it shows, and nothing is attached",
    "media/objects": "no objects are named",
    "media/faces": "no faces are named",
    "media/safety": "the policy's when_unknown decides",
    "media/vector": "no items are named that look alike, and nothing is attached",
    "media/game": "no game is named",
    "media/events": "nothing is said about events, and no highlights are named",
    "media/similar": "no items are named that look alike",
}
"""What happens without each step; printed in the documentation."""


def describe_model(report: StepReport, model: report_pb2.ModelReport) -> None:
    """Copy what answered into a step report."""
    report.model, report.version = model.model, model.version
