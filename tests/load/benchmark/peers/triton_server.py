"""Serve ONNX models with NVIDIA Triton through PyTriton: `python triton_server.py specification.json`.

Runs in the environment `.venv-bench-triton`. PyTriton brings Triton's C++ front with its Python back-end; each
instance of a model is one callable that runs an ONNX Runtime session here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

DATATYPES = {"FP32": numpy.float32, "INT64": numpy.int64, "UINT8": numpy.uint8}


def open_session(model: dict[str, Any]) -> onnxruntime.InferenceSession:
    """Open the graph as Marquee does, apart from the number of threads of a run, which is a setting that is tried."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = model["threads"]
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model["path"], options, providers=["CPUExecutionProvider"])


def instance(model: dict[str, Any]) -> Any:
    """Return one callable that answers batches."""
    session = open_session(model)

    @batch
    def infer(**inputs: Any) -> dict[str, Any]:
        return dict(zip(model["output_names"], session.run(model["output_names"], inputs), strict=True))

    return infer


def tensors(described: list[dict[str, Any]]) -> list[Tensor]:
    """Return the tensors without their batch axis, which PyTriton adds."""
    return [
        Tensor(name=one["name"], dtype=DATATYPES[one["datatype"]], shape=tuple(one["shape"][1:])) for one in described
    ]


def main() -> None:
    """Bind every model and serve until the process is told to end."""
    specification = json.loads(Path(sys.argv[1]).read_text())
    config = TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=specification["port"],
        http_address="127.0.0.1",
        http_port=specification["spare_ports"][0],
        allow_metrics=False,
        log_verbose=0,
    )
    with Triton(config=config) as triton:
        for model in specification["models"]:
            limit = model["max_batch"]
            triton.bind(
                model_name=model["name"],
                infer_func=[instance(model) for _ in range(specification["instances"])],
                inputs=tensors(model["inputs"]),
                outputs=tensors(model["outputs"]),
                config=ModelConfig(
                    max_batch_size=limit,
                    batcher=DynamicBatcher(max_queue_delay_microseconds=model["delay_microseconds"]),
                ),
            )
        triton.serve()


if __name__ == "__main__":
    main()
