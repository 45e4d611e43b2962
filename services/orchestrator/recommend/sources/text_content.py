"""Candidates whose text resembles the history's, from the text service."""

from __future__ import annotations

from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.sources.bundle_scorers import propose
from services.orchestrator.recommend.sources.source import Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog


async def text_content(mesh: Mesh, request: SourceInput, steps: StepLog, seconds: float) -> Candidates:
    """Return candidates by the text vectors in the bundle."""
    return await propose(mesh, "text", request, steps, seconds)
