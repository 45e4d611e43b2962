from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy
import pytest

from inference import open_inference_pb2 as pb
from inference import open_inference_pb2_grpc
from services.cli.failures import CommandFailed
from services.cli.load.open_inference import Model
from tests.unit.services.cli.conftest import Run

TENSORS = {"input_ids": ("INT64", [-1, -1]), "attention_mask": ("INT64", [-1, -1]), "scale": ("FP32", [-1, 3])}


class Servicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self) -> None:
        self.requests: list[pb.ModelInferRequest] = []

    def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        if request.name != "mine":
            context.abort(grpc.StatusCode.NOT_FOUND, f"model: no model {request.name!r}")
        answer = pb.ModelMetadataResponse(name="mine")
        for name, (datatype, shape) in TENSORS.items():
            answer.inputs.add(name=name, datatype=datatype, shape=shape)
        return answer

    def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        self.requests.append(request)
        return pb.ModelInferResponse(model_name="mine")


@pytest.fixture
def served() -> Iterator[tuple[str, Servicer]]:
    server, servicer = grpc.server(futures.ThreadPoolExecutor(2)), Servicer()  # type: ignore[abstract]
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", servicer
    server.stop(None)


def array(request: pb.ModelInferRequest, place: int) -> Any:
    tensor = request.inputs[place]
    kind = {"INT64": numpy.int64, "FP32": numpy.float32}[tensor.datatype]
    return numpy.frombuffer(request.raw_input_contents[place], kind).reshape(tensor.shape)


def test_random_tensors_fit_the_metadata(served: tuple[str, Servicer]) -> None:
    model = Model("mine/3", served[0])
    request = pb.ModelInferRequest.FromString(model.random_request(1, {"input_ids": [2, 5]}))
    assert (request.model_name, request.model_version) == ("mine", "3")
    assert [list(tensor.shape) for tensor in request.inputs] == [[2, 5], [1, 16], [1, 3]]
    assert array(request, 0).min() > 0
    assert (array(request, 1) == 1).all()  # a mask hides nothing
    assert model.random_request(1) == model.random_request(1) != model.random_request(2)


def test_tensors_from_json(served: tuple[str, Servicer]) -> None:
    model = Model("mine", served[0])
    given = {"input_ids": [[7, 8]], "attention_mask": [[1, 1]], "scale": [[0.5, 1, 2]]}
    request = pb.ModelInferRequest.FromString(model.request(given))
    assert array(request, 0).tolist() == [[7, 8]]
    assert array(request, 2).tolist() == [[0.5, 1.0, 2.0]]
    with pytest.raises(ValueError, match=r"attention_mask.*takes: input_ids, attention_mask, scale"):
        model.request({"input_ids": [[1]], "scale": [[1, 2, 3]]})
    with pytest.raises(ValueError, match="input_ids: no INT64 tensor"):
        model.request({**given, "input_ids": [["x"]]})


def test_a_model_that_nobody_serves(served: tuple[str, Servicer]) -> None:
    with pytest.raises(CommandFailed, match="no service serves the model 'other'"):
        Model.find("other", [served[0]])


def test_the_command_calls_a_model(run: Run, served: tuple[str, Servicer]) -> None:
    address, servicer = served
    words = ("load", "--model", "mine", "-t", address, "-r", "40", "--duration", "1", "--warm-up", "0")
    result = run(*words, "--shape", "input_ids=1,4", "--shape", "attention_mask=1,4")
    assert result.exit_code == 0, result.output
    assert len(servicer.requests) > 20
    assert list(servicer.requests[0].inputs[0].shape) == [1, 4]
    assert len({request.raw_input_contents[0] for request in servicer.requests}) > 10
    wrong = run(*words, "--shape", "nothing=1")
    assert wrong.exit_code == 2
    assert "input_ids, attention_mask, scale" in wrong.output
