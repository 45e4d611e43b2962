"""From the `model` field of a typed request to the pipeline that answers it."""

from __future__ import annotations

from typing import Generic, TypeVar

from services.runtime.errors import NotFound
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.serving import AnyPipeline, ServingModel

PipelineT = TypeVar("PipelineT", bound=AnyPipeline)


class RequestedModels(Generic[PipelineT]):
    """The models that a kind of call may name.

    Args:
        models: repository of the service.
        kind: class of the pipelines that can answer, or several.
        default: model that answers when the request names none.
    """

    def __init__(
        self, models: ModelRepository, kind: type[PipelineT] | tuple[type[PipelineT], ...], default: str
    ) -> None:
        self._models = models
        self._kind = kind
        self._default = default

    async def get(self, requested: str) -> tuple[ServingModel, PipelineT]:
        """Return the model named `name` or `name/version`, the default for an empty text, and its pipeline.

        Raises:
            ServiceError: as `ModelRepository.acquire`; NotFound also for a model of another task.
        """
        name, _, version = (requested or self._default).partition("/")
        serving = self._models.ready(name, version) or await self._models.acquire(name, version)
        if isinstance(serving.pipeline, self._kind):
            return serving, serving.pipeline
        able = sorted({one.identity.name for one in self._models.serving() if isinstance(one.pipeline, self._kind)})
        task = serving.model.manifest.task
        advice = f"it does {task}; for this call there are: {', '.join(able) or 'none'}"
        raise NotFound("model", "model", requested[:200] or self._default, advice)
