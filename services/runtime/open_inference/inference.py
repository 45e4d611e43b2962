"""ModelInfer: from the request to the response, for single calls and for the messages of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from inference import open_inference_pb2 as pb
from services.runtime.data_plane import DataPlane
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.open_inference.output_encoder import EncodedOutputs
from services.runtime.open_inference.parameters import read_options
from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.serving import ServingModel
from services.runtime.request_context import current_request, enter_request

LONGEST_NAME = 256


class Inference:
    """Runs models of a repository on tensors.

    Args:
        models: the repository.
        plane: what executes them.
        guards: tasks that not every caller may ask for, each with a check that raises `ServiceError` for a caller who
            may not. Their answers are never kept.
    """

    def __init__(self, models: ModelRepository, plane: DataPlane, guards: Mapping[str, Callable[[], None]]) -> None:
        self._models = models
        self._plane = plane
        self._guards = guards

    async def serving(self, name: str, version: str, name_field: str) -> tuple[ServingModel, TensorPipeline]:
        """Return a version that serves, loading it when it may be loaded on first use.

        Raises:
            NotFound: there is no such model or version.
            Unavailable: it does not serve now.
        """
        serving = self._models.ready(name, version)
        if serving is None:
            check_name(name_field, name)
            serving = await self._models.acquire(name, version, name_field)
        tensors: TensorPipeline = serving.tensors  # type: ignore[assignment]
        return serving, tensors

    async def infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        """Return the response to a request.

        Raises:
            ServiceError: the model does not exist or serve, the input is bad, or the service is overloaded.
        """
        start = time.monotonic()
        serving, tensors = await self.serving(request.model_name, request.model_version, "model_name")
        statistics = tensors.statistics
        try:
            guard = self._guards.get(serving.model.manifest.task)
            if guard is not None:
                guard()
            reply: EncodedOutputs
            request_id = request.id
            if len(request_id) > LONGEST_NAME:
                description = f"has {len(request_id):,} characters; the limit is {LONGEST_NAME}"
                raise InvalidRequest([FieldViolation("id", description)])
            priority, timeout = read_options(request)
            if timeout is not None:
                _shorten_deadline(start + timeout)
            reply, timings = await self._plane.infer(
                tensors,
                request,
                model=serving.identity,
                priority=priority,
                cache_key=None if guard else lambda: _question(request),
            )
        except BaseException:
            statistics.failed(time.monotonic() - start)
            raise
        statistics.answered(reply.rows, time.monotonic() - start, timings)
        return reply.response(request_id)


def check_name(field: str, name: str) -> None:
    """Raise `InvalidRequest` for a name that cannot be one."""
    if not name:
        raise InvalidRequest([FieldViolation(field, "is empty; it is required")])
    if len(name) > LONGEST_NAME:
        raise InvalidRequest([FieldViolation(field, f"has {len(name):,} characters; the limit is {LONGEST_NAME}")])


def _question(request: pb.ModelInferRequest) -> bytes:
    """Return what the answer depends on: inputs and wanted outputs, in one canonical form."""
    question = pb.ModelInferRequest(
        inputs=request.inputs, outputs=request.outputs, raw_input_contents=request.raw_input_contents
    )
    content: bytes = question.SerializeToString(deterministic=True)
    return content


def _shorten_deadline(moment: float) -> None:
    call = current_request()
    if call.deadline is None or moment < call.deadline:
        call.deadline = moment
        enter_request(call)
