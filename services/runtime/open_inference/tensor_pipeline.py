"""The pipeline of the Open Inference Protocol: any model, tensors in, tensors out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

from inference import open_inference_pb2 as pb
from services.runtime.engine import CPU
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.open_inference.input_decoder import InputDecoder, Tensors
from services.runtime.open_inference.output_encoder import EncodedOutputs, OutputEncoder, concatenate
from services.runtime.open_inference.statistics import StatisticsRecorder
from services.runtime.open_inference.tensor_spec import TensorSpec
from services.runtime.pipeline import Pipeline, Place, Placement, Prepared, Size
from services.runtime.repository.loader import LoadedModel

# Texts become Python objects one by one: more bytes than this would keep the event loop busy for milliseconds.
_INLINE_TEXT_BYTES = 1 << 16
_MAXIMUM_ROWS = 256
_CHANNELS = (1, 3, 4)


class TensorPipeline(Pipeline[pb.ModelInferRequest, Tensors, Tensors, EncodedOutputs]):
    """One version of one model.

    The first axis counts rows when it is free in every input and output. Then a request may have up to
    `limits.max_rows` (256) of them, whatever the model's largest batch: it is cut into runs; and requests whose other
    axes are equal share runs as `batching.max_batch` allows. Any other model runs each request as it is.

    `limits.max_tokens` bounds the free axes of a model that counts tokens; `limits.allow_non_finite: 1` lets NaN and
    infinity in.
    """

    def __init__(self, model: LoadedModel) -> None:
        manifest = model.manifest
        # Inputs come as they are needed: there is nothing to prepare that would be worth a thread.
        self.placement = Placement(Place.INLINE, manifest.placement.run, Place.INLINE)
        self.inputs = [TensorSpec.of(description) for description in manifest.inputs]
        self.outputs = [TensorSpec.of(description) for description in manifest.outputs]
        self.batched = all(spec.batch_axis for spec in [*self.inputs, *self.outputs])
        self.max_batch = manifest.batching.max_batch if self.batched else 1
        self.cost_unit = manifest.batching.cost_unit
        self.statistics = StatisticsRecorder()
        self._model = model
        self._decoder = InputDecoder(self.inputs, finite=not manifest.limits.get("allow_non_finite"))
        self._encoder = OutputEncoder(manifest.name, manifest.version, self.outputs)
        self._names = [spec.name for spec in self.inputs]
        self._first = self._names[0]
        self._maximum_rows = manifest.limits.get("max_rows", max(_MAXIMUM_ROWS, self.max_batch))
        self._maximum_tokens = manifest.limits.get("max_tokens") if self.cost_unit == "tokens" else None
        self._token_axes = {spec.name: (_free_axes(spec), 0 if spec.floating else 1) for spec in self.inputs}
        self._counts_rows = self.cost_unit in {"rows", "items"}
        self._channels = _channels(self.inputs[0].shape) if self.cost_unit == "pixels" else 1
        self._takes_texts = any(spec.datatype.name == "BYTES" for spec in self.inputs)

    def place_of_prepare(self, request: pb.ModelInferRequest) -> Place:
        """Read many texts on a thread, anything else at once."""
        if self._takes_texts and request.ByteSize() > _INLINE_TEXT_BYTES:
            return Place.THREAD
        return Place.INLINE

    def prepare(self, request: pb.ModelInferRequest) -> Prepared[Tensors]:
        """Check the request and turn it into arrays."""
        selection = self._encoder.select(request)
        tensors = self._decoder.decode(request)
        if not self.batched:
            return Prepared([tensors], self._cost(tensors, 1), selection)
        first = tensors[self._first].shape
        rows = first[0]
        # Of a single input the rows agree with themselves, and its own shape is all that runs must agree in.
        bucket: object = first[1:]
        if len(tensors) > 1:
            bucket = tuple([tensors[name].shape[1:] for name in self._names])
        self._check_lengths(tensors, rows)
        cost = self._cost(tensors, rows)
        if rows <= self.max_batch:
            return Prepared((tensors,), cost, selection, (Size(rows, cost, bucket),))
        return self._cut(tensors, rows, cost, bucket, selection)

    def run(self, batch: Tensors) -> Tensors:
        """Run the model once.

        Raises:
            InvalidRequest: the values are none that the model takes, for example an index beyond its table.
        """
        start = time.monotonic()
        try:
            outputs = self._model.onnx.run(batch)
        except InvalidArgument as error:
            raise _refused_by_model() from error
        except Fail as error:
            # A GPU's own failures come under this name too.
            if self._model.onnx.provider != CPU:
                raise
            raise _refused_by_model() from error
        self.statistics.ran(len(batch[self._first]) if self.batched else 1, time.monotonic() - start)
        return outputs

    def finish(self, prepared: Prepared[Tensors], outputs: Sequence[Tensors]) -> EncodedOutputs:
        """Turn the outputs into the reply."""
        selection: tuple[str, ...] = prepared.state  # type: ignore[assignment]
        merged = concatenate(outputs)
        rows = len(merged[selection[0]]) if self.batched else 1
        return self._encoder.encode(merged, selection, rows)

    def join(self, batches: Sequence[Tensors]) -> Tensors:
        """Put rows below each other."""
        return {name: numpy.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def split(self, output: Tensors, batches: Sequence[Tensors]) -> Sequence[Tensors]:
        """Give each request its own rows back."""
        parts: list[Tensors] = []
        start = 0
        for batch in batches:
            end = start + len(batch[self._first])
            parts.append({name: array[start:end] for name, array in output.items()})
            start = end
        if any(len(array) != start for array in output.values()):
            raise ValueError("the model's outputs do not have the rows of its inputs")
        return parts

    def _lengths_fit(self, name: str, shape: Sequence[int], longest: int) -> bool:
        # Numbers that a text carries from run to run are none before its first run.
        axes, shortest = self._token_axes[name]
        return all(shortest <= shape[axis] <= longest for axis in axes)

    def _cost(self, tensors: Tensors, rows: int) -> int:
        if self._counts_rows:
            return rows
        return max(1, tensors[self._first].size // self._channels)

    def _cut(
        self, tensors: Tensors, rows: int, cost: int, bucket: object, selection: tuple[str, ...]
    ) -> Prepared[Tensors]:
        """Cut a request that is larger than a run."""
        starts = range(0, rows, self.max_batch)
        batches = [{name: array[start : start + self.max_batch] for name, array in tensors.items()} for start in starts]
        counts = [min(self.max_batch, rows - start) for start in starts]
        return Prepared(batches, cost, selection, [Size(count, cost * count // rows, bucket) for count in counts])

    def _check_lengths(self, tensors: Tensors, rows: int) -> None:
        # Arrays are in the order of the request's inputs.
        longest = self._maximum_tokens
        for index, (name, array) in enumerate(tensors.items()):
            shape = array.shape
            if shape[0] != rows:
                description = f"has {shape[0]:,} rows; {self._first!r} has {rows:,}"
            elif not 1 <= rows <= self._maximum_rows:
                description = f"has {rows:,} rows; the range is 1 to {self._maximum_rows:,}"
            elif longest is not None and not self._lengths_fit(name, shape, longest):
                description = f"is {list(shape)}; the model takes 1 to {longest:,} tokens a row"
            else:
                continue
            raise InvalidRequest([FieldViolation(f"inputs[{index}].shape", description)], "INVALID_TENSOR")


def _channels(shape: Sequence[int]) -> int:
    """Return the numbers of one pixel of pictures whose channels are the last or the second axis."""
    if len(shape) == 4:
        for axis in (-1, 1):
            if shape[axis] in _CHANNELS:
                return shape[axis]
    return 1


def _free_axes(spec: TensorSpec) -> tuple[int, ...]:
    """Return the axes behind the first one whose length is the caller's."""
    fixed = {axis for axis, _ in spec.fixed}
    return tuple(axis for axis in range(1, spec.rank) if axis not in fixed)


def _refused_by_model() -> InvalidRequest:
    # The library's own words name the graph's inner parts; it has written them to the log already.
    description = (
        "hold values that the model cannot run on, for example a number beyond its table or lengths that differ"
    )
    return InvalidRequest([FieldViolation("inputs", description)], "INVALID_TENSOR")
