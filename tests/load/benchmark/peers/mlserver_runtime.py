"""An MLServer runtime that runs one ONNX graph; MLServer imports it by name from `model-settings.json`."""

from __future__ import annotations

from typing import Any

import numpy
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

DATATYPES = {"FP32": numpy.float32, "INT64": numpy.int64, "UINT8": numpy.uint8}


class OnnxRuntimeModel(MLModel):
    """One graph, one thread a run, as Marquee opens it."""

    async def load(self) -> bool:
        """Open the graph."""
        extra: dict[str, Any] = self.settings.parameters.extra
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = extra["threads"]
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(extra["path"], options, providers=["CPUExecutionProvider"])
        self._outputs = extra["output_names"]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the graph once on what MLServer batched."""
        feeds = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        found = self._session.run(self._outputs, feeds)
        outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(self._outputs, found, strict=True)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
