"""What the protocol tells about a model: metadata and configuration, made from `model.yaml`."""

from __future__ import annotations

from collections.abc import Sequence

from inference import model_config_pb2 as config_pb
from inference import open_inference_pb2 as pb
from services.runtime.engine import CPU
from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.open_inference.tensor_spec import TensorSpec
from services.runtime.repository.loader import MODEL_FILE, LoadedModel

PLATFORM = "onnxruntime_onnx"
_BACKEND = "onnxruntime"


def model_metadata(model: LoadedModel, tensors: TensorPipeline, versions: Sequence[str]) -> pb.ModelMetadataResponse:
    """Return the metadata of a model, `versions` being those that serve."""
    return pb.ModelMetadataResponse(
        name=model.manifest.name,
        versions=versions,
        platform=PLATFORM,
        inputs=[_tensor_metadata(spec) for spec in tensors.inputs],
        outputs=[_tensor_metadata(spec) for spec in tensors.outputs],
    )


def model_config(model: LoadedModel, tensors: TensorPipeline, engines: int) -> config_pb.ModelConfig:
    """Return the configuration of a model in a process with that many engines."""
    manifest = model.manifest
    kind = (
        config_pb.ModelInstanceGroup.KIND_CPU if model.onnx.provider == CPU else config_pb.ModelInstanceGroup.KIND_GPU
    )
    config = config_pb.ModelConfig(
        name=manifest.name,
        platform=PLATFORM,
        backend=_BACKEND,
        max_batch_size=tensors.max_batch if tensors.batched else 0,
        input=[
            config_pb.ModelInput(name=spec.name, data_type=spec.datatype.config_type, dims=_dims(spec, tensors.batched))
            for spec in tensors.inputs
        ],
        output=[
            config_pb.ModelOutput(
                name=spec.name,
                data_type=spec.datatype.config_type,
                dims=_dims(spec, tensors.batched),
                label_filename=_label_file(model, spec),
            )
            for spec in tensors.outputs
        ],
        instance_group=[config_pb.ModelInstanceGroup(name=manifest.name, count=engines, kind=kind)],
        default_model_filename=MODEL_FILE,
        model_transaction_policy=config_pb.ModelTransactionPolicy(decoupled=False),
        parameters={
            name: config_pb.ModelParameter(string_value=value)
            for name, value in (
                ("task", manifest.task),
                ("description", manifest.description),
                ("license", manifest.license),
                ("source", manifest.source),
                ("cost_unit", manifest.batching.cost_unit),
                ("execution_provider", model.onnx.provider),
            )
        },
    )
    if tensors.max_batch > 1:
        config.dynamic_batching.priority_levels = 3
        config.dynamic_batching.default_priority_level = 2
    return config


def _tensor_metadata(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype.name, shape=spec.shape)


def _dims(spec: TensorSpec, batched: bool) -> Sequence[int]:
    return spec.shape[1:] if batched else spec.shape


def _label_file(model: LoadedModel, spec: TensorSpec) -> str:
    """Return the label file for the output that has a column for each label."""
    labels = model.labels()
    return model.manifest.labels or "" if labels and spec.shape and spec.shape[-1] == len(labels) else ""
