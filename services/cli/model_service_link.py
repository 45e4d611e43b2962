"""What the `models` commands ask a running model service."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from marquee.common.v1 import model_repository_pb2 as pb
from marquee.common.v1.model_repository_pb2_grpc import ModelRepositoryServiceStub
from services.cli.channels import open_channel
from services.cli.console import stage
from services.cli.failures import EXIT_NO_MESH, CommandFailed
from services.cli.health import listens
from services.cli.status import service_targets
from services.cli.tls import command_tls, tls_problem

_SECONDS = 5.0
# Models of gigabytes are read, checked and warmed up before they serve.
_LOAD_SECONDS = 3600.0
_PAUSE_SECONDS = 0.2


class ModelServiceLink:
    """One model service.

    Args:
        service: "text", "vision" or "classical".
        target: value of the `--target` option, the orchestrator's address; None takes the settings'.
    """

    def __init__(self, service: str, target: str | None) -> None:
        self.service = service
        self.address = service_targets(target)[service]

    def listens(self) -> bool:
        """Tell whether anybody answers there."""
        return listens(self.address, _SECONDS)

    def models(self) -> list[pb.ModelStatus]:
        """Return every version on its disk or in its memory."""
        with self._channel() as channel:
            return self._list(ModelRepositoryServiceStub(channel))

    def load(self, name: str, version: str) -> pb.ModelStatus:
        """Let a version serve, and show how far it is.

        Raises:
            CommandFailed: it does not serve; the message says why.
        """
        with self._channel() as channel, ThreadPoolExecutor(1) as thread:
            stub = ModelRepositoryServiceStub(channel)
            request = pb.LoadModelRequest(name=name, version=version)
            with stage(f"Loading {name} in the {self.service} service", percent=True) as work:
                loading = thread.submit(stub.LoadModel, request, timeout=_LOAD_SECONDS)
                while not loading.done():
                    time.sleep(_PAUSE_SECONDS)
                    work.advance(max(0, self._percent(stub, name, version) - work.done))
                work.advance(max(0, 100 - work.done))
                try:
                    reply = loading.result()
                except grpc.RpcError as error:
                    raise self._failed(error) from error
        return next(iter(reply.models), pb.ModelStatus(name=name, version=version))

    def unload(self, name: str, version: str) -> None:
        """Take a version out of service; nothing happens when it does not serve."""
        with self._channel() as channel:
            try:
                ModelRepositoryServiceStub(channel).UnloadModel(
                    pb.UnloadModelRequest(name=name, version=version), timeout=_SECONDS + _SECONDS
                )
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise self._failed(error) from error

    def _percent(self, stub: ModelRepositoryServiceStub, name: str, version: str) -> int:
        """Return how much of the files is verified, at most 99: opening and checking come after."""
        try:
            models = self._list(stub)
        except CommandFailed:
            return 0
        for model in models:
            if (model.name, model.version) == (name, version) and model.size_bytes:
                return min(99, 100 * model.verified_bytes // model.size_bytes)
        return 0

    def _list(self, stub: ModelRepositoryServiceStub) -> list[pb.ModelStatus]:
        try:
            return list(stub.ListModels(pb.ListModelsRequest(), timeout=_SECONDS).models)
        except grpc.RpcError as error:
            raise self._failed(error) from error

    def _channel(self) -> grpc.Channel:
        if not self.listens():
            raise CommandFailed(
                f"no {self.service} service at {self.address}: start the mesh with `marquee up`",
                f"Another address can be named with MARQUEE_{self.service.upper()}_TARGET.",
                EXIT_NO_MESH,
            )
        return open_channel(self.address, tls=command_tls())

    def _failed(self, error: grpc.RpcError) -> CommandFailed:
        code = error.code()
        message = error.details() or code.name
        if code is grpc.StatusCode.UNAVAILABLE and (problem := tls_problem(self.address)):
            return problem
        if code is grpc.StatusCode.NOT_FOUND:
            return CommandFailed(
                f"the {self.service} service at {self.address} does not find it: {message}",
                "It reads another folder than the one that was written to: start it with "
                f"MARQUEE_{self.service.upper()}_MODEL_REPOSITORY set to the repository.",
            )
        return CommandFailed(f"the {self.service} service: {message}")
