"""One version that serves: the loaded model with the pipelines made for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.runtime.batching.lane import ModelIdentity
from services.runtime.engine import OnnxModel
from services.runtime.logs import get_logger
from services.runtime.pipeline import Pipeline
from services.runtime.repository.loader import LoadCancelled, LoadedModel, VersionRefused, load_version

_logger = get_logger(__name__)

AnyPipeline = Pipeline[Any, Any, Any, Any]
PipelineFactory = Callable[[LoadedModel], AnyPipeline]


@dataclass(frozen=True)
class ServingModel:
    """A version that serves. Whoever answers a request holds it until the answer is out: that keeps its memory.

    Attributes:
        model: the version itself.
        pipeline: of its task; None when the service has none for the task, and then it is served through the Open
            Inference Protocol only.
        tensors: the pipeline of the Open Inference Protocol: tensors in, tensors out.
        identity: under which its work is counted.
    """

    model: LoadedModel
    pipeline: AnyPipeline | None
    tensors: AnyPipeline
    identity: ModelIdentity


@dataclass(frozen=True)
class ServingBuilder:
    """Makes a version ready to serve. Runs on a thread: reading, checking and warming up take a while.

    Attributes:
        open_graph: opens a graph on the execution provider of the process.
        factories: `task` of `model.yaml` → how to make its pipeline.
        tensors: how to make the pipeline of the Open Inference Protocol.
    """

    open_graph: Callable[[Path], OnnxModel]
    factories: Mapping[str, PipelineFactory]
    tensors: PipelineFactory

    def build(
        self, folder: Path, check_cancelled: Callable[[], None], verified: Callable[[int], None] = lambda count: None
    ) -> ServingModel:
        """Verify, open, check and warm up the version in `folder` and its pipelines.

        Args:
            folder: `<name>/<version>` in the repository.
            check_cancelled: as in `load_version`.
            verified: as in `load_version`.

        Raises:
            VersionRefused: it cannot serve; the message says why.
            LoadCancelled: raised by `check_cancelled`.
        """
        model = load_version(folder, self.open_graph, check_cancelled, verified)
        factory = self.factories.get(model.manifest.task)
        pipeline = _make(factory, model, model.manifest.task) if factory else None
        check_cancelled()
        tensors = _make(self.tensors, model, "tensor")
        return ServingModel(model, pipeline, tensors, ModelIdentity(model.manifest.name, model.manifest.version))


def _make(factory: PipelineFactory, model: LoadedModel, kind: str) -> AnyPipeline:
    try:
        pipeline = factory(model)
        pipeline.warmup()
    except LoadCancelled:
        raise
    except Exception as error:
        # As in the loader: the other models must serve, and the text is for the log only.
        name, version = model.manifest.name, model.manifest.version
        _logger.exception("pipeline cannot be made", model=name, version=version)
        raise VersionRefused(
            f"{name}/{version}: the {kind} pipeline cannot be made; the service's log says why"
        ) from error
    return pipeline
