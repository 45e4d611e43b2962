"""Candidates by what other users did: EASE, Markov and matrix factorisation, from the classical service."""

from __future__ import annotations

from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.sources.bundle_scorers import propose
from services.orchestrator.recommend.sources.source import Candidates, SourceInput
from services.orchestrator.recommend.steps import StepLog


async def collaborative(mesh: Mesh, request: SourceInput, steps: StepLog, seconds: float) -> Candidates:
    """Return candidates of the bundle's collaborative scorers."""
    return await propose(mesh, "classical", request, steps, seconds)
