"""Candidates whose picture resembles the history's, from the vision service."""

from __future__ import annotations

from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.sources.bundle_scorers import propose
from services.orchestrator.recommend.sources.source import NO_CANDIDATES, Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog


async def picture_content(mesh: Mesh, request: SourceInput, steps: StepLog, seconds: float) -> Candidates:
    """Return candidates by the picture vectors in the bundle; asks nobody when no item of the history has a picture."""
    pictures, rows = request.snapshot.pictures.present, request.snapshot.rows
    if request.history and not any(
        event.item_id in rows and pictures[rows[event.item_id]] for event in request.history
    ):
        steps.skip("candidates/vision", "vision", "no item of the user's history has a picture")
        return NO_CANDIDATES
    return await propose(mesh, "vision", request, steps, seconds)
