"""Candidates from the bundle's scorers that one model service serves: one call a service, whatever the number of its
scorers.
"""

from __future__ import annotations

from marquee.common.v1 import candidate_pb2
from services.orchestrator.mesh import Family, Mesh
from services.orchestrator.recommend.sources.source import NO_CANDIDATES, Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog, describe_model


async def propose(
    mesh: Mesh, family: Family, request: SourceInput, steps: StepLog, seconds: float, step: str = "candidates"
) -> Candidates:
    """Return the candidates of one service; none, with the reason in the step report, when it has nothing to say."""
    name = f"{step}/{family}"
    if request.bundle is None:
        steps.skip(name, family, "no bundle is loaded")
        return NO_CANDIDATES
    if not request.history:
        steps.skip(name, family, "the user has no history")
        return NO_CANDIDATES
    if request.bundle.scorers.get(family) == ():
        steps.skip(name, family, f"the bundle has no scorer for the {family} service")
        return NO_CANDIDATES
    query = candidate_pb2.CandidateQuery(
        tenant=request.tenant,
        bundle_version=request.bundle.version,
        history=[candidate_pb2.HistoryItem(item_id=event.item_id, weight=event.weight) for event in request.history],
        candidates_per_scorer=request.count,
        allowed_items=request.bundle.pack_allowed(request.snapshot, request.allowed),
    )
    with steps.measure(name, family) as report:
        found = await mesh.generate_candidates(family, query, seconds)
        describe_model(report, found.report)
        proposed = {
            scorer.scorer: dict(zip(scorer.item_ids, scorer.scores, strict=True))
            for scorer in found.scorers
            if scorer.item_ids
        }
        if not proposed:
            report.detail = "no event of the history says anything to its scorers"
        return Candidates(proposed)
    return NO_CANDIDATES
