"""Calls a model service as a user of `tritonclient` would, and prints what came back as JSON.

Runs in a process of its own: the client registers the protocol's messages under the same names as Marquee does.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException, triton_to_np_dtype


def inputs_of(described: dict[str, Any], module: Any) -> list[Any]:
    """Return the inputs of a request: name → [datatype, shape, value of every element]."""
    inputs = []
    for name, (datatype, shape, value) in described.items():
        tensor = module.InferInput(name, shape, datatype)
        tensor.set_data_from_numpy(numpy.full(shape, value, triton_to_np_dtype(datatype)))
        inputs.append(tensor)
    return inputs


def stream(client: Any, model: str, inputs: list[Any], count: int) -> list[str]:
    """Return the ids of the answers to a stream of requests, "error" for the one that names no model."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)))
    for number in range(count):
        name = "no-such-model" if number == 1 else model
        client.async_stream_infer(name, inputs, request_id=str(number))
    seen = []
    for _ in range(count):
        result, error = answers.get(timeout=30)
        seen.append("error" if error else result.get_response().id)
    client.stop_stream()
    return seen


async def aio(address: str, model: str, described: dict[str, Any], output: str) -> list[list[int]]:
    """Return the shapes of the answers of the client's asyncio form: a call and a stream."""
    async with triton_aio.InferenceServerClient(address) as client:
        single = await client.infer(model, inputs_of(described, triton_aio))

        async def requests() -> AsyncIterator[dict[str, Any]]:
            for _ in range(3):
                yield {"model_name": model, "inputs": inputs_of(described, triton_aio)}

        shapes = [list(single.as_numpy(output).shape)]
        async for result, error in client.stream_infer(requests()):
            shapes.append([] if error else list(result.as_numpy(output).shape))
        return shapes


def exercise(address: str, model: str, described: dict[str, Any], output: str) -> dict[str, Any]:
    """Call everything once and return what came back."""
    seen: dict[str, Any] = {}
    with triton.InferenceServerClient(address) as client:
        seen["live"] = client.is_server_live()
        seen["ready"] = client.is_server_ready()
        seen["server"] = client.get_server_metadata(as_json=True)["name"]
        seen["metadata"] = [tensor.name for tensor in client.get_model_metadata(model).inputs]
        seen["max_batch_size"] = client.get_model_config(model).config.max_batch_size
        inputs = inputs_of(described, triton)
        wanted = [triton.InferRequestedOutput(output)]
        result = client.infer(model, inputs, outputs=wanted, request_id="7", priority=1, timeout=30_000_000)
        seen["id"] = result.get_response().id
        seen["shape"] = list(result.as_numpy(output).shape)
        seen["finite"] = bool(numpy.isfinite(result.as_numpy(output)).all())
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.async_infer(model, inputs, callback=lambda result, error: answers.put((result, error)))
        later, error = answers.get(timeout=30)
        seen["async_equal"] = error is None and bool((later.as_numpy(output) == result.as_numpy(output)).all())
        seen["stream"] = stream(client, model, inputs, 5)
        try:
            client.infer(model, inputs[:-1] or inputs, outputs=[triton.InferRequestedOutput("surprise")])
        except InferenceServerException as refused:
            seen["refusal"] = [refused.status(), refused.message()]
        try:
            client.infer(model, inputs, sequence_id=5)
        except InferenceServerException as refused:
            seen["sequence"] = refused.message()
        client.unload_model(model)
        seen["ready_after_unload"] = client.is_model_ready(model)
        seen["index"] = {entry.name: entry.state for entry in client.get_model_repository_index().models}
        client.load_model(model)
        seen["ready_after_load"] = client.is_model_ready(model)
        client.infer(model, inputs)
        statistics = client.get_inference_statistics(model).model_stats[0]
        seen["statistics"] = [statistics.inference_count, statistics.inference_stats.success.count]
    seen["aio"] = asyncio.run(aio(address, model, described, output))
    return seen


if __name__ == "__main__":
    sys.stdout.write(json.dumps(exercise(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4])))
