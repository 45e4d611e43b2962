"""Model repositories of dummy models, with pipelines but without a service around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy

from services.runtime.engine import CPU, OnnxModel
from services.runtime.pipeline import Pipeline, Prepared
from services.runtime.repository.loader import LoadedModel, load_version
from services.runtime.repository.policy import VersionPolicies
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.serving import PipelineFactory, ServingModel
from services.runtime.repository.states import State
from tests.support.dummy_model import NAME, TASK


class RowPipeline(Pipeline[Sequence[int], Any, Any, Any]):
    """Word numbers to their mean vector."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def prepare(self, request: Sequence[int]) -> Prepared[Any]:
        return Prepared([numpy.array([request], numpy.int64)], cost=len(request))

    def run(self, batch: Any) -> Any:
        return self.model.onnx.run({"input_ids": batch, "attention_mask": numpy.ones_like(batch)})["vectors"]

    def finish(self, prepared: Prepared[Any], outputs: Sequence[Any]) -> Any:
        return outputs[0][0]


@asynccontextmanager
async def repository(
    models: Path, policies: dict[str, str] | None = None, pipeline: PipelineFactory = RowPipeline, **options: Any
) -> AsyncIterator[ModelRepository]:
    """Return a started repository for the length of a block."""
    made = ModelRepository(
        models,
        factories={TASK: pipeline},
        tensors=RowPipeline,
        policies=VersionPolicies.parse(policies or {}),
        wanted="cpu",
        **options,
    )
    try:
        await made.start()
        yield made
    finally:
        await made.close()


def load_on_cpu(folder: Path) -> LoadedModel:
    """Load one version without a repository around it."""
    return load_version(folder, lambda path: OnnxModel(path, CPU))


def states(models: ModelRepository, name: str = NAME) -> dict[str, State]:
    """Return version → state of a model."""
    return {state.version: state.state for state in models.index() if state.name == name}


def ready(models: ModelRepository, name: str = NAME) -> list[str]:
    """Return the versions of a model that serve, the default first."""
    return [one.identity.version for one in models.serving() if one.identity.name == name]


def answer(serving: ServingModel) -> Any:
    """Return the vector of one word."""
    assert isinstance(serving.pipeline, RowPipeline)
    prepared = serving.pipeline.prepare([3])
    return serving.pipeline.finish(prepared, [serving.pipeline.run(batch) for batch in prepared.batches])
