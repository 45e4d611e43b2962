"""Puts the Open Inference Protocol on a model service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

import grpc

from inference import open_inference_pb2_grpc
from services.runtime.data_plane import DataPlane
from services.runtime.open_inference.servicer import OpenInferenceServicer
from services.runtime.repository.repository import ModelRepository

OPEN_INFERENCE_CONTRACT = "inference.GRPCInferenceService"


def attach_open_inference(
    server: grpc.aio.Server,
    models: ModelRepository,
    plane: DataPlane,
    service_name: str,
    ready: Callable[[], bool],
    guards: Mapping[str, Callable[[], None]],
) -> None:
    """Add the protocol's servicer to a server.

    Args:
        server: the service's server.
        models: its models.
        plane: its data plane.
        service_name: short name of the service, for example "text".
        ready: whether the service serves.
        guards: tasks that not every caller may ask for, each with the check that refuses; see `Inference`.
    """
    servicer = OpenInferenceServicer(models, plane, f"marquee-{service_name}", _version(), ready, guards)
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)


def _version() -> str:
    try:
        return version("marquee")
    except PackageNotFoundError:
        # Run from the sources without being installed.
        return "0"
