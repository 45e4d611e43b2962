from __future__ import annotations

from pathlib import Path

import numpy

from inference import model_config_pb2
from services.runtime.engine import CPU, OnnxModel
from services.runtime.open_inference.model_config import model_config, model_metadata
from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.repository.loader import LoadedModel, load_version
from tests.support.tensor_models import write_forest_model, write_identity_model
from tests.support.tensor_requests import Array


def loaded(folder: Path) -> tuple[LoadedModel, TensorPipeline]:
    model = load_version(folder, lambda path: OnnxModel(path, CPU))
    return model, TensorPipeline(model)


def test_metadata_counts_the_batch_axis(models: Path) -> None:
    metadata = model_metadata(*loaded(write_forest_model(models)), ["1", "2"])
    assert (metadata.name, list(metadata.versions), metadata.platform) == (
        "forest-values",
        ["1", "2"],
        "onnxruntime_onnx",
    )
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [("features", "FP32", [-1, 16])]
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.outputs] == [("values", "FP32", [-1, 1])]


def test_the_configuration_of_a_batching_model_leaves_the_batch_axis_out(models: Path) -> None:
    config = model_config(*loaded(write_forest_model(models)), 3)
    assert (config.max_batch_size, list(config.input[0].dims), list(config.output[0].dims)) == (16, [16], [1])
    assert config.input[0].data_type == model_config_pb2.TYPE_FP32
    assert config.WhichOneof("scheduling_choice") == "dynamic_batching"
    assert (config.instance_group[0].count, config.instance_group[0].kind) == (3, config.instance_group[0].KIND_CPU)
    assert config.parameters["task"].string_value == "tensors"


def test_the_configuration_of_any_other_model_has_all_axes(models: Path) -> None:
    samples: dict[str, Array] = {"x": numpy.ones((2, 3), numpy.int32)}
    config = model_config(*loaded(write_identity_model(models, {"x": ("INT32", [2, 3])}, samples)), 1)
    assert (config.max_batch_size, list(config.input[0].dims)) == (0, [2, 3])
    assert config.WhichOneof("scheduling_choice") is None
