"""Language models through the Open Inference Protocol: tensors in, tensors out, states from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from inference import open_inference_pb2 as pb
from inference import open_inference_pb2_grpc
from services.runtime.open_inference.datatypes import DATATYPES
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.language_models import DECODER, KINDS, RECURRENT, write_decoder, write_recurrent
from tests.support.repositories import load_on_cpu
from tests.support.servers import running

TOKENS = [3, 40, 50, 60, 7]


async def infer(stub: Any, model: str, tensors: dict[str, Any]) -> dict[str, Any]:
    names = {numpy.dtype(numpy.int64): "INT64", numpy.dtype(numpy.float32): "FP32"}
    request = pb.ModelInferRequest(
        model_name=model,
        inputs=[
            pb.ModelInferRequest.InferInputTensor(name=name, datatype=names[array.dtype], shape=array.shape)
            for name, array in tensors.items()
        ],
        raw_input_contents=[array.tobytes() for array in tensors.values()],
    )
    reply = await stub.ModelInfer(request, timeout=20)
    return {
        output.name: numpy.frombuffer(content, DATATYPES[output.datatype].dtype).reshape(output.shape)
        for output, content in zip(reply.outputs, reply.raw_output_contents, strict=True)
    }


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("limits", [{}, {"max_tokens": 64}])
async def test_states_go_in_and_come_out_longer(
    models: Path, tmp_path: Path, model: str, limits: dict[str, int]
) -> None:
    folders = {DECODER: write_decoder(models, limits=limits), RECURRENT: write_recurrent(models, limits=limits)}
    whole = load_on_cpu(folders[model])
    settings = TextSettings(port=0, model_repository=models, bundle_repository=tmp_path, default_model=model)
    async with running(build(settings), settings) as server:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(server.channel)
        states = empty = {
            tensor.name: numpy.zeros([1, *(max(length, 0) for length in tensor.shape[1:])], numpy.float32)
            for tensor in whole.manifest.inputs
            if tensor.datatype == "FP32"
        }
        before, logits = 0, []
        for part in (TOKENS[:3], TOKENS[3:4], TOKENS[4:]):
            outputs = await infer(stub, model, _feeds(whole.onnx.input_names, part, before, states))
            before += len(part)
            logits.append(outputs.pop("logits"))
            states = dict(zip(states, outputs.values(), strict=True))
    expected = whole.onnx.run(_feeds(whole.onnx.input_names, TOKENS, 0, empty))
    assert numpy.allclose(numpy.concatenate(logits, axis=1), expected["logits"], rtol=1e-3, atol=1e-3)


def _feeds(names: list[str], tokens: list[int], before: int, states: dict[str, Any]) -> dict[str, Any]:
    total = before + len(tokens)
    feeds = {
        "input_ids": numpy.array([tokens]),
        "attention_mask": numpy.ones((1, total), numpy.int64),
        "position_ids": numpy.arange(before, total)[None],
        **states,
    }
    return {name: feeds[name] for name in names}
